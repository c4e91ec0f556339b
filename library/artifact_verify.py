#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_verify
short_description: Verify that public addresses serve the files of a release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Fetches every file from every channel as a reader does, without keeping it, and compares its SHA-256.
  - What is not there or not right is looked at again until O(timeout) has passed, for channels that lag behind.
    Then everything that is still wrong is one failure.
extends_documentation_fragment:
  - slipway.release.artifacts
  - slipway.release.artifacts.wait
  - slipway.release.connection.https
  - slipway.release.progress
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  channels:
    description: The public addresses under which the release's directory is found (file, http or https).
    type: list
    elements: str
    required: true
  path:
    description: The name of the release's directory, its label. Empty if O(channels) name the directory itself.
    type: str
    default: ""
  beside:
    description: Files that are beside that directory, in the same form as O(files).
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    details: Looks once. While digests are not known yet, nothing is fetched.
"""

EXAMPLES = r"""
- name: Wait until the mirrors serve the release
  slipway.release.artifact_verify:
    channels: ["https://download.example.org", "https://mirror.example.net/baserock"]
    path: baserock-26.47
    files: "{{ release_records.package.outputs.files }}"
    timeout: 3600
"""

RETURN = r"""
verified:
  description: The addresses that serve the right bytes.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ..module_utils.slipway.module.options import ARTIFACTS, ARTIFACTS_WAIT, CONNECTION_HTTPS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.publish import channel
from ..module_utils.slipway.release.artifact import read_artifacts


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    files = read_artifacts(params["files"], attempt="verify the release", known=write)
    if not all(file.sha256 for file in files):
        return {"changed": False, "verified": []}
    verified = channel.verify_channels(
        params["channels"],
        params["path"],
        files,
        beside=read_artifacts(params["beside"], attempt="verify the release", known=write),
        timeout=params["timeout"] if write else 0,
        interval=params["interval"],
        idle_timeout=params["idle_timeout"],
        fetch_timeout=params["fetch_timeout"],
        progress=Progress(params["progress"] if write else None),
        ca_path=params["ca_path"],
    )
    return {"changed": False, "verified": verified}


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS,
            **ARTIFACTS_WAIT,
            **CONNECTION_HTTPS,
            **PROGRESS,
            "channels": {"type": "list", "elements": "str", "required": True},
            "beside": {"type": "list", "elements": "dict", "default": []},
            "path": {"type": "str", "default": ""},
        },
    )


if __name__ == "__main__":
    main()
