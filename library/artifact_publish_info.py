#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_publish_info
short_description: Query what of a release is public on a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server, hashes what is there of a release, and tells what M(slipway.release.artifact_publish)
    would need and do.
  - A public file with other bytes, or one that does not belong to the release, is a failure that names it.
extends_documentation_fragment:
  - slipway.release.artifacts
  - slipway.release.artifacts.public
  - slipway.release.artifacts.server
  - slipway.release.attributes.info_module
  - slipway.release.attributes
"""

EXAMPLES = r"""
- name: Query which files the download server still needs
  slipway.release.artifact_publish_info:
    private: /srv/download.example.org/.private
    public: /srv/download.example.org/public
    label: baserock-26.47
    files: "{{ release_records.package.outputs.files }}"
  register: server
"""

RETURN = r"""
unpublished:
  description: The names of the files that are not public.
  returned: success
  type: list
  elements: str
missing:
  description: Those of them that have not arrived in the private directory either, and have to be uploaded.
  returned: success
  type: list
  elements: str
pending:
  description: Whether there is anything to do.
  returned: success
  type: bool
key:
  description: The public keys beside the releases, the text of C(release-key.asc); empty if there is none.
  returned: success
  type: str
logs:
  description: The directory for logs that nobody but this account writes to, C(/var/log/slipway) for root.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import ARTIFACTS, ARTIFACTS_PUBLIC, ARTIFACTS_SERVER
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import find_log_directory
from ..module_utils.slipway.publish.directory import Server, probe_release
from ..module_utils.slipway.publish.releases import read_key_file
from ..module_utils.slipway.release.artifact import read_artifacts


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    found = probe_release(
        Server(
            private=Path(params["private"]),
            public=Path(params["public"]),
            label=params["label"],
            files=read_artifacts(params["files"], attempt="publish the release", known=write),
            flat_links=params["flat_links"],
            reinstate=params["reinstate"],
        )
    )
    return {
        "changed": False,
        "unpublished": found.unpublished,
        "missing": found.missing,
        "pending": found.changes,
        "key": read_key_file(Path(params["public"])),
        "logs": str(find_log_directory()),
    }


def main() -> None:
    run_module(
        act,
        {**ARTIFACTS, **ARTIFACTS_PUBLIC, **ARTIFACTS_SERVER},
    )


if __name__ == "__main__":
    main()
