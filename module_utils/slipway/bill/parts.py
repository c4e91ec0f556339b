# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bill of materials is to be made of, as plain data that goes to the program that makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What an identifier in SPDX may have besides letters and digits is a dot and a hyphen.
NO_IDENTIFIER = re.compile(r"[^A-Za-z0-9.-]+")
UNNAMED = "element"


@dataclass(frozen=True)
class Part:
    """A part of a system: its name, its sources as BuildStream tells them, and the names of the parts below it.

    ``licences`` are those that were found in its sources, and ``declared`` is the one that it is under as a whole, as
    far as they are known.
    """

    name: str
    sources: tuple[Mapping[str, Any], ...] = ()
    below: tuple[str, ...] = ()
    kind: str = "element"
    licences: tuple[str, ...] = ()
    declared: str = ""


@dataclass(frozen=True)
class Job:
    """One bill, to be written to ``spdx`` and ``cdx``.

    ``parts`` begin with the system itself, which contains those that ``contained`` names. ``tree`` has what Debian's
    packages say of themselves below their usual paths; ``index`` is an index of packages of the ``architecture``, as
    Debian calls it. ``stacks`` say by the name of a source package where its source is from.
    """

    name: str
    version: str
    epoch: int
    spdx: Path
    cdx: Path
    parts: Sequence[Part] = ()
    contained: Sequence[str] = ()
    tree: Path | None = None
    index: Path | None = None
    architecture: str = ""
    stacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """What the program reads."""
        ids = make_identifiers([part.name for part in self.parts])
        return {
            "name": self.name,
            "id": NO_IDENTIFIER.sub("-", self.name) or UNNAMED,
            "version": self.version,
            "epoch": self.epoch,
            "spdx": str(self.spdx),
            "cdx": str(self.cdx),
            "elements": [
                {
                    "id": ids[part.name],
                    "name": part.name,
                    "kind": part.kind,
                    "sources": [dict(source) for source in part.sources],
                    "below": [ids[name] for name in part.below if name in ids],
                    "licences": list(part.licences),
                    "declared": part.declared,
                }
                for part in self.parts
            ],
            "contained": [ids[name] for name in self.contained],
            "tree": None if self.tree is None else str(self.tree),
            "index": None if self.index is None else str(self.index),
            "architecture": self.architecture,
            "stacks": {name: dict(said) for name, said in self.stacks.items()},
        }


def make_identifiers(names: Sequence[str]) -> dict[str, str]:
    """An identifier for each name that no other has, nor any that is made of another's by a hyphen and a number.

    It is the same for the same names, and reads like the name where that has only what identifiers may have.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = f"part-{NO_IDENTIFIER.sub('-', name).strip('-') or UNNAMED}"
        plain = f"{plain}." if plain[-1].isdigit() else plain
        number, identifier = 1, plain
        while identifier in taken:
            number += 1
            identifier = f"{plain}.{number}."
        found[name] = identifier
        taken.add(identifier)
    return found
