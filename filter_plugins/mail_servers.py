# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over mails: the SMTP servers that they go through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.mails import group_servers

DOCUMENTATION = r"""
name: mail_servers
short_description: List the servers of mails
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Lists the SMTP servers that mails go through, each with whom it is to take mails for.
options:
  _input:
    description: The mails, as the filter P(slipway.release.announcement_mails#filter) lists them.
    type: list
    elements: dict
    required: true
  passwords:
    description: The password of each host.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the servers
  ansible.builtin.debug:
    msg: "{{ mails | slipway.release.mail_servers }}"
"""

RETURN = r"""
_value:
  description: Each server as C(host port tls user ca_path), with C(sender), C(recipients) and C(password).
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"mail_servers": group_servers}
