#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_reproductions_info
short_description: Query whether debs were made once more with the same bytes
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the signed verdicts of M(slipway.release.deb_reproduce), and fails unless the newest about each deb says that
    the very same bytes came out, and is young enough. It counts no verdict about another version, or by another key.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  debs:
    description: The debs.
    type: list
    elements: path
    required: true
  directories:
    description: The directories below which verdicts are.
    type: list
    elements: path
    required: true
  gnupghome:
    description: The GnuPG home with the public keys of those whose word counts.
    type: path
    required: true
  signers:
    description: The fingerprints of those whose word counts. Without any, all keys of O(gnupghome).
    type: list
    elements: str
    default: []
  max_days:
    description: How old a verdict may be.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Verify that the debs are reproduced
  slipway.release.deb_reproductions_info:
    debs: [/srv/apt/public/shadow/pool/main/g/greet/greet_1.0_amd64.deb]
    directories: [/srv/apt/public/shadow/reproduced/bookworm]
    gnupghome: /srv/apt/gnupg
"""

RETURN = r"""
verdicts:
  description: How many verdicts were read.
  returned: success
  type: int
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import count_of
from ..module_utils.slipway.files import hash_file
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.command import normalise_fingerprint
from ..module_utils.slipway.rebuild.verdict import refuse_unreproduced


def main() -> None:
    run_module(
        act,
        {
            "debs": {"type": "list", "elements": "path", "required": True},
            "directories": {"type": "list", "elements": "path", "required": True},
            "gnupghome": {"type": "path", "required": True},
            "signers": {"type": "list", "elements": "str", "default": []},
            "max_days": {"type": "float", "default": 30},
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    del write  # it only looks
    debs = {Path(path).name: hash_file(path) for path in options["debs"]}
    verdicts = refuse_unreproduced(
        debs,
        [Path(directory) for directory in options["directories"]],
        gnupghome=options["gnupghome"],
        signers={normalise_fingerprint(signer) for signer in options["signers"]},
        max_days=options["max_days"],
        now=time.time(),
        on=count_of(len(debs), "deb"),
    )
    return {"changed": False, "verdicts": verdicts}


if __name__ == "__main__":
    main()
