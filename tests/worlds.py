# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small worlds of packages for tests of plans: each line is a package, as an index would have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.edges import Policy
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.packages import (
    Binary,
    Source,
    read_binaries,
    read_sources,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.plan import Plan, Wishes, make_plan
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.world import Base, Platform


def write_index(entries: Sequence[Mapping[str, str]]) -> bytes:
    """Paragraphs; underscores in names of fields stand for dashes."""
    return "\n".join(
        "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in entry.items()) for entry in entries
    ).encode()


def source(name: str, version: str = "1", needs: str = "", **fields: str) -> dict[str, str]:
    """A paragraph of ``Sources``; it makes a package of its own name for any architecture, if nothing else is said."""
    entry = {"Package": name, "Version": version, "Binary": name, "Architecture": "any", "Build_Depends": needs}
    return {key: value for key, value in {**entry, **fields}.items() if value}


def package(name: str, version: str = "1", depends: str = "", **fields: str) -> dict[str, str]:
    """A paragraph of ``Packages``."""
    entry = {"Package": name, "Version": version, "Architecture": "amd64", "Depends": depends}
    return {key: value for key, value in {**entry, **fields}.items() if value}


def platform(
    sources: Sequence[Mapping[str, str]],
    shadow: Sequence[Mapping[str, str]] = (),
    base: Sequence[Mapping[str, str]] = (),
    *,
    architectures: Sequence[str] = ("amd64",),
    name: str = "lucid",
) -> Platform:
    """A platform; what is for all architectures is built on the first."""
    known: dict[str, Source] = {one.name: one for one in read_sources(write_index(sources), "Sources")}

    def choose(entries: Sequence[Mapping[str, str]], architecture: str) -> list[Binary]:
        found = read_binaries(write_index(entries), "Packages")
        return [one for one in found if one.architecture in (architecture, "all")]

    return Platform(
        name,
        tuple(architectures),
        architectures[0],
        known,
        {architecture: choose(shadow, architecture) for architecture in architectures},
        {architecture: Base(choose(base, architecture)) for architecture in architectures},
    )


def plan(*platforms: Platform, policy: str | Policy = "transitive", **wishes: Any) -> Plan:
    """The plan for some platforms."""
    wanted = policy if isinstance(policy, Policy) else Policy(policy)
    return make_plan(platforms, Wishes(distribution="cturtle", policy=wanted, **wishes))


def list_waves(made: Plan) -> list[list[str]]:
    """What is built, by wave; with several architectures as ``name/architecture``."""
    several = len({entry["architecture"] for entry in made["entries"]}) > 1
    waves: dict[int, list[str]] = {}
    for entry in made["entries"]:
        if entry["state"] == "build":
            name = f"{entry['source']}/{entry['architecture']}" if several else entry["source"]
            waves.setdefault(entry["order"], []).append(name)
    return [waves[number] for number in sorted(waves)]


def find_blocked(made: Plan) -> dict[str, str]:
    """Why each source is blocked."""
    return {one["source"]: one["why"] for one in made["blocked"]}


def find_reasons(made: Plan, name: str) -> list[str]:
    """The texts of the reasons for a source."""
    (entry, *_rest) = [entry for entry in made["entries"] if entry["source"] == name]
    return [reason["text"] for reason in entry["reasons"]]
