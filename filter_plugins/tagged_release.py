# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over distro files: the release that a tag means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.wanted import find_tagged_release
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

DOCUMENTATION = r"""
name: tagged_release
short_description: Find the release that a tag means
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Finds the one stack and version that a tag is made for, by the C(release-tag) of the stacks' git rules.
  - Fails in a sentence if no rule fits, if several do, and if no package can have the version.
options:
  _input:
    description: What M(slipway.release.distro_file_info) returned for each distribution.
    type: list
    elements: dict
    required: true
  tag:
    description: The tag.
    type: str
    required: true
  stack:
    description: The stack, where several have such tags. Empty means that it is not known.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what a tag releases
  ansible.builtin.debug:
    msg: "{{ [distro_file] | slipway.release.tagged_release('ros-1.3.0') }}"
"""

RETURN = r"""
_value:
  description: C(distribution), C(stack), C(version) and C(uri), the address of the repository with the tag.
  type: dict
"""


def _find(found: Iterable[Mapping[str, Any]], tag: str, stack: str = "") -> dict[str, str]:
    try:
        return find_tagged_release(found, tag, stack=stack)
    except SlipwayError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"tagged_release": _find}
