# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over what became of source packages: the report of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.report import report_sources

DOCUMENTATION = r"""
name: source_report
short_description: Report what became of the source packages of a run
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Lists the source packages of each stack by platform, with those that could not be made and those that are excluded.
options:
  _input:
    description: >-
      What was made of each stack, by its name, C(made) and C(faults) of M(slipway.release.deb_source), C(planned) and
      C(excluded).
    type: dict
    required: true
  stacks:
    description: The stacks of the run, each with C(name) and C(version).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what became of the source packages
  ansible.builtin.debug:
    msg: "{{ (debs_sources | slipway.release.source_report(debs_release.stacks)).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines) for people, the C(faults) among them, and how many source packages were C(made).
  type: dict
"""


def _report(sources: Mapping[str, Any], stacks: list[Mapping[str, Any]]) -> dict[str, Any]:
    return asdict(report_sources(stacks, sources))


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"source_report": _report}
