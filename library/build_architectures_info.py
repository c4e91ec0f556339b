#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: build_architectures_info
short_description: Query which architectures a host can build for
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - A machine builds for its own architectures, and for those whose programs its kernel starts by qemu-user everywhere,
    also in a sandbox (a C(binfmt_misc) entry with the flag C(F), as Debian's C(qemu-user-static) makes it).
  - What is not available is left out, with a warning. M(slipway.release.emulation) switches on what is off.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  wanted:
    description: Names of architectures in the notation of Baserock.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Query what this host builds for
  slipway.release.build_architectures_info:
    wanted: [x86_64, x86_32, armv7lhf]
"""

RETURN = r"""
offered:
  description: Those of O(wanted) that the machine can build for, in the same order.
  returned: always
  type: list
  elements: str
missing:
  description: The others, as architecture and why.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ..module_utils.slipway.host.emulation import list_offers
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    found = list_offers(options["wanted"])
    missing = [{"architecture": offer.architecture, "why": offer.why} for offer in found if not offer.offered]
    return {
        "changed": False,
        "offered": [offer.architecture for offer in found if offer.offered],
        "missing": missing,
        "warnings": [f"This machine does not build for {one['architecture']}: {one['why']}." for one in missing],
    }


def main() -> None:
    run_module(
        act,
        {"wanted": {"type": "list", "elements": "str", "required": True}},
    )


if __name__ == "__main__":
    main()
