#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_build_hosts_info
short_description: Query what build hosts for Debian packages have
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Asks every host in the way in which M(slipway.release.deb_builds) sends it builds, all at once, and changes nothing
    there. A right, a host key or a chroot that is missing is known before anything is built.
extends_documentation_fragment:
  - slipway.release.deb_build_hosts
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  hosts:
    required: true
  platforms:
    description: The platforms that chroots are needed of.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that a host has for its answer.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Query the build hosts
  slipway.release.deb_build_hosts_info:
    platforms: [bookworm]
    hosts:
      - {name: build-1, destination: slipway-build@build-1, chroots: {amd64: amd64, armhf: amd64}}
  become: true
  become_user: apt-archive
  register: build_hosts
"""

RETURN = r"""
answers:
  description:
    - For each host its C(name), its C(faults), sentences that say what it cannot do or that it does not let anybody in,
      and C(lost), why it did not answer, or that its disk is full. Both are empty for one that can be used.
    - One that answered also tells its C(chroots) with the architecture of each, C(runs), whether it runs programs of
      these, the C(free) bytes of its disk, its C(slots), of which others use C(busy), and what it C(lacks).
  returned: success
  type: list
  elements: dict
faults:
  description: The faults of all hosts, each with the name of the host.
  returned: success
  type: list
  elements: str
lost:
  description: The hosts that are of no use now, each with the reason.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ..module_utils.slipway.farm.roster import ask_hosts, read_host
from ..module_utils.slipway.module.options import DEB_BUILD_HOSTS
from ..module_utils.slipway.module.report import run_module


def main() -> None:
    run_module(
        act,
        {
            "hosts": {**DEB_BUILD_HOSTS["hosts"], "required": True},
            "platforms": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 60},
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:  # noqa: ARG001 - it only looks
    hosts = [read_host(row) for row in options["hosts"]]
    answers = ask_hosts(hosts, options["platforms"], timeout=options["timeout"])
    return {
        "changed": False,
        "answers": [answer.as_dict() for answer in answers],
        "faults": [f"{answer.host.name}: {fault}" for answer in answers for fault in answer.faults],
        "lost": [f"{answer.host.name}: {answer.lost}" for answer in answers if answer.lost],
    }


if __name__ == "__main__":
    main()
