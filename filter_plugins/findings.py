# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over task results: what several checks found, as one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: findings
short_description: Gather what several checks found
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Takes the registered results of modules that list C(findings) when they fail, and returns all of these in one list.
  - A result that failed without findings contributes its message, so that nothing is lost.
options:
  _input:
    description: The registered results; those of a loop are its C(results).
    type: list
    elements: dict
    required: true
  host_variable:
    description: The loop variable that names the host of a result. Its findings then begin with the host's name.
    type: str
    default: item
"""

EXAMPLES = r"""
- name: Show what is wrong anywhere
  ansible.builtin.debug:
    msg: "{{ ([here] + there.results) | slipway.release.findings(host_variable='build_host') }}"
"""

RETURN = r"""
_value:
  description: One sentence for each thing that was found.
  type: list
  elements: str
"""


def findings(results: Iterable[Mapping[str, Any]], host_variable: str = "item") -> list[str]:
    """All findings of ``results``, each with its host's name before it where the result has one."""
    gathered = []
    for result in results:
        found = result.get("findings") or ([result["msg"]] if result.get("msg") else [])
        host = f"{result[host_variable]}: " if host_variable in result else ""
        gathered += [f"{host}{each}" for each in found]
    return gathered


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"findings": findings}
