# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the records of a release: what it was made from and with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.inputs import describe_inputs

DOCUMENTATION = r"""
name: release_inputs
short_description: Describe what a release was made from and with
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Gives the text of C(<label>.inputs.json), by which others can make the release again.
options:
  _input:
    description: The records of the release by stage.
    type: dict
    required: true
  plan:
    description: The release's plan.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what the release was made from
  ansible.builtin.debug:
    msg: "{{ release_records | slipway.release.release_inputs(release_plan) }}"
"""

RETURN = r"""
_value:
  description: The text, in JSON.
  type: str
"""


def release_inputs(records: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """The text of the file of inputs."""
    return json.dumps(describe_inputs(plan, records), indent=1, ensure_ascii=False) + "\n"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"release_inputs": release_inputs}
