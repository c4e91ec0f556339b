#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_signers_info
short_description: Make the file of the public keys of those who attest releases
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs where the keys of O(signers) are, and changes nothing.
  - The file has one block in ASCII armour for each signer, ordered by name, with nothing that others certified. The
    same keys make the same bytes.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  signers:
    description: Who attests, in the form of M(slipway.release.release_attestation_info).
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Make the file of the signers' keys
  slipway.release.release_signers_info:
    signers: "{{ release_signers }}"
  register: signers
"""

RETURN = r"""
content:
  description: The file.
  returned: success
  type: str
file:
  description: Its C(name), C(size) in bytes and C(sha256).
  returned: success
  type: dict
"""

import hashlib
from typing import Any

from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trust.signers import KEY_FILE, make_key_file, read_signers


def act(params: dict[str, Any], **_: bool) -> dict[str, Any]:
    content = make_key_file(read_signers(params["signers"]))
    return {
        "changed": False,
        "content": content.decode(),
        "file": {"name": KEY_FILE, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }


def main() -> None:
    run_module(act, {"signers": {"type": "raw", "required": True}})


if __name__ == "__main__":
    main()
