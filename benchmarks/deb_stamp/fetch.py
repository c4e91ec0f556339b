#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetch the packages of the benchmark: 250 below 1 MB and 70 large ones, about 1 GB, drawn from the whole archive.

The draw is by the hash of the name, so it is the same wherever the archive is. Packages that are there stay.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

SMALL, LARGE = 250, 70


def cache() -> Path:
    """Where the packages are kept: $SLIPWAY_CACHE/benchmarks/debs, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(os.environ.get("SLIPWAY_CACHE", f"{home}/slipway")) / "benchmarks" / "debs"


def known() -> dict[str, tuple[int, str]]:
    """The size and the version of each package that apt knows."""
    dump = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout
    found: dict[str, tuple[int, str]] = {}
    for paragraph in dump.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if line[:1] != " " and ": " in line)
        if "Size" in fields:
            found[fields["Package"]] = (int(fields["Size"]), fields["Version"])
    return found


def drawn(packages: dict[str, tuple[int, str]], sizes: range, count: int) -> list[str]:
    """The first ``count`` packages of these sizes, in the order of their names' digests."""
    order = sorted(packages, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return [name for name in order if packages[name][0] in sizes][:count]


def download(names: list[str], packages: dict[str, tuple[int, str]], directory: Path) -> list[Path]:
    """Have these packages in ``directory``; those that are there stay."""
    directory.mkdir(parents=True, exist_ok=True)
    patterns = {name: f"{name}_{packages[name][1].replace(':', '%3a')}_*.deb" for name in names}
    absent = [f"{name}={packages[name][1]}" for name in names if not list(directory.glob(patterns[name]))]
    if absent:
        # _apt, the user for whom apt gives up its rights, may not write here.
        words = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *absent]
        subprocess.run(words, cwd=directory, check=True, capture_output=True)
    return [path for name in names for path in directory.glob(patterns[name])]


def main() -> None:
    packages = known()
    names = drawn(packages, range(1_000_000), SMALL) + drawn(packages, range(3_000_000, 160_000_000), LARGE)
    found = download(names, packages, cache())
    print(f"{len(found)} packages, {sum(path.stat().st_size for path in found) / 1e6:.0f} MB, in {cache()}")


if __name__ == "__main__":
    main()
