# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over notes in Markdown: whether they say first that the release is withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.withdrawn import tell_withdrawn

DOCUMENTATION = r"""
name: notes_withdrawn
short_description: Have notes say that their release is withdrawn, or not say it any more
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Puts a notice with day and reason below the title of notes in Markdown, in the place of an earlier one.
options:
  _input:
    description: The notes.
    type: str
    required: true
  facts:
    description: C(withdrawn), C(by) and C(reason), as a tombstone has them. With none of them the notice goes.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show notes that warn
  ansible.builtin.debug:
    msg: "{{ notes | slipway.release.notes_withdrawn(made.facts) }}"
"""

RETURN = r"""
_value:
  description: The notes.
  type: str
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"notes_withdrawn": tell_withdrawn}
