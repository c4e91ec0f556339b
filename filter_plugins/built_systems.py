# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the records: the systems that were built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: built_systems
short_description: List the systems of a release with the keys of their build artifacts
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Joins the systems of a release's plan with the outputs of their build records.
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
- name: Show what was built
  ansible.builtin.debug:
    msg: "{{ release_records | slipway.release.built_systems(release_plan) }}"
"""

RETURN = r"""
_value:
  description: For each system C(name), C(file), C(architecture), and C(key), which is null while it is not built.
  type: list
  elements: dict
"""


def built_systems(records: Mapping[str, Any], plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan's systems, each with the key of its build artifact."""
    systems = []
    for system in plan["systems"]:
        record = records.get(f"build-{system['name']}") or {}
        key = (record.get("outputs") or {}).get("key")
        systems.append({**{name: system[name] for name in ("name", "file", "architecture")}, "key": key})
    return systems


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"built_systems": built_systems}
