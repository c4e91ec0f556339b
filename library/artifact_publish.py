#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_publish
short_description: Publish uploaded release files on a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server. Files arrive in C(<private>/<label>/) and become public as C(<public>/<label>/).
  - Every file becomes the publisher's own, in a directory of his, and is hashed only there. What another account
    uploaded is copied, since that one may have it open still; it needs room for a few files a second time. Links, and
    what else is not a file under one name, are refused.
  - The first time, one rename makes the complete directory public, so that nobody ever sees a part of a release.
    Afterwards the files are hashed again where they are public.
  - Later, a file that is public with the same digest is left alone, one that is gone is moved in again without
    overwriting anything, and one with other bytes is a failure that names both digests. So is a file in the public
    directory that does not belong to the release.
  - The private directory of the release is gone afterwards.
extends_documentation_fragment:
  - slipway.release.artifacts
  - slipway.release.artifacts.public
  - slipway.release.artifacts.server
  - slipway.release.progress
  - slipway.release.attributes
attributes:
  diff_mode:
    details: Lists the names that become public.
"""

EXAMPLES = r"""
- name: Publish the release
  slipway.release.artifact_publish:
    private: /srv/download.example.org/.private
    public: /srv/download.example.org/public
    label: baserock-26.47
    files: "{{ release_records.package.outputs.files }}"
"""

RETURN = r"""
unpublished:
  description: The names of the files that were not public before.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import ARTIFACTS, ARTIFACTS_PUBLIC, ARTIFACTS_SERVER, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.publish.directory import PublicationState, Server, probe_release, publish_release
from ..module_utils.slipway.release.artifact import read_artifacts


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    server = Server(
        private=Path(params["private"]),
        public=Path(params["public"]),
        label=params["label"],
        files=read_artifacts(params["files"], attempt="publish the release", known=write),
        flat_links=params["flat_links"],
        reinstate=params["reinstate"],
    )
    progress = Progress(params["progress"] if write else None, total=len(server.files))
    found = (publish_release if write else probe_release)(server, progress=progress)
    result: dict[str, Any] = {"changed": found.changes, "unpublished": found.unpublished}
    if result["changed"]:
        names = [*(f"{server.published}/{name}" for name in found.unpublished), *_format_links(server, found)]
        result["diff"] = diff_added(names)
    return result


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS,
            **PROGRESS,
            **ARTIFACTS_PUBLIC,
            **ARTIFACTS_SERVER,
        },
    )


def _format_links(server: Server, found: PublicationState) -> list[str]:
    return [f"{server.public}/{name} -> {server.links()[name]}" for name in found.links]


if __name__ == "__main__":
    main()
