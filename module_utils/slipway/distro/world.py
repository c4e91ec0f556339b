# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One platform as builds and packages with numbers, and which packages meet a demand.

A build is a source on one architecture; what a source makes for ``all`` is built on one architecture only. A package
is what an index of one architecture lists, or what a build would add to it. Numbers of builds come first, so that one
graph can hold both.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import NamedTuple

from ..deb.architectures import ALL
from ..deb.buildrelations import BuildRelation, parse_build_group
from ..deb.relations import Relation
from ..deb.version import compare_versions, strip_rebuild
from ..errors import SlipwayError
from ..escape import escape_terminal
from .packages import Binary, Source

#: What a package is: of the platform itself; in the archive, and gone once its source is built; in the archive as its
#: source would make it again; not there yet.
BASE, OLD, KEPT, NEW = range(4)
#: A package with one of these endings is none that others are linked with.
_NO_LIBRARY = re.compile(r"-(dev|dbg|dbgsym|doc|docs|data|bin|common|tools|utils|examples|tests|headers)$")


class Base:
    """The packages of a platform itself on one architecture.

    They are many, few are asked for, and they stay the same from plan to plan: so they are sorted once, and become part
    of a world when it asks for them.
    """

    def __init__(self, binaries: Iterable[Binary]) -> None:
        self.names: dict[str, list[Binary]] = {}
        for binary in binaries:
            self.names.setdefault(binary.name, []).append(binary)
        for known in self.names.values():
            if len(known) > 1:
                known.sort(key=_BY_VERSION, reverse=True)
        self.provided = _index_provided(self.names)


@dataclass(frozen=True)
class Platform:
    """What is known of a platform; indexes are by architecture. ``all_architecture`` builds what is for ``all``."""

    name: str
    architectures: tuple[str, ...]
    all_architecture: str
    sources: Mapping[str, Source]
    shadow: Mapping[str, Sequence[Binary]]
    base: Mapping[str, Base]


class Build:
    """A source on an architecture; ``made`` are the packages by part, ``there`` those the archive has of it."""

    __slots__ = ("architecture", "made", "number", "parts", "present", "source", "there")

    def __init__(self, number: int, source: Source, architecture: str, made: Mapping[str, list[str]]) -> None:
        self.number = number
        self.source = source
        self.architecture = architecture
        self.made = made
        self.parts = tuple(made)
        self.there: list[Binary] = []
        self.present: str | None = None

    def list_missing(self) -> list[str]:
        """The packages that the archive lacks in the source's version."""
        there = {one.name: one.architecture for one in self.there if one.source_version == self.source.version}
        names = [name for part in self.parts for name in self.made[part] if name not in there]
        if names and not self.source.has_package_list():
            # Nothing says which package is for which architecture: one of each part is enough.
            parts = {ALL if architecture == ALL else "any" for architecture in there.values()}
            if parts >= set(self.parts):
                return []
        return sorted(set(names))

    def has_new_libraries(self) -> bool:
        """Whether the names of its library packages are others than those in the archive."""
        made = {name for names in self.made.values() for name in names if is_library(name)}
        return made != {one.name for one in self.there if is_library(one.name)}

    def list_needs(self, field_name: str = "needs") -> Iterator[str]:
        """The texts of its demands, or of its conflicts."""
        texts: Mapping[str, str] = getattr(self.source, field_name)
        for part, counts in (("", True), ("arch", "any" in self.made), ("indep", ALL in self.made)):
            if counts and part in texts:
                yield from split_relations(texts[part])


class Package:
    """A package in the index of ``architecture``; ``owner`` is the build that makes it, ``version`` may be unknown."""

    __slots__ = ("architecture", "binary", "kind", "number", "owner", "version")

    def __init__(self, binary: Binary, version: str | None, architecture: str, owner: int, kind: int) -> None:
        self.binary = binary
        self.version = version
        self.architecture = architecture
        self.owner = owner
        self.kind = kind
        self.number = -1


class Demand(NamedTuple):
    """What is needed: a text of a relation, and the packages that meet it, the preferred one first.

    The demand of a package for the build that makes it has no text.
    """

    text: str
    providers: tuple[int, ...]


@dataclass
class World:
    """The builds and packages of a platform; ``being_built`` decides which of them there will be."""

    platform: Platform
    profiles: frozenset[str] = frozenset()
    first_alternative: bool = False
    excluded: Collection[str] = ()
    builds: list[Build] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    being_built: set[int] = field(default_factory=set)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._names: dict[str, dict[str, list[Package]]] = {}
        self._provided: dict[str, dict[str, list[tuple[Package, str | None]]]] = {}
        self._base = {name: self.platform.base.get(name) or Base(()) for name in self.platform.architectures}
        self._resolved: dict[tuple[str, bool], dict[str, Demand | None]] = {}
        self._groups: dict[str, tuple[BuildRelation, ...]] = {}
        self._make_builds()
        for architecture in self.platform.architectures:
            self._make_packages(architecture)

    def _make_builds(self) -> None:
        platform = self.platform
        for name in sorted(platform.sources):
            source = platform.sources[name]
            for architecture in platform.architectures:
                made = {"any": source.list_made(architecture, self.profiles)}
                if architecture == platform.all_architecture:
                    made[ALL] = source.list_made(ALL, self.profiles)
                made = {part: names for part, names in made.items() if names}
                if made and f"{name}/{architecture}" in self.excluded:
                    self.left_out.append((name, architecture))
                elif made:
                    self.builds.append(Build(len(self.builds), source, architecture, made))

    def _make_packages(self, architecture: str) -> None:
        owners = {
            (build.source.name, part): build for build in self.builds for part in self._parts(build, architecture)
        }
        names: dict[str, list[Package]] = {}
        base = self._base[architecture].names

        def list_named(name: str) -> list[Package]:
            if name not in names:
                names[name] = [Package(binary, binary.version, architecture, -1, BASE) for binary in base.get(name, ())]
            return names[name]

        for binary in self.platform.shadow.get(architecture, ()):
            owner = owners.get((binary.source, ALL if binary.architecture == ALL else "any"))
            owner = owner or owners.get((binary.source, "any")) or owners.get((binary.source, ALL))
            kind = KEPT if owner and binary.source_version == owner.source.version else OLD
            if owner and owner.architecture == architecture:
                owner.there.append(binary)
            package = Package(binary, binary.version, architecture, owner.number if owner else -1, kind)
            list_named(binary.name).append(package)
        for (_source, part), build in owners.items():
            for name in build.made[part]:
                known = list_named(name)
                if not any(package.kind == KEPT and package.owner == build.number for package in known):
                    known.append(_foresee(name, build, part, known=known, architecture=architecture))
        for known in names.values():
            if len(known) > 1:
                known.sort(key=_OLDEST_FIRST, reverse=True)
            self._number(known)
        self._names[architecture] = names
        self._provided[architecture] = self._find_provided(names)
        for build in self.builds:
            if build.architecture == architecture:
                versions = sorted({one.source_version for one in build.there}, key=cmp_to_key(compare_versions))
                build.present = versions[-1] if versions else None

    def _number(self, packages: Iterable[Package]) -> None:
        for package in packages:
            package.number = len(self.builds) + len(self.packages)
            self.packages.append(package)

    def _find_provided(self, names: Mapping[str, Sequence[Package]]) -> dict[str, list[tuple[Package, str | None]]]:
        """What packages provide that are not the platform's."""
        own = {name: [one for one in known if one.kind != BASE] for name, known in names.items()}
        by_binary = {id(package.binary): package for known in own.values() for package in known}
        index = _index_provided({name: [package.binary for package in known] for name, known in own.items()})
        return {
            virtual: [(by_binary[id(binary)], version) for binary, version in found] for virtual, found in index.items()
        }

    def _parts(self, build: Build, architecture: str) -> list[str]:
        """The parts of a build that are in the index of an architecture."""
        return [part for part in build.parts if part == ALL or build.architecture == architecture]

    def copy_as_now(self) -> World:
        """The same platform as it is, before anything is built."""
        other = copy.copy(self)
        other.start(())
        return other

    def start(self, being_built: Iterable[int]) -> None:
        """Decide which builds there will be; demands are resolved anew."""
        self.being_built = set(being_built)
        self._resolved = {}

    def is_there(self, package: Package) -> bool:
        """Whether the package is, or will be, in its index."""
        if package.kind == OLD:
            return package.owner not in self.being_built
        return package.kind != NEW or package.owner in self.being_built

    def get_package(self, number: int) -> Package:
        """The package that has a number, which is not one of a build."""
        return self.packages[number - len(self.builds)]

    def find_candidate(self, name: str, architecture: str) -> Package | None:
        """The package of a name that is installed: the highest version that is there."""
        return next((one for one in self.list_versions(name, architecture) if self.is_there(one)), None)

    def list_versions(self, name: str, architecture: str) -> list[Package]:
        """Every package of a name, there or not, the highest version first."""
        known = self._names[architecture].get(name)
        if known is None:
            binaries = self._base[architecture].names.get(name, ())
            known = [Package(binary, binary.version, architecture, -1, BASE) for binary in binaries]
            self._names[architecture][name] = known
            self._number(known)
        return known

    def _list_provided(self, name: str, architecture: str) -> Iterator[tuple[Package, str | None]]:
        """The packages that provide a name, and in which version; those of the platform first."""
        for binary, version in self._base[architecture].provided.get(name, ()):
            for package in self.list_versions(binary.name, architecture):
                if package.binary is binary:
                    yield package, version
        yield from self._provided[architecture].get(name, ())

    def resolve(self, text: str, architecture: str, *, build: bool) -> Demand | None:
        """The packages that meet a demand; ``None`` if it does not count here."""
        memo = self._resolved.get((architecture, build))
        if memo is None:
            memo = self._resolved.setdefault((architecture, build), {})
        if text not in memo:
            memo[text] = self._resolve(text, architecture, build=build)
        return memo[text]

    def _resolve(self, text: str, architecture: str, *, build: bool) -> Demand | None:
        group = self.parse_group(text)
        if build:
            group = tuple(one for one in group if one.applies(architecture, self.profiles))
            if self.first_alternative:
                group = tuple(one for one in group if one.relation.name == group[0].relation.name)
            if not group:
                return None
        found: dict[int, None] = {}
        for one in group:
            for package in self._find_providers(one.relation, architecture):
                found[package.number] = None
        return Demand(text, tuple(found))

    def parse_group(self, text: str) -> tuple[BuildRelation, ...]:
        """A demand with its alternatives; equal texts are parsed once."""
        if text not in self._groups:
            try:
                self._groups[text] = parse_build_group(text, "index")
            except ValueError as error:
                raise SlipwayError(
                    "plan the builds for", self.platform.name, escape_terminal(str(error)), do_next="Correct the index."
                ) from error
        return self._groups[text]

    def _find_providers(self, relation: Relation, architecture: str) -> Iterator[Package]:
        real = self.find_candidate(relation.name, architecture)
        if real is not None and _accepts(relation, real, real.version):
            yield real
        for package, version in self._list_provided(relation.name, architecture):
            if relation.version is not None and version is None:
                continue
            if (
                _accepts(relation, package, version)
                and self.find_candidate(package.binary.name, architecture) is package
            ):
                yield package

    def find_gone(self, text: str, architecture: str) -> tuple[int, ...]:
        """Packages that would meet a demand, and are gone once their source is built."""
        return tuple(
            package.number
            for one in self.parse_group(text)
            for package in self.list_versions(one.relation.name, architecture)
            if package.kind == OLD and package.owner >= 0
        )[:1]


def split_relations(text: str) -> list[str]:
    """The demands of a field, each as it is written."""
    return [part for whole in text.split(",") if (part := whole.strip())] if text else []


def is_library(name: str) -> bool:
    """Whether others are linked with a package of this name, as far as the name tells."""
    return name.startswith("lib") and not _NO_LIBRARY.search(name)


def _foresee(name: str, build: Build, part: str, *, known: Sequence[Package], architecture: str) -> Package:
    """What a build will make, as far as the package that is there tells."""
    old = next((package for package in known if package.kind in (OLD, KEPT) and package.owner == build.number), None)
    source = build.source
    kind = ALL if part == ALL else architecture
    if old is None:
        binary = Binary(name, source.version, kind, source.name, source.version, "", "", "", False)
        return Package(binary, source.version, architecture, build.number, NEW)
    # A source may give its packages versions of their own, which nothing foretells.
    is_usual = strip_rebuild(old.binary.version) == old.binary.source_version
    binary = old.binary._replace(version=source.version, source_version=source.version)
    return Package(binary, source.version if is_usual else None, architecture, build.number, NEW)


def _index_provided(names: Mapping[str, Sequence[Binary]]) -> dict[str, list[tuple[Binary, str | None]]]:
    provided: dict[str, list[tuple[Binary, str | None]]] = {}
    parsed: dict[str, list[tuple[str, str | None]]] = {}
    for name in sorted(names):
        for binary in names[name]:
            text = binary.provides
            if text:
                if text not in parsed:
                    parsed[text] = _parse_provides(text, binary)
                for virtual, version in parsed[text]:
                    provided.setdefault(virtual, []).append((binary, version))
    return provided


def _parse_provides(text: str, binary: Binary) -> list[tuple[str, str | None]]:
    found = []
    for part in split_relations(text):
        try:
            relation = parse_build_group(part, "Provides")[0].relation
        except ValueError as error:
            raise SlipwayError(
                "use the package", f"{binary.name} {binary.version}", str(error), do_next="Correct the index."
            ) from error
        found.append((relation.name, relation.version))
    return found


def _accepts(relation: Relation, package: Package, version: str | None) -> bool:
    if relation.qualifier is not None and not _fits_qualifier(relation.qualifier, package):
        return False
    return relation.version is None or version is None or relation.accepts(version)


def _fits_qualifier(qualifier: str, package: Package) -> bool:
    if qualifier == "any":
        unknown = package.kind == NEW and not package.binary.multi_arch
        return unknown or package.binary.multi_arch == "allowed"
    return qualifier in ("native", package.architecture)


def _compare_packages(left: Package, right: Package) -> int:
    if left.version is None or right.version is None:
        return (left.version is None) - (right.version is None) or left.kind - right.kind
    return compare_versions(left.version, right.version) or left.kind - right.kind


_OLDEST_FIRST = cmp_to_key(_compare_packages)


def _compare_binaries(left: Binary, right: Binary) -> int:
    return compare_versions(left.version, right.version)


_BY_VERSION = cmp_to_key(_compare_binaries)
