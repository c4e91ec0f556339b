# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over files that were made: the records of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import make_deploy_records

DOCUMENTATION = r"""
name: deploy_records
short_description: Make the records of the files of a release that were made
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one record for each file, C(deploy-<deployment>), or C(extra-<name>) if it is an extra file of the plan.
options:
  _input:
    description: The files as M(slipway.release.system_deploy) or M(slipway.release.release_extras) returns them.
    type: list
    elements: dict
    required: true
  plan:
    description: The release's plan.
    type: dict
    required: true
  records:
    description: The records of the stages before, by stage.
    type: dict
    required: true
  tools:
    description: The versions of the programs that made the files.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what would be recorded
  ansible.builtin.debug:
    msg: "{{ made.files | slipway.release.deploy_records(release_plan, release_records, made.tools) }}"
"""

RETURN = r"""
_value:
  description: The records, with C(stage), C(inputs), C(outputs) and C(tools).
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"deploy_records": make_deploy_records}
