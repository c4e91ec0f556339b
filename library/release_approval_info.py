#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_approval_info
short_description: Verify that those who must agree to a release did
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Looks for approvals of one commit as one release. An approval is a signed tag C(approve/<label>/<anything>) on that
    commit, which whoever may approve makes with C(git tag --sign), by a key of OpenPGP or of ssh.
  - One that does not count is told with the reason - by another key, of another commit, too old, by whoever releases.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the definitions.
    type: str
    required: true
  label:
    description: What the release is called.
    type: str
    required: true
  commit:
    description: The commit that is to be released.
    type: str
    required: true
  policy:
    description: Who must approve, as the section C(approval) of C(release_policy) has it. Empty asks for nobody.
    type: dict
    required: true
  releaser:
    description: The accounts of whoever releases.
    type: list
    elements: str
    default: []
  own_keys:
    description: Fingerprints of keys that sign releases, which approve none.
    type: list
    elements: str
    default: []
  required:
    description: Whether to fail where approvals are missing. Else RV(missing) tells it.
    type: bool
    default: true
  timeout:
    description: Seconds after which git is ended.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Verify that somebody else approved
  slipway.release.release_approval_info:
    repository: "{{ release_plan.definitions.url }}"
    label: "{{ release_plan.label }}"
    commit: "{{ release_plan.definitions.commit }}"
    policy:
      signers:
        - {name: anne, fingerprint: "SHA256:0zd2xUbAvE1gl3zIgHpnCRFOrIMoyH8ZSLYSQBiZvUc", accounts: [anne]}
    releaser: [ben]
"""

RETURN = r"""
approvals:
  description: The approvals that count, one of each signer.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Who approved., type: str}
    fingerprint: {description: The key that signed., type: str}
    key: {description: "The subkey that signed, or the same.", type: str}
    date: {description: "When, as the tag says.", type: str}
    commit: {description: The commit., type: str}
    tag: {description: The tag., type: str}
    object: {description: The tag object., type: str}
missing: {description: "What is missing, a sentence each.", returned: success, type: list, elements: str}
refused:
  description: The approvals that do not count, a sentence each.
  returned: success
  type: list
  elements: str
needed: {description: How many must approve., returned: success, type: int}
before: {description: "Before what, V(begin) or V(publish).", returned: success, type: str}
command: {description: How somebody approves who has a clone of the definitions., returned: success, type: str}
"""

import time
from typing import Any

from ..module_utils.slipway.approval.find import Approvals, find_approvals, find_faults, format_command
from ..module_utils.slipway.errors import refuse
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.policy.approval import read_approval


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    rule, faults = read_approval(wanted["policy"], "release_policy.approval")
    refuse("read", "who must approve", faults, several="faults", do_next="Correct the policy, and run again.")
    url, label, commit = wanted["repository"], wanted["label"], wanted["commit"]
    found = Approvals()
    if rule.needed:
        found = find_approvals(
            url,
            label=label,
            commit=commit,
            rule=rule,
            releaser=wanted["releaser"],
            own_keys=wanted["own_keys"],
            now=time.time(),
            timeout=wanted["timeout"],
        )
    missing = find_faults(found, label=label, commit=commit, url=url, rule=rule)
    if wanted["required"]:
        refuse("release", label, missing, summary=missing[0] if missing else "", do_next="Run again then.")
    return {
        "changed": False,
        "approvals": found.given,
        "missing": missing,
        "refused": found.refused,
        "needed": rule.needed,
        "before": rule.before,
        "command": format_command(label, commit, url),
    }


def main() -> None:
    run_module(
        act,
        {
            "repository": {"type": "str", "required": True},
            "label": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "policy": {"type": "dict", "required": True},
            "releaser": {"type": "list", "elements": "str", "default": []},
            "own_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 300},
        },
    )


if __name__ == "__main__":
    main()
