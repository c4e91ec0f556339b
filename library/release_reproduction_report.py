#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_reproduction_report
short_description: Find out where a release that was made again differs
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Fetches each published file that differs, and says which files in it do and which element of BuildStream makes them,
    which sources differ between the two commits of the definitions, and has diffoscope write what differs.
  - Each file has limits of time, memory and length of the reports, which are made anew each time.
extends_documentation_fragment:
  - slipway.release.buildstream
  - slipway.release.connection.https
  - slipway.release.progress
  - slipway.release.attributes
options:
  reference:
    description: The address (file, http or https) of the directory of the published release.
    type: str
    required: true
  directory:
    description: The directory in which the release was packaged again.
    type: path
    required: true
  names:
    description: The files that differ.
    type: list
    elements: str
    required: true
  reports:
    description: The directory of the reports, C(difference-<file>.txt) and C(difference-<file>.html).
    type: path
    required: true
  project:
    description: The directory of the definitions that were built.
    type: path
  systems:
    description: The systems of the plan, by whose elements the files are looked for.
    type: list
    elements: dict
    default: []
  project_options:
    description: BuildStream's options by architecture.
    type: dict
    default: {}
  definitions:
    description: The address of the definitions, in which the sources of two commits are compared.
    type: str
    default: ""
  commits:
    description: The commit that the published release is of, and the one that was built.
    type: list
    elements: str
    default: []
  most:
    description: So many files are looked into.
    type: int
    default: 8
  timeout:
    description: Seconds for each.
    type: float
    default: 600
  memory:
    description: Bytes of memory for each.
    type: int
    default: 4294967296
  length:
    description: Bytes that a report may have.
    type: int
    default: 4194304
attributes:
  check_mode:
    details: Does nothing.
"""

EXAMPLES = r"""
- name: Find out where it differs
  slipway.release.release_reproduction_report:
    reference: https://download.example.org/baserock-26.47
    directory: "{{ release_plan.directories.artifacts }}"
    names: [baserock-26.47-tiny-system-x86_64.tar.gz]
    reports: "{{ release_plan.directories.logs }}"
"""

RETURN = r"""
told: {description: "A sentence for each place that differs.", returned: success, type: list, elements: str}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.buildstream.command import Project
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import make_directory, make_scratch
from ..module_utils.slipway.gates.reproduction import fetch_file, fetch_reference
from ..module_utils.slipway.gates.where import (
    ABSENT,
    Limits,
    Place,
    find_changed_sources,
    find_owners,
    has_diffoscope,
    locate_difference,
    order_names,
)
from ..module_utils.slipway.module.options import BUILDSTREAM, CONNECTION_HTTPS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    if not write:
        return {"changed": False, "told": []}
    reference = fetch_reference(wanted["reference"], ca_path=wanted["ca_path"])
    listed = {each["name"]: each for each in reference.manifest.get("files") or [] if isinstance(each, dict)}
    names = order_names(set(wanted["names"]) & listed.keys())
    reports = Path(wanted["reports"])
    make_directory(reports)
    progress = Progress(wanted["progress"], total=len(names[: wanted["most"]]))
    places: list[tuple[Place, dict[str, Any]]] = []
    told: list[str] = []
    # Beside what was made, where there is room for images.
    with make_scratch("reproduction-", directory=wanted["directory"]) as top:
        for number, name in enumerate(names[: wanted["most"]]):
            scratch, published = top / str(number), top / f"published-{number}"
            scratch.mkdir()
            made = Path(wanted["directory"]) / name
            try:
                if fault := fetch_file(reference, name, published, ca_path=wanted["ca_path"]):
                    told.append(fault)
                if made.is_file():
                    limits = Limits(wanted["timeout"], wanted["memory"], wanted["length"])
                    kind = str(listed[name].get("type"))
                    found = locate_difference(
                        *(published, made), name=name, kind=kind, scratch=scratch, reports=reports, limits=limits
                    )
                    places.append((found, listed[name]))
            except SlipwayError as error:
                told.append(f"{name}: {error.came_back}")
            published.unlink(missing_ok=True)
            progress.step(f"{name} is looked into")
    for place, facts in places:
        told += place.tell(_find_owners(wanted, facts, place))
    if places and not has_diffoscope():
        told.append(ABSENT)
    if len(names) > wanted["most"]:
        told.append(f"{len(names) - wanted['most']} more files differ, and were not looked into")
    return {"changed": bool(places), "told": [*_find_sources(wanted), *told]}


def _find_owners(wanted: dict[str, Any], facts: dict[str, Any], place: Place) -> dict[str, str]:
    systems = [each for each in wanted["systems"] if facts.get("system") in (each.get("file"), each.get("name"))]
    if not wanted["project"] or not systems:
        return {}
    project = Project(Path(wanted["project"]), Path(wanted["config"]) if wanted["config"] else None, wanted["bst"])
    options = wanted["project_options"].get(systems[0]["architecture"]) or {}
    try:
        return find_owners(project, options, str(systems[0]["file"]), [*place.paths])
    except SlipwayError:
        return {}  # where is known all the same


def _find_sources(wanted: dict[str, Any]) -> list[str]:
    if len(wanted["commits"]) != 2 or not wanted["definitions"]:
        return []
    top = Path(wanted["project"]) if wanted["project"] else None
    return find_changed_sources(wanted["definitions"], (wanted["commits"][0], wanted["commits"][1]), elements=top)


def main() -> None:
    run_module(
        act,
        {
            **BUILDSTREAM,
            **CONNECTION_HTTPS,
            **PROGRESS,
            "reference": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "reports": {"type": "path", "required": True},
            "project": {"type": "path"},
            "systems": {"type": "list", "elements": "dict", "default": []},
            "project_options": {"type": "dict", "default": {}},
            "definitions": {"type": "str", "default": ""},
            "commits": {"type": "list", "elements": "str", "default": []},
            "most": {"type": "int", "default": 8},
            "timeout": {"type": "float", "default": 600},
            "memory": {"type": "int", "default": 4 << 30},
            "length": {"type": "int", "default": 4 << 20},
        },
    )


if __name__ == "__main__":
    main()
