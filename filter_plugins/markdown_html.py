# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over notes in Markdown: a part of a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.markdown import render_html

DOCUMENTATION = r"""
name: markdown_html
short_description: Set a text in Markdown as HTML
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Sets notes in Markdown as HTML, as the pages of releases show them. What is HTML in them is shown as text, and
    no scripts or images come with them.
  - Needs Python's markdown-it-py beside Ansible.
options:
  _input:
    description: The text in Markdown.
    type: str
    required: true
  lower:
    description: How many levels lower headings are than they say.
    type: int
    default: 0
  highest:
    description: The level that no heading is above.
    type: int
    default: 1
"""

EXAMPLES = r"""
- name: Show the notes as a page has them
  ansible.builtin.debug:
    msg: "{{ notes | slipway.release.markdown_html(lower=1, highest=3) }}"
"""

RETURN = r"""
_value:
  description: The HTML, without a page around it.
  type: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"markdown_html": render_html}
