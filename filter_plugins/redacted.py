# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over addresses: what may be shown of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import redacted

DOCUMENTATION = r"""
name: redacted
short_description: Leave secrets out of an address
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Leaves out the password in an address. In one by http the name goes as well, since it may be a token. The user of
    an address by ssh stays.
options:
  _input:
    description: The address. In lists and mappings, each text in them.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show where the definitions are
  ansible.builtin.debug:
    msg: "{{ release_plan.definitions.url | slipway.release.redacted }}"
"""

RETURN = r"""
_value:
  description: What may be shown.
  type: raw
"""


def redact(value: Any) -> Any:
    """The value with each address in it as it may be shown."""
    if isinstance(value, list):
        return [redact(each) for each in value]
    if isinstance(value, dict):
        return {name: redact(each) for name, each in value.items()}
    return redacted(value) if isinstance(value, str) else value


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"redacted": redact}
