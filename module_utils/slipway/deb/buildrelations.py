# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Relations of sources (``Build-Depends``): those of packages, with lists of architectures and of build profiles."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from .architectures import match_architecture
from .relations import Relation, parse_relation

_RESTRICTED = re.compile(
    r"(?P<relation>[^\[\]<>]+(?:\([^()]*\))?[^\[\]<>]*)"
    r"(?:\[(?P<architectures>[^\[\]]*)\]\s*)?(?P<profiles>(?:<[^<>]*>\s*)*)"
)
_PROFILES = re.compile(r"<([^<>]*)>")


class BuildRelation(NamedTuple):
    """One alternative, and where it counts; ``architectures`` are names or ``!names``, ``profiles`` lists of such."""

    relation: Relation
    architectures: tuple[str, ...]
    profiles: tuple[tuple[str, ...], ...]

    def applies(self, architecture: str, profiles: Collection[str]) -> bool:
        """Whether it counts on an architecture with these build profiles."""
        return accepts_architecture(self.architectures, architecture) and accepts_profiles(self.profiles, profiles)


def accepts_architecture(restriction: Collection[str], architecture: str) -> bool:
    """What ``[linux-any]`` or ``[!armel !armhf]`` says of an architecture, as dpkg reads it.

    The first word that matches counts; an empty list accepts all.
    """
    if not restriction:
        return True
    accepted = False
    for word in restriction:
        matches = match_architecture(architecture, word.lstrip("!"))
        if matches:
            return not word.startswith("!")
        accepted = accepted or word.startswith("!")  # what is not the one that is left out
    return accepted


def accepts_profiles(restriction: Collection[Collection[str]], active: Collection[str]) -> bool:
    """What ``<!nocheck> <cross stage1>`` says of the ``active`` profiles; an empty one accepts all."""
    if not restriction:
        return True
    return any(
        all((word[1:] not in active) if word.startswith("!") else (word in active) for word in words)
        for words in restriction
    )


def parse_build_group(text: str, where: str = "Build-Depends") -> tuple[BuildRelation, ...]:
    """One demand with its alternatives; ``ValueError`` with the fault."""
    return tuple(_parse_alternative(part, where) for part in text.split("|"))


def _parse_alternative(text: str, where: str) -> BuildRelation:
    match = None if "[" not in text and "<" not in text else _split_restrictions(text)
    if match is None:
        _lead, relation, _trail = parse_relation(text, where)
        return BuildRelation(relation, (), ())
    plain, architectures, profiles = match
    _lead, relation, _trail = parse_relation(plain, where)
    return BuildRelation(relation, architectures, profiles)


def _split_restrictions(text: str) -> tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]] | None:
    """The relation, the words in brackets, and those in each pair of angles."""
    bare = re.sub(r"\([^()]*\)", lambda found: "\0" * len(found[0]), text)  # << and >> are no angles
    match = _RESTRICTED.fullmatch(bare)
    if match is None or (match["architectures"] is None and not match["profiles"]):
        return None
    architectures = tuple((match["architectures"] or "").split())
    profiles = tuple(tuple(words.split()) for words in _PROFILES.findall(match["profiles"]))
    return text[: match.end("relation")], architectures, profiles
