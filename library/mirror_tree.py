#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_tree
short_description: Keep what a public directory has now, to push it to mirrors
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the server that is mirrored. Writes down all files by digest, and all links, while nothing is published
    there, and keeps the contents as hard links until the next time. So what is replaced meanwhile is sent as it was.
  - Only files that are others than the last time are read. Hidden ones count where a link leads to them.
  - M(slipway.release.mirror_upload) sends what a mirror does not have, and M(slipway.release.mirror_publish) makes it
    public there.
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  directory:
    description: The public directory.
    type: path
    required: true
  work:
    description: A directory of this account for what is kept, on the same file system. Made if it is absent.
    type: path
    required: true
attributes:
  check_mode:
    details: All files are read, and nothing is kept.
"""

EXAMPLES = r"""
- name: Keep what is public now
  slipway.release.mirror_tree:
    directory: /srv/download/public
    work: /srv/download/private/.mirrors
  register: kept
"""

RETURN = r"""
tree:
  description: The digest of the list of all that is there. The same directory has the same list.
  returned: success
  type: str
files:
  description: How many files there are.
  returned: success
  type: int
size:
  description: Their bytes, each content counted once.
  returned: success
  type: int
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.mirror.source import keep_tree
from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    progress = Progress(options["progress"] if write else None)
    kept = keep_tree(Path(options["directory"]), Path(options["work"]), progress=progress, check=not write)
    return {
        "changed": kept.changed and write,
        "tree": kept.name,
        "files": len(kept.tree.files),
        "size": sum(kept.tree.sizes.values()),
    }


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            "directory": {"type": "path", "required": True},
            "work": {"type": "path", "required": True},
        },
    )


if __name__ == "__main__":
    main()
