# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over systems: what to build for each architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import group_builds

DOCUMENTATION = r"""
name: builds_by_architecture
short_description: Group systems into one build for each architecture
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes of a plan's systems what the option C(builds) of M(slipway.release.buildstream_build) takes.
options:
  _input:
    description: The systems, with C(file) and C(architecture).
    type: list
    elements: dict
    required: true
  options:
    description: The build options by architecture.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is to be built
  ansible.builtin.debug:
    msg: "{{ release_plan.systems | slipway.release.builds_by_architecture({'x86_64': {'arch': 'x86_64'}}) }}"
"""

RETURN = r"""
_value:
  description: For each architecture C(architecture), C(options), and C(elements), which are the files of its systems.
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"builds_by_architecture": group_builds}
