# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order builds are done, and the cycles among them.

A build waits for the packages that it needs, for those that these depend on, as far as they are to be built, and for
builds whose success invalidates it. Where that goes round, builds whose demands the archive meets as it is now go
first; if there are none, all of the cycle are blocked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .graph import find_components, find_cycle
from .needs import Needs


class Step(NamedTuple):
    """One edge of a cycle: ``build`` needs what ``needs`` makes, through packages (none: it is done because of it)."""

    build: int
    needs: int
    through: tuple[str, ...]


@dataclass(frozen=True)
class Cycle:
    """Builds that wait for each other, in order; ``first`` is the one that the archive lets be built first, if any."""

    steps: tuple[Step, ...]
    first: int | None
    kept: tuple[int, ...] = ()

    @property
    def builds(self) -> tuple[int, ...]:
        """Its builds."""
        return tuple(step.build for step in self.steps)


@dataclass
class Order:
    """The wave of each build from 1; ``cycles`` that were broken, or block what is in ``blocked``."""

    waves: dict[int, int] = field(default_factory=dict)
    cycles: list[Cycle] = field(default_factory=list)
    blocked: dict[int, Cycle] = field(default_factory=dict)


class _Graph:
    """What each number waits for, without what was cut."""

    def __init__(self, needs: Needs, causes: Mapping[int, Collection[int]]) -> None:
        self.needs = needs
        self.world = needs.world
        self.count = len(self.world.builds)
        self.texts: dict[int, dict[int, str]] = {}
        for number in sorted(needs.demands):
            edges: dict[int, str] = {}
            if number not in needs.broken:
                edges.update((other, text) for other, text in needs.list_edges(number))
            # Causes have no text. Through what is blocked others are invalidated all the same.
            for cause in causes.get(number, ()):
                edges.setdefault(cause, "")
            self.texts[number] = edges
        self.edges: dict[int, list[int]] = {number: list(edges) for number, edges in self.texts.items()}
        self.now = Needs(self.world.copy_as_now(), ())

    def list_builds(self, component: Iterable[int]) -> list[int]:
        """The builds in a component that can be done."""
        return [number for number in component if number < self.count and number not in self.needs.broken]

    def can_go_first(self, build: int, inside: Collection[int]) -> bool:
        """Whether the archive, as it is now, meets all of a build's demands that lead into a cycle."""
        return all(self.is_met(build, other) for other in self.edges[build] if other in inside)

    def count_causes(self, build: int, inside: Collection[int]) -> int:
        """How many builds of a cycle should come before one only because they invalidate it."""
        return sum(other in inside and other < self.count for other in self.edges[build])

    def is_met(self, build: int, other: int) -> bool:
        """Whether a package that is there now, and can be installed, does for an edge of a build."""
        text = self.texts[build].get(other, "")
        if not text:
            return True
        demand = self.now.world.resolve(text, self.world.builds[build].architecture, build=True)
        if demand is None:
            return True
        self.now.add(demand.providers)
        return any(provider not in self.now.broken for provider in demand.providers)

    def cut(self, build: int, inside: Collection[int]) -> tuple[int, ...]:
        """Take a build's edges into a cycle out; the builds whose packages must stay until it is built.

        For what those packages depend on outside of the cycle it still waits.
        """
        ahead = [other for other in self.edges[build] if other in inside and other >= self.count]
        kept = [other for other in self.edges[build] if other not in inside]
        seen, owners = set(ahead), set()
        while ahead:
            package = self.world.get_package(ahead.pop())
            owners.add(package.owner)
            for other in self.edges.get(package.number, ()):
                if other not in inside and other >= self.count:
                    kept.append(other)
                elif other in inside and other >= self.count and other not in seen:
                    seen.add(other)
                    ahead.append(other)
        self.edges[build] = list(dict.fromkeys(kept))
        return tuple(sorted(owners & self.world.being_built))

    def list_steps(self, build: int, inside: Collection[int]) -> Iterator[Step]:
        """The builds that a build waits for within a cycle, through which packages."""
        seen: set[int] = set()
        ahead: list[tuple[int, tuple[str, ...]]] = [(build, ())]
        while ahead:
            number, through = ahead.pop(0)
            for other in self.edges.get(number, ()):
                if other not in inside or other in seen:
                    continue
                seen.add(other)
                if other < self.count:
                    yield Step(build, other, through)
                else:
                    ahead.append((other, (*through, self.world.get_package(other).binary.name)))


def order_builds(needs: Needs, causes: Mapping[int, Collection[int]], preferred: Collection[int]) -> Order:
    """The order of all builds in a graph that can be done.

    ``causes`` are, for each build, those whose success invalidates it; ``preferred`` break cycles before others.
    """
    graph, order = _Graph(needs, causes), Order()
    ahead = [graph.edges]
    while ahead:
        part = ahead.pop()
        for component in find_components(part):
            inside = set(component)
            builds = graph.list_builds(component)
            looped = len(component) > 1 or component[0] in graph.edges.get(component[0], ())
            if builds and looped and _break_cycle(graph, order, builds, inside=inside, preferred=preferred):
                ahead.append(
                    {number: [other for other in graph.edges[number] if other in inside] for number in component}
                )
    _count_waves(graph, order)
    return order


def _break_cycle(
    graph: _Graph, order: Order, builds: list[int], *, inside: set[int], preferred: Collection[int]
) -> bool:
    """Cut the edges of the build in a component that the archive lets go first; else the component is blocked."""
    possible = [number for number in builds if graph.can_go_first(number, inside)]
    successors = {number: {step.needs: step for step in graph.list_steps(number, inside)} for number in builds}
    path = find_cycle(builds, {number: list(steps) for number, steps in successors.items()})
    steps = tuple(successors[one][other] for one, other in zip(path, path[1:] + path[:1], strict=True))
    if not possible:
        cycle = Cycle(steps, None)
        order.cycles.append(cycle)
        order.blocked.update(dict.fromkeys(builds, cycle))
        return False

    def weigh(number: int) -> tuple[int, bool, int, int]:
        inner = sum(other in inside for other in graph.edges[number])
        return graph.count_causes(number, inside), number not in preferred, inner, number

    first = min(possible, key=weigh)
    order.cycles.append(Cycle(steps, first, graph.cut(first, inside)))
    return True


def _count_waves(graph: _Graph, order: Order) -> None:
    level: dict[int, int] = {}
    for component in find_components(graph.edges):
        below = max((level.get(other, 0) for number in component for other in graph.edges.get(number, ())), default=0)
        builds = graph.list_builds(component)
        for number in component:
            level[number] = below + bool(builds)
        for number in builds:
            if number not in order.blocked:
                order.waves[number] = level[number]
