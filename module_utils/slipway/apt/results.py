# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Results of builds, taken into a suite: each with what it invalidates, and all of a batch in one generation.

A result is taken whole, with all its packages and all removals, or not at all, and holds up no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import SlipwayError
from .index import Deb
from .reprepro import Archive, Outcome, Package, compare_states, find_deb_conflict, find_deb_fault

Place = tuple[str, str]


@dataclass(frozen=True)
class BuildResult:
    """The packages of a build, and the ``(package, architecture)`` that go with it, in whatever version they are there.

    ``label`` is what it is called in what is said of it.
    """

    label: str
    debs: tuple[Deb, ...]
    removed: tuple[Place, ...] = ()


@dataclass
class Taken:
    """What a batch did to a suite, and why results were refused, by their labels."""

    outcome: Outcome
    refused: dict[str, str] = field(default_factory=dict)


def plan_results(
    archive: Archive,
    suite: str,
    results: Sequence[BuildResult],
    *,
    component: str,
    held: Sequence[Package] | None = None,
) -> tuple[Taken, list[BuildResult]]:
    """What taking these results would do, and those that would be taken; ``held`` is what the suite has, if known."""
    before = archive.list_packages(suite) if held is None else held
    indexes = archive.find_suite(suite).architectures
    known = archive.list_known([deb for result in results for deb in result.debs], component=component)
    after = {(package.name, package.index): package for package in before}
    refused, taken = {}, []
    for result in results:
        changed = dict(after)
        removed = [changed.pop(place) for place in result.removed if place in changed]
        gone = {package.path for package in removed}
        usable = {path: digest for path, digest in known.items() if path not in gone}
        reason = next(_find_reasons(result, indexes, usable, changed, component=component), None)
        if reason is not None:
            refused[result.label] = reason
            continue
        for deb in result.debs:
            for index in _list_indexes(deb, indexes):
                there = changed.get((deb.name, index))
                if there is None or there.sha256 != deb.sha256:
                    changed[deb.name, index] = Package(deb.name, deb.version, deb.architecture, index, "", deb.sha256)
        after = changed
        taken.append(result)
    return Taken(compare_states(before, after.values()), refused), taken


def take_results(
    archive: Archive, suite: str, results: Sequence[BuildResult], *, component: str, timeout: float = 600.0
) -> Taken:
    """Take results into a suite, and publish it once. What reprepro itself refuses is found by halving."""
    now = before = archive.list_packages(suite)
    refused: dict[str, str] = {}
    parts = [list(results)]
    while parts:
        part = parts.pop()
        planned, taken = plan_results(archive, suite, part, component=component, held=now)
        refused |= planned.refused
        try:
            now = _apply(archive, suite, planned.outcome, taken, component=component)
        except SlipwayError as error:
            archive.recover(timeout=timeout)
            now = archive.list_packages(suite)
            if len(taken) == 1:
                refused[taken[0].label] = error.came_back
            else:
                parts += [taken[len(taken) // 2 :], taken[: len(taken) // 2]]
    return Taken(compare_states(before, now), refused)


def _find_reasons(
    result: BuildResult, indexes: Sequence[str], known: dict[str, str], there: dict[Place, Package], *, component: str
) -> Iterator[str]:
    """Why a suite that has ``there`` cannot have a result."""
    for deb in result.debs:
        if deb.architecture not in {"all", *indexes}:
            yield f"the suite has no architecture {deb.architecture}"
        yield from find_deb_fault(deb, known, component=component)
        for index in _list_indexes(deb, indexes):
            if (deb.name, index) in there:
                yield from find_deb_conflict(deb, there[deb.name, index])


def _list_indexes(deb: Deb, indexes: Sequence[str]) -> Sequence[str]:
    return indexes if deb.architecture == "all" else (deb.architecture,)


def _apply(
    archive: Archive, suite: str, plan: Outcome, results: Sequence[BuildResult], *, component: str
) -> list[Package]:
    """Remove first: reprepro knows one file of a name, and a rebuild may have the name of what goes.

    What the suite has then is returned.
    """
    if not plan.changed:
        return plan.before
    with archive.begin_change(suite):
        gone = {place for result in results for place in result.removed}
        archive.remove_places(suite, gone & {(package.name, package.index) for package in plan.before})
        archive.include_files(suite, [deb for result in results for deb in result.debs], component=component)
        return archive.confirm(suite, plan)
