# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over what was built: the records of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.records import make_build_records

DOCUMENTATION = r"""
name: build_records
short_description: Make the records of the systems that were built
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one record C(build-<system>) for each element that was built. An element without a key gives none.
options:
  _input:
    description: >-
      What each host built, as M(slipway.release.buildstream_build) and M(slipway.release.distbuild_submit) return it:
      C(elements) and perhaps C(tools).
    type: list
    elements: dict
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
- name: Write the build records
  slipway.release.release_record:
    records: "{{ [built] | slipway.release.build_records(release_plan, release_build_options) }}"
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
        return {"build_records": make_build_records}
