# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan of builds is made from: options that name stacks and indexes, read into platforms and wishes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..deb.names import check_template, fill_version
from ..deb.version import compare_versions, find_version_fault
from ..errors import SlipwayError, refuse
from ..files import read_regular
from ..http import FAILURES, explain_failure, fetch_url
from .edges import POLICIES, Policy
from .packages import MAX_INDEX, Binary, Memory, Source, read_binaries, read_sources, unpack_index
from .plan import Wishes
from .release import Names
from .world import Base, Platform

#: The forms of an index in a directory, the first that is there counts.
FORMS = ("", ".xz", ".gz")


@dataclass(frozen=True)
class Request:
    """What is asked for; stacks are named as in the distro file, or as sources.

    ``packages`` has the sources of stacks that are called otherwise than by ``names``, ``versions`` the templates of
    their versions.
    """

    options: Mapping[str, Any]
    names: Names
    stacks: Mapping[str, Any] | None
    packages: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Request:
        """The request that the options of the module are, if they are in order."""
        names = Names(package=options["package_name"], shadow=options["source_version"])
        names.check()
        stacks = options["stacks"]
        texts = None if stacks is None else dict(_list_versions(stacks))
        rows = {name: said for name, said in (stacks or {}).items() if isinstance(said, Mapping)}
        packages = {name: str(said["package"]) for name, said in rows.items() if said.get("package")}
        versions = {name: str(said["source_version"]) for name, said in rows.items() if said.get("source_version")}
        for template in versions.values():
            check_template(template, "version", "platform", wanted="version")
        request = cls(options, names, texts, packages, versions)
        refuse(
            "plan the builds of",
            options["distribution"] or "the sources",
            list(request.find_faults()),
            do_next="Correct the options.",
            several="options are wrong",
        )
        return request

    def find_faults(self) -> Iterable[str]:
        """What is wrong with the options."""
        options = self.options
        for name, policy in sorted(options["policies"].items()):
            if policy not in POLICIES:
                yield f"the policy of {name} is '{policy}', which is none of {', '.join(POLICIES)}"
        for what, versions in (("stacks", self.stacks or {}), ("new", options["new"])):
            for name, version in sorted(versions.items()):
                if not isinstance(version, str):
                    yield f"the version {version} of {name} in {what} is no text: quote it, since 1.10 would be 1.1"
                elif what == "new" and (fault := find_version_fault(version)):
                    yield f"the version '{version}' of {name} in new {fault}"
        known = {platform["name"]: platform["architectures"] for platform in options["platforms"]}
        if len(known) < len(options["platforms"]):
            yield "a platform is there twice"
        for platform in options["platforms"]:
            if not platform["architectures"]:
                yield f"the platform {platform['name']} has no architectures"
            elif platform.get("all_architecture") not in (None, *platform["architectures"]):
                yield f"{platform['all_architecture']} is no architecture of {platform['name']}"
        places = {*known, *(f"{name}-{one}" for name, architectures in known.items() for one in architectures)}
        for name, where in sorted(options["excludes"].items()):
            if not isinstance(where or [], list):
                yield f"{name} is excluded for {where!r}, which is no list of places"
                continue
            for place in sorted({*map(str, where or ())} - places):
                yield f"{name} is excluded for {place}, which is not a platform"

    def find_source(self, name: str) -> str:
        """The source of a stack; a name that is none of a stack is one of a source."""
        if self.stacks is not None and name in self.stacks:
            return self.packages.get(name) or self.names.name_package(self.options["distribution"], name)
        return name

    def make_version(self, stack: str, version: str, platform: str) -> str:
        """The version of a stack's source."""
        return fill_version(self.versions.get(stack, self.names.shadow), version=version, platform=platform)

    def make_wishes(self) -> Wishes:
        """What is wanted besides the versions, by sources."""
        options = self.options
        policy = Policy(
            options["policy"],
            {self.find_source(name): kind for name, kind in options["policies"].items()},
            frozenset(map(self.find_source, options["abi_changed"])),
        )
        return Wishes(
            distribution=options["distribution"],
            policy=policy,
            force=frozenset(map(self.find_source, options["force"])),
            rebuild=frozenset(map(self.find_source, options["rebuild"])),
            new=frozenset(map(self.find_source, options["new"])),
            hold={self.find_source(name): str(reason) for name, reason in options["hold"].items()},
            excluded=self.find_excluded(),
            profiles=options["profiles"],
            first_alternative=options["alternatives"] == "first",
            stacks={self.find_source(name): name for name in self.stacks or ()},
        )

    def find_excluded(self) -> frozenset[str]:
        """What is left out, as ``foo/lucid/i386``."""
        return frozenset(
            f"{self.find_source(name)}/{platform['name']}/{architecture}"
            for name, where in self.options["excludes"].items()
            for platform in self.options["platforms"]
            for architecture in platform["architectures"]
            if not where or platform["name"] in where or f"{platform['name']}-{architecture}" in where
        )


def _list_versions(stacks: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The version of each stack that has one, which may stand in a mapping, as ``distro_file_info`` returns it."""
    for name, said in stacks.items():
        version = said.get("version") if isinstance(said, Mapping) else said
        if version not in (None, ""):
            yield name, version


#: The packages of platforms, as they were read by their addresses.
Known = dict[tuple[str, ...], Base]


@dataclass
class Seen:
    """What was read of the indexes of an archive, by their addresses: the next time few paragraphs are others."""

    sources: dict[str, Memory[Source]] = field(default_factory=dict)
    packages: dict[str, Memory[Binary]] = field(default_factory=dict)


def read_platforms(request: Request, known: Known | None = None, seen: Seen | None = None) -> list[Platform]:
    """Read all indexes of a request.

    Those of platforms themselves are kept in ``known``, and not read again; of the others what was ``seen``.
    """
    return [
        _read_platform(request, platform, {} if known is None else known, seen)
        for platform in request.options["platforms"]
    ]


def _read_platform(request: Request, options: Mapping[str, Any], known: Known, seen: Seen | None) -> Platform:
    name, architectures, timeout = options["name"], options["architectures"], request.options["timeout"]
    sources = [
        source
        for place in options["sources"]
        for data, on in [_read_index(place.replace("{platform}", name), "Sources", timeout=timeout)]
        for source in read_sources(data, on, None if seen is None else seen.sources.setdefault(on, {}))
    ]
    chosen = choose_sources(request, name, sources, architectures=architectures)
    places = {kind: options.get(kind) or () for kind in ("shadow", "base")}
    shadow, base = {}, {}
    for architecture in architectures:
        shadow[architecture] = _read_packages(
            places["shadow"], name, architecture=architecture, timeout=timeout, seen=seen
        )
        key = (name, architecture, *places["base"])
        if key not in known:
            known[key] = Base(_read_packages(places["base"], name, architecture=architecture, timeout=timeout))
        base[architecture] = known[key]
    return Platform(
        name, tuple(architectures), options.get("all_architecture") or architectures[0], chosen, shadow, base
    )


def choose_sources(
    request: Request, platform: str, sources: Iterable[Source], *, architectures: Sequence[str]
) -> dict[str, Source]:
    """The sources that are to be built: in the versions of the stacks, else in the highest; those that are new.

    A stack without its source package is a finding, and all are listed.
    """
    known: dict[str, dict[str, Source]] = {}
    for source in sources:
        known.setdefault(source.name, {})[source.version] = source
    chosen = {name: _find_highest(versions) for name, versions in known.items()}
    findings = []
    if request.stacks is not None:
        chosen, excluded = {}, request.find_excluded()
        new = {*map(request.find_source, request.options["new"])}
        for stack, version in sorted(request.stacks.items()):
            name = request.find_source(stack)
            wanted = request.make_version(stack, version, platform)
            if wanted in known.get(name, {}):
                chosen[name] = known[name][wanted]
            elif name not in new and not excluded.issuperset(f"{name}/{platform}/{one}" for one in architectures):
                there = ", ".join(sorted(known.get(name, {}))) or "none"
                findings.append(f"{platform}: there is no source {name} {wanted} of {stack}; the index has {there}")
            elif known.get(name):
                chosen[name] = _find_highest(known[name])
    for stack, version in sorted(request.options["new"].items()):
        name = request.find_source(stack)
        if name in known:
            chosen[name] = chosen.get(name, _find_highest(known[name]))._replace(version=version)
    refuse(
        "plan the builds of",
        request.options["distribution"] or "the sources",
        findings,
        several="sources are not there",
        do_next="Make these source packages, or exclude the stack there, and run again.",
    )
    return chosen


def _find_highest(versions: Mapping[str, Source]) -> Source:
    found: Source | None = None
    for version, source in versions.items():
        if found is None or compare_versions(version, found.version) > 0:
            found = source
    if found is None:
        raise AssertionError("there is one version at least")
    return found


def _read_packages(
    places: Sequence[str], platform: str, *, architecture: str, timeout: float, seen: Seen | None = None
) -> list[Binary]:
    found: list[Binary] = []
    for place in places:
        where = place.replace("{platform}", platform).replace("{architecture}", architecture)
        data, on = _read_index(where, "Packages", timeout=timeout)
        memory = None if seen is None else seen.packages.setdefault(on, {})
        found += [one for one in read_binaries(data, on, memory) if one.architecture in (architecture, "all")]
    return found


def _read_index(place: str, name: str, *, timeout: float) -> tuple[bytes, str]:
    """An index as text, and where it is."""
    if "://" in place:
        return unpack_index(_fetch(place, timeout), place), place
    path = Path(place)
    if path.is_dir():
        path = next((path / f"{name}{form}" for form in FORMS if (path / f"{name}{form}").is_file()), path / name)
    try:
        return unpack_index(read_regular(path), os.fspath(path)), os.fspath(path)
    except OSError as error:
        raise SlipwayError(
            "read the index",
            os.fspath(path),
            error.strerror or str(error),
            do_next="Check whether the archive has this platform and architecture, and run again.",
        ) from error


def _fetch(url: str, timeout: float) -> bytes:
    try:
        return fetch_url(url, size=MAX_INDEX, timeout=timeout)
    except (*FAILURES, ValueError) as error:
        raise SlipwayError(
            "fetch the index", url, explain_failure(error), do_next="Check the address, and whether it answers."
        ) from error
