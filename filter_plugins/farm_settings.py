# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over what an inventory says of a remote execution farm: BuildStream's configuration for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Not relative: Ansible also finds this file beside a playbook, outside the collection.
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.remote import (
    configure_farm,
    read_farm,
)

DOCUMENTATION = r"""
name: farm_settings
short_description: Make BuildStream's configuration for a remote execution farm
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads what an inventory says of a farm, as the role C(farm_access) describes it. Returns what BuildStream's
    configuration says of it, in which are no secrets but the paths of their files, and these files.
  - Each fault is a sentence without a secret. With faults there is no configuration.
options:
  _input:
    description: The farm. Without one, all is empty.
    type: dict
    required: true
  directory:
    description: The directory of certificates, keys and tokens that are given as texts.
    type: str
    required: true
  push:
    description: Whether the host pushes what it builds.
    type: bool
    default: false
  build:
    description: Whether the host builds on the farm.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Assert that the farm can be used
  ansible.builtin.assert:
    that: (release_farm | slipway.release.farm_settings('/etc/slipway/farm')).faults == []
"""

RETURN = r"""
_value:
  description: What to configure, and what to write.
  type: dict
  contains:
    faults: {description: What is wrong with it., type: list}
    configuration: {description: "C(remote-execution), C(artifacts) and C(source-caches).", type: dict}
    files: {description: "The files to write, each with C(path) and C(content).", type: list}
    present: {description: "The paths of files that must be on the host, each with C(path) and C(secret).", type: list}
"""


def farm_settings(given: Any, directory: str, *, push: bool = False, build: bool = False) -> dict[str, Any]:
    """BuildStream's configuration for a farm."""
    if not given:
        return {"faults": [], "configuration": {}, "files": [], "present": []}
    farm, faults = read_farm(given, str(directory))
    if faults:
        return {"faults": faults, "configuration": {}, "files": [], "present": []}
    present = {
        path: name in ("client_key", "token")
        for service in farm.services.values()
        for name, path in service.files.items()
        if path not in farm.texts
    }
    return {
        "faults": [],
        "configuration": configure_farm(farm, push=push, build=build),
        "files": [{"path": path, "content": text} for path, text in farm.texts.items()],
        "present": [{"path": path, "secret": secret} for path, secret in present.items()],
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"farm_settings": farm_settings}
