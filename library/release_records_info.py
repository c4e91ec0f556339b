#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_records_info
short_description: Query the records of a release that was made before
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the coordinator. Returns the facts C(release_plan) and C(release_records) of a release from its records
    alone, for what is done with it afterwards. No server is asked, and no file of it is looked at.
  - A release without records here has names and directories, and a warning.
extends_documentation_fragment:
  - slipway.release.plan.kept
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  project:
    description: The project.
    type: str
    required: true
  version:
    description: The version, as text.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Query the release
  slipway.release.release_records_info:
    project: baserock
    version: "26.47"
    state_directory: /srv/slipway
    coordinator: "{{ inventory_hostname }}"
"""

RETURN = r"""
ansible_facts:
  description: The plan and the records, as facts.
  returned: success
  type: dict
  contains:
    release_plan:
      description: Names, directories and what the record C(preflight) says. It has no deployments.
      type: dict
      returned: always
    release_records: {description: The records by stage., type: dict, returned: always}
"""

from typing import Any

from ..module_utils.slipway.module.options import PLAN_KEPT
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.recorded import recall_plan


def act(params: dict[str, Any], **_: bool) -> dict[str, Any]:
    found = recall_plan(
        params["project"],
        params["version"],
        state_directory=params["state_directory"],
        coordinator=params["coordinator"],
    )
    facts = {"release_plan": found.plan, "release_records": found.records}
    return {"changed": False, "ansible_facts": facts, "warnings": found.warnings}


def main() -> None:
    run_module(
        act,
        {
            **PLAN_KEPT,
            "project": {"type": "str", "required": True},
            "version": {"type": "raw", "required": True},
        },
    )


if __name__ == "__main__":
    main()
