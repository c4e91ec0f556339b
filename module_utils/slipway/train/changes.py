# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed of a product since its last release: artifact keys of its systems, and sources of its components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import SlipwayError, refuse
from ..escape import redacted
from ..git.remote import COMMIT
from ..notes.components import find_components, find_other_sources
from ..plan.definitions import Definitions, open_commit
from ..plan.systems import list_parts_at
from ..policy.due import Changes
from ..policy.schema import Policy, Product, assign_systems

Plan = Mapping[str, Any]


@dataclass
class Snapshot:
    """The definitions at one commit, and the systems of each product there."""

    definitions: Definitions
    cluster: str
    policy: Policy

    @cached_property
    def parts(self) -> Mapping[str, Sequence[Plan]]:
        """The systems that files are made of, each with those that are parts of it."""
        return list_parts_at(self.definitions.repository, self.definitions.commit, cluster=self.cluster)

    def list_products(self) -> list[str]:
        """The names of the products that have systems here; what is wrong with that is refused."""
        product_of, faults = assign_systems(self.policy, list(self.parts))
        refuse(
            "find out what is due by",
            f"release_policy and {self.cluster} at {self.definitions.commit[:12]}",
            faults,
            several="faults",
            do_next="Nothing was changed. Correct this and run again.",
        )
        return list(dict.fromkeys(product_of.values()))

    def list_systems(self, product: Product) -> dict[str, Plan]:
        """A product's systems and their parts by their names."""
        product_of, _unused = assign_systems(self.policy, list(self.parts))
        mine = [parts for system, parts in self.parts.items() if product_of[system] == product.name]
        return {part["name"]: part for parts in mine for part in parts}


@contextmanager
def open_snapshot(url: str, commit: str, *, cluster: str, policy: Policy) -> Iterator[Snapshot]:
    """The definitions at a commit of a repository."""
    if not COMMIT.match(commit):
        raise SlipwayError("read the definitions at", repr(commit), "it is no commit", do_next="Correct it.")
    with ExitStack() as stack:
        repository = stack.enter_context(open_commit(url, commit))
        name = f"{redacted(url)} at {commit[:12]}"
        yield Snapshot(Definitions(repository, commit, name), cluster, policy)


def find_changes(
    product: Product, before: Snapshot, now: Snapshot, *, manifest: Plan, keys: Mapping[str, str] | None
) -> Changes:
    """What differs between two commits; ``keys`` are the systems' artifact keys now, ``manifest`` has those of before.

    Where keys are not known, which is what only a build tool knows, a system has changed if what the definitions say of
    it has; that is told with the changes.
    """
    old, new = before.list_systems(product), now.list_systems(product)
    files = [[str(system["file"]) for system in each.values()] for each in (old, new)]
    sources = find_other_sources(
        find_components(before.definitions, files[0]), find_components(now.definitions, files[1])
    )
    if product.schedule.systems is None:
        return Changes(None, sources)
    systems, without_keys = _find_systems(old, new, before, now, manifest=manifest, keys=keys)
    return Changes(systems, sources, tuple(without_keys))


def _find_systems(
    old: Mapping[str, Plan], new: Mapping[str, Plan], before: Snapshot, now: Snapshot, *, manifest: Plan, keys: Any
) -> tuple[list[str], list[str]]:
    """The systems that have changed, and those that were judged without keys."""
    listed = manifest.get("systems")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    recorded = {str(entry.get("name")): entry.get("key") for entry in entries}
    changed, without_keys = list(old.keys() ^ new.keys()), []
    for name in old.keys() & new.keys():
        if keys and keys.get(name) and recorded.get(name):
            same = keys[name] == recorded[name]
        else:
            without_keys.append(name)
            same = (
                find_components(before.definitions, [old[name]["file"]]).said
                == find_components(now.definitions, [new[name]["file"]]).said
            )
        if not same:
            changed.append(name)
    return sorted(changed), sorted(without_keys)
