#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: current_links
short_description: Manage the current links of a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server, after the release has been published and verified.
  - Keeps the relative links C(current), C(<project>-current-<location>.gz) for every deployed file, and C(SHA256SUMS),
    C(SHA256SUMS.asc) and C(manifest.json) through C(current). None ever dangles.
  - All of them lead through the link C(.current) and move by one rename of it, so that no two of them name two
    releases. Links that an earlier version of this module replaced one by one are put behind it first.
  - A link of a deployment that this release does not have would name an old release for ever, and is removed. Those of
    O(left_out) stay at their last release.
  - If C(current) names a newer version by numeric order, it is left as it is, because publishing an older version once
    more must not take readers back. So are the links of each product of which a newer version is current.
extends_documentation_fragment:
  - slipway.release.artifacts.public
  - slipway.release.attributes
options:
  project:
    description: The project that is released.
    type: str
    required: true
  files:
    description: The names of all files of the release.
    type: list
    elements: str
    required: true
  left_out:
    description:
      - Products that take no part in this release. The manifests of the releases that links name say of which product
        each file is; where they say none, it is the project's own one, which is called as the project.
    type: list
    elements: str
    default: []
  allow_downgrade:
    description: Whether the links go back from a newer release to this one, when that is not to be current after all.
    type: bool
    default: false
attributes:
  check_mode:
    details: The files that the links will name need not exist.
  diff_mode:
    details: Shows where the links point, before and after.
"""

EXAMPLES = r"""
- name: Update the current links
  slipway.release.current_links:
    public: /srv/download.example.org/public
    project: baserock
    label: baserock-26.47
    files: "{{ release_records.package.outputs.files | map(attribute='name') }}"
"""

RETURN = r"""
current:
  description: The label that C(current) names afterwards.
  returned: success
  type: str
moves:
  description: The links that moved, each with C(name), C(before) and C(after), which are null where there is no link.
  returned: success
  type: list
  elements: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import ARTIFACTS_PUBLIC
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish.links import Release, update_links


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    release = Release(Path(params["public"]), params["project"], params["label"], params["files"], params["left_out"])
    done = update_links(release, allow_downgrade=params["allow_downgrade"], check=not write)
    result: dict[str, Any] = {
        "changed": bool(done.moves or done.moved_in),
        "current": done.newer or release.label,
        "moves": [asdict(move) for move in done.moves],
    }
    if done.newer:
        result["msg"] = f"{done.newer} is newer than {release.label} and stays current."
    if done.moves:
        result["diff"] = {
            "before": "".join(f"{move.name} -> {move.before}\n" for move in done.moves if move.before),
            "after": "".join(f"{move.name} -> {move.after}\n" for move in done.moves if move.after),
        }
    return result


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS_PUBLIC,
            "project": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "allow_downgrade": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
