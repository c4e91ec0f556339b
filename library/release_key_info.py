#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_key_info
short_description: Make the file of public keys that lies beside the releases
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs where the signing key is, and changes nothing.
  - The file has the key that signs and every key that is public already, so that releases of before can be verified.
    Of a key that is in both, the newest self-signatures and the revocations of both remain.
  - A public file that is no file of keys, or has a key that is not in O(gnupghome), is a failure that names both
    digests, because somebody else wrote it.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  gnupghome:
    description: The directory of the keys.
    type: path
    required: true
  signing_key:
    description: The fingerprint of the key that signs. Without it, the only one that can.
    type: str
  keys_list:
    description: The coordinator's list of keys. Those of them that are in O(gnupghome) are in the file, too.
    type: path
  project:
    description: The project of that list.
    type: str
  published:
    description: What is public now, once for each server; empty texts are passed over.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make the file of public keys
  slipway.release.release_key_info:
    gnupghome: /srv/slipway/gnupg
    signing_key: 0123456789ABCDEF0123456789ABCDEF01234567
    published: ["{{ public_key.content | b64decode }}"]
  register: key
"""

RETURN = r"""
content:
  description: The file, armoured keys one after the other.
  returned: success
  type: str
file:
  description: Its C(name), C(size) in bytes and C(sha256).
  returned: success
  type: dict
fingerprints:
  description: The fingerprints of the keys in it.
  returned: success
  type: list
  elements: str
"""

import hashlib
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish.keyfile import make_key_file
from ..module_utils.slipway.publish.packets import read_keys
from ..module_utils.slipway.publish.releases import KEY
from ..module_utils.slipway.trust.keys import load_entries


def act(params: dict[str, Any], **_: bool) -> dict[str, Any]:
    listed = [] if not params["keys_list"] else load_entries(Path(params["keys_list"]), project=params["project"])
    content = make_key_file(
        Path(params["gnupghome"]),
        params["signing_key"] or None,
        params["published"],
        also=[each.fingerprint for each in listed],
    )
    return {
        "changed": False,
        "content": content.decode(),
        "file": {"name": KEY, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "fingerprints": [key.fingerprint for key in read_keys(content.decode())],
    }


def main() -> None:
    run_module(
        act,
        {
            # The home of keys, a fingerprint and public keys are not secrets.
            "gnupghome": {"type": "path", "required": True, "no_log": False},
            "signing_key": {"type": "str", "no_log": False},
            "keys_list": {"type": "path", "no_log": False},
            "project": {"type": "str"},
            "published": {"type": "list", "elements": "str", "default": []},
        },
        required_by={"keys_list": ["project"]},
    )


if __name__ == "__main__":
    main()
