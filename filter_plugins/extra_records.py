# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over extra files that were made: the records of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import make_extra_records

DOCUMENTATION = r"""
name: extra_records
short_description: Make the records of the extra files of a release
version_added: "0.4.0"
author: The Slipway developers (@slipway)
description:
  - Makes one record C(extra-<name>) for each file.
options:
  _input:
    description: The files as M(slipway.release.release_extras) returns them.
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
    msg: "{{ made.files | slipway.release.extra_records(release_plan, release_records, made.tools) }}"
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
        return {"extra_records": make_extra_records}
