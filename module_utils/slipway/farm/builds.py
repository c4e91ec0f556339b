# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run of builds: plan, start what waits for nothing, take results into the archive, plan anew, until nothing is left.

Nothing of a build that failed gets into the archive, and what waits for it is not started; everything else goes on.
What is done is what the archive has, so that a run which was killed is gone on with by the next.
"""

from __future__ import annotations

import functools
import queue
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..apt.results import Place
from ..binary.job import BUSY, DONE, FAILED, GIVEN_BACK, Dependent, Job, Repository, Result
from ..binary.limits import Limits
from ..deb.architectures import ALL
from ..deb.version import number_rebuild
from ..distro.packages import Binary
from ..errors import SlipwayError, count_of
from ..files import make_directory
from ..progress import Progress
from .again import FIRST, NOT_BUILT, Again, compare, is_sampled, keep_first, tell
from .kept import Built, empty_place, forget_result, locate_unit, read_gone, read_unit, write_gone, write_result
from .line import Line, LostError, Watch, do_job
from .now import Board
from .schedule import Host, Schedule, Start, Unit

#: Seconds that results wait for others which could go into the archive with them, while there is other work.
BATCH = 3.0
LOOK = 1.0


@dataclass(frozen=True)
class Planned:
    """A plan, and the packages that the archive had, by platform and architecture."""

    plan: Mapping[str, Any]
    shadow: Mapping[str, Mapping[str, Sequence[Binary]]]
    #: The architecture that builds what is for all of them, by platform.
    all_architectures: Mapping[str, str]
    #: The sources that have tests, by platform, with their versions.
    tested: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """What a build made: the files of its packages, and what goes with them."""

    unit: Unit
    debs: tuple[Path, ...]
    removed: tuple[Place, ...]
    buildinfo: tuple[Path, ...] = ()


class Planner(Protocol):
    """Makes a plan of what the archive has now, without the units that cannot be built."""

    def __call__(self, without: Collection[Unit], satisfied: Collection[str], /) -> Planned:
        """The plan; what is to be built whatever is there was, if it is a source in ``satisfied``."""


class Shelf(Protocol):
    """Where source packages are."""

    def fetch(self, unit: Unit, /) -> list[Path]:
        """The files of a source package, the .dsc first."""


class Store(Protocol):
    """The archive that results go into."""

    def recover(self) -> None:
        """Let readers see what a killed run has done, so that it is not done again."""

    def adopt(self, product: Product, /) -> bool:
        """Whether readers have all packages of a build by a killed run; what is recorded of it is published then."""

    def include(self, platform: str, products: Sequence[Product], /) -> Mapping[str, str]:
        """Include them at once, and verify that readers find them; why some were refused, by their labels."""


@dataclass(frozen=True)
class Settings:
    """How builds are done; ``directory`` is where logs and results are kept; times in seconds."""

    distribution: str
    directory: Path
    repositories: Mapping[str, Sequence[Repository]]
    limits: Limits = field(default_factory=Limits)
    install: bool = True
    test: bool = True
    #: The most packages whose tests are run with one that they depend on.
    dependents: int = 20
    profiles: tuple[str, ...] = ()
    maintainer: str = ""
    #: How many of a hundred builds are done twice, to compare what comes of them.
    again: int = 0
    timeout: float = 7 * 86400.0
    batch: float = BATCH
    #: Where readers see what runs now.
    status: Path | None = None


@dataclass
class Report:
    """What became of a run: everything that was tried, in the order of its end, and what waits for what failed."""

    built: list[Built] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)
    blocked: list[Mapping[str, Any]] = field(default_factory=list)
    generations: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> list[Built]:
        """What failed."""
        return [one for one in self.built if one.state == "failed"]


@dataclass
class _Came:
    """What a thread tells of a build."""

    start: Start
    result: Result | None
    fault: str
    target: Path
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Who did it: debusine's worker, or the host that was asked."""
        return (self.result.host if self.result else "") or self.start.host.name


class Run:
    """One run. ``hosts`` is asked for the hosts that there are whenever that may have changed."""

    def __init__(
        self,
        settings: Settings,
        *,
        planner: Planner,
        shelf: Shelf,
        store: Store,
        hosts: Callable[[], Sequence[Host] | None],
        progress: Progress,
        line: Line = do_job,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.line = line
        self.settings, self.planner, self.shelf, self.store = settings, planner, shelf, store
        self.hosts, self.progress, self.clock = hosts, progress, clock
        self.schedule = Schedule()
        self.board = Board(settings.status, settings.distribution, progress.report, clock=clock)
        self.events: queue.Queue[_Came] = queue.Queue()
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []
        self.entries: dict[Unit, Mapping[str, Any]] = {}
        self.pending: dict[Unit, tuple[Product, Built]] = {}
        self.since: float | None = None
        self.failed: dict[Unit, Built] = {}
        self.done: set[Unit] = set()
        #: What the first plan had because somebody wished it, not because it was missing.
        self.wished: set[Unit] | None = None
        self.jobs: dict[Unit, Job] = {}
        self.again: dict[Unit, tuple[Again, Built]] = {}
        self.report = Report()
        self.planned = Planned({}, {}, {})

    def work(self) -> Report:
        """Build until nothing is left that can be built."""
        deadline = self.clock() + self.settings.timeout
        try:
            self.store.recover()
            self.tidy()
            self.plan()
            while self.step():
                if self.stop.is_set():
                    raise self.make_end("nobody waits for the run any more", "")
                if self.clock() > deadline:
                    raise self.make_end(f"after {self.settings.timeout:.0f} s it was not done", ", with more time")
        finally:
            self.stop.set()
            for thread in self.threads:
                thread.join()
            self.board.end()
        self.conclude()
        return self.report

    def step(self) -> bool:
        """Start what can be started, and wait for what comes; whether anything is left to do."""
        changed = self.hosts()
        if changed is not None:
            self.schedule.set_hosts(changed)
        ready = self.list_ready()
        for start in self.schedule.choose(ready, self.clock()):
            self.start(start)
        self.board.show(self.schedule, ready, left=len(self.entries))
        if self.is_inclusion_due(ready):
            self.include()
            return True
        if not self.schedule.running and not self.pending:
            return self.wait_for_hosts(ready)
        try:
            came = self.events.get(timeout=LOOK)
        except queue.Empty:
            return True
        self.take(came)
        return True

    def tidy(self) -> None:
        """Remove packages that a killed run kept: the archive has them, or they are built anew."""
        debs: dict[Path, list[Path]] = {}
        for pattern in ("*/*/*.deb", f"*/*/{FIRST}/*.deb"):
            for deb in self.settings.directory.glob(pattern):
                debs.setdefault(deb.parent, []).append(deb)
        for place, mine in sorted(debs.items()):
            unit = read_unit(place)
            infos = tuple(sorted(place.glob("*.buildinfo")))
            if unit is not None and not self.store.adopt(Product(unit, tuple(mine), (), infos)):
                forget_result(place)
            for deb in mine:
                deb.unlink()

    def plan(self) -> None:
        """Plan anew."""
        self.planned = self.planner(self.failed.keys(), self.find_satisfied())
        self.report.plan = self.planned.plan
        self.entries = {
            Unit(entry["platform"], entry["architecture"], entry["source"], entry["version"]): entry
            for entry in self.planned.plan["entries"]
            if entry["state"] == "build"
        }
        if self.wished is None:
            self.wished = {unit for unit, entry in self.entries.items() if _is_wished(entry)}
        done = len([one for one in self.report.built if one.state == "ok"])
        self.progress.done, self.progress.total = done, done + len(self.entries)

    def find_satisfied(self) -> set[str]:
        """The sources that were wished for, and are built everywhere."""
        wished = self.wished or set()
        left = {unit.source for unit in wished if unit not in self.done and unit not in self.failed}
        return {unit.source for unit in wished} - left

    def list_ready(self) -> list[Unit]:
        """What waits for nothing, those first that others wait for."""
        ready = [
            unit
            for unit, entry in self.entries.items()
            if entry["order"] == 1
            and unit not in self.pending
            and unit not in self.failed
            and not (unit in self.done and _is_wished(entry))
        ]
        others_first = sorted(ready, key=lambda unit: (-len(self.entries[unit]["invalidates"]), unit))
        return [*others_first, *self.again]

    def start(self, start: Start) -> None:
        """Start a build in a thread of its own, which only waits."""
        place = self.locate(start.unit)
        if start.unit.again:
            self.progress.report(f"{start.unit.label} on {start.host.name}, to compare what comes of it")
        else:
            self.progress.report(f"{start.unit.label} is built on {start.host.name}, since {self.explain(start.unit)}")
        make_directory(place)
        empty_place(place)
        thread = threading.Thread(target=self.build, args=(start, self.make_job(start), place), daemon=True)
        self.threads = [*(each for each in self.threads if each.is_alive()), thread]
        thread.start()

    def explain(self, unit: Unit) -> str:
        """Why it is built: as the plan says, and what took it away where something did."""
        texts = [reason["text"] for reason in self.entries[unit]["reasons"]] if unit in self.entries else []
        gone = read_gone(self.locate(unit))
        return "; ".join([*texts, *([f"it went when {gone['by']} came"] if gone else [])])

    def build(self, start: Start, job: Job, target: Path) -> None:
        """Have the host build, and tell the run what became of it."""
        result, fault, found = None, "", {}
        watch = Watch(functools.partial(self.board.hear, start.unit), self.stop)
        try:
            files = {path.name: path for unit in self.list_sources(start.unit, job) for path in self.shelf.fetch(unit)}
            result = self.line(start.host, job, [*files.values()], target, watch)
            if start.unit in self.again and result.outcome == DONE:
                found = compare(self.again[start.unit][0], target, host=result.host or start.host.name)
        except LostError as lost:
            fault = str(lost)
        except SlipwayError as error:
            fault = error.came_back
        except Exception as error:  # a thread that ends without a word would be waited for
            fault = f"{type(error).__name__}: {error}"
        self.events.put(_Came(start, result, fault, target, found))

    def make_job(self, start: Start) -> Job:
        """What the host is asked to do."""
        unit = start.unit
        if unit.again:
            job, chroot = self.again[unit][0].job, start.host.chroots[unit.architecture]
            return replace(job, chroot=chroot, install=False, test=False, dependents=())
        self.jobs[unit] = self._make_job(start)
        return self.jobs[unit]

    def _make_job(self, start: Start) -> Job:
        unit, entry = start.unit, self.entries[start.unit]
        # What readers saw of this source once has its name for good: the same source built anew is a binary rebuild.
        seen = read_gone(self.locate(unit)).get("version", "")
        numbers = [number_rebuild(entry["binary_version"] or ""), number_rebuild(seen) + 1 if seen else 0]
        settings = self.settings
        return Job(
            source=unit.source,
            version=unit.version,
            platform=unit.platform,
            architecture=unit.architecture,
            chroot=start.host.chroots[unit.architecture],
            dsc=_name_dsc(unit.source, unit.version),
            parts=tuple(entry["builds"]),
            rebuild=max(numbers),
            epoch=int(time.time()),
            maintainer=settings.maintainer,
            repositories=tuple(settings.repositories.get(unit.platform, ())),
            install=settings.install,
            test=settings.test,
            published=any(True for _binary in self.list_published(unit)),
            dependents=tuple(self.list_dependents(unit)) if settings.test else (),
            profiles=settings.profiles,
            limits=settings.limits,
        )

    def list_sources(self, unit: Unit, job: Job) -> list[Unit]:
        """The source packages that a job needs."""
        others = (Unit(unit.platform, unit.architecture, other.source, other.version) for other in job.dependents)
        return [unit, *others]

    def list_published(self, unit: Unit) -> Iterator[Binary]:
        """The packages that the archive has of a source on an architecture."""
        binaries = self.planned.shadow.get(unit.platform, {}).get(unit.architecture, ())
        return (binary for binary in binaries if binary.source == unit.source)

    def list_dependents(self, unit: Unit) -> Iterator[Dependent]:
        """The sources in the archive that have tests, and packages that depend on one of this source."""
        names = {binary.name for binary in self.list_published(unit)}
        tested = self.planned.tested.get(unit.platform, {})
        binaries = self.planned.shadow.get(unit.platform, {}).get(unit.architecture, ())
        found = {
            binary.source
            for binary in binaries
            if binary.source != unit.source
            and tested.get(binary.source) == binary.source_version
            and not names.isdisjoint(_list_names(binary.depends))
        }
        if len(found) > self.settings.dependents:
            self.progress.report(
                f"{unit.label}: {self.settings.dependents} of {len(found)} dependents with tests are tried"
            )
        for source in sorted(found)[: self.settings.dependents]:
            yield Dependent(source, tested[source], _name_dsc(source, tested[source]))

    def take(self, came: _Came) -> None:
        """Hear what became of a build."""
        unit, now = came.start.unit, self.clock()
        if came.result is not None and came.result.outcome == BUSY:
            self.schedule.put_off(unit, now)
            self.progress.report(f"{unit.label} waits: {came.start.host.name} has no room, since others build there")
            return
        if came.result is None or came.result.outcome == GIVEN_BACK:
            why = came.fault if came.result is None else came.result.reason or "it was stopped"
            self.schedule.give_back(unit, why, now, lost=came.result is None)
            self.progress.report(f"{unit.label} came back from {came.start.host.name}: {why}")
            if self.schedule.has_failed(unit) and unit.again:
                self.conclude_again(came, self.schedule.explain(unit))
            elif self.schedule.has_failed(unit):
                self.note(came, FAILED, "fetch", self.schedule.explain(unit))
            return
        self.schedule.finish(unit)
        if unit.again:
            self.conclude_again(came, came.result.reason)
            return
        if unit not in self.entries:
            for deb in came.target.glob("*.deb"):
                deb.unlink()
            self.progress.report(f"{unit.label} is not wanted any more: the archive has changed meanwhile")
            return
        if came.result.outcome == FAILED:
            self.note(came, FAILED, came.result.stage, came.result.reason)
            return
        built = self.describe(came, "ok", came.result.stage, "")
        debs = tuple(sorted(came.target.glob("*.deb")))
        infos = tuple(sorted(came.target.glob("*.buildinfo")))
        self.pending[unit] = (Product(unit, debs, tuple(self.list_removed(unit)), infos), built)
        self.since = now if self.since is None else self.since

    def plan_again(self, product: Product, built: Built) -> bool:
        """Whether what was built is built once more, and its packages are put aside until then."""
        unit = product.unit
        if unit not in self.jobs or not is_sampled(unit, self.settings.again):
            return False
        again = replace(unit, again=True)
        first = keep_first(product.debs, self.locate(unit))
        self.again[again] = (Again(self.jobs[unit], built.host, first), built)
        self.schedule.avoided[again] = built.host
        return True

    def conclude_again(self, came: _Came, reason: str) -> None:
        """Tell what became of a second build."""
        again, built = self.again.pop(came.start.unit)
        built.reproduced = came.found or {"state": NOT_BUILT, "host": came.host, "reason": reason}
        self.progress.report(f"{came.start.unit.label} on {came.host}: {tell(built.reproduced)}")
        write_result(self.locate(built.unit), built)
        for directory in (again.first, came.target):
            for deb in directory.glob("*.deb"):
                deb.unlink(missing_ok=True)

    def describe(self, came: _Came, state: str, stage: str, reason: str) -> Built:
        """What became of a build, written down beside its log."""
        unit, result = came.start.unit, came.result
        entry = self.entries.get(unit, {})
        logs = sorted(came.target.glob("*.log"))
        built = Built(
            unit,
            entry.get("stack"),
            state,
            stage,
            reason,
            came.host,
            str(logs[0]) if logs else "",
            result.seconds if result else {},
            result.tests if result else {},
            self.explain(unit),
            int(time.time()),
        )
        write_result(came.target, built)
        return built

    def note(self, came: _Came, state: str, stage: str, reason: str) -> None:
        """A build failed: plan without it, since others may do with what the archive has."""
        built = self.describe(came, state, stage, reason)
        self.failed[built.unit] = built
        self.report.built.append(built)
        where = f" The log is {built.log}." if built.log else ""
        self.progress.report(f"{built.unit.label} failed on {built.host}: {reason}{where}")
        self.plan()

    def list_removed(self, unit: Unit) -> list[Place]:
        """The packages that go when this one comes: its own of before, and those that it invalidates."""
        entry = self.entries[unit]
        gone = {tuple(name.split("/", 1)) for name in entry["removes"]} | {(unit.source, unit.architecture)}
        platform = self.planned.shadow.get(unit.platform, {})
        first = self.planned.all_architectures.get(unit.platform)
        places = {
            (binary.name, index)
            for index, binaries in platform.items()
            for binary in binaries
            if (binary.source, first if binary.architecture == ALL else index) in gone
            and not (binary.source == unit.source and _is_of_other_part(binary, entry["builds"]))
        }
        return sorted(places)

    def is_inclusion_due(self, ready: Sequence[Unit]) -> bool:
        """Whether results go into the archive now: others may come with them for some seconds, if there is work."""
        if not self.pending or self.since is None:
            return False
        idle = not self.schedule.running or not [unit for unit in ready if unit not in self.schedule.running]
        return self.clock() - self.since >= self.settings.batch or (idle and self.events.empty())

    def include(self) -> None:
        """Take what came into the archive, for each platform at once, and plan anew."""
        pending, self.pending, self.since = self.pending, {}, None
        for platform in sorted({unit.platform for unit in pending}):
            mine = [both for unit, both in pending.items() if unit.platform == platform]
            for product, _built in mine:
                self.remember_removed(product)
            refused = self.store.include(platform, [product for product, _built in mine])
            self.report.generations += 1
            for product, built in mine:
                if reason := refused.get(product.unit.label):
                    built.state, built.stage, built.reason = "failed", "include", f"The archive refused it: {reason}"
                    self.failed[product.unit] = built
                    self.progress.report(f"{product.unit.label} is not in the archive: {reason}")
                else:
                    gone = [name for name, _index in product.removed if not self.is_own(product, name)]
                    more = f", and {', '.join(sorted(set(gone)))} went until rebuilt" if gone else ""
                    self.progress.report(f"{product.unit.label} is in the archive{more}")
                    self.done.add(product.unit)
                    for deb in () if self.plan_again(product, built) else product.debs:
                        deb.unlink(missing_ok=True)
                self.report.built.append(built)
                write_result(self.locate(product.unit), built)
        self.plan()

    def remember_removed(self, product: Product) -> None:
        """Write down for other sources whose packages will go what took them away, and what they were."""
        gone, unit = set(product.removed), product.unit
        for index, binaries in self.planned.shadow.get(unit.platform, {}).items():
            for binary in binaries:
                if (binary.name, index) in gone and binary.source != unit.source:
                    other = Unit(unit.platform, index, binary.source, binary.source_version)
                    write_gone(self.locate(other), unit.label, binary.version)

    def is_own(self, product: Product, name: str) -> bool:
        """Whether a package is one of the build itself."""
        return any(deb.name.startswith(f"{name}_") for deb in product.debs)

    def locate(self, unit: Unit) -> Path:
        """Where its log and its packages are."""
        return locate_unit(self.settings.directory, unit)

    def wait_for_hosts(self, ready: Sequence[Unit]) -> bool:
        """Whether a host that rests may still do something; waits for it."""
        rest = self.schedule.find_wait(ready, self.clock())
        if rest is None:
            return False
        time.sleep(min(rest, LOOK))
        return True

    def conclude(self) -> None:
        """Tell what was not started, and why."""
        homeless = set(self.schedule.list_homeless(self.list_ready()))
        for unit, entry in self.entries.items():
            if unit in self.failed:
                continue
            why = "another build that failed, or waits itself"
            if unit in homeless:
                why = f"a host that builds for {unit.architecture}"
            elif entry["order"] == 1:
                why = "a host that takes builds"
            self.report.waiting.append({**_name(unit), "stack": entry["stack"] or "", "for": why})
        self.report.blocked = list(self.planned.plan.get("blocked", ()))

    def hang_up(self) -> None:
        """End soon: nobody waits any more."""
        self.stop.set()

    def make_end(self, why: str, more: str) -> SlipwayError:
        """The run ends before its time."""
        running = ", ".join(sorted(unit.label for unit in self.schedule.running)) or "nothing"
        return SlipwayError(
            "build",
            self.settings.distribution,
            f"{why}; {count_of(len(self.entries), 'build')} are left, and {running} runs",
            do_next=f"What is built is in the archive: run the same command again{more}.",
        )


def _is_of_other_part(binary: Binary, parts: Collection[str]) -> bool:
    """Whether a package of the same source is not made by a build of these parts."""
    return (ALL if binary.architecture == ALL else "any") not in parts


def _is_wished(entry: Mapping[str, Any]) -> bool:
    """Whether nothing but a wish is the reason for a build."""
    return all(reason["kind"] in ("forced", "rebuild") for reason in entry["reasons"])


def _name_dsc(source: str, version: str) -> str:
    return f"{source}_{version.partition(':')[2] or version}.dsc"


def _list_names(relations: str) -> list[str]:
    """The names of packages in a field of relations."""
    return [word[0] for part in re.split("[,|]", relations) if (word := re.split(r"[\s(:\[<]", part.strip()))]


def _name(unit: Unit) -> dict[str, str]:
    return {name: getattr(unit, name) for name in ("platform", "architecture", "source", "version")}


__all__ = ["DONE", "Built", "Planned", "Planner", "Product", "Report", "Run", "Settings", "Shelf", "Store"]
