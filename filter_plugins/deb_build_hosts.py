# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the inventory: the build hosts as the module deb_builds takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: deb_build_hosts
short_description: Describe the inventory's build hosts for Debian packages
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Describes hosts of the role P(slipway.release.deb_build_host#role) for M(slipway.release.deb_builds).
  - It reads C(ansible_host), C(ansible_port), and of the role C(deb_build_host_user), C(deb_build_host_slots),
    C(deb_build_host_builds) and C(deb_build_host_drained), which have their defaults where the inventory has none.
options:
  _input:
    description: Names of the hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts, which is Ansible's own C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the build hosts
  ansible.builtin.debug:
    msg: "{{ groups['deb_build_hosts'] | slipway.release.deb_build_hosts(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Each with C(name), C(destination), C(options) of ssh, C(slots), C(chroots) and C(drained).
  type: list
  elements: dict
"""

#: The defaults of the role, which other hosts do not see.
USER = "slipway-build"
SLOTS = 1
BUILDS = {"amd64": "amd64", "i386": "i386"}
#: Whoever asks knows the hosts' keys already, and has no other key than its own.
OPTIONS = ("StrictHostKeyChecking=yes", "PasswordAuthentication=no")


def deb_build_hosts(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all ``hosts``."""
    return [_describe(host, hostvars[host]) for host in hosts]


def _describe(host: str, known: Mapping[str, Any]) -> dict[str, Any]:
    port = known.get("ansible_port")
    return {
        "name": host,
        "destination": f"{known.get('deb_build_host_user') or USER}@{known.get('ansible_host') or host}",
        "options": [*OPTIONS, *([f"Port={port}"] if port else [])],
        "slots": int(known.get("deb_build_host_slots") or SLOTS),
        "chroots": dict(known.get("deb_build_host_builds") or BUILDS),
        "drained": bool(known.get("deb_build_host_drained", False)),
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"deb_build_hosts": deb_build_hosts}
