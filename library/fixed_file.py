#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: fixed_file
short_description: Publish a small file that never changes
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes a file whole or not at all, where none is. One with the same bytes is left as it is.
  - One with other bytes is a failure that names both digests, because public bytes never change.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  path:
    description: The file.
    type: path
    required: true
  content:
    description: Its bytes, in base64.
    type: str
    required: true
  sha256:
    description: What its digest must be.
    type: str
    required: true
attributes:
  diff_mode:
    details: Names the file that is made.
"""

EXAMPLES = r"""
- name: Publish the statements
  slipway.release.fixed_file:
    path: /srv/download.example.org/public/baserock-26.47.intoto.jsonl
    content: "{{ statements.content }}"
    sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
"""

RETURN = r"""
size:
  description: How many bytes it has.
  returned: success
  type: int
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import read_regular, write_atomic
from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.report import run_module


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    path = Path(params["path"])
    try:
        content = base64.b64decode(params["content"], validate=True)
    except binascii.Error as error:
        raise SlipwayError("publish", str(path), "its content is no base64", do_next="Correct it.") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != params["sha256"]:
        came_back = f"what came here has sha256 {digest}, on record is {params['sha256']}"
        raise SlipwayError("publish", str(path), came_back, do_next="Run again; the record says what it must be.")
    if path.exists() or path.is_symlink():
        there = hashlib.sha256(read_regular(path)).hexdigest()
        if there != digest:
            came_back = f"what is public has sha256 {there}, what was to be published {digest}"
            do_next = "Public bytes never change. Find out who wrote it, put back what was there, and run again."
            raise SlipwayError("publish", str(path), came_back, do_next=do_next)
        return {"changed": False, "size": len(content)}
    if write:
        write_atomic(path, content)
    return {"changed": True, "size": len(content), "diff": diff_added([str(path)])}


def main() -> None:
    run_module(
        act,
        {
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
        },
    )


if __name__ == "__main__":
    main()
