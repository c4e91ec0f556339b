#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: distbuild_info
short_description: Query the builds of a Morph distbuild network
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Lists the builds that run on a controller (protocol 4), and returns the state of one that was submitted earlier.
  - A controller's ids begin again when it restarts, so an id alone names nobody's build for certain. The state of a
    build is returned only if the id still is that build.
extends_documentation_fragment:
  - slipway.release.morph.build
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  controller:
    description: The host of the controller. With O(handle) it is the handle's.
    type: str
  port:
    description: The port on which the controller listens for initiators.
    type: int
    default: 7878
"""

EXAMPLES = r"""
- name: Query what a network builds
  slipway.release.distbuild_info:
    controller: x86-64-controller.example.org

- name: Query the state of a detached build
  slipway.release.distbuild_info:
    handle: "{{ submitted.handle }}"
"""

RETURN = r"""
requests:
  description: The builds that run now.
  returned: success
  type: list
  elements: dict
  sample:
    - id: InitiatorConnection-1
      initiator: 192.0.2.1:48614
      repo: baserock:baserock/definitions
      ref: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
      morphology: systems/minimal-system-x86_64-generic.morph
state:
  description:
    - What became of the handle's build. V(running), V(finished), V(failed) or V(cancelled). It is V(gone) when the
      controller does not know it (any more) or its id names another build now.
  returned: with O(handle)
  type: str
detail:
  description: The state in the controller's own words; empty if it does not know the id.
  returned: with O(handle)
  type: str
"""

from dataclasses import asdict
from typing import Any

from ..module_utils.slipway.distbuild.control import determine_state, list_requests, query_build
from ..module_utils.slipway.distbuild.protocol import DEFAULT_PORT, Controller, Handle
from ..module_utils.slipway.module.options import MORPH_BUILD
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    if not wanted["handle"]:
        listed = list_requests(Controller(wanted["controller"], wanted["port"]), timeout=wanted["timeout"])
        return {"changed": False, "requests": [asdict(one) for one in listed]}
    handle = Handle.from_dict(wanted["handle"])
    status, listed = query_build(handle, timeout=wanted["timeout"])
    return {
        "changed": False,
        "requests": [asdict(one) for one in listed],
        "state": determine_state(handle, status, listed),
        "detail": status.detail if status else "",
    }


def main() -> None:
    run_module(
        act,
        {
            **MORPH_BUILD,
            "controller": {"type": "str"},
            "port": {"type": "int", "default": DEFAULT_PORT},
        },
        required_one_of=[["controller", "handle"]],
        mutually_exclusive=[["controller", "handle"]],
    )


if __name__ == "__main__":
    main()
