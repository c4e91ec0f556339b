# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the results of distbuild_submit: what build records say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.systems import distbuild_results

DOCUMENTATION = r"""
name: distbuild_results
short_description: Tell what distbuild networks built as build records do
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Joins the results of C(distbuild_submit) with the systems that it built.
options:
  _input:
    description: The C(builds) that C(distbuild_submit) returned.
    type: list
    elements: dict
    required: true
  systems:
    description: The systems in the same order, with C(file) and C(architecture).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what was built
  ansible.builtin.debug:
    msg: "{{ submitted.builds | slipway.release.distbuild_results(release_plan.systems) }}"
"""

RETURN = r"""
_value:
  description: >-
    For each system C(element), C(architecture), C(key), C(artifact) and C(cached). In check mode C(key) is empty for
    what would be built.
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"distbuild_results": distbuild_results}
