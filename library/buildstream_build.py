#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: buildstream_build
short_description: Build the elements of a BuildStream project
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Builds elements with BuildStream 2, for several architectures at the same time, each by one C(bst) process.
  - A failing element stops nothing that does not depend on it. When all have ended, the module fails and names
    each failed element, its architecture, the wanted elements that it kept from being built, and its log.
  - The builds end when the module ends, however it ends.
  - An artifact server to which O(config) says to push is asked in the end, and whenever the module is called, whether
    it holds the wanted elements whole, and what they were built from. What it lacks is pushed once more. What it does
    not get is a failure.
requirements:
  - bubblewrap and fuse3, unless all is built by remote execution
extends_documentation_fragment:
  - slipway.release.buildstream
  - slipway.release.buildstream.systems
  - slipway.release.plan.systems
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  previous:
    description:
      - The RV(elements) that an earlier build of the same definitions with the same options returned.
      - When the cache holds an architecture's elements whole under these keys, they are not looked at again.
      - In check mode, only elements that are named here can be known to be there.
    type: list
    elements: dict
    default: []
  timeout:
    description: Seconds that the builds for one architecture may take.
    type: int
    default: 86400
  queue_timeout:
    description:
      - Where O(config) names a remote execution service, seconds that an element may wait for a worker while no other
        one runs that wants the same of a worker. It fails then, and what it wants is named.
    type: int
    default: 1800
  away_timeout:
    description:
      - Seconds that an artifact server may be away when all is built, if O(config) says to push to it.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Build a system for two architectures at once
  slipway.release.buildstream_build:
    project: /srv/slipway/releases/26.47/source
    systems:
      - {name: minimal-system-x86_64, file: systems/minimal-system-x86_64.bst, architecture: x86_64}
      - {name: minimal-system-x86_32, file: systems/minimal-system-x86_32.bst, architecture: x86_32}
    project_options:
      x86_64: {arch: x86_64}
      x86_32: {arch: x86_32}
    log_directory: /srv/slipway/releases/26.47/logs
"""

RETURN = r"""
elements:
  description: Each wanted element.
  returned: success
  type: list
  elements: dict
  contains:
    element: {description: The element's path., type: str}
    architecture: {description: The architecture that it was built for., type: str}
    key: {description: Its whole cache key. Empty in check mode when it is not known., type: str}
    artifact: {description: The name by which C(bst artifact checkout) knows it. Empty when the key is., type: str}
    cached: {description: Whether it was in the cache before., type: bool}
tools:
  description: The version of BuildStream, when it ran.
  returned: success
  type: dict
  sample: {bst: 2.8.1}
"""

import dataclasses
import signal
from pathlib import Path
from typing import Any

from ..module_utils.slipway.buildstream.build import build_all, find_built, find_unheld
from ..module_utils.slipway.buildstream.command import Project, group_systems
from ..module_utils.slipway.buildstream.session import BuiltElement
from ..module_utils.slipway.errors import require_fields
from ..module_utils.slipway.module.options import BUILDSTREAM, BUILDSTREAM_SYSTEMS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def main() -> None:
    # Interrupted, the module ends at once like on any other signal, and its builds end with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_module(
        act,
        {
            **BUILDSTREAM,
            **BUILDSTREAM_SYSTEMS,
            **PROGRESS,
            "previous": {"type": "list", "elements": "dict", "default": []},
            "timeout": {"type": "int", "default": 86400},
            "queue_timeout": {"type": "int", "default": 1800},
            "away_timeout": {"type": "int", "default": 600},
        },
    )


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    project = Project(Path(params["project"]), params["config"] and Path(params["config"]), params["bst"])
    builds = group_systems(params["systems"], params["project_options"])
    require_fields(
        params["previous"],
        ("element", "architecture", "key", "artifact"),
        attempted="use",
        on="what an earlier build returned",
        do_next="Give its elements as they are, or none.",
    )
    previous = {(each["architecture"], each["element"]): (each["key"], each["artifact"]) for each in params["previous"]}
    known = find_built(project, builds, previous)
    unheld = find_unheld(project, [built for built in known if built.cached])
    missing = {built.architecture for built in known if not built.cached} | unheld
    tools: dict[str, str] = {}
    if missing and write:
        wanted = [build for build in builds if build.architecture in missing]
        made, version = build_all(
            project,
            wanted,
            log_directory=Path(params["log_directory"]),
            timeout=params["timeout"],
            progress=Progress(params["progress"]),
            queue_timeout=params["queue_timeout"],
            away_timeout=params["away_timeout"],
        )
        known = _replace_built(known, made)
        tools = {"bst": version}
    return {
        "changed": bool(unheld) or not all(built.cached for built in known),
        "elements": [dataclasses.asdict(built) for built in known],
        "tools": tools,
    }


def _replace_built(known: list[BuiltElement], made: list[BuiltElement]) -> list[BuiltElement]:
    new = {(built.architecture, built.element): built for built in made}
    return [new.get((built.architecture, built.element), built) for built in known]


if __name__ == "__main__":
    main()
