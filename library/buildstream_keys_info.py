#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: buildstream_keys_info
short_description: Query the cache keys of the elements of a BuildStream project
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Asks BuildStream 2 which keys the artifacts of systems have at a commit of a project. Nothing is built, and nothing
    fetched but the commit itself, into a temporary directory.
  - Two commits at which a system has the same key give the same system.
extends_documentation_fragment:
  - slipway.release.buildstream
  - slipway.release.plan.systems
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  repository:
    description: The URL of the repository that holds the project.
    type: str
    required: true
  commit:
    description: The commit.
    type: str
    required: true
  systems:
    required: true
  project_options:
    description: The project's options by architecture.
    type: dict
    default: {}
  timeout:
    description: Seconds that one architecture may take.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Query the keys that the systems have now
  slipway.release.buildstream_keys_info:
    repository: git://trove.example.net/baserock/baserock/definitions.git
    commit: 1a5a2f5e0b5a9a5d1e4a0c1f2b3d4e5f60718293
    systems:
      - {name: minimal-system-x86_64, file: systems/minimal-system-x86_64.bst, architecture: x86_64}
    project_options:
      x86_64: {arch: x86_64}
"""

RETURN = r"""
artifact_keys: {description: The whole key of each system by its name., returned: success, type: dict}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.buildstream.command import Project, group_systems, show_elements
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import make_scratch
from ..module_utils.slipway.git.checkout import check_out
from ..module_utils.slipway.module.options import BUILDSTREAM, PLAN_SYSTEMS
from ..module_utils.slipway.module.report import run_module


def act(params: dict[str, Any], **_: bool) -> dict[str, Any]:
    systems = params["systems"]
    keys: dict[tuple[str, str], str] = {}
    with make_scratch("slipway-keys-") as directory:
        check_out(params["repository"], params["commit"], directory)
        project = Project(directory, params["config"] and Path(params["config"]), params["bst"])
        for build in group_systems(systems, params["project_options"]):
            shown = show_elements(project, build, dependencies="none", timeout=params["timeout"])
            keys |= {(build.architecture, element): node.key for element, node in shown.items()}
    lacking = [system["file"] for system in systems if not keys.get((system["architecture"], system["file"]))]
    if lacking:
        raise SlipwayError(
            "find out the keys of",
            ", ".join(lacking),
            f"bst show does not tell them at {params['commit'][:12]} of {params['repository']}",
            do_next="Correct the elements, or their options (release_build_options), and run again.",
        )
    return {
        "changed": False,
        "artifact_keys": {system["name"]: keys[system["architecture"], system["file"]] for system in systems},
    }


def main() -> None:
    run_module(
        act,
        {
            **BUILDSTREAM,
            "systems": {**PLAN_SYSTEMS["systems"], "required": True},
            "repository": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "project_options": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 300},
        },
    )


if __name__ == "__main__":
    main()
