# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over a distro file: what of it a run releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.wanted import select_stacks
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

DOCUMENTATION = r"""
name: stack_releases
short_description: Select the stacks that a run releases
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Selects one stack in the given version, or all that have a version in the distro file, in the file's order.
  - Fails in a sentence for a stack that the distro file does not have, and for a version that dpkg refuses.
options:
  _input:
    description: What M(slipway.release.distro_file_info) returned.
    type: dict
    required: true
  directory:
    description: The directory below which each stack has its own, C(<directory>/<distribution>/<stack>-<version>).
    type: str
    required: true
  stack:
    description: The stack. Empty means all.
    type: str
    default: ""
  version:
    description: Its version. Empty means the distro file's.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what would be released
  ansible.builtin.debug:
    msg: "{{ distro_file | slipway.release.stack_releases('/srv/slipway/debs', stack='ros', version='1.3.0') }}"
"""

RETURN = r"""
_value:
  description: >-
    The stacks, each with C(name), the C(version) to release, C(kind) and C(values) for it, C(label)
    (C(<stack>-<version>)) and C(directory).
  type: list
  elements: dict
"""


def _select(found: Mapping[str, Any], directory: str, stack: str = "", version: str = "") -> list[dict[str, Any]]:
    try:
        return select_stacks(found, stack=stack, version=str(version), directory=directory)
    except SlipwayError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"stack_releases": _select}
