# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over settings: the paths that some program on their way would take for something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError

DOCUMENTATION = r"""
name: path_faults
short_description: Find paths that cannot be used everywhere
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - A path becomes a word of a shell, an address, a line of a configuration and a part of a list of paths by turns.
  - Returns a sentence for each path with a character that one of these has no way to write, such as C($) and C(:).
options:
  _input:
    description: The variables of each host, by its name, such as C(hostvars).
    type: dict
    required: true
  names:
    description: Which of them are paths. Those that are not there, or whose values are not known yet, are left out.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Assert that the paths can be used
  ansible.builtin.assert:
    that: hostvars | slipway.release.path_faults(['release_state_directory', 'trove_home']) == []
"""

RETURN = r"""
_value:
  description: A sentence for each character that cannot be used.
  type: list
  elements: str
"""

#: What cannot be written for each who reads it, and who that is.
REFUSED = {
    "$": "Ansible, BuildStream and grokmirror expand what follows it",
    ":": "lists of paths are separated by it",
    "\\": "configurations and shells take it for an escape",
    '"': "genimage ends a word of a shell with it",
    "`": "genimage makes a word of a shell with it",
    "{": "Ansible and BuildStream take it for a template",
    "}": "Ansible and BuildStream take it for a template",
}
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def path_faults(hosts: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[str]:
    """What is wrong with each of these paths of ``hosts``; of those below another, only with that one."""
    wanted, found = list(names), []
    told: set[str] = set()
    values = ((name, _read(hosts[host], name)) for name in wanted for host in hosts)
    for name, path in sorted(
        ((name, path) for name, path in values if path is not None), key=lambda each: len(each[1])
    ):
        faults = list(_find_faults(name, path))
        if faults and not any(path == other or path.startswith(f"{other}/") for other in told):
            told.add(path)
            found += faults
    return found


def _read(variables: Mapping[str, Any], name: str) -> str | None:
    try:
        value = variables.get(name)
    except AnsibleError:
        return None  # it is made of what is known later only
    return value if isinstance(value, str) else None


def _find_faults(name: str, path: str) -> Iterator[str]:
    said = f"{name} is {path!r}, which"
    yield from (f"{said} holds {character!r}: {why}" for character, why in REFUSED.items() if character in path)
    if UNSEEN.search(path):
        yield f"{said} holds a control character"
    elif path != path.strip():
        yield f"{said} begins or ends with a space"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"path_faults": path_faults}
