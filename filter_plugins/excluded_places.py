# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the excludes of a site: where which stacks may be missing today."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.platforms import find_excluded
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.escape import escape_terminal

DOCUMENTATION = r"""
name: excluded_places
short_description: List the places where stacks of a distribution may be missing today
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Returns the excludes of a distribution that have not ended, as the role C(debs_stamp) takes them.
  - Of an exclude that has ended a warning is shown. One without a reason, a last day or places is refused.
options:
  _input:
    description: The excludes of each distribution.
    type: dict
    required: true
  distribution:
    description: The distribution.
    type: str
    required: true
  today:
    description: The day, as V(2030-12-31). An exclude counts on its last day, its C(until), too.
    type: str
    required: true
  platforms:
    description:
      - All platforms of the site. With them a place can be a whole platform, and a place on none of them is refused.
    type: list
    elements: dict
  within:
    description: Only places on these platforms are returned.
    type: list
    elements: dict
  stacks:
    description: The stacks of the distribution. With them an exclude of another one is refused.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show what may be missing
  ansible.builtin.debug:
    msg: "{{ excludes | slipway.release.excluded_places('cturtle', today, debs_platforms) }}"
  vars:
    today: "{{ now(utc=true).strftime('%Y-%m-%d') }}"
    excludes:
      cturtle:
        - stack: navigation
          places: [bookworm-i386, trixie]
          reason: its solver needs 64 bits
          until: 2030-12-31
"""

RETURN = r"""
_value:
  description: The places of each stack, such as V(bookworm-i386).
  type: dict
"""


def excluded_places(
    excludes: Mapping[str, Sequence[Mapping[str, Any]]],
    distribution: str,
    today: object,
    platforms: Sequence[Mapping[str, Any]] | None = None,
    within: Sequence[Mapping[str, Any]] | None = None,
    stacks: Sequence[str] | None = None,
) -> dict[str, list[str]]:
    """Where stacks of ``distribution`` may be missing."""
    try:
        found, warnings = find_excluded(
            excludes, distribution, today=today, platforms=platforms, within=within, stacks=stacks
        )
    except SlipwayError as error:
        raise AnsibleFilterError(str(error)) from error
    for warning in warnings:
        Display().warning(escape_terminal(warning))
    return found


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"excluded_places": excluded_places}
