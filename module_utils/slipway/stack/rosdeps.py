# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rosdeps: which Debian packages the keys of manifests stand for, on each platform.

What a key stands for is a text (``libfoo-dev bar (>= 1)``), a list of such, or a mapping whose keys are names of
platforms, their versions, distributions, or ``*`` for all others; ``null`` says that there is none. The ``rosdep.yaml``
of a stack has the same form. A script, as the first rosdeps were, is no list of packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..deb.relations import Relation, parse_relation

#: What a value may be: as YAML has it.
Data = object
NAME = r"[a-z0-9][a-z0-9+.-]*"
PLATFORM_NAME = re.compile(r"[a-z][a-z0-9.+-]*\Z", re.ASCII)
MAX_DEPTH = 4
_RELATION = re.compile(
    rf"(?P<name>{NAME}(?::[a-z0-9-]+)?)"
    r"(?:=(?P<equal>[^\s,|()\[\]]*)|\s*\((?P<bound>[^()]*)\))?(?:\s*\[(?P<places>[a-z0-9! -]+)\])?",
    re.ASCII,
)
_OR = re.compile(r"\s*\|\s*")
_GAP = re.compile(r"[\s,]*")


@dataclass(frozen=True)
class Platform:
    """A release of an operating system; ``version`` and ``distribution`` may be empty."""

    name: str
    version: str = ""
    distribution: str = ""


@dataclass
class Resolved:
    """The relations of each platform that a stack supports, and what there is to say."""

    relations: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_platforms(values: Iterable[object]) -> list[Platform]:
    """Platforms as modules are given them: names, or mappings with ``name``, ``version`` and ``distribution``."""
    found = []
    for value in values:
        fields = value if isinstance(value, Mapping) else {"name": value}
        found.append(Platform(*(str(fields.get(name) or "") for name in ("name", "version", "distribution"))))
    return found


def resolve_keys(
    keys: Mapping[str, str],
    data: Mapping[str, Data],
    *,
    platforms: Sequence[Platform],
    implicit: Sequence[str] = (),
) -> Resolved:
    """What the ``keys``, each with the name of who needs it, and ``implicit`` relations stand for."""
    resolved = Resolved()
    unknown = [key for key in keys if key not in data]
    resolved.faults += [f"the rosdep key {key} of {keys[key]} is in no rosdep data" for key in sorted(unknown)]
    always = _read(implicit, "the implicit packages", resolved.faults)
    for platform in platforms:
        found, absent = set(always), []
        for key in sorted(keys.keys() - set(unknown)):
            value = choose(data[key], platform)
            if value is None or _is_script(value):
                absent.append(key)
            else:
                found.update(_read(value, f"the rosdep key {key} on {platform.name}", resolved.faults))
        if absent:
            resolved.remarks.append(f"{platform.name} is not supported: it has nothing for {', '.join(absent)}")
        else:
            resolved.relations[platform.name] = sorted(found)
    resolved.faults = list(dict.fromkeys(resolved.faults))
    if platforms and not resolved.relations and not resolved.faults:
        resolved.faults += [f"no platform is supported: {remark}" for remark in resolved.remarks]
    return resolved


def choose(value: Data, platform: Platform, depth: int = 0) -> str | list[object] | None:
    """What a value says for a platform; ``None`` if nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, Mapping) or depth > MAX_DEPTH:
        return None
    for name in (platform.name, platform.version, platform.distribution):
        if name and name in value:
            return choose(value[name], platform, depth + 1)
    for name in ("apt", "packages"):
        if name in value:
            return choose(value[name], platform, depth + 1)
    if not platform.distribution:
        # A platform may be known by its name alone; no two distributions have one of the same name.
        for name in ("debian", "ubuntu"):
            inner = value.get(name)
            if isinstance(inner, Mapping) and (found := choose({**inner, "*": None}, platform, depth + 1)) is not None:
                return found
    return choose(value["*"], platform, depth + 1) if "*" in value else None


def _is_script(value: object) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("#!")


def _read(value: object, where: str, faults: list[str]) -> list[str]:
    texts = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    found = []
    for text in texts:
        try:
            if not isinstance(text, str):
                raise ValueError(f"{text!r} is no text")
            found += split_relations(text)
        except ValueError as error:
            faults.append(f"{where}: {error}")
    return found


def split_relations(text: str) -> list[str]:
    """The relations in a text that has them behind each other, or behind commas, in their plain form.

    ``name=version`` is ``name (= version)``. What is no relation is a ``ValueError``.
    """
    found, place = [], _skip(_GAP, text, 0)
    while place < len(text):
        group, place = _read_group(text, place)
        found.append(group)
        after = _skip(_GAP, text, place)
        if after == place and place < len(text):
            raise ValueError(_refuse(text[place:]))
        place = after
    return found


def _read_group(text: str, place: int) -> tuple[str, int]:
    choices = []
    while True:
        match = _RELATION.match(text, place)
        if match is None:
            raise ValueError(_refuse(text[place:]))
        choices.append(_format_relation(match))
        place = match.end()
        more = _OR.match(text, place)
        if more is None:
            return " | ".join(choices), place
        place = more.end()


def _format_relation(match: re.Match[str]) -> str:
    bound = match["bound"] if match["equal"] is None else f"= {match['equal']}"
    written = match["name"] if bound is None else f"{match['name']} ({bound})"
    try:
        relation: Relation = parse_relation(written, "")[1]
    except ValueError:
        raise ValueError(_refuse(match.group())) from None
    places = "" if match["places"] is None else f" [{' '.join(match['places'].split())}]"
    return f"{relation}{places}"


def _refuse(text: str) -> str:
    shown = " ".join(text.split())[:80]
    if "*" in text:
        return f"{shown!r} has a *, which no relation between packages can have"
    return f"{shown!r} is no relation to a Debian package, such as libfoo-dev or libfoo-dev (>= 1.2)"


def _skip(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return place if match is None else match.end()
