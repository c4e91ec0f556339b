#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_attestation
short_description: Attest a release in a git repository
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Commits C(<version>/<signer>/SHA256SUMS) and its signature C(SHA256SUMS.asc), and pushes them. What others push
    at the same time stays.
  - Nothing is ever overwritten. The same list again is left as it is; another list there is a failure with both digests
    of each file that differs.
extends_documentation_fragment:
  - slipway.release.openpgp
  - slipway.release.trust.signers
  - slipway.release.attributes
options:
  version:
    description: The version that is attested.
    type: str
    required: true
  sums:
    description: The file C(SHA256SUMS) of what this signer got.
    type: path
    required: true
  signer:
    description:
      - Who attests, one of O(signers), whose key must be the one that signs. Empty is whoever has the key
        O(signing_key); nothing is attested where nobody has.
    type: str
    default: ""
  signature:
    description: A signature of O(sums) that is there already. Without it, one is made.
    type: path
"""

EXAMPLES = r"""
- name: Attest what was made again
  slipway.release.release_attestation:
    repository: ssh://git@trove.example.org/baserock/attestations
    signers:
      ada: {fingerprint: 1E1343AC20BEFD60029CEE9ADEB96F25E7029737, key: /etc/slipway/ada.asc}
    signer: ada
    version: "26.47"
    sums: /srv/slipway/reproduced/releases/26.47/artifacts/SHA256SUMS
    gnupghome: /srv/slipway/gnupg
"""

RETURN = r"""
signer: {description: Who attests. Empty if nobody does., returned: success, type: str}
commit: {description: "The head of the branch. Null if there is none yet in check mode.", returned: success, type: str}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import make_scratch, read_regular
from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import OPENPGP, TRUST_SIGNERS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.command import normalise_fingerprint
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.openpgp.signing import sign_detached
from ..module_utils.slipway.trust.attestations import Given, push_attestation
from ..module_utils.slipway.trust.signers import Attestor, Quorum, read_quorum


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    quorum = read_quorum(wanted["signers"], repository=wanted["repository"])
    attestor = _find_attestor(quorum, wanted)
    if attestor is None:
        return {"changed": False, "signer": "", "commit": None}
    home, sums = wanted["gnupghome"], Path(wanted["sums"])
    if not wanted["signature"]:
        find_signing_key(home or "", attestor.fingerprint)
    if not write and not sums.exists():
        return {"changed": True, "signer": attestor.name, "commit": None}
    list_of = read_regular(sums)
    asked: dict[str, Any] = {
        "attestor": attestor,
        "version": wanted["version"],
        "person": Person(attestor.name, "attestations@localhost", 0),
        "branch": wanted["branch"],
        "timeout": wanted["timeout"],
    }
    would = push_attestation(wanted["repository"], given=Given(list_of), write=False, **asked)
    if would.changed and write:
        given = Given(list_of, _sign(wanted, attestor, sums))
        would = push_attestation(wanted["repository"], given=given, **asked)
    diff = diff_texts({path: texts for path, texts in would.changed.items() if not path.endswith(".asc")})
    return {"changed": bool(would.changed), "signer": attestor.name, "commit": would.head, "diff": diff}


def _find_attestor(quorum: Quorum, wanted: dict[str, Any]) -> Attestor | None:
    if not wanted["signer"]:
        return quorum.find(normalise_fingerprint(wanted["signing_key"])) if wanted["signing_key"] else None
    found = next((each for each in quorum.attestors if each.name == wanted["signer"]), None)
    if found is None:
        names = ", ".join(quorum.names) or "nobody"
        do_next = "Give one of their names, or add the signer to release_signers."
        raise SlipwayError("attest as", wanted["signer"], f"those who attest are {names}", do_next=do_next)
    return found


def _sign(wanted: dict[str, Any], attestor: Attestor, sums: Path) -> bytes:
    if wanted["signature"]:
        return read_regular(wanted["signature"])
    with make_scratch("slipway-attest-") as scratch:
        made = scratch / "SHA256SUMS.asc"
        sign_detached(wanted["gnupghome"], attestor.fingerprint, data=sums, signature=made)
        return made.read_bytes()


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP,
            **TRUST_SIGNERS,
            "version": {"type": "str", "required": True},
            "sums": {"type": "path", "required": True},
            "signer": {"type": "str", "default": ""},
            "signature": {"type": "path"},
        },
        required_one_of=[("gnupghome", "signature")],
    )


if __name__ == "__main__":
    main()
