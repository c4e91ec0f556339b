#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_reproduction_verdict_info
short_description: Verify that a release came out the same when it was made again
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the verdict of M(slipway.release.release_reproduction_verdict), and fails unless a signer says of exactly this
    release, and of exactly the published bytes, that they came out the same from a clean cache.
extends_documentation_fragment:
  - slipway.release.connection.https
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  verdict:
    description: The path or the address (file, http or https) of the verdict.
    type: str
    required: true
  release:
    description: Which release it must be of, as M(slipway.release.release_reproduction_verdict) takes it.
    type: dict
    required: true
  signers:
    description: Who may say so, as M(slipway.release.release_attestation_info) takes them.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Verify that somebody made it again
  slipway.release.release_reproduction_verdict_info:
    verdict: https://rebuilder.example.org/baserock-26.47.json
    release: {project: baserock, version: "26.47", label: baserock-26.47, commit: "{{ commit }}", sums: "{{ sums }}"}
    signers: "{{ release_signers }}"
"""

RETURN = r"""
by: {description: Who says so., returned: success, type: str}
date: {description: When., returned: success, type: str}
"""

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.options import CONNECTION_HTTPS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish.channel import fetch_published
from ..module_utils.slipway.trust.reproduction import AGAIN, require_reproduction
from ..module_utils.slipway.trust.signers import read_quorum


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    where = wanted["verdict"]
    url = f"file://{quote(str(Path(where)))}" if where.startswith("/") else where
    above, _slash, name = url.rpartition("/")
    attempt = "accept the verdict of a reproduction in"
    data = fetch_published(above, name, attempt=attempt, do_next=AGAIN, ca_path=wanted["ca_path"])
    if data is None:
        raise SlipwayError(attempt, where, "there is none", do_next=AGAIN)
    quorum = read_quorum(wanted["signers"], repository="none")
    release = {str(name): str(value) for name, value in wanted["release"].items()}
    return {"changed": False, **require_reproduction(data, on=where, quorum=quorum, wanted=release, now=time.time())}


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            "verdict": {"type": "str", "required": True},
            "release": {"type": "dict", "required": True},
            "signers": {"type": "raw", "required": True},
        },
    )


if __name__ == "__main__":
    main()
