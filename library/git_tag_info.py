#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: git_tag_info
short_description: Verify who signed a tag of a remote git repository
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Fetches one tag and says which commit it is on, who made it, and which key signed it. It needs no clone.
  - A tag is acceptable if it is an annotated one, on a commit, if the name in what was signed is the one that it has in
    the repository, and if its signature is good and by one of O(signers). A tag that was renamed or copied is not.
  - Keys count as they are now. What a key signed that has expired or was revoked since is not accepted, since the time
    in a signature is what its maker says.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the repository.
    type: str
    required: true
  tag:
    description: The tag's name, without C(refs/tags/).
    type: str
    required: true
  signers:
    description:
      - The full fingerprint of each key that may sign, 40 (or 64) hexadecimal digits. That of a primary key counts for
        its subkeys.
      - "For tags signed by ssh (C(gpg.format=ssh)) the fingerprint that C(ssh-keygen -l) shows: C(SHA256:) and 43
        characters."
    type: list
    elements: str
    required: true
  keys:
    description:
      - The public OpenPGP keys of the O(signers), each as text in ASCII armour, or as the absolute path of a file with
        it. They are imported into a keyring that is removed afterwards.
      - Signatures by ssh need none.
    type: list
    elements: str
    default: []
  stack:
    description:
      - With O(version), the release that the tag is to be. Its name or its message must then say both, as C(foo-1.2),
        C(foo 1.2), C(foo release 1.2) or C(source=foo version=1.2) do, since a tag C(1.2) could be copied from the
        repository of another stack.
    type: str
  version:
    description: The version, see O(stack).
    type: str
  object:
    description: The tag object that was seen before, as 40 hexadecimal digits. Another one makes the module fail.
    type: str
  required:
    description: Whether to fail where the tag is not acceptable. Else RV(fault) says why it is not.
    type: bool
    default: true
  timeout:
    description: Seconds after which git is ended.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Verify that a maintainer signed the release
  slipway.release.git_tag_info:
    repository: https://git.example.org/common_msgs.git
    tag: common_msgs-1.1.1
    stack: common_msgs
    version: 1.1.1
    signers: [0123456789ABCDEF0123456789ABCDEF01234567]
    keys: ["{{ lookup('ansible.builtin.file', 'keys/anne.asc') }}"]
  register: tag
"""

RETURN = r"""
acceptable:
  description: Whether one of the signers signed this tag, and it is what it is named.
  returned: success
  type: bool
fault:
  description: Why it is not acceptable, and what to do; null if it is. All that follows is null then.
  returned: success
  type: str
commit:
  description: The commit that it is on.
  returned: success
  type: str
object:
  description: The tag object itself. It changes when somebody makes the tag anew.
  returned: success
  type: str
tagger:
  description: The name and mail address that the tag gives.
  returned: success
  type: str
date:
  description: When it was made, as the tag says, in seconds since 1970.
  returned: success
  type: int
fingerprint:
  description: The primary key of the signature.
  returned: success
  type: str
key:
  description: The key that signed, the primary key itself or a subkey.
  returned: success
  type: str
annotation:
  description: The tag's message, without the signature.
  returned: success
  type: str
"""

from dataclasses import asdict
from typing import Any

from ..module_utils.slipway.git.signers import RefusedTagError, SignedTag, read_signers, verify_tag
from ..module_utils.slipway.module.report import run_module

FACTS = ("commit", "object", "tagger", "date", "fingerprint", "key", "annotation")


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    tag: SignedTag | None = None
    fault = None
    try:
        tag = verify_tag(
            wanted["repository"],
            wanted["tag"],
            signers=read_signers(wanted["signers"], wanted["keys"]),
            stack=wanted["stack"],
            version=wanted["version"],
            expected=wanted["object"],
            timeout=wanted["timeout"],
        )
    except RefusedTagError as error:
        if wanted["required"]:
            raise
        fault = str(error)
    facts = dict.fromkeys(FACTS) if tag is None else {name: asdict(tag)[name] for name in FACTS}
    return {"changed": False, "acceptable": tag is not None, "fault": fault, **facts}


def main() -> None:
    run_module(
        act,
        {
            "repository": {"type": "str", "required": True},
            "tag": {"type": "str", "required": True},
            "signers": {"type": "list", "elements": "str", "required": True},
            "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "stack": {"type": "str"},
            "version": {"type": "str"},
            "object": {"type": "str"},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 300},
        },
        required_together=[("stack", "version")],
    )


if __name__ == "__main__":
    main()
