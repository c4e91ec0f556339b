# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the site's platforms: those that a distribution is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.platforms import choose_platforms
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

DOCUMENTATION = r"""
name: target_platforms
short_description: Choose the platforms that a distribution is for
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Returns the platforms of a distribution, in the order of its targets; without a distribution those of all, in the
    site's order.
  - All platforms and all targets are looked at, and every fault is told.
options:
  _input:
    description: The site's platforms.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The codename., type: str, required: true}
      version: {description: "Its number, in quotes: C('12.10').", type: str, required: true}
      distribution: {description: "Whose release it is, V(Debian) or V(Ubuntu).", type: str, required: true}
      mirror:
        description: Where it is, or the word V(machine) for the mirror that the host's own apt takes that suite from.
        type: str
        required: true
      components: {description: The components that are used., type: list, elements: str, required: true}
      architectures: {description: Debian's names of its architectures., type: list, elements: str, required: true}
      base:
        description:
          - Where its own packages are, as lines of C(sources.list). The word C(machine) in the place of an address
            stands for the mirror that the host's own apt takes that suite from.
        type: list
        elements: str
        required: true
  targets:
    description:
      - The names of the platforms of each distribution. A place such as V(bookworm-amd64) is the platform with that
        architecture alone.
    type: dict
    required: true
  distribution:
    description: The distribution.
    type: str
"""

EXAMPLES = r"""
- name: Show what cturtle is built for
  ansible.builtin.debug:
    msg: "{{ debs_platforms | slipway.release.target_platforms({'cturtle': ['bookworm', 'trixie-amd64']}, 'cturtle') }}"
"""

RETURN = r"""
_value:
  description: The platforms, each with all that is said of it, and with the architectures that are targets.
  type: list
  elements: dict
"""


def target_platforms(
    platforms: Sequence[Mapping[str, Any]], targets: Mapping[str, Sequence[str]], distribution: str | None = None
) -> list[dict[str, Any]]:
    """The platforms that ``distribution`` is for, or any."""
    try:
        return choose_platforms(platforms, targets, distribution)
    except SlipwayError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"target_platforms": target_platforms}
