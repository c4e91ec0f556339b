# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The components that systems are made of at a commit of the definitions, and how two commits differ in them.

A component is an element of BuildStream with sources, or a chunk of a stratum of Morph. What a file says is read as far
as it tells versions; that it can be built is not judged here, since a release was built from it.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ..git.remote import run_git
from ..plan.definitions import Definitions
from ..yamltext import NotPlainError, read, to_plain

Plain = Mapping[str, Any]
#: How a list may be given that is put together with another one.
LISTS = ("(>)", "(<)", "(=)")
DEPENDENCIES = ("depends", "build-depends", "runtime-depends")
#: What changes a component without being one.
BESIDE = re.compile(r"patch|local\Z")
DIGEST = re.compile(r"[0-9a-f]{40,64}")
ARCHIVE = re.compile(r"\.(?:tar(?:\.\w+)?|t[gbx]z2?|zip|gem|whl|crate|git|deb|rpm)\Z")
#: The version at the end of an archive's name, and what looks like one in a tag.
VERSIONED = re.compile(r"[-_]v?(\d[\w.+~-]*)\Z")
TAG = re.compile(r"\d")
#: Where elements usually are, which people need not be told.
USUAL = "components/"
MOST_FILES = 20_000
#: What counts for all systems of Morph, and what in its files tells people something and is not built.
MORPH_FILES = ("VERSION", "DEFAULTS")
WORDS = ("description", "unpetrify-ref")
SHORT = 12


@dataclass
class Component:
    """``version`` is for people; ``sources`` are what it is made of, and ``recipe`` digests of how.

    ``local`` are the names that git gives to what of the definitions is a source.
    """

    version: str = ""
    sources: list[str] = field(default_factory=list)
    recipe: list[str] = field(default_factory=list)
    local: list[str] = field(default_factory=list)


@dataclass
class Components:
    """The components by name, and the files and directories of the definitions that say so.

    ``said`` are digests of all that counts there, by path: comments and descriptions do not.
    """

    found: dict[str, Component] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)


class Changed(TypedDict):
    """What became of a component: ``kind`` is new, gone, changed, or rebuilt: the same source, built in another way."""

    name: str
    kind: str
    before: str
    now: str


def find_components(definitions: Definitions, systems: Iterable[str]) -> Components:
    """The components of systems, which are given by their files as a plan has them."""
    files, found = list(dict.fromkeys(systems)), Components()
    elements = [file for file in files if file.endswith(".bst")]
    if elements:
        _Elements(definitions, found).follow(elements)
    _follow_morphologies(definitions, [file for file in files if not file.endswith(".bst")], found)
    return found


def compare_components(before: Components, now: Components) -> list[Changed]:
    """What differs, by name."""
    changes: list[Changed] = []
    names = before.found.keys() | now.found.keys()
    for name in sorted(names):
        old, new = before.found.get(name), now.found.get(name)
        if old is None or new is None:
            kind = "gone" if new is None else "new"
        elif old.sources != new.sources:
            kind = "changed"
        elif sorted(old.recipe) != sorted(new.recipe):
            kind = "rebuilt"
        else:
            continue
        was, is_now = (each.version if each is not None else "" for each in (old, new))
        if kind == "changed" and was == is_now and old is not None and new is not None:
            was, is_now = _tell_apart(old, new)
        short = name.removeprefix(USUAL)
        name = name if short in names else short
        changes.append({"name": name, "kind": kind, "before": was, "now": is_now})
    return changes


def find_other_sources(before: Components, now: Components) -> list[str]:
    """The names of the components with other sources, which may be files of the definitions."""
    names = [change["name"] for change in compare_components(before, now) if change["kind"] != "rebuilt"]
    kept = before.found.keys() & now.found.keys()
    own = [name for name in kept if not now.found[name].sources and before.found[name].local != now.found[name].local]
    return sorted({*names, *(name.removeprefix(USUAL) for name in own)})


class _Elements:
    """Elements of BuildStream and what they depend on, with what they include; of conditions, every branch counts."""

    def __init__(self, definitions: Definitions, found: Components) -> None:
        self.definitions, self.found = definitions, found
        project = self._load(["project.conf"])["project.conf"] or {}
        found.said["project.conf"] = _digest(project)
        path = posixpath.normpath(str(project.get("element-path") or "."))
        self.prefix = "" if path == "." else f"{path}/"
        name = str(project.get("name") or "")
        refs = self._load(["project.refs"])["project.refs"] or {}
        self.refs: Plain = _get_mapping(_get_mapping(refs, "projects"), name)
        self.included: dict[str, Plain] = {}
        self.local: dict[str, list[str]] = {}

    def follow(self, elements: list[str]) -> None:
        """Read elements and all that they depend on, each once."""
        seen, ahead = set(elements), elements
        while ahead and len(self.found.paths) < MOST_FILES:
            loaded = self._load([f"{self.prefix}{name}" for name in ahead])
            parts = {name: self._include(loaded[f"{self.prefix}{name}"]) for name in ahead}
            named: list[str] = []
            for name, found in parts.items():
                self._note(name, found)
                named += [other for part in found for other in _list_dependencies(part)]
            ahead = [name for name in dict.fromkeys(named) if name not in seen]
            seen.update(ahead)
        self._add_local_files()

    def _include(self, element: Plain | None) -> list[Plain]:
        """An element, and each mapping that it includes."""
        parts, ahead, seen = [element or {}], [element or {}], set[str]()
        while ahead:
            wanted = [name for part in ahead for name in _list_includes(part) if name not in seen]
            new = [name for name in dict.fromkeys(wanted) if name not in self.included]
            self.included |= {name: content or {} for name, content in self._load(new).items()}
            seen.update(wanted)
            ahead = [self.included[name] for name in dict.fromkeys(wanted)]
            parts += ahead
        self.found.paths.update(seen)
        return parts

    def _note(self, name: str, parts: list[Plain]) -> None:
        sources = [source for part in parts for source in _list_mappings(part, "sources")]
        self.found.paths.add(f"{self.prefix}{name}")
        self.found.said[name] = _digest([parts, self.refs.get(name)])
        if not sources:
            return
        refs = self.refs.get(name)
        for number, locked in enumerate(refs if isinstance(refs, list) else []):
            if number < len(sources) and isinstance(locked, Mapping):
                sources[number] = {**sources[number], **locked}
        names = [str(source.get("path")) for source in sources if source.get("kind") == "local"]
        local = [posixpath.normpath(path) for path in names]
        main = [source for source in sources if not BESIDE.search(str(source.get("kind")))]
        described = [_describe_source(source) for source in main]
        shown = name.removesuffix(".bst")
        self.found.found[shown] = Component(
            _join_versions([_tell_version(source) for source in main]),
            described,
            [_digest(part) for part in parts],
        )
        self.local[shown] = local
        self.found.paths.update(local)

    def _add_local_files(self) -> None:
        """What is in the definitions is told apart by the names that git gives to it."""
        paths = list(dict.fromkeys(path for local in self.local.values() for path in local))
        names = _list_objects(self.definitions, paths)
        for name, local in self.local.items():
            component = self.found.found[name]
            component.local = [names[path] for path in local]
            component.recipe += component.local
        self.found.said |= names

    def _load(self, paths: list[str]) -> dict[str, Plain | None]:
        return {path: _read_mapping(data) for path, data in self.definitions.read(paths).items()} if paths else {}


def _follow_morphologies(definitions: Definitions, systems: list[str], found: Components) -> None:
    """Systems of Morph, their strata, those that these are built with, and the chunks of all."""
    seen, ahead, chunks = set(systems), systems, dict[str, list[tuple[str, Plain]]]()
    while ahead and len(seen) < MOST_FILES:
        named: list[str] = []
        for path, data in definitions.read(ahead).items():
            content = _read_mapping(data) or {}
            found.said[path] = _digest_said(content)
            strata = [*_list_mappings(content, "strata"), *_list_mappings(content, "build-depends")]
            named += [_name_morphology(each) for each in strata if "repo" not in each]
            for chunk in _list_mappings(content, "chunks"):
                chunks.setdefault(str(chunk.get("name")), []).append((path, chunk))
        ahead = [path for path in dict.fromkeys(named) if path and path not in seen]
        seen.update(ahead)
    found.paths |= seen
    paths = _list_recipes(chunks.values())
    recipes = _list_objects(definitions, paths)
    also = [*paths, *MORPH_FILES] if systems else []
    found.said |= {path: _digest_said(_read_mapping(data) or {}) for path, data in definitions.read(also).items()}
    found.paths |= recipes.keys()
    for name, entries in sorted(chunks.items()):
        different = list(dict.fromkeys(_describe_source(chunk) for _path, chunk in entries))
        found.found[name] = Component(
            _join_versions(list(dict.fromkeys(_tell_version(chunk) for _path, chunk in entries))),
            sorted(different),
            sorted({recipes.get(str(chunk.get("morph")), "") for _path, chunk in entries}),
        )


def _list_recipes(chunks: Iterable[list[tuple[str, Plain]]]) -> list[str]:
    return list(dict.fromkeys(str(chunk["morph"]) for each in chunks for _path, chunk in each if chunk.get("morph")))


def _list_objects(definitions: Definitions, paths: list[str]) -> dict[str, str]:
    """The name that git gives to what is at each path, a file or a directory; empty if nothing is."""
    if not paths:
        return {}
    done = run_git(
        *("cat-file", "--batch-check=%(objectname)"),
        attempt="read",
        on=definitions.name,
        repository=definitions.repository,
        stdin="".join(f"{definitions.commit}:{path}\n" for path in paths).encode(),
    )
    lines = done.stdout.splitlines()
    return {path: "" if line.endswith(" missing") else line for path, line in zip(paths, lines, strict=True)}


def _read_mapping(data: bytes | None) -> Plain | None:
    """What a file says, as text, lists and mappings; what cannot be read says nothing here."""
    try:
        plain = to_plain(read(data)[0]) if data else None
    except NotPlainError:
        return None
    return plain if isinstance(plain, dict) else None


def _get_mapping(mapping: Plain, key: str) -> Plain:
    value = mapping.get(key)
    return value if isinstance(value, Mapping) else {}


def _list_branches(mapping: Plain) -> Iterator[Plain]:
    """A mapping, and each branch of the conditions in it."""
    yield mapping
    conditions = mapping.get("(?)")
    for condition in conditions if isinstance(conditions, list) else []:
        for branch in condition.values() if isinstance(condition, Mapping) else []:
            if isinstance(branch, Mapping):
                yield from _list_branches(branch)


def _list_entries(mapping: Plain, key: str) -> Iterator[Any]:
    for branch in _list_branches(mapping):
        value = branch.get(key)
        lists = [value.get(name) for name in LISTS] if isinstance(value, Mapping) else [value]
        for each in lists:
            yield from each if isinstance(each, list) else []


def _list_mappings(mapping: Plain, key: str) -> list[Plain]:
    return [each for each in _list_entries(mapping, key) if isinstance(each, Mapping)]


def _list_includes(mapping: Plain) -> list[str]:
    """The files of this project that a mapping includes, at its top or below."""
    found: list[str] = []
    for key, value in mapping.items():
        if key == "(@)":
            names = value if isinstance(value, list) else [value]
            found += [posixpath.normpath(name) for name in names if isinstance(name, str) and ":" not in name]
        else:
            for each in value if isinstance(value, list) else [value]:
                found += _list_includes(each) if isinstance(each, Mapping) else []
    return found


def _list_dependencies(mapping: Plain) -> Iterator[str]:
    """The elements of this project that one depends on."""
    for key in DEPENDENCIES:
        for entry in _list_entries(mapping, key):
            named = entry.get("filename") if isinstance(entry, Mapping) else entry
            if isinstance(entry, Mapping) and entry.get("junction"):
                continue
            for name in named if isinstance(named, list) else [named]:
                if isinstance(name, str) and ":" not in name:
                    yield name


def _name_morphology(entry: Plain) -> str:
    name = entry.get("morph") or entry.get("name")
    return name if isinstance(name, str) else ""


def _describe_source(source: Plain) -> str:
    """What is the same of two sources if they are the same; where it is fetched from is not."""
    facts = {key: source.get(key) for key in ("kind", "ref", "sha256sum", "version") if source.get(key)}
    if not facts.keys() - {"kind"}:
        facts = {key: value for key, value in source.items() if key != "directory"}
    return repr(sorted(facts.items(), key=str)) + repr([_describe_source(each) for each in _branches_of(source)])


def _branches_of(source: Plain) -> list[Plain]:
    return [branch for branch in _list_branches(source) if branch is not source]


def _tell_version(source: Plain) -> str:
    """The version of a source for people: what it says itself, what its archive is called, or its commit."""
    branches = [source, *_branches_of(source)]
    told = [version for branch in branches if (version := _tell_one(branch))]
    return _join_versions(list(dict.fromkeys(told)))


def _tell_one(source: Plain) -> str:
    ref, url = (value if isinstance(value := source.get(key), str) else "" for key in ("ref", "url"))
    if isinstance(source.get("version"), str):
        return str(source["version"])
    short = DIGEST.sub(lambda found: found[0][:SHORT], ref)
    named = next(
        (name for key in ("unpetrify-ref", "track") if isinstance(name := source.get(key), str) and TAG.search(name)),
        "",
    )
    if short != ref or not ref:  # nothing in it that says more to people
        archive = posixpath.basename(url.rstrip("/"))
        stem = ARCHIVE.sub("", archive)
        found = VERSIONED.search(stem)
        is_archive = stem != archive and not archive.endswith(".git")
        if is_archive and found:
            return found[1]
        if is_archive:
            return stem
        return f"{named} ({short})" if named and short and named != short else short
    return short


def _join_versions(versions: list[str]) -> str:
    told = [version for version in versions if version]
    return ", ".join(told[:2]) + (f" and {len(told) - 2} more" if len(told) > 2 else "")


def _tell_apart(before: Component, now: Component) -> tuple[str, str]:
    """Versions that read the same, with the digests in which the sources differ."""
    old, new = (set(DIGEST.findall("".join(each.sources))) for each in (before, now))
    was, is_now = (min(each, default="") for each in (old - new, new - old))
    return tuple(
        f"{version} ({digest[:SHORT]})" if version and digest else version or digest[:SHORT]
        for version, digest in ((before.version, was), (now.version, is_now))
    )  # type: ignore[return-value]  # they are two


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()


def _digest_said(value: object) -> str:
    """The same of a file of Morph's, without what is for people."""
    return _digest(_leave_out_words(value))


def _leave_out_words(value: object) -> object:
    if isinstance(value, Mapping):
        return sorted((str(key), repr(_leave_out_words(each))) for key, each in value.items() if key not in WORDS)
    return [_leave_out_words(each) for each in value] if isinstance(value, list) else value
