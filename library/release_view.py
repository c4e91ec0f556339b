#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_view
short_description: Have a view of the public directory for programs of others
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server. A view is a directory of small files and of links to public files, as another program
    wants to find them.
  - All of it is behind one link, which is renamed when any of it is another one, so that no reader finds a part of it.
    What it was before stays for ten minutes.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  public:
    description: The public directory.
    type: path
    required: true
  name:
    description: The name of the view, such as V(updates).
    type: str
    required: true
  files:
    description: Its own files by path, each in base64.
    type: dict
    default: {}
  links:
    description: Its links by path, and the path below the public directory that each leads to.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Have the view for systemd-sysupdate
  slipway.release.release_view:
    public: /srv/download.example.org/public
    name: updates
    files:
      SHA256SUMS: "{{ sums | b64encode }}"
      SHA256SUMS.gpg: "{{ signature }}"
    links:
      baserock-26.47-base.img.gz: baserock-26.47/baserock-26.47-base.img.gz
"""

RETURN = r"""
name:
  description: The name of the view.
  returned: success
  type: str
"""

import base64
import binascii
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.views.directory import write_view
from ..module_utils.slipway.views.subject import View


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    try:
        files = {path: base64.b64decode(text, validate=True) for path, text in options["files"].items()}
    except (binascii.Error, ValueError, TypeError) as error:
        raise SlipwayError(
            "write the view", options["name"], f"a file is no base64: {error}", do_next="Correct it."
        ) from error
    changed = write_view(Path(options["public"]), options["name"], View(files, options["links"]), check=not write)
    return {"changed": changed, "name": options["name"]}


def main() -> None:
    run_module(
        act,
        {
            "public": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "files": {"type": "dict", "default": {}},
            "links": {"type": "dict", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
