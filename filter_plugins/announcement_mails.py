# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over a plan: the mails that announce the release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.mails import list_mails

DOCUMENTATION = r"""
name: announcement_mails
short_description: List the mails that announce a release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Lists the mails that announce a release, one for each list of the site and of the products in it. A list that is
    wrong is a failure
    that names it.
options:
  _input:
    description: The release's plan, as the role C(release) found it.
    type: dict
    required: true
  notes:
    description: The names of the notes that there are. A product without notes of its own announces the main ones.
    type: list
    elements: str
    required: true
  settings:
    description: The main lists as C(recipients), their C(subject), the C(sender), and the server as C(host port tls
      user ca_path).
    type: dict
    required: true
  record:
    description: The announcement's record, if there is one.
    type: dict
"""

EXAMPLES = r"""
- name: Show whom the release is announced to
  ansible.builtin.debug:
    msg: "{{ release_plan | slipway.release.announcement_mails(['acme'], settings) | map(attribute='to') }}"
"""

RETURN = r"""
_value:
  description: >-
    Each mail with C(to), C(subject), C(sender), C(message_id), the C(product) and the C(notes) that it is of, a
    C(key) that tells it
    from the others, whether it was C(sent) by the record, and how its server is reached.
  type: list
  elements: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"announcement_mails": list_mails}
