# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The records of builds and deployments, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: What is known of a file that something else made, besides its bytes.
FILE_FACTS = ("system", "architecture", "type", "compression")
Plan = Mapping[str, Any]
Records = Mapping[str, Any]


def describe_build_inputs(system: Mapping[str, Any], plan: Plan, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the artifact of one of the plan's systems depends on."""
    return {
        "definitions": plan["definitions"]["path"],
        "commit": plan["definitions"]["commit"],
        "system": system["file"],
        "architecture": system["architecture"],
        "options": dict(options.get(system["architecture"]) or {}),
    }


def make_build_records(
    results: Iterable[Mapping[str, Any]], plan: Plan, options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The records of what was built, ``elements`` and ``tools`` by host; an element without a key gives none.

    Check mode may return such.
    """
    systems = {(system["file"], system["architecture"]): system for system in plan["systems"]}
    return [
        {
            "stage": f"build-{system['name']}",
            "inputs": describe_build_inputs(system, plan, options),
            "outputs": {"key": built["key"], "artifact": built["artifact"]},
            "tools": result.get("tools") or {},
        }
        for result in results
        for built in result["elements"]
        if built["key"]
        for system in [systems[built["element"], built["architecture"]]]
    ]


def find_previous_builds(records: Records, plan: Plan, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The systems that were built from the inputs of the plan, with their artifacts; other records do not count."""
    found = []
    for system in plan["systems"]:
        record = records.get(f"build-{system['name']}")
        if record is not None and record["inputs"] == describe_build_inputs(system, plan, options):
            outputs = {name: record["outputs"][name] for name in ("key", "artifact")}
            found.append({"element": system["file"], "architecture": system["architecture"], **outputs})
    return found


def find_artifacts(records: Records, plan: Plan) -> dict[str, str]:
    """The build artifact of each system that has a record, by the system's name."""
    stages = {system["name"]: records.get(f"build-{system['name']}") for system in plan["systems"]}
    return {name: record["outputs"]["artifact"] for name, record in stages.items() if record is not None}


def make_deploy_records(
    files: Iterable[Mapping[str, Any]], plan: Plan, records: Records, tools: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The records of the files that were made, of deployments or of extra files."""
    deployments = {deployment["file"]: deployment for deployment in plan["deployments"]}
    extras = {extra["file"]: extra for extra in plan.get("extras") or ()}
    built = find_artifacts(records, plan)
    made = []
    for file in files:
        deployment = deployments.get(file["name"])
        if deployment is None:
            stage, inputs = "extra", _describe_extra_inputs(extras[file["name"]], plan, built)
        elif plan["definitions"] is None:
            stage, inputs = "deploy", {fact: deployment[fact] for fact in FILE_FACTS}
        else:
            stage, inputs = "deploy", {"epoch": plan["epoch"], **_describe_deploy_inputs(deployment, built)}
        name = f"{stage}-{file['deployment']}"
        made.append({"stage": name, "inputs": inputs, "outputs": dict(file), "tools": dict(tools)})
    return made


def _describe_extra_inputs(extra: Mapping[str, Any], plan: Plan, built: Mapping[str, str]) -> dict[str, Any]:
    return {
        **{name: extra[name] for name in ("product", "type", "settings")},
        "system": extra["system_name"],
        "artifact": built.get(extra["system_name"]),
        "commit": plan["definitions"]["commit"],
    }


def _describe_deploy_inputs(deployment: Mapping[str, Any], built: Mapping[str, str]) -> dict[str, Any]:
    return {
        "system": deployment["system_name"],
        "artifact": built.get(deployment["system_name"]),
        "type": deployment["type"],
        "location": deployment["location"],
        "settings": dict(deployment["settings"]),
        "subsystems": {each["name"]: _describe_deploy_inputs(each, built) for each in deployment["subsystems"]},
    }
