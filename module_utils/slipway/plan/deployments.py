# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The deployments of a release: what is made of which system, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..image.writers import WRITERS
from ..release import names
from .cluster import Cluster, Deployment, System
from .request import Plan, Request
from .systems import ResolvedSystems


def find_setting_faults(cluster: Cluster) -> list[str]:
    """The faults that Slipway's own writers find in the settings of the deployments."""
    return [
        f"{deployment.where}: {fault} (line {deployment.line})"
        for system in cluster.walk()
        for deployment in system.deployments
        for fault in WRITERS[deployment.type].faults(deployment.settings)
    ]


def find_missing(cluster: Cluster, resolved: ResolvedSystems, request: Request, faults: list[str]) -> set[str]:
    """The entries of systems that no host builds and that may be left out; others become faults."""
    without: dict[str, list[str]] = {}
    missing = set()
    for entry in cluster.walk():
        architecture = resolved.architecture.get(entry.where)
        if architecture is None or request.build_hosts.get(architecture):
            continue
        if architecture in request.allow_missing_arches:
            missing.add(entry.where)
        elif resolved.file[entry.where] not in without.setdefault(architecture, []):
            without[architecture].append(resolved.file[entry.where])
    faults += [
        f"no build host builds for {architecture}, which {' and '.join(files)} need{'s' if len(files) == 1 else ''}: "
        f"add a host to the group build_hosts with {architecture} in its build_host_architectures, "
        f"or leave this out with release_allow_missing_arches: [{architecture}]"
        for architecture, files in without.items()
    ]
    return missing


def list_deployments(
    cluster: Cluster, resolved: ResolvedSystems, label: str, missing: Collection[str]
) -> tuple[list[Plan], list[Plan]]:
    """What is made of the systems that can be built, and what is left out with the reason."""
    described: list[Plan] = []
    skipped: dict[tuple[str, str], Plan] = {}
    for entry in cluster.systems:
        lacking = [each for each in entry.walk() if each.where in missing]
        if not lacking and all(each.where in resolved.file for each in entry.walk()):
            described += [
                {
                    **_describe_deployment(entry, deployment, resolved),
                    "file": names.make_file_name(label, deployment.location),
                }
                for deployment in entry.deployments
            ]
        for each in [entry, *(each for each in lacking if each is not entry)] if lacking else []:
            _skip_system(skipped, each, resolved, lacking)
    return described, list(skipped.values())


def _skip_system(
    skipped: dict[tuple[str, str], Plan], entry: System, resolved: ResolvedSystems, lacking: Sequence[System]
) -> None:
    if entry.where not in resolved.file:
        return
    system = resolved.file[entry.where], resolved.architecture[entry.where]
    cause = entry if entry in lacking else lacking[0]
    architecture = resolved.architecture[cause.where]
    because = "" if cause is entry else f"{resolved.file[cause.where]} is a part of it, and "
    found = skipped.setdefault(
        system,
        {
            "system": system[0],
            "architecture": system[1],
            "deployments": [],
            "reason": f"{because}no build host builds for {architecture}",
        },
    )
    found["deployments"] += [deployment.name for deployment in entry.deployments]


def _describe_deployment(entry: System, deployment: Deployment, resolved: ResolvedSystems) -> Plan:
    file, architecture = resolved.file[entry.where], resolved.architecture[entry.where]
    return {
        "name": deployment.name,
        "system": file,
        "system_name": resolved.name[file, architecture],
        "architecture": architecture,
        "type": deployment.type,
        "location": deployment.location,
        "settings": dict(deployment.settings),
        "subsystems": [
            _describe_deployment(subsystem, each, resolved)
            for subsystem in entry.subsystems
            for each in subsystem.deployments
        ],
    }


def list_systems(deployments: Iterable[Plan]) -> list[Plan]:
    """Every system that some deployment needs, once, in the order of the cluster."""
    found: dict[str, Plan] = {}
    for deployment in deployments:
        found.setdefault(
            deployment["system_name"],
            {
                "name": deployment["system_name"],
                "file": deployment["system"],
                "architecture": deployment["architecture"],
            },
        )
        for system in list_systems(deployment["subsystems"]):
            found.setdefault(system["name"], system)
    return list(found.values())
