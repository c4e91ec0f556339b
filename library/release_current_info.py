#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_current_info
short_description: Query what a download server has that says which release is current
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server. M(slipway.release.release_current) judges it where the signing key is.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  public:
    description: The public directory.
    type: path
    required: true
  project:
    description: The project that is released.
    type: str
    required: true
  moves:
    description: What M(slipway.release.current_links) returned, for check mode, in which no link moves.
    type: list
    elements: dict
    default: []
  contents:
    description: Whether the files of the views are returned as well, and not only their digests.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Query what the server says
  slipway.release.release_current_info:
    public: /srv/download.example.org/public
    project: baserock
"""

RETURN = r"""
found:
  description: The signed files, digests and links of the views, where the current links lead, the checksums of what
    they lead to, and the versions that are withdrawn.
  returned: success
  type: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.current.found import inspect_server
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    moves = {move["name"]: move["after"] for move in options["moves"]}
    found = inspect_server(Path(options["public"]), options["project"], contents=options["contents"], moves=moves)
    return {"changed": False, "found": found}


def main() -> None:
    run_module(
        act,
        {
            "public": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "moves": {"type": "list", "elements": "dict", "default": []},
            "contents": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
