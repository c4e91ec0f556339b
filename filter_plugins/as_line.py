# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over texts from outside: one line of plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_line

DOCUMENTATION = r"""
name: as_line
short_description: Escape a text for one line of a mail or a file
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one line of a text that somebody else wrote, such as the name of a system. Control characters, and those that
    change the direction of text, are replaced.
options:
  _input:
    description: The text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a name as it goes into a mail
  ansible.builtin.debug:
    msg: "  * {{ system.name | slipway.release.as_line }}"
"""

RETURN = r"""
_value:
  description: The text for that place.
  type: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"as_line": escape_line}
