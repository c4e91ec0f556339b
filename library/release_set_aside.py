#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_set_aside
short_description: Set aside what a fix on the release branch outdated
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Until a release is public, its branch may move forward. What was made of the commit before is then made anew.
  - Moves the records of the stages into C(replaced/<first 12 digits of the commit>/) below the release's directory, and
    removes C(images/) and C(artifacts/). The record of the branch is copied, and stays until the next one replaces it.
    So an interrupted run is completed by the next one. Logs stay.
  - Without O(commit), nothing is done.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  directory:
    description: The directory of the release.
    type: path
    required: true
  commit:
    description: The commit that the records are of, which is C(move.before) of the release's plan.
    type: str
  stages:
    description: The stages whose records are set aside, which is C(move.outdated) of the release's plan.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Set aside what was made before the fix
  slipway.release.release_set_aside:
    directory: "{{ release_plan.directories.release }}"
    commit: "{{ release_plan.move.before or omit }}"
    stages: "{{ release_plan.move.outdated }}"
"""

RETURN = r"""
moved:
  description: Where each path went, or would go; empty for what is removed.
  returned: success
  type: dict
  sample: {/srv/slipway/releases/26.47/images: ""}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.moved import set_aside


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory = Path(wanted["directory"])
    moved = (
        set_aside(directory, commit=wanted["commit"], stages=wanted["stages"], write=write) if wanted["commit"] else {}
    )
    texts = {path: ("there\n", f"moved to {aside}\n" if aside else "") for path, aside in moved.items()}
    return {"changed": bool(moved), "moved": moved, **({"diff": diff_texts(texts)} if texts else {})}


def main() -> None:
    run_module(
        act,
        {
            "directory": {"type": "path", "required": True},
            "commit": {"type": "str"},
            "stages": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
