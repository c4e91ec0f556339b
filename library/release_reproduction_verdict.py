#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_reproduction_verdict
short_description: Sign what came of making a release again
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes a DSSE envelope whose payload says whether a release came out the same, signed by a key of this host.
  - Whoever has no key leaves no verdict.
extends_documentation_fragment:
  - slipway.release.openpgp
  - slipway.release.attributes
options:
  path:
    description: The file.
    type: path
    required: true
  release:
    description:
      - Which release it is, C(project), C(version), C(label), the C(commit) of the definitions, and C(sums), the
        SHA-256 of the published C(SHA256SUMS).
    type: dict
    required: true
  same:
    description: Whether all files are the same.
    type: bool
    required: true
  clean:
    description: Whether all of it was built anew.
    type: bool
    required: true
  differs:
    description: The files that differ.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Sign what came of it
  slipway.release.release_reproduction_verdict:
    path: /srv/slipway/reproduced/releases/26.47/reproduction.json
    release: {project: baserock, version: "26.47", label: baserock-26.47, commit: "{{ commit }}", sums: "{{ sums }}"}
    same: true
    clean: true
    gnupghome: /srv/slipway/gnupg
"""

RETURN = r"""
signed_by: {description: The key's fingerprint. Empty if there is no verdict., returned: success, type: str}
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import write_atomic
from ..module_utils.slipway.module.options import OPENPGP
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.trust.dsse import sign_envelope
from ..module_utils.slipway.trust.reproduction import TYPE, Reproduced


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    names = ("project", "version", "label", "commit", "sums")
    said = Reproduced(
        **{name: str(wanted["release"].get(name)) for name in names},
        same=wanted["same"],
        clean=wanted["clean"],
        differs=sorted(wanted["differs"]),
    )
    home = wanted["gnupghome"]
    try:
        key = find_signing_key(home, wanted["signing_key"] or None) if home else None
    except SlipwayError as error:
        if wanted["signing_key"]:
            raise
        return {"changed": False, "signed_by": "", "warnings": [f"No verdict is signed: {error.came_back}."]}
    if key is None:
        return {"changed": False, "signed_by": ""}
    if write:
        payload = said.format(now=time.time())
        write_atomic(Path(wanted["path"]), sign_envelope(payload, TYPE, gnupghome=home, fingerprint=key.fingerprint))
    return {"changed": True, "signed_by": key.fingerprint}


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP,
            "path": {"type": "path", "required": True},
            "release": {"type": "dict", "required": True},
            "same": {"type": "bool", "required": True},
            "clean": {"type": "bool", "required": True},
            "differs": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
