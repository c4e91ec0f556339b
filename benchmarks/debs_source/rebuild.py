#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rebuilding 100 real source packages for a platform, against what one would do by hand. Prints a Markdown table.

``python benchmarks/debs_source/sources.py`` first, which fetches them. Compared are

- ``slipway``: deb_source's logic in a fresh interpreter: checks all digests, rewrites, hashes, copies, syncs;
- ``dpkg-source``: ``dpkg-source -x``, a new entry at the top of the changelog, ``dpkg-source -b``, one package after
  the other, as scripts do, and two at a time. It checks the digests as well, and applies the patches on the way.

Nobody signs. The contenders take turns, everything is in the page cache, and what was written is on the disk before the
next begins. Memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import os
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

from sources import Source, cache, read_drawn

COUNT = 100
PLATFORM = "bookworm"
ENTRY = "{name} ({version}~bookworm1) bookworm; urgency=medium\n\n  * Rebuild for bookworm.\n\n -- {person}  {date}\n\n"
PERSON, DATE = "Benchmark <benchmark@example.org>", "Thu, 01 Jan 2026 00:00:00 +0000"


def slipway(chosen: Sequence[Source], out: Path) -> None:
    """All of them, on all cores."""
    from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.source import make_sources
    from survey import make_order

    outcomes = make_sources([make_order(one) for one in chosen], out)
    if any(outcome.failed for outcome in outcomes):
        raise SystemExit(f"not all could be made: {[outcome.failed for outcome in outcomes if outcome.failed]}")


def dpkg_source(chosen: Sequence[Source], out: Path, *, jobs: int = 1) -> None:
    """One after the other, or several at a time."""
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        list(pool.map(lambda one: rebuild(one, out / one.name), chosen))


def dpkg_source_two(chosen: Sequence[Source], out: Path) -> None:
    """Two at a time."""
    dpkg_source(chosen, out, jobs=2)


def rebuild(one: Source, place: Path) -> None:
    """What a script does."""
    place.mkdir(parents=True)
    ask(place, "-x", str(cache() / one.name / one.dsc), "tree")
    log = place / "tree/debian/changelog"
    entry = ENTRY.format(name=one.name, version=one.version, person=PERSON, date=DATE)
    log.write_bytes(entry.encode() + log.read_bytes())
    ask(place, *(["-sn"] if one.format == "1.0" and not list(place.glob("*.orig.*")) else []), "-b", "tree")
    shutil.rmtree(place / "tree")


def ask(place: Path, *words: str) -> None:
    """Run dpkg-source, and show what it says only if it fails."""
    done = subprocess.run(
        ["dpkg-source", "-q", *words], cwd=place, env=SILENT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


SILENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1767225600"}
CONTENDERS: dict[str, Callable[[Sequence[Source], Path], None]] = {
    "slipway": slipway,
    "dpkg-source": dpkg_source,
    "dpkg-source, two at a time": dpkg_source_two,
}


def measure(name: str, count: int) -> tuple[float, float]:
    """Seconds, and MiB of the largest process, of a contender in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="slipway-rebuild-", dir=cache()) as place:
        os.sync()
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, __file__, "--contender", name, "--count", str(count), "--out", place]
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        os.sync()
        if status:
            raise SystemExit(f"{name} failed")
        return time.monotonic() - begun, usage.ru_maxrss / 1024


def contend(name: str, count: int, out: Path) -> None:
    """Be a contender; what its children need counts for it, too."""
    chosen = read_drawn()[:count]
    CONTENDERS[name](chosen, out)


def main() -> None:
    """Measure all, in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--contender", choices=list(CONTENDERS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.contender:
        contend(asked.contender, asked.count, asked.out)
        return
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    for _round in range(asked.rounds):
        for name, results in found.items():
            results.append(measure(name, asked.count))
    base = statistics.median(seconds for seconds, _memory in found["dpkg-source"])
    print("| contender | seconds | dpkg-source = 1 | memory |")
    print("| --- | ---: | ---: | ---: |")
    for name, results in found.items():
        seconds = statistics.median(each for each, _memory in results)
        print(f"| {name} | {seconds:.1f} | {seconds / base:.2f} | {max(memory for _s, memory in results):.0f} MiB |")


if __name__ == "__main__":
    main()
