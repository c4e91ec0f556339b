# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over texts from outside: code in a wiki page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_markdown_code

DOCUMENTATION = r"""
name: as_markdown_code
short_description: Set a text as code in a page in Markdown
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Sets a name that somebody else gave as code in a page in Markdown, also in a table. It is not between backticks
    where Markdown or ikiwiki would find something in it.
options:
  _input:
    description: The text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a name as it goes into a table
  ansible.builtin.debug:
    msg: "| {{ system.name | slipway.release.as_markdown_code }} |"
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
        return {"as_markdown_code": escape_markdown_code}
