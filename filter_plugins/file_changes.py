# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the files of a release: what changed since the release before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.changes import list_file_changes

DOCUMENTATION = r"""
name: file_changes
short_description: Compare the files of a release with those of the release before
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - A file is the same one if only the version in its name differs.
options:
  _input:
    description: The files, each with C(name), C(size) and C(sha256).
    type: list
    elements: dict
    required: true
  plan:
    description: The release's plan, as M(slipway.release.release_files_info) makes it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what changed
  ansible.builtin.debug:
    msg: "{{ release_records.publication.outputs.files | slipway.release.file_changes(release_plan) }}"
"""

RETURN = r"""
_value:
  description:
    - The label of the release before in C(previous), null if there is none; in C(files) the C(name) of each file that
      differs and a C(text) that says how; and in C(same) how many are the same.
  type: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"file_changes": list_file_changes}
