# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over platforms: those that a stack is excluded for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.platforms import find_excluded_platforms

DOCUMENTATION = r"""
name: excluded_platforms
short_description: Find the platforms that are excluded as a whole
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Finds those platforms of which the name, or each architecture, is among the excluded places.
options:
  _input:
    description: The platforms, each with C(name) and C(architectures).
    type: list
    elements: dict
    required: true
  places:
    description: The excluded places, C(bookworm) or C(bookworm-i386).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show for which platforms a stack is not made
  ansible.builtin.debug:
    msg: "{{ debs_platforms | slipway.release.excluded_platforms(['trixie', 'bookworm-i386']) }}"
"""

RETURN = r"""
_value:
  description: Their names.
  type: list
  elements: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"excluded_platforms": find_excluded_platforms}
