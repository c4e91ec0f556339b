#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_reproduction_info
short_description: Query a published release, and whether what was made again is the same
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads C(SHA256SUMS) and C(manifest.json) in the directory of a published release, and C(<label>.inputs.json) beside
    it. With O(directory), compares them with what was packaged there.
  - That a file differs is a failure that names it, and each input that differs too.
extends_documentation_fragment:
  - slipway.release.connection.https
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  reference:
    description: The address (file, http or https) of the directory of the published release.
    type: str
    required: true
  key:
    description:
      - The path of the public key that must have signed C(SHA256SUMS). Without it the signature is not looked at.
    type: path
  directory:
    description: The directory in which the release was packaged again. Without it nothing is compared.
    type: path
  files:
    description: What was packaged, as M(slipway.release.release_package) returned it.
    type: list
    elements: dict
    default: []
  required:
    description: Whether a file that differs is a failure. Else RV(differs) and RV(findings) tell it.
    type: bool
    default: true
  inputs:
    description: The text of C(release_inputs) for what was made now.
    type: str
    default: "{}"
"""

EXAMPLES = r"""
- name: Compare what was made with what was published
  slipway.release.release_reproduction_info:
    reference: https://download.example.org/baserock-26.47
    directory: "{{ release_plan.directories.artifacts }}"
    files: "{{ release_records.package.outputs.files }}"
"""

RETURN = r"""
commit:
  description: The commit of the definitions that the published release was made of. Null if it was not of any.
  returned: success
  type: str
bills:
  description: Whether bills of materials are among its files.
  returned: success
  type: bool
products:
  description: The products that its files are of, as its manifest says. Empty if it says none.
  returned: success
  type: list
  elements: str
same:
  description: The files that are the same.
  returned: success
  type: list
  elements: str
differs:
  description: The files that are not.
  returned: success
  type: list
  elements: str
findings:
  description: A sentence for each of these, and for each input that differs.
  returned: success
  type: list
  elements: str
summary:
  description: What came of it, as half a sentence.
  returned: success
  type: str
sums:
  description: The SHA-256 of the published C(SHA256SUMS).
  returned: success
  type: str
"""

import json
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import read_regular
from ..module_utils.slipway.gates.reproduction import Comparison, compare_release, fetch_reference, require_same
from ..module_utils.slipway.module.options import CONNECTION_HTTPS
from ..module_utils.slipway.module.report import run_module


def act(params: dict[str, Any], **_: bool) -> dict[str, Any]:
    key = read_regular(params["key"]) if params["key"] else None
    reference = fetch_reference(params["reference"], ca_path=params["ca_path"], key=key)
    compared = Comparison(())
    if params["directory"]:
        path = Path(params["directory"]) / "manifest.json"
        try:
            manifest = json.loads(read_regular(path))
        except (OSError, ValueError) as error:
            raise SlipwayError("read", str(path), str(error), do_next="Package it first.") from error
        compared = compare_release(reference, params["files"], manifest, json.loads(params["inputs"]))
        if params["required"]:
            require_same(reference, compared)
    listed = reference.manifest.get("files") or []
    commit = reference.manifest.get("commit")
    return {
        "changed": False,
        "commit": commit if isinstance(commit, str) else None,
        "bills": any(isinstance(each, dict) and each.get("type") == "bill" for each in listed),
        "products": sorted({each["product"] for each in listed if isinstance(each, dict) and each.get("product")}),
        "same": [*compared.same],
        "differs": [*compared.differs],
        "findings": [*compared.findings],
        "summary": compared.summarise(reference),
        "sums": reference.sha256,
    }


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            "reference": {"type": "str", "required": True},
            "key": {"type": "path", "no_log": False},
            "directory": {"type": "path"},
            "files": {"type": "list", "elements": "dict", "default": []},
            "required": {"type": "bool", "default": True},
            "inputs": {"type": "str", "default": "{}"},
        },
    )


if __name__ == "__main__":
    main()
