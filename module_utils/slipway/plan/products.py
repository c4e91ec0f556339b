# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which products a release is of, by the site's policy, and what that means for each of its files."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SlipwayError
from ..policy.bills import list_bills
from ..policy.extras import list_extras
from ..policy.schema import Policy, Product, assign_systems, describe_product, read_policy
from ..policy.values import suggest, to_plain
from ..release.records import Record
from .cluster import Cluster
from .request import Plan
from .systems import ResolvedSystems


@dataclass(frozen=True)
class Shares:
    """The product of each system by its name, and the names of the products that take part.

    ``begun`` is what the version's record says of its products; None if it has not begun.
    """

    policy: Policy
    product_of: Mapping[str, str]
    chosen: Sequence[str]
    faults: Sequence[str]
    begun: Sequence[Plan] | None = None

    def limit(self, cluster: Cluster, resolved: ResolvedSystems) -> Cluster:
        """The cluster with the systems that take part, and with those that have faults of their own."""
        names = {each.where: resolved.get_name(each.where) for each in cluster.systems}
        left = {where for where, name in names.items() if name and self.product_of.get(name) not in self.chosen}
        return replace(cluster, systems=tuple(each for each in cluster.systems if each.where not in left))

    def mark(self, deployments: Sequence[Plan], *, system: str = "system_name") -> list[Plan]:
        """The deployments with their products."""
        return [{**each, "product": self.product_of[each[system]]} for each in deployments]

    def mark_compressed(self, deployments: Sequence[Plan]) -> list[Plan]:
        """The same, and with how their products compress them, if these say so."""
        return [{**each, **self._describe_compression(each["product"])} for each in self.mark(deployments)]

    def _describe_compression(self, name: str) -> Plan:
        compression = next(each.compression for each in self.policy.products if each.name == name)
        if compression is None:
            return {}
        level = {} if compression.level is None else {"compression_level": compression.level}
        return {"compression": compression.method, **level}

    def list_extras(self, deployments: Sequence[Plan], *, label: str, bills: bool) -> tuple[list[Plan], list[str]]:
        """The extra files of the products that take part, beside these deployments, and the faults.

        ``bills`` is whether those of products that do not say it have bills of materials.
        """
        taking = [product for product in self.policy.products if product.name in self.chosen]
        made = [
            entry
            for each in taking
            for entry in list_bills(each.bills, each.extras, each.name, deployments, label=label, default=bills)
        ]
        return list_extras({each.name: each.extras for each in taking}, deployments, label=label, more=made)

    def describe(self, made: Collection[str]) -> dict[str, Any]:
        """What a plan says: the products of which files are made, those of which none are, and what counts for all.

        ``made`` are the names of the systems of which files are made.
        """
        systems = {
            product.name: [system for system in made if self.product_of[system] == product.name]
            for product in self.policy.products
        }
        taking = [product for product in self.policy.products if systems[product.name]]
        left_out = sorted(set(self.product_of.values()) - {product.name for product in taking})
        return {
            "products": [describe_product(product, systems=systems[product.name]) for product in taking],
            "left_out": left_out,
            "published": self._describe_published(taking, left_out),
            "policy": self.policy.describe(),
        }

    def _describe_published(self, taking: Sequence[Product], left_out: Sequence[str]) -> list[Plan]:
        """What a manifest says of the products; nothing where there is but the project itself, as it is by default."""
        if self.begun is not None:
            return list(self.begun)
        said = [
            {"name": product.name, "title": product.title, "supported": to_plain(product.supported)}
            for product in taking
        ]
        plain = [{"name": self.policy.project, "title": self.policy.project, "supported": None}]
        return said if said != plain or left_out else []


def share_systems(
    policy_value: object,
    *,
    project: str,
    systems: Sequence[str],
    records: Mapping[str, Record],
    wanted: Sequence[str] = (),
    today: datetime.date | None = None,
) -> Shares:
    """Find each system's product, and which products take part.

    ``wanted`` limits the release to some of them. A version that has begun goes on with those that it has begun with,
    and with what was said of them then; otherwise support that ended before ``today`` is a fault.
    """
    begun = _find_begun(records)
    policy, faults = read_policy(_keep_own(policy_value, project) if begun == [] else policy_value, project=project)
    product_of, wrong = assign_systems(policy, systems) if policy.products else ({}, [])
    chosen, odd = _choose(policy, wanted, begun)
    faults = [*faults, *wrong, *odd]
    if begun is None:
        day = today or datetime.datetime.now(datetime.UTC).date()
        faults += [
            fault
            for product in policy.products
            if product.name in chosen and product.supported is not None
            for fault in product.supported.find_past(day, f"release_policy.products.{product.name}.supported")
        ]
    if systems and not faults and not any(product_of[system] in chosen for system in systems):
        faults.append(f"no system of the cluster is of {' or '.join(chosen)}; leave release_products out")
    return Shares(policy, product_of, chosen, faults, begun)


def read_wanted(value: object) -> list[str]:
    """The products of ``-e products=a,b``, or of a list."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise SlipwayError(
            "plan",
            "the release",
            f"release_products is {value!r}, not names of products",
            do_next="Nothing was changed. Give a list, or names with commas, such as -e products=base,genivi.",
        )
    return [name.strip() for name in listed if name.strip()]


def _find_begun(records: Mapping[str, Record]) -> list[Plan] | None:
    """The products that a version has begun with: none if there were no others then; None if it has not begun."""
    if "preflight" not in records or not {"branch", "package"} & records.keys():
        return None
    return list_recorded(records["preflight"])


def list_recorded(preflight: Record) -> list[Plan]:
    """The products that a record of preflight has, with name, title and support; none if it does not say."""
    return list(preflight["inputs"].get("products") or [])


def _keep_own(value: object, project: str) -> object:
    """The policy as it is for a version that has no product but the project itself."""
    products = value.get("products") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(products, dict):
        return value
    return {**value, "products": {name: said for name, said in products.items() if name == project}}


def _choose(policy: Policy, wanted: Sequence[str], recorded: Sequence[Plan] | None) -> tuple[list[str], list[str]]:
    known = [product.name for product in policy.products]
    begun = [product["name"] for product in recorded or ()]
    faults = [
        f"release_products: there is no product {name!r}{suggest(name, known)}; known are {', '.join(known)}"
        for name in wanted
        if name not in known
    ]
    if not begun:
        return [name for name in known if name in wanted or not wanted], faults
    if wanted and set(wanted) != set(begun):
        faults.append(
            f"release_products is {', '.join(sorted(wanted))} now, but this version was begun with "
            f"{', '.join(sorted(begun))}; leave it out to go on with those, or release under another version"
        )
    faults += [
        f"this version was begun with the product {name!r}, which is not in release_policy any more; put it back"
        for name in begun
        if name not in known
    ]
    return [name for name in known if name in begun], faults
