#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a result costs as the archive that it goes into grows. Prints Markdown tables.

An archive of so many made sources and as many packages gets results of builds, one at a time and in batches:

- ``slipway``: ``LocalStore.include``, as a run of builds calls it: judges, includes, publishes a signed generation,
  looks at it as readers will, and reads it back;
- ``reprepro``: ``reprepro includedeb`` of the same files, which writes and signs the indexes in place.

Then a run of builds whose hosts answer at once, so that what is left is the coordinator: the seconds of a processor
that it takes for a result, without those of programs that it starts.

Bytes are what went to the file system's disk, those of programs too. A publication is dated a second after the last at
least; that is waited for before, and not measured.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests"), str(Path(__file__).parent)]

from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import DONE, TEST, Job, Result
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.builds import Product, Run, Settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import Watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host, Unit
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.site import (
    LocalShelf,
    LocalStore,
    SitePlanner,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from made import PLAN, SUITE, fill, make_archive, make_result
from tinysources import Archive

SIZES, BATCHES, RESULTS = (100, 1000, 10000), (1, 20, 100), 10
PEER = """\
Codename: bookworm
Components: main
Architectures: amd64 source
SignWith: {key}
"""


@dataclass(frozen=True)
class Cost:
    """What something took."""

    seconds: float
    processor: float
    written: int


def measure(act: Callable[[], object]) -> Cost:
    """What a call takes, with the programs that it starts and waits for."""
    before, begun = _read_usage(), time.monotonic()
    act()
    seconds, after = time.monotonic() - begun, _read_usage()
    return Cost(seconds, after[0] - before[0], int(after[1] - before[1]))


def _read_usage() -> tuple[float, float]:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    said = re.search(r"^write_bytes: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)
    return sum(one.ru_utime + one.ru_stime for one in used), float(said[1] if said else 0)


class Site:
    """One archive for each contender, of one size."""

    def __init__(self, place: Path, size: int) -> None:
        self.place, self.numbers = place, itertools.count()
        with mock.patch("os.fsync"):  # of what is only made ready
            self.archive = make_archive(place / "slipway", size, more=[f"more-{number}" for number in range(RESULTS)])
            self.peer = make_peer(place / "reprepro", self.archive)
        os.sync()

    def make(self, count: int) -> list[tuple[str, Path]]:
        """Results that nobody has had yet."""
        names = [f"new-{next(self.numbers)}" for _unused in range(count)]
        return [(one, make_result(self.place / "new", one)) for one in names]

    def slipway(self, results: Sequence[tuple[str, Path]]) -> None:
        """Include them."""
        archive = self.archive
        products = [Product(Unit(SUITE, "amd64", one, "1.0"), (path,), ()) for one, path in results]
        refused = LocalStore(archive.base, archive.public, archive.gnupghome, "main").include(SUITE, products)
        if refused:
            raise SystemExit(f"not all was taken: {refused}")

    def reprepro(self, results: Sequence[tuple[str, Path]]) -> None:
        """Include them."""
        files = [str(path) for _name, path in results]
        with provide_environment(self.archive.gnupghome) as env:
            words = ["reprepro", "--basedir", str(self.peer), "--component", "main", "includedeb", SUITE, *files]
            subprocess.run(words, env=env, check=True, capture_output=True)

    def build(self, batch: float) -> tuple[float, int]:
        """Seconds of this processor for a result, and the generations, of a run whose hosts answer at once."""
        archive = self.archive
        dists = f"{archive.public}/dists/{{platform}}/main"
        options: dict[str, Any] = {
            "name": SUITE,
            "architectures": ["amd64"],
            "sources": [f"{dists}/source"],
            "shadow": [f"{dists}/binary-{{architecture}}"],
            "base": [],
        }

        def answer(_host: Host, job: Job, _source: Sequence[Path], target: Path, _watch: Watch) -> Result:
            make_result(target, job.source)
            return Result(DONE, TEST)

        run = Run(
            Settings("benchmark", self.place / "builds", {}, batch=batch),
            planner=SitePlanner({**PLAN, "platforms": [options]}),
            shelf=LocalShelf(archive.public, "main"),
            store=LocalStore(archive.base, archive.public, archive.gnupghome, "main"),
            hosts=itertools.chain([[Host("here", {"amd64": "amd64"}, slots=2)]], itertools.repeat(None)).__next__,
            progress=Progress(str(self.place / "progress")),
            line=answer,
        )
        before = time.process_time()
        report = run.work()
        if len(report.built) != RESULTS or report.failed:
            raise SystemExit(f"not all was built: {report.failed}")
        return (time.process_time() - before) / RESULTS, report.generations


def make_peer(place: Path, like: Archive) -> Path:
    """The same packages in an archive that is served as reprepro writes it."""
    (place / "conf").mkdir(parents=True)
    key = re.search(r"^key (\S+)$", (like.base / "conf/served").read_text(), re.MULTILINE)
    (place / "conf/distributions").write_text(PEER.format(key=key[1] if key else ""))
    with provide_environment(like.gnupghome) as env:
        fill(place, like.place / "upstream", env)
    return place


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="on the disk that is to be measured")
    asked = parser.parse_args()
    head = "seconds, each | of a processor, each | MB written, each |"
    print(f"| packages there | results at once | slipway: {head} reprepro: {head} seconds, reprepro = 1 |")
    print("| ---: | ---: |" + " ---: |" * 7, flush=True)
    runs = [run_size(size, asked.rounds, asked.directory) for size in asked.sizes]
    print("\n| sources and packages there | results | generations | of a processor, each | memory |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(runs))


def run_size(size: int, rounds: int, directory: Path | None) -> str:
    """Print the rows of the first table for an archive of a size; that of the second."""
    place = Path(tempfile.mkdtemp(prefix="debs-binary-", dir=directory))
    try:
        site = Site(place, size)
        for batch in BATCHES:
            print(compare(site, size, batch, rounds), flush=True)
        processor, generations = site.build(0.0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return f"| {size} | {RESULTS} | {generations} | {processor:.2f} s | {memory:.0f} MiB |"
    finally:
        shutil.rmtree(place)


def compare(site: Site, size: int, batch: int, rounds: int) -> str:
    """A row of the table: what a result costs in a batch of so many."""
    found: dict[str, list[Cost]] = {"slipway": [], "reprepro": []}
    for _round in range(rounds + 1):
        results = site.make(batch)
        time.sleep(1.1)
        found["slipway"].append(measure(functools.partial(site.slipway, results)))
        found["reprepro"].append(measure(functools.partial(site.reprepro, results)))
    words = []
    seconds = []
    for costs in found.values():
        kept = costs[1:]  # the first of a size copies the whole database, once
        seconds.append(statistics.median(cost.seconds for cost in kept))
        processor = statistics.median(cost.processor for cost in kept) / batch
        written = statistics.median(cost.written for cost in kept) / batch / 1e6
        words.append(f"{seconds[-1] / batch:.3f} | {processor:.3f} | {written:.3f}")
    return f"| {size} | {batch} | {' | '.join(words)} | {seconds[0] / seconds[1]:.2f} |"


if __name__ == "__main__":
    main()
