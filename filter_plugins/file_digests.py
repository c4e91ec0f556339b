# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over files: what identifies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: file_digests
short_description: Keep of files what identifies them
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Leaves out where files are, so that they can be uploaded, compared and recorded.
options:
  _input:
    description: The files, each with C(name), C(size) and C(sha256).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what was made
  ansible.builtin.debug:
    msg: "{{ packed.files | slipway.release.file_digests }}"
"""

RETURN = r"""
_value:
  description: The files with C(name), C(size) and C(sha256) only.
  type: list
  elements: dict
"""


def _keep(files: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: file[key] for key in ("name", "size", "sha256")} for file in files]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"file_digests": _keep}
