# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What builds need, through packages, and which of it cannot be had.

The graph has the numbers of a :class:`World`: a build needs packages, a package needs the packages it depends on, and
the build that makes it if that is to come. Of several packages that meet a demand the first that can be had is chosen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from ..deb.version import strip_rebuild
from .world import BASE, NEW, Demand, Package, World, split_relations


class Needs:
    """The graph below some builds, with the choices made; ``broken`` has what cannot be had.

    A package that is to be built has demands that are known only once it is: those that no package is known for are
    passed over. With ``lenient`` that goes for all demands, and nothing is broken: the graph says who uses what.
    """

    def __init__(self, world: World, roots: Iterable[int], *, lenient: bool = False) -> None:
        self.world = world
        self.lenient = lenient
        self.demands: dict[int, list[Demand]] = {}
        #: Who has chosen a number, in the order in which they did; it may have been given up since.
        self.users: dict[int, list[int]] = {}
        #: For each number that cannot be had the place of the demand that cannot be met; -1 if there is none.
        self.broken: dict[int, int] = {}
        #: Which provider of a demand is chosen if it is not the first, by user and place; -1 if it is passed over.
        self._chosen: dict[tuple[int, int], int] = {}
        self._ahead: deque[int] = deque()
        self._failing: list[tuple[int, int]] = []
        self._count = len(world.builds)
        self.add(roots)

    def add(self, roots: Iterable[int]) -> None:
        """Add what is below more numbers to the graph."""
        for root in roots:
            self._visit(root)
        self._explore()

    def fail(self, numbers: Iterable[int]) -> None:
        """Have builds fail for another reason than their demands, and what follows from that."""
        for number in numbers:
            self._failing.append((number, -1))
        self._explore()

    def list_edges(self, number: int) -> Iterator[tuple[int, str]]:
        """What a number needs as chosen, with the text of the demand."""
        for place, demand in enumerate(self.demands.get(number, ())):
            position = self._chosen.get((number, place), 0) if self._chosen else 0
            if 0 <= position < len(demand.providers):
                yield demand.providers[position], demand.text

    def list_unmet(self, number: int) -> list[Demand]:
        """The demands of a number that nothing meets, or nothing that can be had."""
        return [
            demand
            for demand in self.demands.get(number, ())
            if demand.text and all(provider in self.broken for provider in demand.providers)
        ]

    def _visit(self, number: int) -> None:
        if number not in self.users:
            self.users[number] = []
            self._ahead.append(number)

    def _explore(self) -> None:
        users, broken, ahead = self.users, self.broken, self._ahead
        while ahead or self._failing:
            while self._failing:
                self._break(*self._failing.pop())
            if not ahead:
                continue
            number = ahead.popleft()
            demands = self.demands[number] = self._list_demands(number)
            for place, demand in enumerate(demands):
                if demand.providers and demand.providers[0] not in broken:
                    first = demand.providers[0]
                    if first not in users:
                        users[first] = []
                        ahead.append(first)
                    users[first].append(number)
                else:
                    self._choose(number, place, demand)

    def _list_demands(self, number: int) -> list[Demand]:
        world, architecture = self.world, ""
        if number < self._count:
            build = world.builds[number]
            architecture = build.architecture
            resolved = [world.resolve(text, architecture, build=True) for text in build.list_needs()]
            found = [demand for demand in resolved if demand is not None]
            is_lenient = self.lenient
        else:
            package = world.get_package(number)
            architecture = package.architecture
            found = []
            is_lenient = self._is_lenient(package)
            if package.owner in world.being_built:
                found.append(Demand("", (package.owner,)))
            if world.is_there(package):
                for text in split_relations(package.binary.depends):
                    demand = world.resolve(text, architecture, build=False)
                    if demand is not None:
                        found.append(demand)
        if is_lenient:
            return [
                one if one.providers else Demand(one.text, world.find_gone(one.text, architecture)) for one in found
            ]
        return found

    def _is_lenient(self, package: Package) -> bool:
        return self.lenient or package.owner in self.world.being_built

    def _choose(self, number: int, place: int, demand: Demand) -> None:
        """Choose the first provider of a demand that is not known to be broken."""
        position = max(self._chosen.get((number, place), 0), 0)
        while position < len(demand.providers) and demand.providers[position] in self.broken:
            position += 1
        self._chosen[number, place] = position
        if position < len(demand.providers):
            provider = demand.providers[position]
            self._visit(provider)
            self.users[provider].append(number)
        elif self._passes_over(number, demand):
            self._chosen[number, place] = -1
        else:
            self._failing.append((number, place))

    def _passes_over(self, number: int, demand: Demand) -> bool:
        if self.lenient:
            return True
        # What has no package any more, the package may not need once it is built; what is blocked it will need again.
        unknown = not demand.providers and number >= self._count
        return unknown and self._is_lenient(self.world.get_package(number))

    def _break(self, number: int, place: int) -> None:
        if number in self.broken:
            return
        self.broken[number] = place
        for user in dict.fromkeys(self.users.get(number, ())):
            if user in self.broken:
                continue
            for where, demand in enumerate(self.demands[user]):
                position = self._chosen.get((user, where), 0)
                if 0 <= position < len(demand.providers) and demand.providers[position] == number:
                    self._choose(user, where, demand)


def find_conflict(needs: Needs, number: int) -> tuple[str, str] | None:
    """A Build-Conflicts of a build with a package that its demands leave no way around: its text, and the package."""
    world = needs.world
    build = world.builds[number]
    texts = list(build.list_needs("conflicts"))
    if not texts:
        return None
    forced: set[int] = set()
    ahead = [number]
    while ahead:
        for demand in needs.demands.get(ahead.pop(), ()):
            usable = [provider for provider in demand.providers if provider not in needs.broken]
            # What another build needs is not installed for this one.
            if demand.text and len(usable) == 1 and usable[0] not in forced:
                forced.add(usable[0])
                ahead.append(usable[0])
    for text in texts:
        conflict = world.resolve(text, build.architecture, build=True)
        hit = next((one for one in conflict.providers if one in forced), None) if conflict else None
        if hit is not None:
            return text, world.get_package(hit).binary.name
    return None


def explain_unmet(needs: Needs, architecture: str, demand: Demand) -> str:
    """Why nothing meets a demand, as half a sentence: its text, and what is known of the names in it."""
    world = needs.world
    if demand.providers:
        return f"{demand.text}: {_explain_broken(needs, demand.providers[0])}"
    known = []
    for one in world.parse_group(demand.text):
        for package in world.list_versions(one.relation.name, architecture):
            known.append(_describe(world, package))
    told = f"; {', '.join(dict.fromkeys(known))}" if known else ""
    return f"{demand.text}: nobody provides it{told}"


def _describe(world: World, package: Package) -> str:
    if package.kind == BASE:
        return f"base has {package.version}"
    if package.kind == NEW:
        version = package.version or "an unknown version"
        if package.owner in world.being_built:
            return f"{package.binary.source} makes {version}"
        return f"{package.binary.source} would make {version}, and is blocked"
    if not world.is_there(package):
        return f"the archive has {strip_rebuild(package.binary.version)}, until {package.binary.source} is built"
    return f"the archive has {package.version}"


def _explain_broken(needs: Needs, number: int) -> str:
    """Why a package cannot be had: by the chain down to the first demand that nothing meets at all."""
    world, chain = needs.world, []
    seen: set[int] = set()
    while number not in seen:
        seen.add(number)
        if number < len(world.builds):
            build = world.builds[number]
            chain.append(f"the build of {build.source.name} is blocked")
            break
        package = world.get_package(number)
        place = needs.broken.get(number, -1)
        if place < 0:
            break
        demand = needs.demands[number][place]
        if not demand.providers:
            chain.append(f"{package.binary.name} needs {explain_unmet(needs, package.architecture, demand)}")
            break
        if demand.text:
            chain.append(f"{package.binary.name} needs {demand.text}")
        number = demand.providers[0]
    return ", and ".join(chain) or "it cannot be installed"
