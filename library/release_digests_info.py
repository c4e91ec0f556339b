#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_digests_info
short_description: Query the digests of the files of a release that something else made
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads each file once, without following a link, and returns its size and digest.
  - A file with other bytes than those on record is a failure that names both digests. One that changes while it is read
    is a failure as well.
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  deployments:
    description: The deployments of the plan that M(slipway.release.release_files_info) made.
    type: list
    elements: dict
    required: true
  directory:
    description: The directory with the files.
    type: path
    required: true
  label:
    description: The release's label.
    type: str
    required: true
  previous:
    description: The RV(files) on record, each with C(name), C(size) and C(sha256).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Query the digests of the files
  slipway.release.release_digests_info:
    deployments: "{{ release_plan.deployments }}"
    directory: "{{ release_plan.directories.images }}"
    label: "{{ release_plan.label }}"
"""

RETURN = r"""
files:
  description: Each with C(deployment), C(name), C(size) in bytes and C(sha256).
  returned: success
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import require_fields
from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.digests import hash_deployments
from ..module_utils.slipway.progress import Progress


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    require_fields(
        options["deployments"],
        ("name", "file"),
        attempted="take the files of",
        on=options["label"],
        do_next="Give them as the module release_files_info returns them.",
    )
    files = hash_deployments(
        Path(options["directory"]),
        options["deployments"],
        label=options["label"],
        previous=options["previous"],
        progress=Progress(options["progress"] if write else None),
    )
    return {"changed": False, "files": files}


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            "deployments": {"type": "list", "elements": "dict", "required": True},
            "directory": {"type": "path", "required": True},
            "label": {"type": "str", "required": True},
            "previous": {"type": "list", "elements": "dict", "default": []},
        },
    )


if __name__ == "__main__":
    main()
