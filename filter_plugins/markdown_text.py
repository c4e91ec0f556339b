# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over notes in Markdown: the text of a mail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.markdown import render_text

DOCUMENTATION = r"""
name: markdown_text
short_description: Set a text in Markdown as plain text
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Sets notes in Markdown as plain text, in lines that a mail can have. Tables become lists, and an address stands
    behind the words of its link.
  - Needs Python's markdown-it-py beside Ansible.
options:
  _input:
    description: The text in Markdown.
    type: str
    required: true
  width:
    description: How long lines are at the most, where words allow it.
    type: int
    default: 76
"""

EXAMPLES = r"""
- name: Show the notes as they are announced
  ansible.builtin.debug:
    msg: "{{ notes | slipway.release.markdown_text }}"
"""

RETURN = r"""
_value:
  description: The plain text.
  type: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"markdown_text": render_text}
