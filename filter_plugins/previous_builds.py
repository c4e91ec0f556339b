# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the records: what was built from the same definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import find_previous_builds

DOCUMENTATION = r"""
name: previous_builds
short_description: List what was built already from what a plan says
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Lists the systems of a release's plan whose build record says the same commit, file, architecture and options.
options:
  _input:
    description: The records by stage. C(build-<system>) is read for each system.
    type: dict
    required: true
  plan:
    description: The release's plan.
    type: dict
    required: true
  options:
    description: The build options by architecture.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what need not be built again
  ansible.builtin.debug:
    msg: "{{ release_records | slipway.release.previous_builds(release_plan, {'x86_64': {'arch': 'x86_64'}}) }}"
"""

RETURN = r"""
_value:
  description: For each such system C(element), C(architecture), C(key) and C(artifact).
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"previous_builds": find_previous_builds}
