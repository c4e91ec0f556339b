#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_tools_info
short_description: Verify that build tools understand what they are to build
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the format of the definitions that are to be released, from C(VERSION) for Morph and from C(project.conf) for
    BuildStream. The tools of the release before and of this one must understand it.
  - Names changes that are held back, see M(slipway.release.release_held). What is merged after this release, its own
    tools must understand as well.
  - Compares the tools on the coordinator with those that the release before wrote into its records.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  plan:
    description: The release's plan.
    type: dict
    required: true
  understood:
    description:
      - From which release on Morph understands which versions of the format. Empty is what Morph's own history says.
    type: list
    elements: dict
    default: []
    suboptions:
      from:
        description: The first release with that Morph.
        type: str
        required: true
      versions:
        description: The versions.
        type: list
        elements: int
        required: true
  bst:
    description: The program C(bst), which is asked for its version. Empty asks nobody.
    type: str
    default: ""
  held:
    description: Changes that are held back, as the policy has them.
    type: list
    elements: dict
    default: []
  held_file:
    description: The file of the definitions that lists more of them. Empty is none.
    type: str
    default: ""
  same_tools:
    description: What other tools than those of the release before are.
    type: str
    choices: [warn, require, ignore]
    default: warn
  override:
    description: The reason to begin although the format forbids it. What was found is a warning then.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Verify that the tools understand the definitions
  slipway.release.release_tools_info:
    plan: "{{ release_plan }}"
    understood:
      - {from: "16.13", versions: [7, 8]}
    held:
      - {branch: sam/format-9, until: "26.47", why: Morph of 26.46 does not understand it}
"""

RETURN = r"""
findings:
  description: What is wrong, one sentence each.
  returned: failure
  type: list
  elements: str
facts:
  description: The format, the held changes, and whether the tools are those of the release before.
  returned: success
  type: dict
"""

from typing import Any

from ..module_utils.slipway.errors import refuse
from ..module_utils.slipway.gates.tools import Surroundings, report_tools
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.policy.held import read_held


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    held, faults = read_held(wanted["held"], "release_policy.held")
    refuse("read", "the held changes", faults, several="faults", do_next="Correct the policy, and run again.")
    names = {name: wanted[name] for name in ("bst", "held_file", "override")}
    found = report_tools(
        wanted["plan"], Surroundings(table=wanted["understood"], held=held, same=wanted["same_tools"], **names)
    )
    refuse(
        "begin",
        wanted["plan"]["label"],
        found.findings,
        several="checks failed",
        do_next="Nothing was changed. Fix this and run again.",
    )
    return {"changed": False, "facts": found.facts, "warnings": found.warnings}


def main() -> None:
    row = {
        "from": {"type": "str", "required": True},
        "versions": {"type": "list", "elements": "int", "required": True},
    }
    run_module(
        act,
        {
            "plan": {"type": "dict", "required": True},
            "understood": {"type": "list", "elements": "dict", "default": [], "options": row},
            "bst": {"type": "str", "default": ""},
            "held": {"type": "list", "elements": "dict", "default": []},
            "held_file": {"type": "str", "default": ""},
            "same_tools": {"type": "str", "choices": ["warn", "require", "ignore"], "default": "warn"},
            "override": {"type": "str", "default": ""},
        },
    )


if __name__ == "__main__":
    main()
