# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets of packages that get a release without a distro file: a directory of debs, or packages of an archive by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..apt import publication
from ..apt.index import read_debs
from ..apt.sources import name_download
from ..deb import stamp
from ..deb.control import Control
from ..deb.version import strip_rebuild, version_key
from ..errors import refuse
from .file import DISTRO_VERSION, NAME
from .release import Entry, Names, Plan, Planner, Variant, read_entries

#: Of each platform and architecture, the packages that there are.
There = Mapping[str, Mapping[str, Sequence[Entry]]]


@dataclass(frozen=True)
class PackageSet:
    """What is released as ``release`` of ``name``: ``packages`` by the names of packages or sources, each with
    the version that it must have, if any; without any, all that are there. ``variants`` are metapackages.
    """

    name: str
    release: str
    packages: Mapping[str, str | None] = field(default_factory=dict)
    variants: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def read(
        cls, name: str, release: str, *, packages: Sequence[str], variants: Mapping[str, Sequence[str]]
    ) -> PackageSet:
        """The set by its words, of which ``packages`` may be ``name=version``."""
        words = (word.partition("=") for word in packages)
        wanted = {package: version if equal else None for package, equal, version in words}
        found = cls(name, release, wanted, {variant: list(each or ()) for variant, each in variants.items()})
        faults = [] if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name) else [f"{name!r} is not a name"]
        faults += [] if DISTRO_VERSION.match(release) else [f"{release!r} is not a release, of letters, digits and .+~"]
        faults += [f"{word!r} is not the name of a package" for word in wanted if not NAME.match(word)]
        faults += [f"the version of {package} is empty" for package, version in wanted.items() if version == ""]
        faults += [f"{package} is there twice" for package in wanted if packages.count(package) > 1]
        refuse("release", f"the set {name}", faults, do_next="Correct this and run again.")
        return found

    def describe(
        self, platforms: Mapping[str, Sequence[str]], *, excludes: Mapping[str, Sequence[str]], names: Names
    ) -> dict[str, Any]:
        """What it is made from, as far as the settings say."""
        return {
            "packages": [f"{name}={version}" if version else name for name, version in sorted(self.packages.items())],
            "variants": {name: sorted(packages) for name, packages in self.variants.items()},
            "platforms": {name: sorted(architectures) for name, architectures in platforms.items()},
            "excludes": {name: sorted(places) for name, places in excludes.items()},
            "names": {"stamped": names.stamped, "variant": names.variant, "marker": names.marker},
        }


def fill_platform(words: Sequence[str], platform: str) -> list[str]:
    """Paths or sources with the name of a platform in the place of ``{platform}``."""
    return [word.replace("{platform}", platform) for word in words]


def read_directories(
    places: Sequence[str], platforms: Mapping[str, Sequence[str]]
) -> tuple[There, dict[str, dict[str, str]]]:
    """The debs in directories, or debs by their paths, for each platform; and the digests of all files by name."""
    there: dict[str, dict[str, list[Entry]]] = {}
    digests: dict[str, dict[str, str]] = {}
    findings = []
    for platform, architectures in platforms.items():
        indexes = there[platform] = {architecture: [] for architecture in architectures}
        debs = read_debs(stamp.find_debs(fill_platform(places, platform)))
        digests[platform] = {deb.path.name: deb.sha256 for deb in debs}
        for deb in debs:
            entry = Entry(deb.name, deb.version, deb.architecture, deb.source, deb.path, Control(deb.control))
            if deb.architecture not in {"all", *indexes}:
                findings.append(f"{deb.path} is for {deb.architecture}, and {platform} for {', '.join(indexes)}")
            for architecture in indexes if deb.architecture == "all" else {deb.architecture} & indexes.keys():
                indexes[architecture].append(entry)
    refuse("read", ", ".join(places), findings, do_next="Put them elsewhere, or add the architecture to the platform.")
    return there, digests


def read_lists(lists: Mapping[str, Sequence[Path]], wanted: PackageSet, *, directory: Path) -> dict[str, list[Entry]]:
    """What the package lists of apt sources have of a set, by architecture: of each package what apt would take.

    Files will be in ``directory``, see :func:`..apt.sources.fetch_debs`.
    """
    found: dict[str, list[Entry]] = {}
    for architecture, paths in lists.items():
        newest: dict[str, Entry] = {}
        for entry in (entry for path in paths for entry in read_entries(directory, path)):
            if not _is_named(entry, wanted) or not _has_version(entry, wanted):
                continue
            path = directory / name_download(entry.name, entry.version, entry.architecture)
            mine = Entry(entry.name, entry.version, entry.architecture, entry.source, path, entry.control)
            newest[entry.name] = max(newest.get(entry.name, mine), mine, key=lambda each: version_key(each.version))
        found[architecture] = list(newest.values())
    return found


def plan_set(
    wanted: PackageSet,
    there: There,
    *,
    excludes: Mapping[str, Sequence[str]],
    names: Names,
    published: publication.Packages,
    inputs: Mapping[str, Any],
) -> Plan:
    """Plan the release of a set, with every finding of the gates but the solver's."""
    names.check()
    planner = _SetPlanner(
        wanted.name,
        wanted.release,
        excludes,
        names,
        packages={name: name for name in wanted.packages},
        stacks=wanted.packages.keys(),
        wanted=wanted,
    )
    return planner.make_plan(there, inputs, published)


def _is_named(entry: Entry, wanted: PackageSet) -> bool:
    return not wanted.packages or entry.name in wanted.packages or entry.source in wanted.packages


def _find_version(entry: Entry, wanted: PackageSet) -> str | None:
    return wanted.packages.get(entry.name) or wanted.packages.get(entry.source)


def _has_version(entry: Entry, wanted: PackageSet) -> bool:
    return _find_version(entry, wanted) in {None, entry.version, strip_rebuild(entry.version)}


@dataclass
class _SetPlanner(Planner):
    """What belongs to a release, a list says, or a directory has."""

    wanted: PackageSet = field(default_factory=lambda: PackageSet("", ""))

    def choose_packages(self, platform: str, architecture: str, entries: Sequence[Entry]) -> dict[str, Entry]:
        """The packages of one index that belong to the set; a missing one or another version is a finding."""
        where, place = f"{platform}/{architecture}", f"{platform}-{architecture}"
        metapackages = {self.names.name_variant(self.name, variant) for variant in self.wanted.variants}
        chosen: dict[str, Entry] = {}
        for entry in entries:
            if not _is_named(entry, self.wanted):
                continue
            self.known.add(entry.name)
            if self.is_excluded(place, entry.name, entry.source):
                continue
            if entry.name in metapackages:
                self.findings.append(f"{where}: {entry.name} {entry.version} bears the name of a metapackage")
            elif not _has_version(entry, self.wanted):
                asked = _find_version(entry, self.wanted)
                self.findings.append(f"{where}: {entry.name} is {entry.version}, and {asked} is asked for")
            else:
                self.add_entry(chosen, entry, where=where)
        there = {name for entry in entries for name in (entry.name, entry.source)}
        missing = [name for name in sorted(self.wanted.packages) if name not in there]
        self.findings += [f"{where}: {name} is missing" for name in missing if not self.is_excluded(place, name)]
        if not chosen:
            self.findings.append(f"{where}: nothing would be released there")
        return chosen

    def list_variants(self, where: str, entries: Mapping[str, Entry]) -> Iterator[Variant]:
        """One for each variant, without what is excluded here; a package that is not in the set is a finding."""
        place = where.replace("/", "-")
        for variant, packages in self.wanted.variants.items():
            present = [name for name in packages if not self.is_excluded(place, name)]
            self.findings += [
                f"{where}: the variant {variant} has {name}, which is not in the set"
                for name in present
                if name not in entries
            ]
            yield Variant(variant, f"the packages of {variant}", [name for name in present if name in entries])
