# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why stacks of a distribution are not released: what blocks each, where, since when, and whom it blocks in turn.

Facts go in as plain values, and plain values come out. Nothing is read or written here, and nothing of the run is in
the result, so that the same facts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any

from .excuses_facts import Cause, Facts, Place
from .excuses_words import LEGEND, cut_text, explain_cause
from .graph import find_components, list_bits

FORMAT = 1
#: How many names of blocked stacks, or of those that are to blame, are listed; all are counted.
MOST_NAMES = 25
#: Reasons that tell the whole story come first.
ORDER = tuple(LEGEND["codes"])
#: The state of a stack is the first of these that it has anywhere.
STATES = ("unreleased", "blocked", "building", "built", "released", "excluded")

#: The state of a cause that is other stacks'.
WAITS = "waits"
#: They are no causes where the stack is there nevertheless.
EXCLUSIONS = ("excluded", "excluded-ended")


def build_excuses(facts: Facts, previous: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The excuses as plain values; reasons that are in the ``previous`` ones keep their dates."""
    groups, circles = find_groups(facts), find_circles(facts)
    survey = [_Place(facts, place, groups, circles=circles) for place in facts.places]
    since = read_since(previous or {})
    blocked = _count_blocked(facts, survey)
    stacks = {stack: _describe_stack(facts, stack, survey, since) for stack in sorted(facts.stacks)}
    for stack, row in stacks.items():
        row["blocks"] = blocked[stack]
    first = _choose_first(stacks, {stack for place in survey for stack in place.own_causes})
    states = [row["state"] for row in stacks.values()]
    return {
        "format": FORMAT,
        "distribution": facts.distribution,
        "places": [place.name for place in facts.places],
        "counts": {"stacks": len(stacks), **{state: states.count(state) for state in STATES}},
        "coverage": _count_coverage(facts, stacks),
        "first": first,
        "stacks": stacks,
        "builds": list_builds(facts),
        "remarks": list(facts.remarks),
        "legend": LEGEND,
    }


def list_builds(facts: Facts) -> list[dict[str, Any]]:
    """The last build of each stack in each place, the newest first."""
    ordered = sorted(facts.builds.items(), key=lambda item: (-item[1].moment, item[0]))
    return [
        {
            "stack": stack,
            "version": facts.stacks[stack].version,
            "place": place.name,
            "state": build.state,
            "stage": build.stage or None,
            "reason": cut_text(build.reason) or None,
            "host": cut_text(build.host) or None,
            "at": build.at or None,
            "ended": int(build.moment) or None,
            "seconds": dict(build.seconds),
            "differ": {cut_text(name): cut_text(why) for name, why in sorted(build.differ.items())},
            "link": build.link or None,
        }
        for (stack, place), build in ordered
    ]


def _count_coverage(facts: Facts, stacks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How many stacks are how in each place."""
    return {
        place.name: {word: words.count(word) for word in LEGEND["coverage"]}
        for place in facts.places
        for words in [[row["places"][place.name]["coverage"] for row in stacks.values()]]
    }


def read_since(excuses: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
    """Since when each reason is known, by stack, code and place."""
    return {
        (stack, reason["code"], place): reason["since"]
        for stack, row in excuses.get("stacks", {}).items()
        for reason in row["reasons"]
        for place in reason["places"]
    }


def find_circles(facts: Facts) -> dict[str, list[str]]:
    """The stacks that none can be built without the others, by each of them."""
    needs = {stack: set(others) - set(facts.run_needs.get(stack, ())) for stack, others in facts.needs.items()}
    groups = find_groups(replace(facts, needs=needs))
    return {stack: group for group in groups if len(group) > 1 for stack in group}


def find_groups(facts: Facts) -> list[list[str]]:
    """The stacks, each behind those that it needs; those that need each other in a circle are one group."""
    names = sorted(facts.stacks)
    numbers = {stack: number for number, stack in enumerate(names)}
    needs = {
        number: sorted(numbers[other] for other in set(facts.needs.get(stack, ())) & numbers.keys())
        for stack, number in numbers.items()
    }
    return [[names[number] for number in group] for group in find_components(needs)]


def _list_names(bits: int, names: Sequence[str]) -> list[str]:
    """The first of the ``names`` whose bits are set."""
    return [names[number] for number in islice(list_bits(bits), MOST_NAMES)]


class _Place:
    """What is so in one place. Sets of stacks are integers, a bit for each: thousands of them are joined at once."""

    def __init__(
        self,
        facts: Facts,
        place: Place,
        groups: Sequence[Sequence[str]],
        *,
        circles: Mapping[str, Sequence[str]],
    ) -> None:
        self.facts, self.place, self.groups = facts, place, groups
        self.names = sorted(facts.stacks)
        self.bits = {stack: 1 << number for number, stack in enumerate(self.names)}
        self.current = {stack for stack in facts.stacks if facts.is_current(stack, place)}
        #: What nothing can be installed with, and what is there in another version.
        self.gone: set[str] = set()
        self.stale: set[str] = set()
        self.waits: dict[str, list[str]] = {}
        self.circles = {stack: circle for stack, circle in circles.items() if self.is_stuck(stack, circle)}
        #: Without those that only wait for others.
        self.own_causes: dict[str, list[Cause]] = {}
        self.causes: dict[str, list[Cause]] = {}
        self.roots: dict[str, int] = {}
        for group in groups:
            self.judge_group(group)

    @cached_property
    def excluded(self) -> int:
        """Those that may be missing here and are."""
        return sum(self.bits[stack] for stack in self.facts.stacks if self.is_excluded(stack))

    @cached_property
    def platform_currents(self) -> set[str]:
        """Those that some architecture of this platform has as they are wanted."""
        places = [place for place in self.facts.places if place.platform == self.place.platform]
        return {stack for stack in self.facts.stacks if any(self.facts.is_current(stack, place) for place in places)}

    def is_excluded(self, stack: str) -> bool:
        """Whether it may be missing here and is; what has no version is not asked for anyway."""
        if stack in self.current or self.facts.stacks[stack].version is None:
            return False
        return self.facts.find_exclude(stack, self.place, ended=False) is not None

    def judge_group(self, group: Sequence[str]) -> None:
        """Find what blocks stacks whose needs outside of the group are judged."""
        roots = 0
        for stack in group:
            self.waits[stack] = self.find_waits(stack, group)
            for other in self.waits[stack]:
                roots |= self.roots[other] | (self.bits[other] if other in self.own_causes else 0)
        for stack in group:
            self.roots[stack] = roots
            self.judge_stack(stack)

    def is_asked(self, stack: str) -> bool:
        """Whether it should be here."""
        return self.facts.stacks[stack].version is not None and not self.is_excluded(stack)

    def is_stuck(self, stack: str, circle: Sequence[str]) -> bool:
        """Whether its circle keeps it from being built or used, unless all is there, or the plan opens it."""
        lacking = [other for other in circle if self.is_asked(other) and other not in self.current]
        is_closed = any((other, self.place) not in self.facts.planned for other in lacking)
        return self.is_asked(stack) and is_closed

    def find_waits(self, stack: str, group: Sequence[str]) -> list[str]:
        """The stacks that have to be there before this one can."""
        if not self.is_asked(stack):
            return []
        wanting = self.gone if stack in self.current else self.gone | self.stale
        return sorted((set(self.facts.needs.get(stack, ())) & wanting) - set(group))

    def judge_stack(self, stack: str) -> None:
        """Find its causes, and what it is for those that need it."""
        there, waits = self.facts.find_there(stack, self.place), self.waits[stack]
        own = list(self.find_own_causes(stack))
        broken = any(cause.code == "uninstallable" for cause in own)
        if not there or waits or broken or stack in self.circles or self.facts.stacks[stack].version is None:
            self.gone.add(stack)
        elif stack not in self.current:
            self.stale.add(stack)
        if not waits and not own and stack not in self.current:
            own = [self.find_plain_cause(stack)]
        # What cannot be installed because of what it waits for is not to blame for that.
        idle = {*(EXCLUSIONS if stack in self.current else ()), *(("uninstallable",) if waits else ())}
        if to_blame := [cause for cause in own if cause.code not in idle]:
            self.own_causes[stack] = to_blame
        causes = [*own, *([self.make_wait(stack)] if waits else [])]
        self.causes[stack] = sorted(causes, key=lambda cause: ORDER.index(cause.code))

    def find_own_causes(self, stack: str) -> Iterator[Cause]:
        """Causes that are no other stack's, but for that it simply was not built."""
        facts, place = self.facts, self.place
        if facts.stacks[stack].version is None:
            yield Cause("no-version", blocking=False, category=None)
            return
        there, is_current = facts.find_there(stack, place), stack in self.current
        yield from self.find_exclusion(stack)
        if self.is_excluded(stack):
            return
        if there and (sentences := facts.uninstallable.get((stack, place))):
            yield Cause("uninstallable", reason=" ".join(f"{each.rstrip('.')}." for each in sentences))
        if stack in self.circles:
            yield Cause("cycle", needs=tuple((other, "cycle") for other in self.circles[stack]))
        unknown = tuple((name, "unknown") for name in sorted(set(facts.needs.get(stack, ())) - facts.stacks.keys()))
        if is_current:
            return
        if unknown:
            yield Cause("dependency-unreleased", category="dep", needs=unknown)
        if stack in facts.holds:
            yield Cause("held", reason=facts.holds[stack])
        if (fault := facts.sources.get((stack, place.platform))) is not None:
            yield Cause("source-failed", state=fault.state, reason=fault.reason)
        if (build := facts.builds.get((stack, place))) is not None and build.state == "failed":
            yield Cause("build-failed", reason=build.reason)
        if (refusal := facts.refusals.get((stack, place))) is not None and refusal.is_foreign:
            yield Cause("dependency-unreleased", category="dep", reason=refusal.why)

    def find_exclusion(self, stack: str) -> Iterator[Cause]:
        """That it is excluded here, or was, and whether it is there nevertheless."""
        there = self.facts.find_there(stack, self.place) if stack in self.current else ""
        active, ended = (self.facts.find_exclude(stack, self.place, ended=over) for over in (False, True))
        if active is not None:
            category = None if there else "excluded"
            yield Cause("excluded", False, category, active.reason, active.until, there)
        elif ended is not None:
            category = None if there else "primary"
            yield Cause("excluded-ended", not there, category, ended.reason, ended.until, there)

    def find_plain_cause(self, stack: str) -> Cause:
        """It could be there, and is not."""
        key, there = (stack, self.place), self.facts.find_there(stack, self.place)
        build = self.facts.builds.get(key)
        if key in self.facts.refusals:
            return Cause("dependency-unreleased", category="dep", reason=self.facts.refusals[key].why)
        code = "outdated" if there else "missing" if stack in self.platform_currents else "not-built"
        cause = Cause(code, there=there, wave=self.facts.planned.get(key))
        if build is None:
            return cause
        return replace(cause, blocking=build.state != "running", state=build.state, at=build.at)

    def make_wait(self, stack: str) -> Cause:
        """That it waits for others; for which is added when it is known in how many places it does."""
        return Cause(
            "dependency-unreleased",
            category="dep" if self.roots[stack] & ~self.excluded else "excluded-dep",
            there="built" if stack in self.current else "",
            state=WAITS,
        )

    def find_blocked(self) -> dict[str, int]:
        """The stacks that wait for each, directly or through others."""
        waiters: dict[str, list[str]] = {stack: [] for stack in self.bits}
        for stack, others in self.waits.items():
            for other in others:
                waiters[other].append(stack)
        blocked: dict[str, int] = {}
        for group in reversed(self.groups):
            whole = 0
            for waiter in (waiter for stack in group for waiter in waiters[stack]):
                whole |= self.bits[waiter] | blocked[waiter]
            circle = sum(self.bits[stack] for stack in group if stack in self.circles)
            for stack in group:
                blocked[stack] = whole | (circle & ~self.bits[stack] if stack in self.circles else 0)
        return blocked

    def find_state(self, stack: str) -> str:
        """How it stands here."""
        causes = self.causes[stack]
        if self.facts.stacks[stack].version is None:
            return "unreleased"
        if any(cause.blocking for cause in causes):
            return "blocked"
        if stack in self.current:
            return "released" if self.facts.is_released(stack, self.place) else "built"
        return "excluded" if self.is_excluded(stack) else "building"

    def find_coverage(self, stack: str) -> str | None:
        """What the archive has of it; nothing is said of what is not to be released."""
        facts, place = self.facts, self.place
        if facts.stacks[stack].version is None:
            return None
        if stack in self.current:
            return "current"
        if self.is_excluded(stack):
            return "excluded"
        build = facts.builds.get((stack, place))
        if build is not None and build.state == "failed" and facts.has_other(stack, place):
            return "regressed"
        if self.waits[stack] or stack in self.circles:
            return "blocked"
        return "old" if facts.find_there(stack, place) else "missing"

    def describe(self, stack: str) -> dict[str, Any]:
        """As the excuses have it."""
        categories = [cause.category for cause in self.causes[stack] if cause.category]
        waiting = [category for category in categories if category in ("dep", "excluded-dep")]
        return {
            "wanted": self.facts.find_wanted(stack, self.place.platform),
            "shadow": self.facts.find_there(stack, self.place) or None,
            "fixed": self.facts.find_fixed(stack, self.place) or None,
            "state": self.find_state(stack),
            "coverage": self.find_coverage(stack),
            "codes": list(dict.fromkeys(cause.code for cause in self.causes[stack])),
            "category": next(iter([*waiting, *categories]), None),
            "waits": self.waits[stack],
        }


def _count_blocked(facts: Facts, survey: Sequence[_Place]) -> dict[str, dict[str, Any]]:
    """Whom each stack blocks anywhere."""
    total = dict.fromkeys(facts.stacks, 0)
    direct: dict[str, set[str]] = {stack: set() for stack in facts.stacks}
    for place in survey:
        for stack, blocked in place.find_blocked().items():
            total[stack] |= blocked
        for stack, others in place.waits.items():
            for other in others:
                direct[other].add(stack)
    names = sorted(facts.stacks)
    found = {}
    for stack, blocked in total.items():
        listed = _list_names(blocked, names)
        found[stack] = {"count": blocked.bit_count(), "direct": sorted(direct[stack]), "names": listed}
    return found


def _describe_stack(
    facts: Facts, stack: str, survey: Sequence[_Place], since: Mapping[tuple[str, str, str], str]
) -> dict[str, Any]:
    grouped: dict[tuple[Cause, str], list[_Place]] = {}
    for place in survey:
        for cause in place.causes[stack]:
            date = since.get((stack, cause.code, place.place.name), facts.today)
            grouped.setdefault((cause, date), []).append(place)
    ordered = sorted(grouped.items(), key=lambda item: ORDER.index(item[0][0].code))
    reasons = [_describe_reason(facts, stack, cause, date, there) for (cause, date), there in ordered]
    places = {place.place.name: place.describe(stack) for place in survey}
    states = {row["state"] for row in places.values()}
    return {
        "version": facts.stacks[stack].version,
        "package": facts.stacks[stack].package,
        "state": next((state for state in STATES if state in states), "unreleased"),
        "since": min((reason["since"] for reason in reasons if reason["blocking"]), default=None),
        "needs": sorted(facts.needs.get(stack, ())),
        "places": places,
        "reasons": reasons,
    }


def _describe_reason(facts: Facts, stack: str, cause: Cause, date: str, there: Sequence[_Place]) -> dict[str, Any]:
    whole = _complete_wait(stack, cause, there) if cause.state == WAITS else cause
    return {
        "code": cause.code,
        "blocking": cause.blocking,
        "category": cause.category,
        "places": [place.place.name for place in there],
        "since": date,
        "needs": [name for name, _code in whole.needs],
        "roots": [name for name, _code in whole.roots],
        "more_roots": whole.more_roots,
        "until": cause.until or None,
        **explain_cause(facts, stack, whole, [place.place for place in there]),
    }


def _complete_wait(stack: str, cause: Cause, there: Sequence[_Place]) -> Cause:
    """With the stacks that it waits for in any of these places."""
    needs = {other: place.causes[other][0].code for place in there for other in place.waits[stack]}
    bits = 0
    for place in there:
        bits |= place.roots[stack]
    roots = _list_names(bits, there[0].names)
    codes = {other: place.own_causes[other][0].code for place in there for other in roots if other in place.own_causes}
    return replace(
        cause,
        needs=tuple(sorted(needs.items())),
        roots=tuple((other, codes[other]) for other in roots),
        more_roots=bits.bit_count() - len(roots),
    )


def _choose_first(stacks: Mapping[str, Mapping[str, Any]], own: Collection[str]) -> list[dict[str, Any]]:
    """What to do first: stacks that are blocked by themselves, and of those the ones that block the most others."""
    chosen = []
    for stack in own:
        row = stacks[stack]
        reasons = [reason for reason in row["reasons"] if not reason["roots"]]
        if not row["blocks"]["count"] and not any(reason["blocking"] for reason in reasons):
            continue
        reason = next((reason for reason in reasons if reason["blocking"]), reasons[0])
        chosen.append(
            {
                "stack": stack,
                "blocks": row["blocks"]["count"],
                "reasons": len(reasons),
                "codes": list(dict.fromkeys(reason["code"] for reason in reasons)),
                "places": sorted({place for reason in reasons for place in reason["places"]}),
                "since": min(reason["since"] for reason in reasons),
                **{name: reason[name] for name in ("what", "why", "helps", "command")},
            }
        )
    return sorted(chosen, key=lambda each: (-each["blocks"], each["since"], each["stack"]))
