# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build what an archive has once more, as its .buildinfo says, and compare."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..binary.job import BUSY, DONE, FAILED, GIVEN_BACK, Job, Repository, Result
from ..binary.limits import Limits
from ..deb.architectures import ALL
from ..errors import SlipwayError
from ..farm.line import Line, LostError, Watch
from ..farm.schedule import Host, Unit
from ..farm.site import LocalShelf
from ..files import hash_file, make_directory
from .buildinfo import BuildInfo, compare_environments, read_buildinfo
from .difference import Bounds, locate
from .verdict import BUILT, DIFFERENT, SAME, UNAVAILABLE, DebVerdict, Verdict

#: How many of what differs between two builds are told.
MOST_DIFFERENCES = 20
_FIELDS = re.compile(r"^(Filename|SHA256): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Published:
    """A build that is published: its .buildinfo, and where its packages are in the archive."""

    platform: str
    architecture: str
    info: BuildInfo
    #: Path and digest of each package, as the index has them, by its name.
    files: Mapping[str, tuple[Path, str]]


@dataclass(frozen=True)
class Site:
    """An archive on this machine, and how builds are done once more; ``directory`` is where logs are kept."""

    public: Path
    component: str
    directory: Path
    repositories: Mapping[str, Sequence[Repository]]
    hosts: Sequence[Host]
    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)


def read_index(public: Path, platform: str, component: str, architecture: str) -> dict[str, tuple[Path, str]]:
    """Path and digest of each package that clients see, by the name of its file."""
    index = public / "dists" / platform / component / f"binary-{architecture}" / "Packages"
    try:
        text = index.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        do_next = "Correct the platform or the architecture, or build for it first."
        raise SlipwayError("read the index", str(index), error.strerror or str(error), do_next=do_next) from error
    found = {}
    for paragraph in text.split("\n\n"):
        said = dict(_FIELDS.findall(paragraph))
        if {"Filename", "SHA256"} <= said.keys() and ".." not in said["Filename"]:
            found[said["Filename"].rpartition("/")[2]] = (public / said["Filename"], said["SHA256"])
    return found


def list_published(
    public: Path, component: str, platform: str, architecture: str, sources: Sequence[str] = ()
) -> tuple[list[Published], list[str]]:
    """The builds of which clients see a package, and a sentence for each source, or .buildinfo, that is none."""
    index = read_index(public, platform, component, architecture)
    found, faults = [], []
    for path in sorted((public / "buildinfo" / platform).glob("*/*.buildinfo")):
        if sources and path.parent.name not in sources:
            continue
        try:
            info = read_buildinfo(path)
        except SlipwayError as error:
            faults.append(str(error))
            continue
        files = {name: index[name] for name in info.debs if name in index}
        if files and info.architectures - {ALL} <= {architecture}:
            found.append(Published(platform, architecture, info, files))
    known = {one.info.source for one in found}
    for name in sources:
        if name not in known:
            faults.append(
                f"Could not make {name} for {platform} {architecture} again: the archive has no build of it with a "
                ".buildinfo. Correct the name, or build it first."
            )
    return found, faults


def repeat_all(
    site: Site,
    builds: Sequence[Published],
    *,
    line: Line,
    stop: threading.Event,
    tell: Callable[[Published, Verdict], None],
) -> Iterator[Verdict | SlipwayError]:
    """The verdict on each build, as many at once as the hosts have room for."""
    shared: dict[str, threading.BoundedSemaphore] = {
        host.name: threading.BoundedSemaphore(max(1, host.slots)) for host in site.hosts
    }
    usable = [host for host in site.hosts if not host.drained]
    turn = iter(range(1 << 62))

    def work(build: Published) -> Verdict | SlipwayError:
        able = [host for host in usable if build.architecture in host.chroots]
        if not able:
            came_back = f"no build host has a chroot for {build.architecture}"
            do_next = "Name one in deb_build_hosts, or provision it."
            return SlipwayError("build again", build.info.name, came_back, do_next=do_next)
        host = able[next(turn) % len(able)]
        with shared[host.name]:
            try:
                verdict = repeat(site, build, host, line=line, stop=stop)
            except SlipwayError as error:
                return error
        tell(build, verdict)
        return verdict

    with ThreadPoolExecutor(max_workers=max(1, sum(max(1, host.slots) for host in usable))) as pool:
        try:
            yield from pool.map(work, builds)
        except BaseException:
            stop.set()
            raise


def repeat(site: Site, build: Published, host: Host, *, line: Line, stop: threading.Event) -> Verdict:
    """Build once more on a host, and compare; :class:`SlipwayError` where the host is at fault."""
    info = build.info
    stem = info.name.removesuffix(".buildinfo")
    target = site.directory / build.platform / info.source / stem
    shutil.rmtree(target, ignore_errors=True)
    make_directory(target)
    facts: dict[str, Any] = {
        "architecture": build.architecture,
        "buildinfo": {"name": info.name, "sha256": info.sha256},
    }
    before = tuple(
        DebVerdict(name, build.files.get(name, (None, ""))[1], digest, "") for name, digest in sorted(info.debs.items())
    )

    def conclude(verdict: str, reason: str, debs: Sequence[DebVerdict]) -> Verdict:
        words = (BUILT, build.platform, info.source, info.version, verdict, reason)
        return Verdict(*words, debs=tuple(debs), host=host.name, facts=facts)

    unit = Unit(build.platform, build.architecture, info.source, info.version)
    try:
        files = LocalShelf(site.public, site.component).fetch(unit)
    except SlipwayError as error:
        return conclude(UNAVAILABLE, f"Its source package is not to be had: {error.came_back}.", before)
    facts["sources"] = {path.name: hash_file(path) for path in files}
    result = _build(site, build, host, files, target, line=line, stop=stop)
    facts["log"] = next((path.name for path in sorted(target.glob("*.log"))), "")
    if result.outcome != DONE:
        return conclude(UNAVAILABLE, result.reason, before)
    debs = [_compare(one, build, target, site.bounds) for one in before]
    made = {path.name for path in target.iterdir() if path.suffix in (".deb", ".udeb", ".ddeb")}
    debs += [
        DebVerdict(name, "", "", hash_file(target / name), ("only the build made now has it",))
        for name in sorted(made - info.debs.keys())
    ]
    differ = [deb.name for deb in debs if not deb.is_same or not deb.before]
    reasons = _explain_builds(info, target) if differ else []
    for path in target.iterdir():
        if path.name in made and path.name not in differ:
            path.unlink()
    return conclude(DIFFERENT if differ else SAME, "; ".join(reasons), debs)


def _build(
    site: Site,
    build: Published,
    host: Host,
    files: Sequence[Path],
    target: Path,
    *,
    line: Line,
    stop: threading.Event,
) -> Result:
    info = build.info
    job = Job(
        source=info.source,
        version=info.version,
        platform=build.platform,
        architecture=build.architecture,
        chroot=info.build_architecture if info.build_architecture in host.chroots.values() else build.architecture,
        dsc=files[0].name,
        parts=info.parts,
        rebuild=1 if info.exactly.entry else 0,
        repositories=tuple(site.repositories.get(build.platform, ())),
        install=False,
        test=False,
        limits=site.limits,
        exactly=info.exactly,
    )
    if faults := job.find_faults():
        return Result(FAILED, "fetch", f"It cannot be built again: {'; '.join(faults)}.")
    fault = "it gave the build back"
    try:
        result = line(host, job, files, target, Watch(lambda _message: None, stop))
    except LostError as lost:
        fault = str(lost)
    else:
        if result.outcome not in (GIVEN_BACK, BUSY):
            return result
        fault = result.reason or fault
    raise SlipwayError("build again", info.name, f"{host.name}: {fault}", do_next="Look at the host, and run again.")


def _compare(deb: DebVerdict, build: Published, target: Path, bounds: Bounds) -> DebVerdict:
    """What came of one deb, and where it differs."""
    made = target / deb.name
    now = hash_file(made) if made.is_file() else ""
    found = DebVerdict(deb.name, deb.archive, deb.before, now)
    if found.is_same:
        return found
    where = []
    if not now:
        where.append("the build made now does not have it")
    if deb.archive and deb.archive != deb.before:
        where.append(f"the archive has {deb.archive[:12]}, and its .buildinfo says {deb.before[:12]}")
    place = build.files.get(deb.name, (None, ""))[0]
    if now and now != (deb.archive or deb.before):
        if place is None or not place.is_file():
            where.append("the archive has it no longer, so that nobody can say where")
        elif hash_file(place) != deb.archive:
            where.append(f"the archive's file is not the one that its index names: {hash_file(place)[:12]}")
        else:
            where += locate(place, made, bounds)
    return DebVerdict(deb.name, deb.archive, deb.before, now, tuple(where))


def _explain_builds(info: BuildInfo, target: Path) -> list[str]:
    """In what the two builds were not done alike."""
    made = sorted(target.glob("*.buildinfo"))
    if not made:
        return []
    told = compare_environments(info, read_buildinfo(made[0]))
    more = len(told) - MOST_DIFFERENCES
    return told[:MOST_DIFFERENCES] + ([f"and {more} more were not alike"] if more > 0 else [])
