# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system of BuildStream's is made of, by what ``bst show`` tells of its elements and their sources."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ..buildstream.command import Project, format_options, run_bst
from ..buildstream.session import extract_complaint
from ..errors import SlipwayError
from ..yamltext import read_strictly, to_plain
from .manifest import Component

FIELDS = ("full-key", "name", "build-deps", "runtime-deps", "source-info", "public")
FORMAT = "slipway\t" + "\t".join(f"%{{{name}}}" for name in FIELDS)
LOCAL = "local"
TIMEOUT = 600.0
#: What an element's public data call the part by which buildstream-sbom knows what of its build is in it.
SBOM = re.compile(r"^\s*sbom:", re.MULTILINE)


@dataclass(frozen=True)
class Element:
    """One element: its cache key, what it is built from and runs with, and its sources as BuildStream tells.

    ``kept`` is what its public data say that it keeps of what it is built from.
    """

    name: str
    key: str
    build: tuple[str, ...]
    run: tuple[str, ...]
    sources: tuple[Mapping[str, Any], ...]
    kept: tuple[str, ...] = ()

    @property
    def inside(self) -> tuple[str, ...]:
        """The elements that it brings along: one without sources is made of what it is built from."""
        return tuple(dict.fromkeys([*(() if self.sources else self.build), *self.kept, *self.run]))


@dataclass(frozen=True)
class Origin:
    """The definitions of a release: their name, the branch, and its commit."""

    name: str
    ref: str
    commit: str


def show_elements(
    project: Project, element: str, options: Mapping[str, str], *, more: Sequence[str] = ()
) -> dict[str, Element]:
    """An element, perhaps some more, and all below them, by their names; what is below comes first."""
    attempt, on = f"look at the elements of {element} in", str(project.directory)
    words = ("show", "--deps", "all", "--format", FORMAT, element, *more)
    done = run_bst(project, *format_options(options), *words, attempt=attempt, timeout=TIMEOUT)
    if done.returncode != 0:
        came_back = extract_complaint(done.stderr) or f"bst ended with status {done.returncode}"
        raise SlipwayError(attempt, on, came_back, do_next="Correct the definitions and run again.")
    found = {}
    for part in ("\n" + done.stdout).split("\nslipway\t")[1:]:
        key, name, build, run, sources, public = part.split("\t", 5)
        lists = [
            to_plain(read_strictly(text.encode(), file="what bst show wrote")) or [] for text in (build, run, sources)
        ]
        below, beside, stated = (each if isinstance(each, list) else [] for each in lists)
        kept = _read_kept(public, name) if SBOM.search(public) else ()
        found[name] = Element(name, key, tuple(below), tuple(beside), tuple(stated), kept)
    return found


def _read_kept(text: str, name: str) -> tuple[str, ...]:
    """What public data name for buildstream-sbom, by the names that elements of a junction have from outside."""
    said = to_plain(read_strictly(text.encode(), file="what bst show wrote"))
    sbom = said.get("sbom") if isinstance(said, dict) else None
    kept = sbom.get("depends-on") if isinstance(sbom, dict) else None
    junction = name.rpartition(":")[0]
    listed = [str(each) for each in kept] if isinstance(kept, list) else []
    return tuple(f"{junction}:{each}" if junction else each for each in listed)


def list_inside(elements: Mapping[str, Element], top: str) -> list[str]:
    """The names of an element and of all that are in it, in the order in which they are staged."""
    order: dict[str, Element] = {}
    _collect_parts(elements, top, order)
    return list(order)


def list_components(
    elements: Mapping[str, Element], system: str, *, origin: Origin
) -> tuple[list[Component], dict[str, str]]:
    """The parts of a system in the order in which they are staged, and the element of each chunk.

    An element with sources is a chunk. One without any is made of those that it is built from, like a stratum. What
    chunks themselves are built with is no part of the system.
    """
    order: dict[str, Element] = {}
    _collect_parts(elements, system, order)
    stems = Counter(_name_stem(name) for name in order)
    components, chunks = [], {}
    for name, element in order.items():
        normal = re.sub(r"[^A-Za-z0-9._-]", "-", name.removesuffix(".bst"))
        short = _name_stem(name) if stems[_name_stem(name)] == 1 else normal
        if name == system or not element.sources:
            kind = "system" if name == system else "stratum"
            components.append(Component(kind, normal, short, origin.name, origin.ref, origin.commit, element.key))
        if element.sources:
            chunks[short] = name
            components.append(_describe_chunk(element, normal, short, origin))
    return components, chunks


def _collect_parts(elements: Mapping[str, Element], name: str, order: dict[str, Element]) -> None:
    """Add an element's parts and then itself; without recursion, since there may be many levels."""
    ahead = [(name, False)]
    seen = {name}
    while ahead:
        current, done = ahead.pop()
        element = elements[current]
        if done:
            order[current] = element
            continue
        ahead.append((current, True))
        below = element.inside
        new = [each for each in below if each in elements and each not in seen]
        seen.update(new)
        ahead += [(each, False) for each in reversed(new)]


def _name_stem(name: str) -> str:
    return PurePosixPath(name.rpartition(":")[2]).name.removesuffix(".bst")


def _describe_chunk(element: Element, name: str, chunk: str, origin: Origin) -> Component:
    first = next((each for each in element.sources if each.get("medium") != LOCAL), element.sources[0])
    local = first.get("medium") == LOCAL
    url, version = str(first.get("url", "")), str(first.get("version", ""))
    plain = len(element.sources) == 1 and not local
    listed = json.dumps(list(element.sources), sort_keys=True)
    return Component(
        kind="chunk",
        name=name,
        chunk=chunk,
        repo=f"{origin.name}:{url}" if local else url,
        ref=origin.ref if local else version,
        commit=origin.commit if local else version,
        key=element.key,
        version=str(first.get("version-guess") or ""),
        identity="" if plain else hashlib.sha256(listed.encode()).hexdigest(),
    )


def require_key(elements: Mapping[str, Element], system: str, *, key: str) -> None:
    """Fail if these definitions do not give the artifact that was released."""
    found = elements[system].key if system in elements else "nothing"
    if key and found != key:
        raise SlipwayError(
            "list the parts of",
            system,
            f"the definitions here give the key {found}, but what was built has {key}",
            do_next="Use the options (release_extras_options), BuildStream and plugins of the build, and run again.",
        )


def select_chunks(components: Sequence[Component]) -> list[Component]:
    """The chunks, each once."""
    return list({each.chunk: each for each in components if each.kind == "chunk"}.values())
