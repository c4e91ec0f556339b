# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release policy as a whole: its products, and what counts for all of them.

A section is in a file of its own, with a function ``read_<section>(value, where)`` that returns what it
says and the faults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .approval import Approval, read_approval
from .bills import Bills, read_bills
from .compression import Compression, read_compression
from .extras import read_extras
from .gates import Gates, read_gates
from .held import Held, read_held
from .lists import read_lists
from .notes import read_notes
from .rules import read_rules
from .schedule import Schedule, read_schedule
from .supported import Support, read_supported
from .values import describe_kind, find_key_faults, name_place, read_line, read_texts, show, suggest, to_plain
from .waivers import Waiver, read_waivers

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
#: Whether a release is made again before it becomes current.
REQUIRED = "required"


def read_reproduction(value: object, where: str) -> tuple[str, list[str]]:
    """``required`` or nothing, and the faults."""
    if value in (None, "", REQUIRED):
        return str(value or ""), []
    return "", [f"{where}: it is {show(value)}, and {REQUIRED} is all that it may be"]


#: The sections of a product and of the whole; who adds one adds its field below.
PRODUCT_SECTIONS: dict[str, Callable[[object, str], tuple[Any, list[str]]]] = {
    "schedule": read_schedule,
    "supported": read_supported,
    "compression": read_compression,
    "gates": read_gates,
    "extras": read_extras,
    "bills": read_bills,
    "lists": read_lists,
    "notes": read_notes,
}
SECTIONS: dict[str, Callable[[object, str], tuple[Any, list[str]]]] = {
    "waivers": read_waivers,
    "approval": read_approval,
    "held": read_held,
    "rules": read_rules,
    "reproduction": read_reproduction,
}
PRODUCT_KEYS = ("title", "systems", *PRODUCT_SECTIONS)
POLICY_KEYS = ("products", *SECTIONS)


@dataclass(frozen=True)
class Product:
    """Some systems that are released together; without ``systems``, those that no other product names."""

    name: str
    title: str = ""
    systems: tuple[str, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    supported: Support | None = None
    compression: Compression | None = None
    gates: Gates = field(default_factory=Gates)
    extras: Any = field(default_factory=list)
    bills: Bills = field(default_factory=Bills)
    lists: Any = field(default_factory=list)
    notes: Any = field(default_factory=dict)

    def matches(self, system: str) -> bool:
        """Whether one of its patterns is for this system."""
        return any(fnmatchcase(system, pattern) for pattern in self.systems)


@dataclass(frozen=True)
class Policy:
    """All products, the one of the project's other systems among them, and what counts for every release."""

    project: str
    products: tuple[Product, ...] = ()
    waivers: Sequence[Waiver] = ()
    approval: Approval = field(default_factory=Approval)
    held: Sequence[Held] = ()
    rules: Any = field(default_factory=dict)
    reproduction: str = ""

    def describe(self) -> dict[str, Any]:
        """What counts for every release, as plain data."""
        return {name: to_plain(getattr(self, name)) for name in SECTIONS}


def read_policy(value: object, *, project: str) -> tuple[Policy, list[str]]:
    """Read ``release_policy`` and list every fault.

    Systems that no product names are of the one that is called as the project.
    """
    where = "release_policy"
    if value is None or value == {}:
        return Policy(project, (Product(project, project),)), []
    if not isinstance(value, dict):
        return Policy(project), [f"{where}: it is {describe_kind(value)}, not a mapping"]
    faults = find_key_faults(value, POLICY_KEYS, where)
    products, wrong = _read_products(value.get("products"), f"{where}.products", project=project)
    faults += wrong
    sections = {}
    for name, reader in SECTIONS.items():
        sections[name], wrong = reader(value.get(name), f"{where}.{name}")
        faults += wrong
    policy = Policy(project, tuple(products), **sections)
    return policy, [*faults, *_find_rule_faults(policy, f"{where}.rules")]


def _find_rule_faults(policy: Policy, where: str) -> list[str]:
    """Rules for pages that are those of a product that there is not."""
    names = [product.name for product in policy.products]
    return [
        f"{where}.pages[{number}].product: there is no product {show(rule['product'])}"
        f"{suggest(str(rule['product']), names)}; known are {', '.join(names)}"
        for number, rule in enumerate(getattr(policy.rules, "pages", ()))
        if rule.get("product") and rule["product"] not in names
    ]


def _read_products(value: object, where: str, *, project: str) -> tuple[list[Product], list[str]]:
    if value is not None and not isinstance(value, dict):
        return [], [f"{where}: it is {describe_kind(value)}, not a mapping of products by their names"]
    products, faults = [], []
    for name, said in (value or {}).items():
        product, wrong = _read_product(name, said, name_place(where, name), project=project)
        products += [product] if name == project or NAME.match(product.name) else []
        faults += wrong
    if all(product.name != project for product in products):
        products.append(Product(project, project))
    return products, faults


def _read_product(name: object, value: object, where: str, *, project: str) -> tuple[Product, list[str]]:
    own = name == project
    faults = []
    if not own and (not isinstance(name, str) or not NAME.match(name)):
        faults.append(f"{where}: {show(name)} is no name of a product; use small letters, digits and hyphens")
    if value is None:
        value = {}
    if not isinstance(value, dict):
        return Product(str(name)), [*faults, f"{where}: it is {describe_kind(value)}, not a mapping"]
    faults += find_key_faults(value, PRODUCT_KEYS, where)
    title = str(name)
    if value.get("title") is not None:
        title, wrong = read_line(value["title"], f"{where}.title")
        faults += wrong
    systems, wrong = _read_patterns(value.get("systems"), f"{where}.systems", own=own)
    faults += wrong
    sections = {}
    for section, reader in PRODUCT_SECTIONS.items():
        sections[section], wrong = reader(value.get(section), f"{where}.{section}")
        faults += wrong
    return Product(str(name), title, tuple(systems), **sections), faults


def _read_patterns(value: object, where: str, *, own: bool) -> tuple[list[str], list[str]]:
    if own:
        wrong = [] if value is None else [f"{where}: leave it out; the project's own product has what no other names"]
        return [], wrong
    wanted = "names or patterns of systems, such as [genivi-*]"
    if value is None or value in ([], ""):
        found = "missing" if value is None else "empty"
        return [], [f"{where}: it is {found}, not a list of {wanted}"]
    return read_texts(value, where, wanted)


def assign_systems(policy: Policy, systems: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The product of each system by its name, and the faults: systems of two products, products without systems."""
    found, faults = {}, []
    for system in systems:
        names = [product.name for product in policy.products if product.matches(system)]
        if len(names) > 1:
            faults.append(f"the system {system} is of the products {' and '.join(names)}; it can be of one only")
        found[system] = names[0] if names else policy.project
    faults += [
        f"release_policy.products.{product.name}.systems: no system of the cluster is called "
        f"{' or '.join(product.systems)}; there are {', '.join(sorted(systems))}"
        for product in policy.products
        if product.systems and not any(product.matches(system) for system in systems)
    ]
    return found, faults


def describe_product(product: Product, *, systems: Sequence[str]) -> dict[str, Any]:
    """A product with the names of its systems, as plain data."""
    return {**to_plain(product), "systems": list(systems)}
