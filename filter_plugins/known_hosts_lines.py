# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the inventory: the host keys that are known without asking the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: known_hosts_lines
short_description: Write the host keys of the inventory as lines of known_hosts
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the host variable C(slipway_host_key), one public key or a list of them as in
    C(/etc/ssh/ssh_host_ed25519_key.pub), of every given host. Hosts without it are left out.
  - A host is known by its name in the inventory, its C(ansible_host), and the names in its C(slipway_host_names).
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
- name: Show which hosts are known
  ansible.builtin.debug:
    msg: "{{ groups['all'] | slipway.release.known_hosts_lines(hostvars) }}"
"""

RETURN = r"""
_value:
  description: A line for each key, sorted.
  type: list
  elements: str
"""

KEY = re.compile(r"(?P<key>(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+={0,3})(?: [^\n]*)?")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*|\[[A-Za-z0-9.:_-]+\]:[0-9]{1,5}")
SSH_PORT = 22


def known_hosts_lines(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The lines for all ``hosts`` that have a key."""
    found = set()
    for host in hosts:
        known = hostvars[host]
        keys = known.get("slipway_host_key") or []
        port = int(known.get("ansible_port") or SSH_PORT)
        names = [host, known.get("ansible_host") or host]
        reached = [name if port == SSH_PORT else f"[{name}]:{port}" for name in dict.fromkeys(map(str, names))]
        reached += [str(name) for name in known.get("slipway_host_names") or []]
        for key in [keys] if isinstance(keys, str) else keys:
            match = KEY.fullmatch(str(key).strip())
            wrong = [name for name in reached if not NAME.fullmatch(name)]
            if match is None or wrong:
                raise AnsibleFilterError(
                    f"Could not make {host} known to others: "
                    + (
                        f"{wrong[0]!r} is not a name of a host. "
                        if match
                        else "its slipway_host_key is not a public key. "
                    )
                    + "Correct it in the inventory, and write the key as in /etc/ssh/ssh_host_ed25519_key.pub there."
                )
            found.add(f"{','.join(dict.fromkeys(reached))} {match['key']}")
    return sorted(found)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"known_hosts_lines": known_hosts_lines}
