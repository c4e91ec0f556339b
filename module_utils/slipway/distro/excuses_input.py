# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts for the excuses from what records, settings and the plan say: checked, all faults at once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ..deb.names import fill_version
from ..errors import refuse
from ..escape import escape_line
from .excuses_facts import Build, Commands, Exclude, Facts, Place, Refusal, SourceFault, Versions, Wanted
from .excuses_words import find_address
from .platforms import read_day
from .release import Names

BUILD_STATES = ("failed", "ok", "running")
SOURCE_STATES = ("ok", "failed", "refused", "unsupported")
#: The names of packages that a relation has, without versions and architectures.
_RELATION = re.compile(r"(?:^|[,|])\s*([A-Za-z0-9][A-Za-z0-9+.-]*)")

Row = Mapping[str, Any]


def read_facts(
    given: Row,
    *,
    shadow: Versions | None,
    fixed: Versions | None,
    now: int,
    links: Mapping[str, str] | None = None,
) -> Facts:
    """The facts of the options ``given`` (see the module ``deb_excuses``), and of the archives, at a time.

    ``links`` say where readers find logs, by their paths.
    """
    reader = _Reader(given, links or {})
    if shadow is None:  # as of null, which Ansible takes for something that is given
        reader.faults.append("nothing tells what the shadow archive has")
        shadow = {}
    places = reader.read_places()
    known = set(places)
    stacks = reader.read_stacks()
    plan = reader.read_plan(known)
    needs, run_needs = reader.read_needs(plan.edges)
    facts = Facts(
        distribution=given["distribution"],
        stacks=stacks,
        places=places,
        names=reader.names,
        commands=reader.read_commands(),
        today=reader.read_day(now),
        shadow={place: dict(shadow.get(place, {})) for place in places},
        fixed=None if fixed is None else {place: dict(fixed.get(place, {})) for place in places},
        excludes=reader.read_excludes(known),
        holds=reader.read_holds(),
        builds=reader.read_builds(known),
        sources=reader.read_sources(),
        uninstallable=reader.read_uninstallable(known, shadow),
        needs=needs,
        run_needs=run_needs,
        planned=plan.planned,
        refusals=plan.refusals,
        remarks=reader.remarks,
    )
    refuse(
        "explain what holds up",
        str(given["distribution"]),
        reader.faults,
        several="faults in what was given",
        do_next="Correct it and run again.",
    )
    return facts


def list_places(platforms: Iterable[Row]) -> list[Place]:
    """The architectures of the platforms that are well described; others are told by :func:`read_facts`."""
    return [
        Place(platform["name"], architecture)
        for platform in platforms
        if _is_text(platform.get("name")) and isinstance(platform.get("architectures"), list)
        for architecture in platform["architectures"]
        if _is_text(architecture)
    ]


def format_day(now: int) -> str:
    """The day in Greenwich of seconds since the epoch."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()


def format_moment(moment: float) -> str:
    """A time in Greenwich, for people."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _show(value: object) -> str:
    return f"'{escape_line(str(value))[:80]}'"


@dataclass(frozen=True)
class _Plan:
    """Of a plan: which stack needs which, and if only to run; the wave of what is built; why other things are not."""

    edges: Sequence[tuple[str, str, bool]]
    planned: Mapping[tuple[str, Place], int]
    refusals: Mapping[tuple[str, Place], Refusal]


@dataclass
class _Reader:
    given: Row
    links: Mapping[str, str]
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        wanted = ("package_name", "source_version", "stamped_version")
        package, shadow, stamped = (self.given[name] for name in wanted)
        self.names = Names(package=package, shadow=shadow, stamped=stamped)
        self.names.check()
        self.stacks: dict[str, Wanted] = {}
        self.by_package: dict[str, str] = {}

    def read_places(self) -> list[Place]:
        platforms = self.given["platforms"]
        places = list_places(platforms)
        for number, platform in enumerate(platforms, 1):
            if not list_places([platform]):
                self.faults.append(f"platform number {number} has no name, or no list of architectures")
        self.faults += [f"{place.name} is there twice" for place in dict.fromkeys(places) if places.count(place) > 1]
        if not platforms:
            self.faults.append("there are no platforms")
        return places

    def read_stacks(self) -> dict[str, Wanted]:
        for name, row in self.given["stacks"].items():
            version: Any = row.get("version") if isinstance(row, Mapping) else ()
            if version is not None and not _is_text(version):
                self.faults.append(f"the stack {_show(name)} has no version that is text in quotes, or null")
                continue
            package = row.get("package") or self.names.name_package(self.given["distribution"], name)
            self.stacks[name] = Wanted(version, str(package), self.read_template(row))
            other = self.by_package.setdefault(str(package), name)
            if other != name:
                self.faults.append(f"the stacks {_show(other)} and {_show(name)} have the same package")
        return self.stacks

    def read_template(self, row: Row) -> str:
        """How a stack's own version in the shadow archive is made, if it is made otherwise than the others'."""
        template = str(row.get("source_version") or "")
        if template:
            replace(self.names, shadow=template).check()
        return template

    def read_plan(self, known: Collection[Place]) -> _Plan:
        plan = self.given["plan"] or {}
        named = plan.get("distribution", self.given["distribution"])
        if named != self.given["distribution"]:
            self.faults.append(f"the plan is of the distribution {_show(named)}")
        try:
            for entry in plan.get("entries", ()):  # where a source is not called like the stack's package
                if entry.get("stack") in self.stacks:
                    self.by_package.setdefault(entry["source"], entry["stack"])
            return _read_plan(plan, self.find_stack, known)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.faults.append("the plan is not one that deb_plan_info returned")
            return _Plan([], {}, {})

    def read_day(self, now: int) -> str:
        """The day of a time that a calendar has."""
        try:
            return format_day(now)
        except (OverflowError, ValueError, OSError):
            self.faults.append(f"now is {now}, which is no time")
            return ""

    def read_commands(self) -> Commands:
        commands = Commands(self.given["distro_command"], self.given["release_command"])
        for command in (commands.build, commands.release):
            try:
                is_command = bool(shlex.split(command)) and command.isprintable()
            except ValueError:
                is_command = False
            if not is_command:
                self.faults.append(f"{_show(command)} is not a command in one line")
        return commands

    def read_excludes(self, known: Collection[Place]) -> dict[str, list[Exclude]]:
        found: dict[str, list[Exclude]] = {}
        for row in self.require("exclude", self.given["excludes"], "stack"):
            stack = self.find_stack(row["stack"])
            if stack is None:
                self.remarks.append(f"{_show(row['stack'])} is excluded, and is no stack of the distribution")
            until = str(row.get("until") or "")
            if until and read_day(until) is None:
                self.faults.append(f"{_show(row['stack'])} is excluded until {_show(until)}, which is not YYYY-MM-DD")
            places = frozenset(self.read_exclude_places(row, known))
            found.setdefault(stack or "", []).append(Exclude(places, str(row.get("reason") or ""), until))
        return found

    def read_exclude_places(self, row: Row, known: Collection[Place]) -> Iterator[Place]:
        """No places mean everywhere, and a platform all of its architectures."""
        names = row.get("places") or []
        if not isinstance(names, list):
            self.faults.append(f"{_show(row['stack'])} is excluded for {_show(names)}, which is no list of places")
            return
        for name in names:
            here = [place for place in known if name in (place.platform, place.name)]
            if not here:
                where = f"{_show(name)}, which is no place of the distribution"
                self.remarks.append(f"{_show(row['stack'])} is excluded for {where}")
            yield from here
        if not names:
            yield from known

    def read_holds(self) -> dict[str, str]:
        found = {}
        for name, reason in self.given["holds"].items():
            stack = self.find_stack(name)
            if stack is None:
                self.remarks.append(f"{_show(name)} is held, and is no stack of the distribution")
            else:
                found[stack] = str(reason or "")
        return found

    def read_builds(self, known: Collection[Place]) -> dict[tuple[str, Place], Build]:
        found: dict[tuple[str, Place], Build] = {}
        for row in self.require("build", self.given["builds"], "stack", "platform", "architecture"):
            stack, place = self.find_stack(row["stack"]), Place(row["platform"], row["architecture"])
            if row.get("state") not in BUILD_STATES:
                self.faults.append(self.name_state("build", row, BUILD_STATES))
            moment = self.read_moment(row)
            if stack is None or place not in known or not self.is_wanted(stack, place, row.get("version")):
                continue
            build = self.make_build(row, moment)
            last = found.get((stack, place))
            if last is None or build.moment >= last.moment:
                found[stack, place] = build
        return found

    def is_wanted(self, stack: str, place: Place, version: object) -> bool:
        """Whether a version is the one that the distro file asks for, of the stack or of its source package."""
        wanted = self.stacks[stack]
        if version is None or wanted.version is None:
            return version is None
        template = wanted.shadow or self.names.shadow
        return version in (wanted.version, fill_version(template, version=wanted.version, platform=place.platform))

    def make_build(self, row: Row, moment: float | None) -> Build:
        """What a row says of a build."""
        log, seconds = str(row.get("log") or ""), row.get("seconds")
        texts = {name: str(row.get(name) or "") for name in ("version", "stage", "reason", "host")}
        return Build(
            str(row.get("state")),
            log,
            "" if moment is None else format_moment(moment),
            moment or 0.0,
            self.links.get(log) or find_address(log) or "",
            **texts,
            seconds=dict(_list_seconds(seconds)) if isinstance(seconds, Mapping) else {},
            differ=_read_differences(row.get("reproduced")),
        )

    def read_moment(self, row: Row) -> float | None:
        """When a build ended: seconds since the epoch, or a time as ISO 8601 writes it."""
        value = row.get("at")
        if value in (None, ""):
            return None
        try:
            if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
                moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
                value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            format_moment(float(value))
            return float(value)
        except (TypeError, ValueError, OverflowError, OSError):
            self.faults.append(f"a build of {_show(row['stack'])} was at {_show(value)}, which is no time")
            return None

    def read_sources(self) -> dict[tuple[str, str], SourceFault]:
        found: dict[tuple[str, str], SourceFault] = {}
        for row in self.require("source", self.given["sources"], "stack", "platform"):
            state, key = row.get("state"), (self.find_stack(row["stack"]) or "", row["platform"])
            if state not in SOURCE_STATES:
                self.faults.append(self.name_state("source", row, SOURCE_STATES))
            found.pop(key, None)
            if state != "ok":
                found[key] = SourceFault(str(state), str(row.get("reason") or ""))
        return found

    def read_uninstallable(self, known: Collection[Place], shadow: Versions) -> dict[tuple[str, Place], list[str]]:
        """By the names of packages, or, in rows without, by those that the solver's sentence has."""
        found: dict[tuple[str, Place], list[str]] = {}
        for row in self.require("uninstallable package", self.given["uninstallable"], "platform", "architecture"):
            place, reason = Place(row["platform"], row["architecture"]), str(row.get("reason") or "no reason was given")
            if place not in known:
                continue
            package = row.get("package")
            packages = [str(package)] if package else _find_named(reason, shadow.get(place, {}))
            stacks = [stack for name in packages if (stack := self.by_package.get(name)) is not None]
            for stack in stacks:
                sentences = found.setdefault((stack, place), [])
                if reason not in sentences:
                    sentences.append(reason)
            if not stacks:
                subject = f"{package}: " if package else ""
                self.remarks.append(escape_line(f"{place.name}: {subject}{reason}"))
        return found

    def read_needs(self, edges: Iterable[tuple[str, str, bool]]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """What stacks depend on, as was said and as the plan knows, and of that what only installed packages do."""
        built: dict[str, set[str]] = {}
        run: dict[str, set[str]] = {}
        for stack, others in self.given["depends"].items():
            if not isinstance(others, list) or not all(map(_is_text, others)):
                self.faults.append(f"what the stack {_show(stack)} depends on is not a list of stacks")
            elif stack in self.stacks:
                built[stack] = {self.find_stack(other) or other for other in others} - {stack}
        for stack, other, is_run in edges:
            (run if is_run else built).setdefault(stack, set()).add(other)
        needs = {stack: built.get(stack, set()) | run.get(stack, set()) for stack in built | run}
        return needs, {stack: others - built.get(stack, set()) for stack, others in run.items()}

    def find_stack(self, name: str) -> str | None:
        """The stack of a name: its own, or that of its package or source."""
        return name if name in self.stacks else self.by_package.get(name)

    def require(self, what: str, rows: Sequence[Row], *names: str) -> Iterator[Row]:
        """The rows that have all these texts; others are faults."""
        for number, row in enumerate(rows, 1):
            lacking = [name for name in names if not _is_text(row.get(name))]
            if lacking:
                self.faults.append(f"{what} number {number} has no {' and no '.join(lacking)}")
            else:
                yield row

    def name_state(self, what: str, row: Row, known: Sequence[str]) -> str:
        """The fault of a row with a state that is none."""
        return f"a {what} of {_show(row['stack'])} is {_show(row.get('state'))}, which is none of {', '.join(known)}"


def _read_differences(reproduced: object) -> dict[str, str]:
    differ = reproduced.get("differ") if isinstance(reproduced, Mapping) else None
    return {str(name): str(why) for name, why in differ.items()} if isinstance(differ, Mapping) else {}


def _list_seconds(seconds: Row) -> Iterator[tuple[str, float]]:
    for name, number in seconds.items():
        if isinstance(number, int | float) and 0 <= number < float("inf"):
            yield str(name), float(number)


def _find_named(sentence: str, versions: Mapping[str, str]) -> list[str]:
    """The packages that a sentence of the solver names with their versions."""
    words = re.findall(r"[^\s,;]+", sentence)
    named = set(pairwise(words))
    return [package for package, version in versions.items() if (package, version) in named]


def _name_edges(plan: Row, find_stack: Callable[[str], str | None]) -> Iterator[tuple[str, str, bool]]:
    """The edges that are between two stacks of the distribution."""
    for source, package, is_run in _list_plan_edges(plan):
        stack, other = find_stack(source), find_stack(package)
        if stack is not None and other is not None and stack != other:
            yield stack, other, is_run


def _list_plan_edges(plan: Row) -> Iterator[tuple[str, str, bool]]:
    """A source, what it needs (a source or a package), and whether only its installed packages do."""
    for entry in plan.get("entries", ()):
        for reason in entry.get("reasons", ()):
            if reason.get("by"):
                for needed in {reason["by"], *(reason.get("through") or [])[-1:]}:
                    yield entry["source"], needed, reason.get("edge") == "run"
    for detail in plan.get("cycle_details", ()):
        yield from ((edge["source"], edge["needs"], False) for edge in detail.get("edges", ()))
    for row in plan.get("blocked", ()):
        for relation in _list_relations(row):
            yield from ((row["source"], package, False) for package in _RELATION.findall(relation))
    for cycle in () if "cycle_details" in plan else plan.get("cycles", ()):
        yield from ((source, needed, False) for source, needed in zip(cycle, [*cycle[1:], *cycle[:1]], strict=True))


def _list_relations(row: Row) -> list[str]:
    needs = row.get("needs") or []
    return [needs] if isinstance(needs, str) else [str(need) for need in needs]


def _read_plan(plan: Row, find_stack: Callable[[str], str | None], known: Collection[Place]) -> _Plan:
    planned = {
        (stack, place): int(entry["order"])
        for entry in plan.get("entries", ())
        if entry["state"] == "build" and (place := _read_place(entry)) in known
        if (stack := find_stack(entry["source"])) is not None
    }
    refusals = {
        (stack, place): Refusal(str(row["why"]), _is_foreign(row, find_stack))
        for row in plan.get("blocked", ())
        if (place := _read_place(row)) in known
        if (stack := find_stack(row["source"])) is not None
    }
    return _Plan(list(_name_edges(plan, find_stack)), planned, refusals)


def _is_foreign(row: Row, find_stack: Callable[[str], str | None]) -> bool:
    return any(not any(map(find_stack, _RELATION.findall(relation))) for relation in _list_relations(row))


def _read_place(row: Row) -> Place:
    return Place(row["platform"], row["architecture"])
