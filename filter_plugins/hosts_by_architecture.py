# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the inventory: who builds for which architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: hosts_by_architecture
short_description: Find the hosts that build for each architecture
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the host variable C(build_host_architectures), a list of names, of every given host.
options:
  _input:
    description: Names of the hosts, in the inventory's order.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts, which is Ansible's own C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show who builds for what
  ansible.builtin.debug:
    msg: "{{ groups['build_hosts'] | slipway.release.hosts_by_architecture(hostvars) }}"
"""

RETURN = r"""
_value:
  description: For each architecture the names of its hosts, in the inventory's order.
  type: dict
"""

VARIABLE = "build_host_architectures"


def hosts_by_architecture(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The hosts of each architecture; a host that does not say what it builds for is a failure."""
    found: dict[str, list[str]] = {}
    for host in hosts:
        architectures = hostvars[host].get(VARIABLE)
        if not isinstance(architectures, list) or not all(isinstance(each, str) for each in architectures):
            raise AnsibleFilterError(
                f"Could not tell what the build host {host} builds for: its variable {VARIABLE} is "
                f"{'missing' if architectures is None else 'not a list of names'}. "
                f"Set it in the inventory, such as {VARIABLE}: [x86_64]."
            )
        for architecture in architectures:
            found.setdefault(str(architecture), []).append(str(host))
    return found


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"hosts_by_architecture": hosts_by_architecture}
