#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_withdrawal_info
short_description: Query what a download server has of a release that is to be withdrawn
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server. Tells what a tombstone of the release says of it, and whether there is one already.
extends_documentation_fragment:
  - slipway.release.artifacts.public
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  project:
    description: The project of the release.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Query what the server has of the release
  slipway.release.release_withdrawal_info:
    public: /srv/download.example.org/public
    project: baserock
    label: baserock-26.47
"""

RETURN = r"""
facts:
  description:
    - The digest of its C(SHA256SUMS), when it was released, the key that signed it and its commit. Null if the release
      is not there.
  returned: success
  type: dict
tombstone:
  description: The text of its tombstone. Null if it is not withdrawn.
  returned: success
  type: str
signature:
  description: The signature of the tombstone. Null if there is none.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import ARTIFACTS_PUBLIC
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.undo.withdrawal import inspect_withdrawal


def act(params: dict[str, Any], **_: bool) -> dict[str, Any]:
    return {"changed": False, **inspect_withdrawal(Path(params["public"]), params["project"], params["label"])}


def main() -> None:
    run_module(act, {**ARTIFACTS_PUBLIC, "project": {"type": "str", "required": True}})


if __name__ == "__main__":
    main()
