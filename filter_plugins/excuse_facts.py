# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the plan of a run: what the excuses say of its distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.report import gather_facts

DOCUMENTATION = r"""
name: excuse_facts
short_description: Gather what is known of the stacks of a distribution
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Says of each stack how its package is called, how its version is made, what it depends on, and what became of its
    source packages, as M(slipway.release.deb_excuses) takes them.
options:
  _input:
    description: The plan that the role C(debs) made.
    type: dict
    required: true
  releases:
    description: The RV(slipway.release.stack_releases_info#module:releases).
    type: dict
    required: true
  sources:
    description: What was made of each stack in this run, as P(slipway.release.source_report#filter) takes it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is known
  ansible.builtin.debug:
    msg: "{{ debs_release | slipway.release.excuse_facts(there.releases, debs_sources) }}"
"""

RETURN = r"""
_value:
  description: The options C(stacks), C(sources) and C(depends).
  type: dict
"""


def _gather(
    plan: Mapping[str, Any], releases: Mapping[str, Any], sources: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return gather_facts(plan, releases, sources or {})


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"excuse_facts": _gather}
