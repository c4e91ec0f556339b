#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stamping real Debian packages, against what one would do by hand. Prints a Markdown table.

``python benchmarks/deb_stamp/fetch.py`` first, which fetches 320 packages (1 GB). Then, from the checkout,
``python benchmarks/deb_stamp/run.py``. Compared are

- ``slipway``: deb_stamp's logic in a fresh interpreter: reads, checks, rewrites, hashes (md5, sha1, sha256), syncs;
- ``dpkg-deb``: ``dpkg-deb -R``, edit, ``dpkg-deb -b``;
- ``ar, tar``: ``ar x`` of the control member, ``tar x``, edit, ``tar c``, ``cp``, ``ar r``;
- ``cp, sha256sum``: copies and hashes all, the floor.

The first two peers run one package after the other, as scripts do, and also two at a time. The edit itself is done
within one interpreter and with versions known beforehand, in the peers' favour. All contenders take turns, everything
is in the page cache, and what was written is on the disk before the next begins.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(Path(__file__).parent)]

from fetch import cache

RELEASE, PLATFORM = "r468", "bookworm"
SMALL = 1_000_000
PEERS: dict[str, tuple[str, int]] = {
    "slipway": ("slipway", 0),
    "dpkg-deb": ("dpkg_deb", 1),
    "dpkg-deb, two at a time": ("dpkg_deb", 2),
    "ar, tar": ("ar_tar", 1),
    "ar, tar, two at a time": ("ar_tar", 2),
    "cp, sha256sum": ("cp_sha256sum", 1),
}


# --- the contenders, each in a process of its own --------------------------------------------------------------------


def slipway(debs: Sequence[str], out: Path, _jobs: int) -> None:
    from ansible_collections.slipway.release.plugins.module_utils.slipway.deb import stamp
    from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import Rule

    stamp.stamp_debs(debs, out, order=stamp.Order(Rule(RELEASE, PLATFORM), {"X-Distribution": "benchmark"}))


def edited(control: Path, versions: dict[str, str]) -> None:
    """Change a control file in the simplest way: the version, and the names of the set in Depends."""
    text = control.read_text(errors="surrogateescape")
    text = re.sub(r"^Version: (.*)$", rf"Version: \1-{RELEASE}~{PLATFORM}\nX-Distribution: benchmark", text, flags=re.M)

    def lock(match: re.Match[str]) -> str:
        entries = match[2].split(", ")
        return match[1] + ", ".join(
            f"{name} (= {versions[name]})" if (name := entry.split()[0]) in versions else entry for entry in entries
        )

    text = re.sub(r"^(Depends: )(.+)$", lock, text, flags=re.M)
    control.write_text(text, errors="surrogateescape")


def run(*words: str | Path, cwd: Path | None = None) -> None:
    subprocess.run(words, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def each(debs: Sequence[str], out: Path, jobs: int, make: Callable[[str, Path, Path], None]) -> None:
    out.mkdir()
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch, ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda item: make(item[1], Path(scratch, str(item[0])), out), enumerate(debs)))


def dpkg_deb(debs: Sequence[str], out: Path, jobs: int) -> None:
    versions = known(debs)

    def make(deb: str, tree: Path, out: Path) -> None:
        run("dpkg-deb", "-R", deb, tree)
        edited(tree / "DEBIAN" / "control", versions)
        run("dpkg-deb", "-b", tree, out / Path(deb).name)
        shutil.rmtree(tree)

    each(debs, out, jobs, make)


def ar_tar(debs: Sequence[str], out: Path, jobs: int) -> None:
    versions = known(debs)

    def make(deb: str, tree: Path, out: Path) -> None:
        tree.mkdir()
        run("ar", "x", deb, "control.tar.xz", cwd=tree)
        inside = tree / "in"
        inside.mkdir()
        run("tar", "xJf", tree / "control.tar.xz", cwd=inside)
        edited(inside / "control", versions)
        run("tar", "cJf", tree / "control.tar.xz", ".", cwd=inside)
        run("cp", deb, out / Path(deb).name)
        run("ar", "r", out / Path(deb).name, "control.tar.xz", cwd=tree)
        shutil.rmtree(tree)

    each(debs, out, jobs, make)


def cp_sha256sum(debs: Sequence[str], out: Path, _jobs: int) -> None:
    out.mkdir()
    run("cp", *debs, out)
    run("sha256sum", *(out / Path(deb).name for deb in debs))


def known(debs: Sequence[str]) -> dict[str, str]:
    """Names and new versions, from the names of the files."""
    parts = (Path(deb).stem.split("_") for deb in debs)
    return {name: f"{version.replace('%3a', ':')}-{RELEASE}~{PLATFORM}" for name, version, _arch in parts}


# --- measuring -------------------------------------------------------------------------------------------------------


def measure(contender: str, listing: Path, scratch: Path) -> tuple[float, float]:
    """Wall seconds, and the memory (MB) of the largest process."""
    function, jobs = PEERS[contender]
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    os.sync()
    words = [sys.executable, __file__, "--contender", function, "--peer-jobs", str(jobs), str(listing), str(out)]
    began = time.monotonic()
    child = subprocess.Popen(words)
    _pid, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{contender} failed")
    return seconds, usage.ru_maxrss / 1024


def check(debs: Sequence[str], out: Path) -> None:
    """Check that dpkg-deb reads every stamped deb and that no byte of data has changed."""
    made = {path.name.split("_")[0]: path for path in out.glob("*.deb")}
    for deb in debs:
        new = made[Path(deb).name.split("_")[0]]
        subprocess.run(["dpkg-deb", "--info", new], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["cmp", "-s", *(f"--ignore-initial={data_offset(Path(deb))}:{data_offset(new)}", deb, new)], check=True
        )


def data_offset(deb: Path) -> int:
    """Where the header of data.tar begins."""
    with deb.open("rb") as stream:
        position = 8
        while True:
            stream.seek(position)
            header = stream.read(60)
            if header.startswith(b"data.tar"):
                return position
            size = int(header[48:58])
            position += 60 + size + size % 2


def table(figures: dict[str, list[tuple[float, float]]], count: int) -> list[str]:
    ours = statistics.median(seconds for seconds, _memory in figures["slipway"])
    lines = []
    for contender, runs in figures.items():
        seconds = sorted(one for one, _memory in runs)
        median = statistics.median(seconds)
        spread = f"{seconds[0]:.2f}-{seconds[-1]:.2f}" if len(seconds) > 1 else "one run"
        memory = max(one for _seconds, one in runs)
        each = f"{median / count * 1000:.1f}"
        lines.append(f"| {contender} | {median:.2f} | {spread} | {each} | {memory:.0f} | {median / ours:.2f} |")
    return lines


def compare(name: str, debs: Sequence[str], scratch: Path, options: argparse.Namespace) -> None:
    listing = scratch / "debs"
    listing.write_text("\n".join(debs))
    size = sum(Path(deb).stat().st_size for deb in debs)
    subprocess.run(["cat", *debs], check=True, stdout=subprocess.DEVNULL)  # into the page cache
    figures: dict[str, list[tuple[float, float]]] = {contender: [] for contender in PEERS}
    for turn in range(options.runs):
        for contender, results in figures.items():
            allowed = options.runs
            if contender.startswith("dpkg-deb") and size > 500e6:
                allowed = options.long_runs if contender == "dpkg-deb" else 0  # it uses all processors there
            if turn < allowed and (options.only is None or contender in options.only):
                results.append(measure(contender, listing, scratch))
                print(f"{name}: {contender}: {results[-1][0]:.2f} s", file=sys.stderr)
            if contender == "slipway" and turn == 0:
                check(debs, scratch / "out")
    print(f"\n{name}: {len(debs)} packages, {size / 1e6:.0f} MB; median of {options.runs}\n")
    print("| | seconds | from-to | ms a package | largest process, MB | times slipway |")
    print("| --- | --: | --: | --: | --: | --: |")
    print("\n".join(table({contender: runs for contender, runs in figures.items() if runs}, len(debs))), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debs", type=Path, default=cache(), help="directory with the packages")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--long-runs", type=int, default=1, help="runs of dpkg-deb over the whole set")
    parser.add_argument("--only", action="append", choices=list(PEERS), help="these contenders only, and slipway")
    parser.add_argument("--classes", choices=["small", "all", "both"], default="both")
    parser.add_argument("--in", dest="directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument(
        "--contender", choices=["slipway", "dpkg_deb", "ar_tar", "cp_sha256sum"], help=argparse.SUPPRESS
    )
    parser.add_argument("--peer-jobs", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        listing, out = options.arguments
        globals()[options.contender](Path(listing).read_text().splitlines(), Path(out), options.peer_jobs)
        return
    if options.only:
        options.only.append("slipway")
    debs = sorted(str(path) for path in options.debs.glob("*.deb"))
    if not debs:
        sys.exit(f"There are no packages in {options.debs}; run fetch.py first.")
    small = [deb for deb in debs if Path(deb).stat().st_size < SMALL]
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} processors, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(dir=options.directory) as scratch:
        if options.classes in {"small", "both"}:
            compare("Packages below 1 MB", small, Path(scratch), options)
        if options.classes in {"all", "both"}:
            compare("All packages", debs, Path(scratch), options)
    print(f"\nload {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
