# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a distribution's builds: what is built where, in which order, what blocks it, and why.

A build is a source on an architecture of a platform. It is done because its packages are missing, of another version,
or because somebody says so (a seed), or because a seed's success invalidates it. What cannot be built is blocked, and a
seed that is blocked invalidates nothing. The same input gives the same plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..deb.version import compare_versions, next_rebuild
from ..errors import refuse
from .edges import (
    POLICIES,
    Cause,
    Dependents,
    Policy,
    find_invalidated,
    trace_causes,
)
from .graph import close_reachable, list_bits
from .needs import Needs, explain_unmet, find_conflict
from .order import Cycle, Order, order_builds
from .world import NEW, Build, Platform, World

Plan = dict[str, Any]
BUILT, BLOCKED, CURRENT = "build", "blocked", "current"


@dataclass(frozen=True)
class Wishes:
    """What is wanted besides what the versions say; names are those of sources.

    ``hold`` has a reason for each, ``excluded`` are places such as ``foo/lucid/i386``; ``new`` are sources whose
    version was made up.
    """

    distribution: str = ""
    policy: Policy = field(default_factory=Policy)
    force: Collection[str] = ()
    rebuild: Collection[str] = ()
    new: Collection[str] = ()
    hold: Mapping[str, str] = field(default_factory=dict)
    excluded: Collection[str] = ()
    profiles: Collection[str] = ()
    first_alternative: bool = False
    stacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Why:
    """A reason in the words of the plan."""

    kind: str
    text: str
    by: str | None = None
    edge: str | None = None
    through: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "by": self.by,
            "edge": self.edge,
            "through": list(self.through),
            "text": self.text,
        }


def make_plan(platforms: Iterable[Platform], wishes: Wishes) -> Plan:
    """Plan the builds of all platforms; wishes for sources that there are none of are refused."""
    parts = [_Part(platform, wishes) for platform in platforms]
    _refuse_unknown(parts, wishes)
    for part in parts:
        part.settle()
    entries = [entry for part in parts for entry in part.list_entries()]
    blocked = [one for part in parts for one in part.list_blocked()]
    details = [cycle for part in parts for cycle in part.list_cycles()]
    counts = Counter(entry["state"] for entry in entries)
    reasons = Counter(entry["reasons"][0]["kind"] for entry in entries if entry["state"] == BUILT)
    excluded = [one for part in parts for one in part.list_excluded()]
    return {
        "distribution": wishes.distribution,
        "policy": wishes.policy.default,
        "entries": entries,
        "blocked": blocked,
        "cycles": [cycle["sources"] for cycle in details],
        "cycle_details": details,
        "excluded": excluded,
        "policies": {policy: sum(part.count_builds(policy) for part in parts) for policy in POLICIES},
        "counts": {
            **{state: counts[state] for state in (BUILT, BLOCKED, CURRENT)},
            "excluded": len(excluded),
            "waves": max((entry["order"] for entry in entries), default=0),
            "reasons": dict(sorted(reasons.items())),
        },
        "remarks": [remark for part in parts for remark in part.remarks],
    }


def _refuse_unknown(parts: Sequence[_Part], wishes: Wishes) -> None:
    known = {name for part in parts for name in part.world.platform.sources}
    wanted = {
        "force": wishes.force,
        "rebuild": wishes.rebuild,
        "hold": wishes.hold,
        "new": wishes.new,
        "abi_changed": wishes.policy.abi_changed,
        "policies": wishes.policy.sources or {},
    }
    findings = [f"{what} names {name}" for what, names in wanted.items() for name in sorted({*names} - known)]
    refuse(
        "plan the builds of",
        wishes.distribution or "the sources",
        findings,
        several="names are no source",
        summary=f"{findings[0]}, and no platform has a source of that name" if len(findings) == 1 else "",
        do_next="Correct the name, or give the index that has it.",
    )


class _Part:
    """The plan for one platform, while it is made."""

    def __init__(self, platform: Platform, wishes: Wishes) -> None:
        self.wishes = wishes
        prefix = f"{platform.name}/"
        excluded = {
            f"{name}/{place[len(prefix) :]}"
            for name, _slash, place in (one.partition("/") for one in wishes.excluded)
            if place.startswith(prefix)
        }
        self.world = World(platform, frozenset(wishes.profiles), wishes.first_alternative, excluded)
        self.builds = self.world.builds
        self.remarks: list[str] = []
        self.seeds: dict[int, list[Why]] = {}
        self.held: dict[int, str] = {}
        self.faults: dict[int, tuple[str, list[str]]] = {}
        self.causes: dict[int, Cause] = {}
        self.traces: dict[int, tuple[int, tuple[str, ...]]] = {}
        self.started: set[int] = set()
        self.order = Order()
        self.dead_cycles: list[Cycle] = []
        self.dependents: Dependents  # found when it is settled
        for build in self.builds:
            reasons = list(self._find_reasons(build))
            if build.source.name in wishes.hold:
                self.held[build.number] = wishes.hold[build.source.name]
            if reasons:
                self.seeds[build.number] = reasons

    def _find_reasons(self, build: Build) -> Iterable[Why]:
        source, wishes = build.source, self.wishes
        missing = build.list_missing()
        if missing and build.present is None:
            yield Why("missing", f"the archive has nothing of {source.name} {source.version}")
        elif missing and all(one.source_version != source.version for one in build.there):
            yield Why("new version", self._tell_new(build))
        elif missing:
            yield Why("missing", f"the archive lacks {_join(missing)} {source.version}")
        if source.name in wishes.force:
            yield Why("forced", "it is to be built, whatever is there")
        if source.name in wishes.rebuild and not missing:
            yield Why("rebuild", f"it is to be built once more as {self._next_version(build)}")

    def _tell_new(self, build: Build) -> str:
        name, version, present = build.source.name, build.source.version, build.present or ""
        if compare_versions(present, version) > 0:
            place = self._place(build)
            self.remarks.append(f"{place}: the archive has {name} {present}, which is newer than {version}")
            return f"{version} is to be there; the archive has {present}, which is newer"
        return f"{version} is new; the archive has {present}"

    def _next_version(self, build: Build) -> str:
        """What a binary rebuild is called: one more than the highest number there."""
        versions = [next_rebuild(one.version, build.source.version) for one in build.there]
        return max(versions, key=lambda text: int(text.rpartition("+b")[2]), default=f"{build.source.version}+b1")

    def _place(self, build: Build) -> str:
        return f"{self.world.platform.name}/{build.architecture}"

    # --- what is built -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Decide what is built, and what is blocked by what."""
        wanted = {number for number in self.seeds if number not in self.held}
        for number, reason in self.held.items():
            if number in self.seeds:
                self.faults[number] = (f"it is held: {reason}", [])
        self.world.start(wanted)
        owned = [package.number for package in self.world.packages if package.owner >= 0 and package.kind != NEW]
        needs = Needs(self.world, [*(build.number for build in self.builds), *owned], lenient=True)
        can_be_invalidated = {build.number for build in self.builds if build.there and build.number not in self.held}
        self.dependents = Dependents(needs, candidates=can_be_invalidated)
        while True:
            found = self._attempt(wanted)
            if not found:
                return
            # They stay as they are, and invalidate nothing; what they were to invalidate may be possible now.
            self.faults.update(found)
            wanted -= found.keys()

    def _attempt(self, wanted: set[int]) -> dict[int, tuple[str, list[str]]]:
        """One round: seeds that are blocked, those first that wait for no other blocked one."""
        self.started = wanted
        self.causes = find_invalidated(self.dependents, self.builds, wanted, self.wishes.policy)
        building = wanted | self.causes.keys()
        self.world.start(building)
        needs = Needs(self.world, sorted(building))
        faults = {number: self._explain(needs, number) for number in needs.broken if number in building}
        conflicts = [(number, find_conflict(needs, number)) for number in sorted(building - needs.broken.keys())]
        for number, conflict in conflicts:
            if conflict is not None:
                faults[number] = (f"it conflicts with {conflict[0]}, and its build needs {conflict[1]}", [conflict[0]])
        roots = {number for number in faults if self._is_root(needs, number)}
        first = {number: faults[number] for number in sorted(roots & wanted)}
        if first:
            return first
        needs.fail(sorted(faults.keys() - needs.broken.keys()))
        self.order = self._order(needs)
        faults |= {number: self._explain_cycle(cycle) for number, cycle in self.order.blocked.items()}
        in_cycles = {number: faults[number] for number in sorted(self.order.blocked.keys() & wanted)}
        if in_cycles:
            self.dead_cycles += [cycle for cycle in self.order.cycles if cycle.first is None]
            return in_cycles
        faults |= {
            number: self._explain(needs, number)
            for number in sorted(needs.broken)
            if number in building and number not in faults
        }
        rest = {number: faults[number] for number in sorted(faults.keys() & wanted)}
        if not rest:
            # A seed that was blocked, and is invalidated by others, may be built for that by now.
            kept = {number: fault for number, fault in self.faults.items() if number not in building}
            self.faults = {**kept, **faults}
        return self._choose_first(needs, rest)

    def _order(self, needs: Needs) -> Order:
        """Order what can be built; what waits for a blocked cycle is blocked too, and the rest is ordered again."""
        building = self.started | self.causes.keys()
        causes = self.dependents.list_causes(building, self.started, self.wishes.policy)
        blocked: dict[int, Cycle] = {}
        while True:
            order = order_builds(needs, causes, self.started)
            if not order.blocked:
                order.blocked = blocked
                order.cycles += list(dict.fromkeys(blocked.values()))
                return order
            blocked |= order.blocked
            needs.fail(sorted(order.blocked))

    def _is_root(self, needs: Needs, number: int) -> bool:
        """Whether a build is blocked by something else than builds that are blocked."""
        if number not in needs.broken:
            return True
        return any(not self._find_blocking(needs, demand.providers) for demand in needs.list_unmet(number))

    def _find_blocking(self, needs: Needs, providers: Iterable[int]) -> set[int]:
        """The builds that must not be blocked for these packages to be there."""
        seen: set[int] = set()
        ahead = list(providers)
        while ahead:
            number = ahead.pop()
            place = needs.broken.get(number, -1)
            if number not in seen and number in needs.broken:
                seen.add(number)
                if place >= 0:
                    ahead += needs.demands[number][place].providers
        return {number for number in seen if number < len(self.builds)}

    def _choose_first(
        self, needs: Needs, blocked: dict[int, tuple[str, list[str]]]
    ) -> dict[int, tuple[str, list[str]]]:
        """Of seeds that are blocked those that do not wait for another whose last version would do."""
        can_stay = {number for number in blocked if self.builds[number].there}

        def waits(number: int) -> bool:
            providers = (provider for demand in needs.list_unmet(number) for provider in demand.providers)
            return not can_stay.isdisjoint(self._find_blocking(needs, providers) - {number})

        return {number: fault for number, fault in blocked.items() if not waits(number)} or blocked

    def _explain(self, needs: Needs, number: int) -> tuple[str, list[str]]:
        build = self.builds[number]
        unmet = needs.list_unmet(number)
        sentences = [explain_unmet(needs, build.architecture, demand) for demand in unmet]
        return "; ".join(sentences), [demand.text for demand in unmet]

    def _explain_cycle(self, cycle: Cycle) -> tuple[str, list[str]]:
        names = [self.builds[number].source.name for number in cycle.builds]
        packages = sorted({name for step in cycle.steps for name in step.through[:1]})
        told = " needs ".join([*names, names[0]])
        return f"its build waits for itself ({told}), and the archive has no package that breaks this cycle", packages

    # --- the plan as plain values ------------------------------------------------------------------------------------

    def list_entries(self) -> list[dict[str, Any]]:
        """The entries of the platform: what is built in its order, then what is blocked, then what is current."""
        invalidates = self._list_invalidated()
        self.traces = trace_causes(self.causes, self.started)
        rows = []
        for build in self.builds:
            state = self._find_state(build.number)
            wave = self.order.waves.get(build.number, 0) if state == BUILT else 0
            key = ((BUILT, BLOCKED, CURRENT).index(state), wave, build.source.name, build.architecture)
            rows.append((key, self._make_entry(build, state, wave=wave, invalidates=invalidates.get(build.number, []))))
        return [entry for _key, entry in sorted(rows, key=lambda row: row[0])]

    def _find_state(self, number: int) -> str:
        if number in self.faults:
            return BLOCKED
        return BUILT if number in self.started or number in self.causes else CURRENT

    def _make_entry(self, build: Build, state: str, *, wave: int, invalidates: list[tuple[str, str]]) -> dict[str, Any]:
        source = build.source
        reasons = list(self.seeds.get(build.number, ()))
        if build.number in self.causes:
            reasons.append(self._tell_cause(build.number))
        only_rebuild = bool(reasons) and reasons[0].kind == "rebuild"
        return {
            "source": source.name,
            "stack": self.wishes.stacks.get(source.name),
            "version": source.version,
            "platform": self.world.platform.name,
            "architecture": build.architecture,
            "builds": list(build.parts),
            "present": build.present,
            "binary_version": self._next_version(build) if only_rebuild else None,
            "order": wave,
            "reasons": [reason.as_dict() for reason in reasons],
            "invalidates": list(dict.fromkeys(name for name, _architecture in invalidates)),
            "removes": [f"{name}/{architecture}" for name, architecture in invalidates],
            "state": state,
        }

    def _tell_cause(self, number: int) -> Why:
        cause = self.causes[number]
        seed, through = self.traces[number]
        by, direct = self.builds[seed].source.name, self.builds[cause.by].source.name
        does = "is built with" if cause.edge == "build" else "depends on"
        text = f"invalidated by {by}: it {does} {cause.through[-1]}"
        if cause.by != seed:
            text += f" of {direct}" if direct not in through else ""
            text += f" ({' < '.join(through)})"
        return Why("invalidated", text, by, cause.edge, through)

    def _list_invalidated(self) -> dict[int, list[tuple[str, str]]]:
        """For each seed that is built the sources and architectures that its success removes; not those whose packages
        break a cycle.
        """
        policy, built = self.wishes.policy, sorted(self.started - self.faults.keys())
        first = {
            number: [other for other, _cause in self.dependents.list_next(self.builds[number], policy, first=True)]
            for number in built
        }
        reached = close_reachable(self.dependents.make_spread(sorted(self.causes), policy))
        builds = (1 << len(self.builds)) - 1
        for number in {number for cycle in self.order.cycles for number in cycle.kept}:
            builds &= ~(1 << number)
        places: dict[int, list[tuple[str, str]]] = {}
        for number, starts in first.items():
            bits = 0
            for start in starts:
                bits |= reached.get(start, 0) | 1 << start
            bits &= ~(1 << number)
            # What a cycle has let be built before is not removed any more.
            wave = self.order.waves[number]
            found = (one for one in list_bits(bits & builds) if self.order.waves.get(one, wave + 1) > wave)
            places[number] = [(self.builds[one].source.name, self.builds[one].architecture) for one in found]
        return places

    def list_blocked(self) -> list[dict[str, Any]]:
        """What is blocked, and why."""
        return [
            {
                "source": self.builds[number].source.name,
                "platform": self.world.platform.name,
                "architecture": self.builds[number].architecture,
                "why": why,
                "needs": needs,
            }
            for number, (why, needs) in sorted(self.faults.items())
        ]

    def list_cycles(self) -> list[dict[str, Any]]:
        """The cycles of builds, with their edges, and how they are broken."""
        cycles = [*self.dead_cycles, *self.order.cycles]
        return [self._describe_cycle(cycle) for cycle in sorted(cycles, key=lambda cycle: cycle.builds)]

    def _describe_cycle(self, cycle: Cycle) -> dict[str, Any]:
        edges = [
            {
                "source": self.builds[step.build].source.name,
                "architecture": self.builds[step.build].architecture,
                "needs": self.builds[step.needs].source.name,
                "through": list(step.through),
            }
            for step in cycle.steps
        ]
        remark = "the archive has no package that breaks it: all of them are blocked"
        if cycle.first is not None:
            kept = _join([self.builds[number].source.name for number in cycle.kept])
            remark = f"{self.builds[cycle.first].source.name} is built first, with what the archive has"
            remark += f" of {kept}" if kept else ""
        sources = [edge["source"] for edge in edges]
        return {"platform": self.world.platform.name, "sources": sources, "edges": edges, "remark": remark}

    def list_excluded(self) -> list[dict[str, str]]:
        """What is not looked at."""
        platform = self.world.platform.name
        return [
            {"source": name, "platform": platform, "architecture": architecture}
            for name, architecture in self.world.left_out
        ]

    def count_builds(self, policy: str) -> int:
        """How many builds there would be under another policy, as far as nothing of it is blocked."""
        other = Policy(policy, self.wishes.policy.sources, self.wishes.policy.abi_changed)
        causes = find_invalidated(self.dependents, self.builds, self.started, other)
        return len(self.started | causes.keys())


def _join(names: Sequence[str]) -> str:
    """Names for a sentence; of many the first."""
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return ", ".join(names)
