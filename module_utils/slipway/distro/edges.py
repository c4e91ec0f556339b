# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build that succeeds invalidates, by the policy for its edges.

``transitive``
    everything that depends on what was built, directly or not, by run or build edges (what the ROS tools do)
``direct``
    what depends on it directly
``abi``
    the same, if what others link with changed: the names of its library packages are not those in the archive, or it
    is named as ``abi_changed``
``build``
    builds that need it, directly or through what their build dependencies depend on, and so on
``none``
    nothing
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .needs import Needs
from .world import Build

BUILD, RUN = "build", "run"
#: How many packages of a way are told.
MOST_THROUGH = 24
POLICIES = ("transitive", "direct", "abi", "build", "none")


@dataclass(frozen=True)
class Policy:
    """What counts for builds; ``sources`` have policies of their own, ``abi_changed`` names sources."""

    default: str = "transitive"
    sources: Mapping[str, str] | None = None
    abi_changed: Collection[str] = ()

    def find(self, source: str) -> str:
        """The policy for what is built of a source."""
        return (self.sources or {}).get(source, self.default)


class Cause(NamedTuple):
    """Why a build is done again: the build before, and the packages from that one's own to the one it needs."""

    by: int
    edge: str
    through: tuple[str, ...]


class Dependents:
    """The builds that depend on each build, by the edges of a graph; only ``candidates`` are built again."""

    def __init__(self, needs: Needs, *, candidates: Collection[int]) -> None:
        self._world = needs.world
        self._candidates = candidates
        self._made: dict[int, list[int]] = {}
        self._built_with: dict[int, list[int]] = {}
        self._run_with: dict[int, list[int]] = {}
        self._known: dict[int, list[tuple[int, Cause]]] = {}
        count = len(self._world.builds)
        for number in sorted(needs.users):
            if number >= count:
                owner = self._world.get_package(number).owner
                if owner >= 0:
                    self._made.setdefault(owner, []).append(number)
                users = sorted({*needs.users[number]})
                self._built_with[number] = [user for user in users if user < count and user in candidates]
                self._run_with[number] = [user for user in users if user >= count]

    def list_next(
        self, build: Build, policy: Policy, *, first: bool, seen: set[int] | None = None
    ) -> list[tuple[int, Cause]]:
        """What the success of a build invalidates at once; ``first`` is for what is built by itself.

        Packages that are ``seen`` are not walked through again, where a policy walks through them.
        """
        kind = choose_kind(build, policy, first=first)
        if kind == "none":
            return []
        if kind == BUILD:
            return list(self._walk_builds(build.number, set() if seen is None else seen))
        # Those of the other policies are the same, and what they lead to is not asked here.
        if build.number not in self._known:
            self._known[build.number] = list(self._walk(build.number))
        return self._known[build.number]

    def list_causes(self, numbers: Collection[int], seeds: Collection[int], policy: Policy) -> dict[int, list[int]]:
        """For each build those among ``numbers`` whose success invalidates it at once.

        Not those that it needs to build in any case, by a policy that goes by that.
        """
        causes: dict[int, list[int]] = {}
        for number in sorted(numbers):
            build = self._world.builds[number]
            if choose_kind(build, policy, first=number in seeds) == "transitive":
                for other, _cause in self.list_next(build, policy, first=number in seeds):
                    causes.setdefault(other, []).append(number)
        return causes

    def _walk(self, build: int) -> Iterator[tuple[int, Cause]]:
        """The builds that are done with the packages of a build, or make packages that depend on them.

        Packages that are not built again, such as the platform's, are walked through.
        """
        get_package, candidates = self._world.get_package, self._candidates
        found = {build}
        ahead = self._start(build)
        seen = {number for number, _through in ahead}
        while ahead:
            number, through = ahead.popleft()
            for user in self._built_with.get(number, ()):
                if user not in found:
                    found.add(user)
                    yield user, Cause(build, BUILD, through)
            for user in self._run_with.get(number, ()):
                package = get_package(user)
                if package.owner in candidates:
                    if package.owner not in found:
                        found.add(package.owner)
                        yield package.owner, Cause(build, RUN, through)
                elif user not in seen:
                    seen.add(user)
                    ahead.append((user, (*through, package.binary.name)))

    def _walk_builds(self, build: int, seen: set[int]) -> Iterator[tuple[int, Cause]]:
        """The builds that are done with the packages of a build, or with what depends on them."""
        found = {build}
        ahead = deque((number, through) for number, through in self._start(build) if number not in seen)
        seen.update(number for number, _through in ahead)
        while ahead:
            number, through = ahead.popleft()
            for user in self._built_with.get(number, ()):
                if user not in found:
                    found.add(user)
                    yield user, Cause(build, BUILD, through)
            for user in self._run_with.get(number, ()):
                if user not in seen:
                    seen.add(user)
                    ahead.append((user, _join(through, self._world.get_package(user).binary.name)))

    def _start(self, build: int) -> deque[tuple[int, tuple[str, ...]]]:
        """The packages of a build, each with the beginning of a way."""
        made = self._made.get(build, ())
        return deque((number, (self._world.get_package(number).binary.name,)) for number in made)

    def make_spread(self, numbers: Iterable[int], policy: Policy) -> dict[int, list[int]]:
        """To what each build that is done again leads, as a graph; where a policy walks through packages, by them."""
        spread: dict[int, list[int]] = {}
        through: list[int] = []
        for number in numbers:
            build = self._world.builds[number]
            if choose_kind(build, policy, first=False) == BUILD:
                spread[number] = self._made.get(number, [])
                through += spread[number]
            else:
                spread[number] = [other for other, _cause in self.list_next(build, policy, first=False)]
        while through:
            number = through.pop()
            if number not in spread:
                users = self._run_with.get(number, [])
                spread[number] = [*self._built_with.get(number, ()), *users]
                through += users
        return spread


def choose_kind(build: Build, policy: Policy, *, first: bool) -> str:
    """What counts for what depends on a build: ``transitive``, ``build`` or ``none``."""
    kind = policy.find(build.source.name)
    if kind == "abi":
        changed = build.source.name in policy.abi_changed or (first and build.has_new_libraries())
        return "transitive" if changed else "none"
    if kind == "direct":
        return "transitive" if first else "none"
    return kind


def _join(through: tuple[str, ...], *names: str) -> tuple[str, ...]:
    """A way with more packages; of a long one the first and the last."""
    whole = (*through, *names)
    return whole if len(whole) <= MOST_THROUGH else (*whole[:1], *whole[1 - MOST_THROUGH :])


def find_invalidated(
    dependents: Dependents, builds: list[Build], seeds: Iterable[int], policy: Policy
) -> dict[int, Cause]:
    """What is built again because of ``seeds``, each with its nearest cause; seeds too, if others lead to them."""
    causes: dict[int, Cause] = {}
    starts = sorted(seeds)
    started = set(starts)
    ahead = deque((number, True) for number in starts)
    seen: set[int] = set()
    while ahead:
        number, first = ahead.popleft()
        for other, cause in dependents.list_next(builds[number], policy, first=first, seen=seen):
            if other not in causes:
                causes[other] = cause
                if other not in started:
                    ahead.append((other, False))
    return causes


def trace_causes(causes: Mapping[int, Cause], seeds: Collection[int]) -> dict[int, tuple[int, tuple[str, ...]]]:
    """The seed that each build is done again for, and the packages from the seed's to the one that it needs.

    ``causes`` has what comes first before what follows. Of a long way there are the first and the last packages.
    """
    found: dict[int, tuple[int, tuple[str, ...]]] = {}
    for number, cause in causes.items():
        seed, through = (cause.by, ()) if cause.by in seeds else found[cause.by]
        found[number] = seed, _join(through, *cause.through)
    return found
