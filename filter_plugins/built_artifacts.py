# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the records: the build artifact of each system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import find_artifacts

DOCUMENTATION = r"""
name: built_artifacts
short_description: Find the build artifact of each system
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Finds the build artifact of each system of a release's plan in its build record.
options:
  _input:
    description: The records by stage. C(build-<system>) is read for each system.
    type: dict
    required: true
  plan:
    description: The release's plan.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the artifacts
  ansible.builtin.debug:
    msg: "{{ release_records | slipway.release.built_artifacts(release_plan) }}"
"""

RETURN = r"""
_value:
  description: The names of the artifacts by the systems' names. A system without a record is missing.
  type: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"built_artifacts": find_artifacts}
