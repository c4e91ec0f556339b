# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over task results: what several checks found, as one list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: findings
short_description: Collect the findings of several checks
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Takes the registered results of modules that list C(findings) when they fail, and returns all of these in one list.
  - A result that failed without findings contributes its message, so that nothing is lost.
options:
  _input:
    description: The registered results by host. Findings begin with the host's name, unless that is empty.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is wrong anywhere
  ansible.builtin.debug:
    msg: "{{ {'': here, 'builder1': hostvars.builder1.checked} | slipway.release.findings }}"
"""

RETURN = r"""
_value:
  description: One sentence for each thing that was found.
  type: list
  elements: str
"""


BROKE = "a check broke off without a word: run again with -vvv to see where"


def findings(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All findings of ``results``, each with its host's name before it."""
    collected = []
    for host, result in results.items():
        # Of a module that broke, Ansible keeps no message where the task may not fail.
        broke = [BROKE] if "failed_when_suppressed_exception" in result else []
        found = result.get("findings") or ([result["msg"]] if result.get("msg") else broke)
        collected += [f"{host}: {each}" if host else str(each) for each in found]
    return collected


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"findings": findings}
