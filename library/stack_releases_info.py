#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_releases_info
short_description: Query which stacks are in a release repository
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the control YAML of versions of stacks, C(<stack>-<version>.yaml) or C(<stack>-<version>.tar.yaml) in
    C(<stack>/<stack>-<version>/), and reads and hashes the files that it names.
  - Absent is what a server says is not found (404). Any other error is a failure.
  - What is there and is not sound, such as a tarball with other bytes than its control YAML names, is told by name
    and is no failure of this module.
extends_documentation_fragment:
  - slipway.release.stack.reader
  - slipway.release.progress
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  repository:
    description: Address or path of the release repository.
    type: str
    required: true
  stacks:
    description: The versions to look for, by the name of the stack.
    type: dict
    required: true
  verify:
    description: Whether files are read and hashed, or are only looked for.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Query which stacks are released
  slipway.release.stack_releases_info:
    repository: https://debs.example.org/download/stacks
    stacks:
      common_msgs: 1.0.3
      geometry: 1.1.1
  register: released
"""

RETURN = r"""
releases:
  description:
    - For each stack a mapping of its C(version), whether it is C(present), C(place) of its directory, C(control) and
      C(control_name) or null, its sound C(files) with C(name), C(size), C(sha256) and C(place), the control YAML last,
      C(faults) and C(remarks).
    - Without O(verify), sizes and digests are those that the control YAML names, or null.
  returned: success
  type: dict
absent:
  description: The names of the stacks that are not there, without faults.
  returned: success
  type: list
  elements: str
faults:
  description: All faults, each with the name of its release.
  returned: success
  type: list
  elements: str
known:
  description: The lists C(packages) and C(depends) of each stack that is present.
  returned: success
  type: dict
"""

from typing import Any

from ..module_utils.slipway.module.options import PROGRESS, STACK_READER
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.stack.fetch import Reader
from ..module_utils.slipway.stack.repository import list_known, read_releases


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    found = read_releases(
        wanted["repository"],
        {str(stack): str(version) for stack, version in wanted["stacks"].items()},
        reader=Reader(wanted["timeout"], wanted["idle_timeout"], wanted["ca_path"]),
        verify=wanted["verify"],
        max_bytes=wanted["max_bytes"],
        progress=Progress(wanted["progress"] if write else None),
    )
    return {
        "changed": False,
        "releases": {each.stack: each.as_dict() for each in found},
        "absent": [each.stack for each in found if not each.present and not each.faults],
        "faults": [f"{each.stack} {each.version}: {fault}" for each in found for fault in each.faults],
        "known": list_known(found),
    }


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            **STACK_READER,
            "repository": {"type": "str", "required": True},
            "stacks": {"type": "dict", "required": True},
            "verify": {"type": "bool", "default": True},
        },
    )


if __name__ == "__main__":
    main()
