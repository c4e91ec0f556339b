# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The request for a release, the plan for it, and where it is kept."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..release.records import Record

#: The architectures that Baserock's definitions knew.
ARCHITECTURES = (
    *("armv5l", "armv6l", "armv7b", "armv7l", "armv7lhf", "armv8b64", "armv8l64"),
    *("mips32b", "mips32l", "mips64b", "mips64l", "ppc64", "x86_32", "x86_64"),
)
DIRECTORIES = ("records", "images", "artifacts", "logs", "source")
Plan = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What to release, and where; ``build_hosts`` maps an architecture to its hosts.

    ``coordinator`` is the host that keeps the release.

    Without ``deployment_types``, deployments must be what Slipway itself can make of their type and settings.

    ``policy`` is what the site wants of its releases; ``products`` are those that take part, all of them if empty.

    ``bills`` is whether systems have bills of materials unless their product says otherwise.
    """

    version: object
    project: object
    url: str
    mirror_url: str
    path: str
    ref: str
    cluster: str
    state_directory: str
    coordinator: str
    build_hosts: Mapping[str, Sequence[str]]
    allow_missing_arches: Collection[str] = ()
    architectures: Collection[str] = ARCHITECTURES
    deployment_types: Collection[str] = ()
    policy: object = None
    products: Sequence[str] = ()
    bills: bool = False
    timeout: float = 60.0


@dataclass(frozen=True)
class PlanResult:
    """The plan, the records that exist, and warnings."""

    plan: Plan
    records: dict[str, Record]
    warnings: list[str]


def find_builders(build_hosts: Mapping[str, object]) -> dict[str, list[str]]:
    """The hosts of each architecture, in their order; one that does not say what it builds for is a failure."""
    found: dict[str, list[str]] = {}
    for host, architectures in build_hosts.items():
        if not isinstance(architectures, list) or not all(isinstance(each, str) for each in architectures):
            raise SlipwayError(
                "tell",
                f"what the build host {host} builds for",
                f"build_host_architectures is {'not a list of names' if architectures else 'missing'}",
                do_next="Set it in the inventory, such as build_host_architectures: [x86_64].",
            )
        for architecture in architectures:
            found.setdefault(architecture, []).append(host)
    return found


def name_directories(state_directory: str, version: str) -> dict[str, str]:
    """The absolute directories of one release."""
    state = Path(os.path.abspath(Path(state_directory).expanduser()))
    release = state / "releases" / version
    return {"state": str(state), "release": str(release), **{name: str(release / name) for name in DIRECTORIES}}
