#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_tombstone
short_description: Make and sign the tombstone of a release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs where the signing key is. Makes the text that says by whom, when and why a release was withdrawn.
  - One that stands already and says the same is kept, with its signature. Whatever is corrected, its date stays.
  - Writes nothing. M(slipway.release.release_withdrawal) puts it on the servers.
extends_documentation_fragment:
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.attributes
options:
  project:
    description: The project of the release.
    type: str
    required: true
  version:
    description: The version that is withdrawn.
    type: str
    required: true
  reason:
    description: Why, for everybody to read. Needed unless there is a tombstone; then it is corrected by this.
    type: str
    default: ""
  by:
    description: Who withdraws it. By default who did so before, else the project's release team.
    type: str
    default: ""
  remove:
    description: Whether the files leave the public directory. What was removed stays removed.
    type: bool
    default: false
  sums:
    description: >-
      The SHA-256 of the C(SHA256SUMS) that were released. Without it, servers that have different ones are a failure.
    type: str
  found:
    description: What M(slipway.release.release_withdrawal_info) returned on each server, and what is on record.
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    details: Signs nothing, so that a new tombstone has no signature.
"""

EXAMPLES = r"""
- name: Make the tombstone
  slipway.release.release_tombstone:
    project: baserock
    version: "26.47"
    reason: Its kernel does not boot from NVMe disks.
    found: "{{ ansible_play_hosts | map('extract', hostvars, 'found') }}"
    gnupghome: /srv/slipway/gnupg
"""

RETURN = r"""
tombstone:
  description: The text.
  returned: success
  type: str
signature:
  description: Its armoured signature. Null in check mode, if it is not made yet.
  returned: success
  type: str
facts:
  description: What the text says, as a dictionary.
  returned: success
  type: dict
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import OPENPGP_REQUIRED
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.release.names import make_names
from ..module_utils.slipway.undo.withdrawal import Demand, make_tombstone


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    names = make_names(params["project"], params["version"])
    made = make_tombstone(
        Demand(
            names.project, names.version, names.label, params["reason"], params["by"], params["remove"], params["sums"]
        ),
        params["found"],
        gnupghome=Path(params["gnupghome"]),
        fingerprint=params["signing_key"] or None,
        now=time.time(),
        check=not write,
    )
    return {"changed": False, "tombstone": made.text, "signature": made.signature, "facts": asdict(made.tombstone)}


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP_REQUIRED,
            "project": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "reason": {"type": "str", "default": ""},
            "by": {"type": "str", "default": ""},
            "remove": {"type": "bool", "default": False},
            "sums": {"type": "str"},
            "found": {"type": "list", "elements": "dict", "required": True},
        },
    )


if __name__ == "__main__":
    main()
