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
import sys
from pathlib import Path

SMALL, LARGE = 250, 70


def cache() -> Path:
    """Where the packages are kept: $SLIPWAY_CACHE/benchmarks/debs, outside the checkout."""
    home = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(os.environ.get("SLIPWAY_CACHE", f"{home}/slipway")) / "benchmarks" / "debs"


def chosen() -> list[str]:
    """Names and versions (``name=version``) of the packages, from what apt knows."""
    dump = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout
    known: dict[str, tuple[int, str]] = {}
    for paragraph in dump.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if line[:1] != " " and ": " in line)
        if "Size" in fields:
            known[fields["Package"]] = (int(fields["Size"]), fields["Version"])
    drawn = sorted(known, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    small = [name for name in drawn if known[name][0] < 1_000_000][:SMALL]
    large = [name for name in drawn if 3_000_000 <= known[name][0] < 160_000_000][:LARGE]
    return [f"{name}={known[name][1]}" for name in small + large]


def main() -> None:
    directory = cache()
    directory.mkdir(parents=True, exist_ok=True)
    for word in chosen():
        name, version = word.split("=", 1)
        if list(directory.glob(f"{name}_{version.replace(':', '%3a')}_*.deb")):
            continue
        done = subprocess.run(["apt-get", "download", "-q", word], cwd=directory, capture_output=True, text=True)
        if done.returncode:
            print(f"{word}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    found = list(directory.glob("*.deb"))
    print(f"{len(found)} packages, {sum(path.stat().st_size for path in found) / 1e6:.0f} MB, in {directory}")


if __name__ == "__main__":
    main()
