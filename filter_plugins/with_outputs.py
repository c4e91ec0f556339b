# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over parts of a plan: what the records say of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: with_outputs
short_description: Join systems or deployments with outputs of their records
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Adds to each system or deployment of a release's plan outputs of the record of its stage.
options:
  _input:
    description: The systems or deployments, each with its C(name).
    type: list
    elements: dict
    required: true
  records:
    description: The records by stage. C(<stage>-<name>) is read for each.
    type: dict
    required: true
  stage:
    description: The stage, such as V(build).
    type: str
    required: true
  outputs:
    description: The names of the outputs.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show what was built
  ansible.builtin.debug:
    msg: "{{ release_plan.systems | slipway.release.with_outputs(release_records, 'build', ['key', 'artifact']) }}"
"""

RETURN = r"""
_value:
  description: The same, each with these outputs. They are null where there is no record.
  type: list
  elements: dict
"""


def with_outputs(
    parts: Sequence[Mapping[str, Any]], records: Mapping[str, Any], stage: str, outputs: Iterable[str]
) -> list[dict[str, Any]]:
    """The parts of a plan, each with the ``outputs`` of its record."""
    found = {part["name"]: records.get(f"{stage}-{part['name']}") or {"outputs": {}} for part in parts}
    return [{**part, **{name: found[part["name"]]["outputs"].get(name) for name in outputs}} for part in parts]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"with_outputs": with_outputs}
