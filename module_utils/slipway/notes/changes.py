# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed in the definitions since the release before: commits, and components old and new, for each product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..git.history import fetch_history, list_commits, list_releases
from ..plan.definitions import Definitions
from ..plan.products import list_recorded
from ..release.records import load_record
from .components import Components, compare_components, find_components

#: The products of a version that does not say so.
Versions = Mapping[str, Sequence[str]]


def find_changes(
    url: str,
    commit: str,
    *,
    project: str,
    version: str,
    systems: Sequence[str] = (),
    products: Mapping[str, Sequence[str]] | None = None,
    versions: Versions | None = None,
    taking: Sequence[str] = (),
    fixed_since: str | None = None,
    limit: int = 200,
) -> dict[str, Any]:
    """What changed in all ``systems`` (their files), and for each of ``products`` in its own.

    A product's release before is the last one that it took part in, by ``versions``: the products of each version.
    ``fixes`` are the commits on the release branch since ``fixed_since``, and ``before`` the version before of each of
    the products ``taking`` part.
    """
    products, versions = products or {}, versions or {}
    releases = list_releases(url, project)
    last = {
        name: releases.find_before(version, [each for each in releases.tags if name in versions.get(each, (name,))])
        for name in [*products, *taking]
    }
    before = {"": releases.find_before(version), **{name: last[name] for name in products}}
    others = [releases.commits[each] for each in before.values() if each is not None]
    with fetch_history(url, commit, others) as repository:
        read = _Reader(repository)
        found = {
            name: read.describe(
                commit,
                releases.commits[previous] if previous else None,
                systems=systems if name == "" else products[name],
                limit=limit,
                within=name != "",
            )
            | {"previous": releases.tags[previous] if previous else None}
            for name, previous in before.items()
        }
        fixes = list_commits(repository, commit, before=fixed_since, limit=limit)[0] if fixed_since else []
    return {**found.pop(""), "products": found, "fixes": fixes, "before": {name: last[name] for name in taking}}


def read_products(releases: Path, project: str) -> dict[str, list[str]]:
    """The names of the products of each version that is on record here and was of some."""
    found = {}
    for path in sorted(releases.glob("*/records/preflight.json")):
        try:
            record = load_record(path)
        except SlipwayError:
            continue  # it is the business of a run that is about it
        products = list_recorded(record)
        if record["project"] == project and products:
            found[str(record["version"])] = [str(product["name"]) for product in products]
    return found


class _Reader:
    """Reads components of commits in a repository, each once."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.known: dict[tuple[str, tuple[str, ...]], Components] = {}

    def describe(
        self, commit: str, before: str | None, *, systems: Iterable[str], limit: int, within: bool
    ) -> dict[str, Any]:
        """The commits since ``before``, ``within`` what the systems are made of or all, and components old and new."""
        files = tuple(systems)
        now = self.read(commit, files)
        old = self.read(before, files) if before else Components()
        paths = now.paths | old.paths if within else None
        changes, total = list_commits(self.repository, commit, before=before, limit=limit, paths=paths)
        components = compare_components(old, now) if before else []
        return {"changes": changes, "total": total, "components": components}

    def read(self, commit: str, systems: tuple[str, ...]) -> Components:
        """The components of systems at a commit."""
        if (commit, systems) not in self.known:
            definitions = Definitions(self.repository, commit, f"the definitions at {commit[:12]}")
            self.known[commit, systems] = find_components(definitions, systems)
        return self.known[commit, systems]
