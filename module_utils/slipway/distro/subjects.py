# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What gets a release: a distribution with a distro file, or a set of packages, and where its packages are.

Both are described by the options of the module ``stamp_plan``.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..apt import publication, reprepro
from ..apt.sources import fetch_debs, fetch_package_lists
from ..errors import SlipwayError
from .file import load_distro
from .release import Entry, Names, Plan, describe_inputs, find_release, plan_release, read_generation, read_shadow
from .sets import PackageSet, fill_platform, plan_set, read_directories, read_lists

#: Of each platform and architecture the packages that there are, and where that is from.
Found = tuple[Mapping[str, Mapping[str, Sequence[Entry]]], dict[str, Any]]


def find_subject(options: Mapping[str, Any]) -> Subject:
    """What the options describe."""
    return DistroSubject(options) if options.get("distro_file") else SetSubject(options)


class Subject(ABC):
    """What is released: its name, and where its packages are."""

    name: str
    release: str
    what: str
    remarks: Sequence[str] = ()

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        shadow, *or_shadow = options["shadow_version"] or [Names.shadow]
        self.names = Names(
            package=options["package_name"],
            variant=options["variant_name"],
            shadow=shadow,
            or_shadow=tuple(or_shadow),
            stamped=options["template"],
            marker=options["marker"],
            metapackage=options["metapackage_version"],
            maintainer=options["maintainer"],
        )
        self.platforms = {platform["name"]: platform["architectures"] for platform in options["platforms"]}
        self.excludes = {name: list(places or []) for name, places in options["excludes"].items()}

    @abstractmethod
    def describe_inputs(self) -> dict[str, Any]:
        """What it is made from."""

    @abstractmethod
    def plan(self, there: Mapping[str, Mapping[str, Sequence[Entry]]], published: publication.Packages) -> Plan:
        """The release of what is there."""

    def list_sources(self) -> dict[str, dict[str, str]]:
        """Where the source of each source package is from, as far as it is known: ``kind repository tag commit``."""
        return {}

    def find_packages(self, temporary: Path, *, write: bool) -> Found:  # noqa: ARG002  # what others fetch into
        """What the shadow archive has in one generation. One that is not published by generations is held meanwhile."""
        options = self.options
        if not options["shadow"]:
            on = f"{self.name} {self.release}"
            raise SlipwayError("release", on, "nothing says where its packages are", do_next="Give the shadow archive.")
        served = reprepro.read_publication(Path(options["shadow"]))
        if served is not None:
            number, component = options["generation"], options["component"]
            return read_generation(served.directory, self.platforms, component=component, number=number)
        with reprepro.open_archive(options["shadow"], gnupghome=options["gnupghome"], write=write) as archive:
            return read_shadow(archive.public, self.platforms, component=options["component"]), {}

    def fetch_packages(self, plan: Plan, *, write: bool) -> bool:  # noqa: ARG002  # they are here
        """Have the files of the plan here; whether they are."""
        return True


class DistroSubject(Subject):
    """What a distro file describes."""

    what = "the distro file"

    def __init__(self, options: Mapping[str, Any]) -> None:
        text, required = options.get("distro_text"), options["required_stacks"]
        self.distro = load_distro(options["distro_file"], text=text, required=required, needs_sources=False)
        self.name, self.release, self.remarks = self.distro.name, find_release(self.distro), self.distro.remarks
        super().__init__(options)

    def describe_inputs(self) -> dict[str, Any]:
        """What it is made from."""
        return describe_inputs(self.distro, self.platforms, excludes=self.excludes, names=self.names)

    def plan(self, there: Mapping[str, Mapping[str, Sequence[Entry]]], published: publication.Packages) -> Plan:
        """The release of what is there."""
        return plan_release(self.distro, there, excludes=self.excludes, names=self.names, published=published)

    def list_sources(self) -> dict[str, dict[str, str]]:
        """Where the source of each stack is from, by the name of its package: its repository and the release's tag."""
        found = {}
        for stack in self.distro.stacks.values():
            values = {} if stack.rules is None else stack.rules.values
            repository = values.get("anon-uri") or values.get("uri") or ""
            tag = next((values[key] for key in ("release-tag", "distro-tag") if values.get(key)), None) or ""
            if stack.version is not None and (repository or tag):
                name = self.names.name_package(self.name, stack.name)
                found[name] = {
                    "kind": stack.rules.kind if stack.rules else "",
                    "repository": repository,
                    "tag": tag,
                    "commit": "",
                }
        return found


class SetSubject(Subject):
    """A set of packages that has no distro file."""

    what = "the list of packages"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.name, self.release = options["set"], options["release"]
        packages, variants = options["packages"], options["variants"]
        self.wanted = PackageSet.read(self.name, self.release, packages=packages, variants=variants)
        self.debs, self.sources = options["debs"], options["sources"]
        if self.sources and (self.debs or not self.wanted.packages):
            fault = "sources are of use with a list of packages only, and not with debs"
            raise SlipwayError("release", f"the set {self.name}", fault, do_next="Correct this and run again.")
        self.there, digests = read_directories(self.debs, self.platforms) if self.debs else ({}, {})
        self.inputs = self.wanted.describe(self.platforms, excludes=self.excludes, names=self.names)
        self.inputs |= {"debs": digests} if self.debs else {"sources": self.sources} if self.sources else {}

    def describe_inputs(self) -> dict[str, Any]:
        """What it is made from."""
        return self.inputs

    def plan(self, there: Mapping[str, Mapping[str, Sequence[Entry]]], published: publication.Packages) -> Plan:
        """The release of what is there."""
        return plan_set(
            self.wanted, there, excludes=self.excludes, names=self.names, published=published, inputs=self.inputs
        )

    def find_packages(self, temporary: Path, *, write: bool) -> Found:
        """The debs of directories, what apt would fetch, or what the shadow archive has."""
        if self.debs:
            return self.there, {}
        if not self.sources:
            return super().find_packages(temporary, write=write)
        found = {}
        for platform, architectures in self.platforms.items():
            place = find_lists(self.locate(platform), temporary, write=write)
            lists = fetch_package_lists(fill_platform(self.sources, platform), architectures, directory=place)
            found[platform] = read_lists(lists, self.wanted, directory=self.locate(platform) / "debs")
        return found, {"sources": self.sources}

    def fetch_packages(self, plan: Plan, *, write: bool) -> bool:
        """Fetch what is not on this machine."""
        if not self.sources:
            return True
        for platform in plan.platforms if write else ():
            place = self.locate(platform.name)
            fetch_debs([path.name for path in platform.debs], directory=place, target=place / "debs")
        return write

    def locate(self, platform: str) -> Path:
        """Where what apt fetches of its sources is kept."""
        return Path(self.options["base_directory"]) / f"{self.name}-{platform}"


def find_lists(place: Path, temporary: Path, *, write: bool) -> Path:
    """Where package lists are kept, or a copy of that."""
    if write:
        return place
    copied = temporary / place.name
    if place.is_dir():
        shutil.copytree(place, copied)
    return copied
