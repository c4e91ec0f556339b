#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Building real small source packages into an archive, against what one would do by hand. Prints a Markdown table.

``python benchmarks/debs_binary/packages.py`` first, which fetches them. Compared are

- ``slipway``: a run as the module deb_builds makes it, on two build hosts of one slot each, which are this machine: it
  plans from the indexes of the archive and of all of Debian 12, builds, takes what comes into a signed archive, plans
  anew, and so on;
- ``sbuild``: a loop of sbuild, one package after the other, with the same chroot and the same settings; what it makes
  lies in a directory;
- ``debusine``: the same run as ``slipway``, whose builds a server of debusine does, if one is given.

Each is a process of its own. What is built is not tried, unless ``--try`` is given: sbuild alone does not, either.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests"), str(Path(__file__).parent)]

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import fetch_package_lists
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary import sbuild
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import Job, Repository
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.builds import Run, Settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusine import Engine, Terms
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.debusineapi import Api, read_token
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.line import Line, do_job
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.site import (
    LocalShelf,
    LocalStore,
    SitePlanner,
    read_versions,
    serve_directory,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import make_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from made import PLAN, SUITE
from packages import COUNT, cache, read_drawn
from tinysources import Archive

BASE = f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine {SUITE} main"
HOSTS = 2


def find_architecture() -> str:
    """This machine's."""
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def find_chroot(architecture: str) -> Path:
    """The clean system that the role build_host makes."""
    path = Path.home() / ".cache/sbuild" / f"{SUITE}-{architecture}.tar.zst"
    if not path.is_file():
        raise SystemExit(f"{path} is not there: the role build_host makes it, and so do the tests of builds")
    return path


def prepare(place: Path, dscs: Sequence[Path], architecture: str) -> Archive:
    """An archive with these source packages, and the lists of Debian's packages."""
    archive = Archive(place, architectures=[architecture])
    archive.add_sources(*dscs)
    fetch_package_lists([BASE], [architecture], directory=cache() / "lists")
    return archive


def build(archive: Archive, asked: argparse.Namespace, architecture: str) -> dict[str, Any]:
    """A run."""
    dists = f"{archive.public}/dists/{{platform}}/main"
    base = sorted(str(path) for path in (cache() / "lists/lists").glob(f"*_binary-{architecture}_Packages*"))
    platform = {
        "name": SUITE,
        "architectures": [architecture],
        "sources": [f"{dists}/source"],
        "shadow": [f"{dists}/binary-{{architecture}}"],
        "base": base,
    }
    chroots = {architecture: architecture}
    hosts = [Host(f"host-{number}", chroots) for number in range(1, HOSTS + 1)]
    hosts = [Host("debusine", chroots, slots=asked.slots)] if asked.contender == "debusine" else hosts
    with serve_directory(archive.public) as here, open_line(archive, asked) as line:
        repository = Repository(f"{asked.archive_url or here} {SUITE} main", archive.key)
        run = Run(
            Settings(
                "benchmark", archive.place / "builds", {SUITE: [repository]}, install=asked.attempt, test=asked.attempt
            ),
            planner=SitePlanner({**PLAN, "platforms": [platform]}),
            shelf=LocalShelf(archive.public, "main"),
            store=LocalStore(archive.base, archive.public, archive.gnupghome, "main"),
            hosts=itertools.chain([hosts], itertools.repeat(None)).__next__,
            progress=Progress(str(archive.place / "progress")),
            line=line,
        )
        report = run.work()
    return {
        "built": len(report.built) - len(report.failed),
        "failed": [f"{one.unit.source}: {one.reason}" for one in report.failed],
        "left": len(report.waiting) + len(report.blocked),
        "inside": [sum(one.seconds.values()) for one in report.built],
        "generations": report.generations,
    }


@contextlib.contextmanager
def open_line(archive: Archive, asked: argparse.Namespace) -> Iterator[Line]:
    """What does the builds."""
    if asked.contender != "debusine":
        yield do_job
        return
    say = Progress(str(archive.place / "progress")).report
    api = Api(asked.debusine, read_token(asked.token_file), scope="debusine", workspace=asked.workspace, say=say)
    terms = Terms(archive.place / "builds/.debusine", {}, 3600.0)
    with Engine(api, terms, versions=lambda *place: read_versions(archive.public, "main", *place), say=say) as engine:
        yield engine.do_job


def loop(place: Path, dscs: Sequence[Path], architecture: str) -> dict[str, Any]:
    """What a script does."""
    chroot, rooms, inside, failed = find_chroot(architecture), place / "rooms", [], []
    rooms.mkdir(mode=0o755)
    (place / "sbuildrc").write_text(sbuild.make_settings(rooms))
    env = {**make_environment(), "SBUILD_CONFIG": str(place / "sbuildrc"), "TMPDIR": str(rooms)}
    for dsc in dscs:
        begun = time.monotonic()
        job = Job(dsc.parent.name, "1", SUITE, architecture, architecture, dsc.name, parts=("any", "all"))
        words = sbuild.make_command(job, chroot, dsc, keys=[], native=True)
        with open(place / "log", "ab") as log:
            status = subprocess.run(words, cwd=place, env=env, stdout=log, stderr=log, check=False).returncode
        inside.append(time.monotonic() - begun)
        failed += [f"{dsc.name}: status {status}"] if status else []
    return {"built": len(dscs) - len(failed), "failed": failed, "left": 0, "inside": inside, "generations": 0}


def contend(asked: argparse.Namespace) -> None:
    """Be a contender, and say what it took."""
    dscs, architecture = read_drawn(asked.count), find_architecture()
    archive = None if asked.contender == "sbuild" else prepare(asked.place, dscs, architecture)
    find_chroot(architecture).read_bytes()  # whoever comes first reads it for all
    before, begun = time.process_time(), time.monotonic()
    found = build(archive, asked, architecture) if archive else loop(asked.place, dscs, architecture)
    found["wall"], found["processor"] = time.monotonic() - begun, time.process_time() - before
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (asked.place / "found.json").write_text(json.dumps(found))


def measure(name: str) -> dict[str, Any]:
    """What a contender says of itself."""
    with tempfile.TemporaryDirectory(prefix="debs-binary-") as made:
        given = [] if "--place" in sys.argv else ["--place", made]
        words = [sys.executable, __file__, *sys.argv[1:], *given, "--contender", name]
        Path(made).chmod(0o711)  # ids of the chroot pass through it
        subprocess.run(words, check=True)
        return dict(
            json.loads((Path(made if given else sys.argv[sys.argv.index("--place") + 1]) / "found.json").read_text())
        )


def main() -> None:
    """Measure all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--try", dest="attempt", action="store_true", help="install what is built, and run its tests")
    parser.add_argument("--debusine", metavar="URL", help="a server of debusine, without /api")
    parser.add_argument("--token-file", type=Path, help="the token of a user who may ask it for builds")
    parser.add_argument("--workspace", help="where")
    parser.add_argument("--archive-url", help="where its workers read <place>/public")
    parser.add_argument("--slots", type=int, default=HOSTS, help="how many builds it gets at once")
    parser.add_argument("--place", type=Path, help="an empty directory for the archive, that a server of yours serves")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        contend(asked)
        return
    if asked.debusine and not (asked.token_file and asked.workspace and asked.archive_url and asked.place):
        parser.error("--debusine needs --token-file, --workspace, --archive-url and --place")
    names = ["debusine"] if asked.debusine else ["slipway", "sbuild"]
    tell({name: measure(name) for name in names}, asked.count)


def find_end(inside: Sequence[float], slots: int) -> float:
    """When builds of these lengths end on so many slots if nothing but them takes time."""
    ends = [0.0] * slots
    for seconds in inside:
        first = ends.index(min(ends))
        ends[first] += seconds
    return max(ends)


def tell(results: dict[str, dict[str, Any]], count: int) -> None:
    """Print the tables."""
    peer = results.get("sbuild", next(iter(results.values())))["wall"]
    print("| contender | built | wall | sbuild = 1 | of a processor, each | over sbuild's own, each | memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, found in results.items():
        slots = 1 if name == "sbuild" else HOSTS
        over = slots * (found["wall"] - find_end(found["inside"], slots)) / count
        print(
            f"| {name} | {found['built']} | {found['wall']:.0f} s | {found['wall'] / peer:.2f} "
            f"| {found['processor'] / count:.2f} s | {over:.2f} s | {found['memory']:.0f} MiB |"
        )
    for name, found in results.items():
        print(
            f"\n{name}: {found['generations']} generations, {found['left']} left, failed: {found['failed'] or 'none'}"
        )


if __name__ == "__main__":
    main()
