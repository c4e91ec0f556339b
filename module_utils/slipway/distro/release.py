# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contents of one release of a distribution, and the gates that it must pass before anything is written.

Everything is taken from the distro file and the indexes of the shadow archive; the stamped control files that the
solver sees are computed, so that a release can be checked as a whole before a single file is written.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..apt import publication, solver
from ..apt.exported import find_generation, read_suites
from ..apt.index import locate_index
from ..apt.signed import INRELEASE
from ..deb import lock
from ..deb.control import Control, decode_control, identify_package
from ..deb.lock import Member, ReleaseSet
from ..deb.metapackage import Metapackage
from ..deb.names import check_template, fill_name, fill_variant, fill_version
from ..deb.version import Rule, strip_rebuild
from ..errors import SlipwayError
from ..files import hash_file
from .file import ALL, Distro
from .packages import unpack_index

#: How often the current generation is looked for, where others take its place while it is read.
TRIES = 5
#: What clients see or will see, as :mod:`publication` has it.
Packages = dict[str, dict[str, dict[str, str]]]


@dataclass(frozen=True)
class Names:
    """How things are called.

    ``package`` may have ``{distribution}`` and ``{stack}`` (dashes for underscores), ``variant`` ``{distribution}`` and
    ``{variant}``, ``shadow`` ``{version}`` and ``{platform}``; ``or_shadow`` are other versions that do as well, such
    as those of packages that came with a ``debian`` directory. ``stamped`` is the template of :class:`Rule`.
    ``marker`` is the field that has the distribution's name, if any; ``metapackage`` the version of metapackages
    before it is stamped.
    """

    package: str = "{stack}"
    variant: str = "{distribution}-{variant}"
    shadow: str = "{version}-0~{platform}"
    or_shadow: tuple[str, ...] = ("{version}~{platform}1",)
    stamped: str = "{version}-{release}~{platform}"
    marker: str = ""
    metapackage: str = "1.0.0"
    maintainer: str = ""

    def check(self) -> None:
        """Raise :class:`SlipwayError` if names cannot be made, or all would be the same."""
        check_template(self.package, "distribution", "stack", wanted="stack")
        check_template(self.variant, "distribution", "variant", wanted="variant")
        for template in (self.shadow, *self.or_shadow):
            check_template(template, "version", "platform", wanted="version")
        Rule("r", "p", self.stamped).check()

    def name_package(self, distribution: str, stack: str) -> str:
        """The name of the package of a stack."""
        return fill_name(self.package, distribution=distribution, stack=stack)

    def name_variant(self, distribution: str, variant: str) -> str:
        """The name of the metapackage of a variant."""
        return fill_variant(self.variant, distribution=distribution, variant=variant)

    def make_versions(self, version: str, platform: str) -> list[str]:
        """The versions that a stack's packages may have in the shadow archive."""
        templates = (self.shadow, *self.or_shadow)
        return [fill_version(template, version=version, platform=platform) for template in templates]

    def describe(self) -> dict[str, str]:
        """What of it a release is made from. That of variants is named where it is none like that of stacks."""
        said = {"package": self.package, "stamped": self.stamped, "marker": self.marker}
        alike = self.package.replace("{stack}", "{variant}") == self.variant
        return said if alike else {**said, "variant": self.variant}


@dataclass(frozen=True)
class Entry:
    """A package as an index of the shadow archive lists it; ``path`` is the file."""

    name: str
    version: str
    architecture: str
    source: str
    path: Path
    control: Control


@dataclass
class Platform:
    """The part of a release that is for one platform: its files, and what each index will list.

    ``indexes`` has, by architecture, each package's stamped version and the digest of its demands.
    """

    name: str
    debs: list[Path] = field(default_factory=list)
    metapackages: list[Metapackage] = field(default_factory=list)
    indexes: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    stanzas: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Plan:
    """A release as planned; with ``findings`` it must not be made."""

    distribution: str
    release: str
    platforms: list[Platform]
    inputs: dict[str, Any]
    findings: list[str]
    remarks: list[str]
    warnings: list[str]

    @property
    def packages(self) -> Packages:
        """What its indexes will list."""
        return {
            f"{platform.name}/{architecture}": {name: {"version": row["version"]} for name, row in sorted(rows.items())}
            for platform in self.platforms
            for architecture, rows in platform.indexes.items()
        }


def describe_inputs(
    distro: Distro,
    platforms: Mapping[str, Sequence[str]],
    *,
    excludes: Mapping[str, Sequence[str]],
    names: Names,
) -> dict[str, Any]:
    """What a release is made from, as far as the distro file and the settings say."""
    return {
        "stacks": distro.released(),
        "variants": {name: list(variant.stacks) for name, variant in distro.variants.items()},
        "platforms": {name: sorted(architectures) for name, architectures in platforms.items()},
        "excludes": {name: sorted(places) for name, places in excludes.items()},
        "names": names.describe(),
    }


def find_release(distro: Distro) -> str:
    """The distribution's version; a distro file without one cannot be released."""
    if distro.version is None:
        raise SlipwayError(
            "release", f"the distribution {distro.name}", "its distro file has no version", do_next="Give it one."
        )
    return distro.version


def read_shadow(
    public: Path, platforms: Mapping[str, Sequence[str]], *, component: str, generation: Path | None = None
) -> dict[str, dict[str, list[Entry]]]:
    """The packages in the indexes of an archive by platform and architecture; a missing index is a failure.

    The indexes are those of a ``generation`` if it is given, the directory of one that the archive keeps.
    """
    top = public if generation is None else generation
    return {
        platform: {
            architecture: list(_read_index(public, top / locate_index(platform, component, architecture)))
            for architecture in architectures
        }
        for platform, architectures in platforms.items()
    }


def read_generation(
    served: Path, platforms: Mapping[str, Sequence[str]], *, component: str, number: int = 0
) -> tuple[dict[str, dict[str, list[Entry]]], dict[str, Any]]:
    """The packages in one generation of an archive, the current one without a ``number``, and which that was.

    Its packages stay in the pool under names that never get other content, whatever is published meanwhile.
    """
    for attempt in range(TRIES):
        found, place = find_generation(served, number)
        try:
            packages = read_shadow(served, platforms, component=component, generation=place)
            digests = {platform: hash_file(place / "dists" / platform / INRELEASE) for platform in platforms}
        except (SlipwayError, OSError):
            # Two publications later it is gone, also while it is read.
            if number or attempt + 1 == TRIES or read_suites(served).generation == found.generation:
                raise
            continue
        said = {"archive": str(served), "generation": found.generation, "published": found.published, "sha256": digests}
        return packages, said
    raise AssertionError("the last try returns or raises")


def plan_release(
    distro: Distro,
    shadow: Mapping[str, Mapping[str, Sequence[Entry]]],
    *,
    excludes: Mapping[str, Sequence[str]],
    names: Names,
    published: publication.Packages,
) -> Plan:
    """Plan the release that the distro file describes, with every finding of the gates but the solver's.

    ``excludes`` name stacks or packages that may be missing, each with the places (``lucid-i386``) where; an empty
    list means everywhere. ``published`` is what clients of the distribution see now.
    """
    names.check()
    platforms = {name: tuple(architectures) for name, architectures in shadow.items()}
    inputs = describe_inputs(distro, platforms, excludes=excludes, names=names)
    return _DistroPlanner.of_distro(distro, excludes, names).make_plan(shadow, inputs, published)


def check_installable(plan: Plan, base: Mapping[str, Mapping[str, Sequence[Path]]]) -> None:
    """Ask the solver whether every package of the plan can be installed on its platform, and add its findings.

    ``base`` has the platforms' own ``Packages`` files by platform and architecture.
    """
    parts = [(platform, architecture) for platform in plan.platforms for architecture in sorted(platform.stanzas)]

    def ask(part: tuple[Platform, str]) -> list[str]:
        platform, architecture = part
        lists = base[platform.name][architecture]
        found = solver.check_installable(platform.stanzas[architecture], lists, architecture=architecture)
        return [f"{platform.name}/{architecture}: {sentence}" for sentence in found]

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for found in pool.map(ask, parts):
            plan.findings += found


@dataclass(frozen=True)
class Variant:
    """A metapackage that is to be made: what it is a choice of, and the packages that it depends on."""

    name: str
    summary: str
    packages: Sequence[str]


@dataclass
class Planner(ABC):
    """How a release is planned, whatever says what belongs to it.

    ``packages`` has what each package that must be there is part of, ``stacks`` what may be excluded besides packages;
    ``members`` is what these are called.
    """

    name: str
    release: str
    excludes: Mapping[str, Sequence[str]]
    names: Names
    findings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    packages: Mapping[str, str] = field(default_factory=dict)
    stacks: Collection[str] = ()
    members: str = "packages"

    def make_plan(
        self,
        shadow: Mapping[str, Mapping[str, Sequence[Entry]]],
        inputs: Mapping[str, Any],
        published: publication.Packages,
    ) -> Plan:
        """Plan all platforms, with every finding of the gates but the solver's."""
        parts = [self.plan_platform(name, shadow[name]) for name in shadow]
        self.check_excludes(shadow)
        plan = Plan(self.name, self.release, parts, dict(inputs), self.findings, self.remarks, self.warnings)
        plan.findings += publication.find_downgrades(published, plan.packages)
        return plan

    def is_excluded(self, place: str, *names: str) -> bool:
        """Whether one of these stacks or packages may be missing at ``place`` (``lucid-i386``)."""
        return any(
            name in self.excludes and (not self.excludes[name] or place in self.excludes[name]) for name in names
        )

    def check_excludes(self, platforms: Mapping[str, Collection[str]]) -> None:
        """Find excludes that name neither a stack nor a package, or no platform."""
        places = {
            f"{name}-{architecture}" for name, architectures in platforms.items() for architecture in architectures
        }
        for name, where in sorted(self.excludes.items()):
            if name not in self.stacks and name not in self.known:
                self.findings.append(f"{name} is excluded, and is neither a stack nor a package")
            self.findings += [
                f"{name} is excluded for {place}, which is not a platform" for place in sorted({*where} - places)
            ]

    def plan_platform(self, name: str, shadow: Mapping[str, Sequence[Entry]]) -> Platform:
        """Choose a platform's packages, look at them, and compute what stamping makes of them."""
        chosen = {
            architecture: self.choose_packages(name, architecture, entries) for architecture, entries in shadow.items()
        }
        self.compare_architectures(name, chosen)
        rule = Rule(self.release, name, self.names.stamped)
        rule.check()
        files = {entry.path: entry for entries in chosen.values() for entry in entries.values()}
        members = {
            path: member for path, entry in files.items() if (member := self.describe_member(entry, rule)) is not None
        }
        release = ReleaseSet(members.values())
        stamped = self.stamp_controls(files, members, release=release, rule=rule)
        part = Platform(name, debs=sorted(members))
        for architecture, entries in chosen.items():
            mine = {entry.name: stamped[entry.path] for entry in entries.values() if entry.path in stamped}
            there = {package: entries[package] for package in mine}
            metapackages = list(self.make_metapackages(name, architecture, there, release=release, rule=rule))
            part.metapackages += metapackages
            mine |= {metapackage.package: Control(metapackage.control) for metapackage in metapackages}
            part.indexes[architecture] = {
                package: {"version": control.get("Version") or "", "demands": solver.digest_demands(control)}
                for package, control in sorted(mine.items())
            }
            part.stanzas[architecture] = [str(control) for _package, control in sorted(mine.items())]
        return part

    @abstractmethod
    def choose_packages(self, platform: str, architecture: str, entries: Sequence[Entry]) -> dict[str, Entry]:
        """The packages of one index that are to be released, by name; a missing one is a finding."""

    @abstractmethod
    def list_variants(self, where: str, entries: Mapping[str, Entry]) -> Iterator[Variant]:
        """The metapackages of one index, with what they depend on; what they cannot have is a finding."""

    def add_entry(self, chosen: dict[str, Entry], entry: Entry, *, where: str) -> None:
        """Choose a package; another one of its name is a finding."""
        other = chosen.setdefault(entry.name, entry)
        if other is not entry:
            twice = f"{other.path.name} and {entry.path.name}"
            self.findings.append(f"{where}: {entry.name} is there twice, as {twice}")

    def compare_architectures(self, platform: str, chosen: Mapping[str, Mapping[str, Entry]]) -> None:
        """Every package must be the same version on every architecture."""
        for package in sorted({name for entries in chosen.values() for name in entries}):
            versions = {
                architecture: entries[package].version for architecture, entries in chosen.items() if package in entries
            }
            if len(set(versions.values())) > 1:
                text = ", ".join(f"{version} for {architecture}" for architecture, version in versions.items())
                self.findings.append(f"{platform}: {package} is {text}")
            missing = [
                architecture
                for architecture in chosen
                if architecture not in versions and not self.is_excluded(f"{platform}-{architecture}", package)
            ]
            stack = self.packages.get(package)
            if missing and stack is None:
                self.findings.append(f"{platform}: {package} is there for {', '.join(versions)} only")

    def describe_member(self, entry: Entry, rule: Rule) -> Member | None:
        """What the package will be; one that cannot be stamped is a finding."""
        try:
            return lock.describe_member(entry.control, rule)
        except ValueError as error:
            self.findings.append(f"{entry.path}: {error}")
            return None

    def stamp_controls(
        self, files: Mapping[Path, Entry], members: Mapping[Path, Member], *, release: ReleaseSet, rule: Rule
    ) -> dict[Path, Control]:
        """The control files after stamping."""
        fields = {self.names.marker: self.name} if self.names.marker else {}
        stamped = {}
        for path, member in members.items():
            try:
                done = lock.stamp_control(files[path].control, member, release=release, rule=rule, fields=fields)
            except ValueError as error:
                self.findings.append(f"{path}: {error}")
                continue
            stamped[path] = Control(done.text)
        return stamped

    def make_metapackages(
        self, platform: str, architecture: str, entries: Mapping[str, Entry], *, release: ReleaseSet, rule: Rule
    ) -> Iterator[Metapackage]:
        """One for each variant that has something here."""
        where = f"{platform}/{architecture}"
        for variant in self.list_variants(where, entries):
            if not variant.packages:
                self.remarks.append(f"{where}: the variant {variant.name} has no {self.members} here")
                continue
            yield Metapackage(
                package=self.names.name_variant(self.name, variant.name),
                version=rule.apply(f"{self.names.metapackage}-0"),
                architecture=architecture,
                maintainer=self.names.maintainer,
                summary=f"{variant.summary} of {self.name}, release {self.release}",
                depends=sorted(release.list_choices(package, architecture) for package in variant.packages),
                fields={self.names.marker: self.name} if self.names.marker else {},
            )


@dataclass
class _DistroPlanner(Planner):
    """What belongs to a release, a distro file says."""

    released: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    members: str = "stacks"

    @classmethod
    def of_distro(cls, distro: Distro, excludes: Mapping[str, Sequence[str]], names: Names) -> _DistroPlanner:
        """The planner of the release that a distro file describes."""
        released = distro.released()
        variants = {name: variant.stacks for name, variant in distro.variants.items()}
        unreleased = sorted(distro.stacks.keys() - released.keys())
        return cls(
            distro.name,
            find_release(distro),
            excludes,
            names,
            remarks=[*distro.remarks, *(f"{stack} has no version and is not released" for stack in unreleased)],
            packages={names.name_package(distro.name, stack): stack for stack in released},
            stacks=distro.stacks.keys(),
            released=released,
            variants={**variants, ALL: tuple(released)},
        )

    def __post_init__(self) -> None:
        self.metapackages = {self.names.name_variant(self.name, variant): variant for variant in self.variants}

    def name_package(self, stack: str) -> str:
        """The name of a stack's package."""
        return self.names.name_package(self.name, stack)

    def choose_packages(self, platform: str, architecture: str, entries: Sequence[Entry]) -> dict[str, Entry]:
        """The packages of the distribution's stacks in one index; a missing one or another version is a finding."""
        where, place = f"{platform}/{architecture}", f"{platform}-{architecture}"
        chosen: dict[str, Entry] = {}
        for entry in entries:
            stack = self.find_stack(entry, where=where, place=place)
            if stack is None or not self.is_released(entry, stack, platform=platform, architecture=architecture):
                continue
            self.add_entry(chosen, entry, where=where)
        there = {name for entry in entries for name in (entry.name, entry.source)}
        for package, stack in sorted(self.packages.items()):
            if package not in there and not self.is_excluded(place, stack, package):
                self.findings.append(f"{where}: {package} is missing ({stack} {self.released[stack]})")
        if not chosen:
            self.findings.append(f"{where}: nothing would be released there")
        return chosen

    def find_stack(self, entry: Entry, *, where: str, place: str) -> str | None:
        """The stack that a package is of, if any; a package with the name of a metapackage is a finding."""
        stack = self.packages.get(entry.source) or self.packages.get(entry.name)
        variant = self.metapackages.get(entry.name)
        if stack is not None or variant is not None:
            self.known.add(entry.name)
        if variant is None:
            return stack
        if not self.is_excluded(place, entry.name):
            self.findings.append(
                f"{where}: {entry.name} {entry.version} of the source {entry.source} bears the name of the metapackage "
                f"of {variant}; rename one of them, or exclude {entry.name}"
            )
        return None

    def is_released(self, entry: Entry, stack: str, *, platform: str, architecture: str) -> bool:
        """Whether a package is to be in the release; if it is in another version, that is a finding."""
        wanted = self.names.make_versions(self.released[stack], platform)
        is_wanted = strip_rebuild(entry.version) in wanted
        place = f"{platform}-{architecture}"
        if self.is_excluded(place, stack, entry.name):
            if is_wanted and entry.name in self.packages:
                self.warnings.append(
                    f"{stack} is excluded for {place}, and {entry.name} {entry.version} is there by now"
                )
            return False
        if not is_wanted:
            self.findings.append(
                f"{platform}/{architecture}: {entry.name} is {entry.version}; "
                f"{stack} {self.released[stack]} would be {' or '.join(wanted)}"
            )
        return is_wanted

    def list_variants(self, where: str, entries: Mapping[str, Entry]) -> Iterator[Variant]:
        """One for each variant and one for all stacks, without those that are excluded here."""
        place = where.replace("/", "-")
        for variant, wanted in self.variants.items():
            present = [stack for stack in wanted if not self.is_excluded(place, stack, self.name_package(stack))]
            self.findings += [
                f"{where}: the variant {variant} has {stack}, which is not released"
                for stack in present
                if stack not in self.released
            ]
            summary = "all stacks" if variant == ALL else f"the stacks of the variant {variant}"
            yield Variant(
                variant, summary, [package for stack in present for package in self.find_packages(stack, entries)]
            )

    def find_packages(self, stack: str, entries: Mapping[str, Entry]) -> list[str]:
        """A stack's package, or all packages of a source that is called like it."""
        wanted = self.name_package(stack)
        return [wanted] if wanted in entries else [name for name, entry in entries.items() if entry.source == wanted]


def _read_index(public: Path, directory: Path) -> Iterator[Entry]:
    plain, packed = directory / "Packages", directory / "Packages.gz"
    return read_entries(public, plain if plain.exists() or not packed.exists() else packed)


def read_entries(public: Path, index: Path) -> Iterator[Entry]:
    """The packages of an index, whose files are below ``public``."""
    try:
        data = unpack_index(index.read_bytes(), str(index))
    except OSError as error:
        raise SlipwayError(
            "read the shadow archive's index",
            str(index),
            error.strerror or str(error),
            do_next="Check whether the archive has this platform and architecture, and run again.",
        ) from error
    for paragraph in decode_control(data).split("\n\n"):
        if paragraph.strip():
            yield _read_entry(public, index, f"{paragraph.strip(chr(10))}\n")


def _read_entry(public: Path, index: Path, paragraph: str) -> Entry:
    try:
        control = Control(paragraph)
        name, version, architecture = identify_package(control)
    except ValueError as error:
        raise SlipwayError(
            "read the shadow archive's index", str(index), str(error), do_next="Export the archive again."
        ) from error
    source = (control.get("Source") or name).split()[0]
    return Entry(name, version, architecture, source, public / (control.get("Filename") or ""), control)
