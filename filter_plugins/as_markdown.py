# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over texts from outside: a line of a wiki page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_markdown

DOCUMENTATION = r"""
name: as_markdown
short_description: Escape a text for a line of a page in Markdown
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one line of a text that somebody else wrote, such as the subject of a commit, that Markdown and ikiwiki show
    as it is. It holds no markup, no HTML, no link and no directive.
options:
  _input:
    description: The text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a subject as it goes into a wiki page
  ansible.builtin.debug:
    msg: "* {{ change.subject | slipway.release.as_markdown }}"
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
        return {"as_markdown": escape_markdown}
