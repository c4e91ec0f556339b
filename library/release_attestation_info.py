#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_attestation_info
short_description: Query whether enough signers attest what is published
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads what O(signers) attested of a version, and has C(sqv --signatures) judge those who attest exactly the
    published C(SHA256SUMS). A signer counts once, whatever keys or subkeys sign.
  - Names who attests something else and which files differ, who has attested only other versions, who nothing at all,
    and whose attestation does not count.
extends_documentation_fragment:
  - slipway.release.trust.signers
  - slipway.release.progress
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  threshold:
    description: How many signers must agree.
    type: raw
    default: 1
  version:
    description: The version that is published.
    type: str
    required: true
  label:
    description: What it is called.
    type: str
    required: true
  sums:
    description: The published C(SHA256SUMS). Without it, only the settings and the way to the repository are looked at.
    type: path
  required:
    description: Whether too few signers are a failure. Else RV(enough) tells it.
    type: bool
    default: true
  wait:
    description: Seconds to wait for those who have attested nothing of the version yet. 0 means one look.
    type: float
    default: 0
  interval:
    description: Seconds between two looks.
    type: float
    default: 30
attributes:
  check_mode:
    details: Looks once.
"""

EXAMPLES = r"""
- name: Assert that two of three got what is published
  slipway.release.release_attestation_info:
    repository: https://git.example.org/baserock/attestations
    signers: "{{ release_signers }}"
    threshold: 2
    version: "26.47"
    label: baserock-26.47
    sums: "{{ release_plan.directories.artifacts }}/SHA256SUMS"
"""

RETURN = r"""
enough: {description: Whether enough signers agree., returned: success, type: bool}
told: {description: "A sentence for each signer who does not agree.", returned: success, type: list, elements: str}
summary: {description: How many agree., returned: success, type: str}
verdict:
  description: What is found, for a record.
  returned: success
  type: dict
  contains:
    repository: {description: Where they attest., type: str}
    commit: {description: The commit that was read., type: str}
    threshold: {description: How many must agree., type: int}
    signers: {description: Their fingerprints by name., type: dict}
    agreed: {description: Who attests what is published., type: list}
    others: {description: Who attests something else., type: list}
    lagging: {description: Who has attested only other versions., type: list}
    missing: {description: Who has attested nothing., type: list}
    faulty: {description: Whose attestation does not count., type: list}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.files import read_regular
from ..module_utils.slipway.module.options import PROGRESS, TRUST_SIGNERS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.trust.attestations import (
    Attested,
    Verdict,
    describe_verdict,
    fetch_attestations,
    judge_attestations,
    require_agreement,
    wait_for_agreement,
)
from ..module_utils.slipway.trust.signers import read_quorum


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    url, version = wanted["repository"], wanted["version"]
    quorum = read_quorum(wanted["signers"], threshold=wanted["threshold"], repository=url)
    sums = b"" if wanted["sums"] is None else read_regular(Path(wanted["sums"]))
    heads: list[str | None] = [None]

    def look() -> Verdict:
        attested = Attested(None)
        if quorum.attestors:
            where: dict[str, Any] = {"branch": wanted["branch"], "timeout": wanted["timeout"]}
            attested = fetch_attestations(url, version=version, names=quorum.names, **where)
        heads[0] = attested.head
        return judge_attestations(quorum, attested, version=version, sums=sums)

    verdict = wait_for_agreement(
        look,
        timeout=wanted["wait"] if write and wanted["sums"] else 0,
        interval=wanted["interval"],
        progress=Progress(wanted["progress"] if write else None),
    )
    if wanted["required"]:
        require_agreement(verdict, label=wanted["label"], on=url)
    return {
        "changed": False,
        "enough": verdict.enough,
        "told": verdict.tell(),
        "summary": verdict.summarise(),
        "verdict": describe_verdict(verdict, quorum, url=url, head=heads[0]),
    }


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            **TRUST_SIGNERS,
            "threshold": {"type": "raw", "default": 1},
            "version": {"type": "str", "required": True},
            "label": {"type": "str", "required": True},
            "sums": {"type": "path"},
            "required": {"type": "bool", "default": True},
            "wait": {"type": "float", "default": 0},
            "interval": {"type": "float", "default": 30},
        },
    )


if __name__ == "__main__":
    main()
