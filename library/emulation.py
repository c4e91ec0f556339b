#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: emulation
short_description: Enable the emulation of other architectures
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Switches on the C(binfmt_misc) entries of qemu-user for architectures that the machine itself does not have. They
    hold for everybody on this kernel.
  - What cannot be switched on is a warning, not a failure. M(slipway.release.build_architectures_info) then tells which
    architectures are missing.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  architectures:
    description: Names of architectures in the notation of Baserock.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    details: It tells nothing, because whether the kernel lets it is known only when it is tried.
    support: partial
"""

EXAMPLES = r"""
- name: Enable the emulation of ARM
  slipway.release.emulation:
    architectures: [armv7lhf]
"""

RETURN = r"""
enabled:
  description: The interpreters that were switched on.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ..module_utils.slipway.host.emulation import enable_emulation
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    enabled, refusals = enable_emulation(options["architectures"]) if write else ([], [])
    warnings = [f"Could not enable the emulation of an architecture: {refusal}." for refusal in refusals]
    return {"changed": bool(enabled), "enabled": enabled, "warnings": warnings}


def main() -> None:
    run_module(
        act,
        {
            "architectures": {"type": "list", "elements": "str", "required": True},
        },
    )


if __name__ == "__main__":
    main()
