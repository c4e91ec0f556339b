# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Relations between packages: what a field such as Depends says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .control import KEPT_FIELDS, LOCKED_FIELDS, Control, make_word
from .version import find_version_fault, satisfies

_RELATION = re.compile(
    r"(?P<lead>\s*)(?P<name>[A-Za-z0-9][A-Za-z0-9+._-]*)(?::(?P<qualifier>[a-z0-9][a-z0-9-]*))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|>=|>>|=|<|>)?\s*(?P<version>[A-Za-z0-9][^\s()]*)\s*\))?(?P<trail>\s*)",
    re.ASCII,
)


def check_relations(control: Control) -> None:
    """Raise ``ValueError`` with the fault if dpkg would refuse a relation."""
    for name in (*LOCKED_FIELDS, *KEPT_FIELDS, "Provides"):
        read_relations(control, name)


@dataclass(frozen=True)
class Relation:
    """One name in a relation field, with what it demands."""

    name: str
    qualifier: str | None
    operator: str | None
    version: str | None

    def __str__(self) -> str:
        qualified = self.name if self.qualifier is None else f"{self.name}:{self.qualifier}"
        return qualified if self.version is None else f"{qualified} ({self.operator or '='} {self.version})"

    def accepts(self, version: str) -> bool:
        """Whether a package of this name and ``version`` is meant."""
        return self.version is None or satisfies(version, self.operator or "=", self.version)

    def with_bound(self, operator: str | None, version: str) -> Relation:
        """The same name with another demand."""
        return Relation(self.name, self.qualifier, operator, version)


def read_relations(control: Control, name: str) -> list[Relation]:
    """All relations of a field, alternatives in a row; ``ValueError`` with the fault."""
    return [relation for group in read_groups(control, name) for relation in group]


def read_groups(control: Control, name: str) -> list[list[Relation]]:
    """The demands of a field, each with its alternatives; ``ValueError`` with the fault."""
    value = control.get(name)
    if not value:
        return []
    if control.is_folded(name):
        raise ValueError(f"its {name} begins on the line after, which dpkg does not take")
    found = [[parse_relation(text, name)[1] for text in group.split("|")] for group in value.split(",")]
    if name not in LOCKED_FIELDS and any(len(group) > 1 for group in found):
        raise ValueError(f"its {name} has alternatives, which dpkg does not allow there")
    return found


def parse_relation(text: str, where: str) -> tuple[str, Relation, str]:
    """One relation with the blanks before and after it; ``where`` is the field, for the refusal."""
    match = _RELATION.fullmatch(text)
    fault = None if match is None or match["version"] is None else find_version_fault(match["version"])
    if match is None or fault:
        raise ValueError(f"its {where} has '{make_word(text)}', which is not a relation")
    return (
        match["lead"],
        Relation(match["name"], match["qualifier"], match["operator"], match["version"]),
        match["trail"],
    )
