#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_publish
short_description: Have readers of a mirror find what was pushed to it
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the mirror. Takes what has arrived, hashes a copy of it that nobody else can write to, and keeps what is
    right.
  - If all that the list names is there, readers find all of it in one step, with a trace file that says so; what the
    list does not name is gone. Else it says what has not arrived, and readers find what they found before.
  - Contents that are not what they were when they came have to be sent again.
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  directory:
    description: The mirror's directory, all of which belongs to this account. Readers find its C(public).
    type: path
    required: true
  incoming:
    description: The directory below which contents arrive, in C(objects).
    type: path
    required: true
  tree:
    description: The list, as M(slipway.release.mirror_tree) named it.
    type: str
    required: true
  name:
    description: The name of this mirror, which is that of its trace file.
    type: str
    required: true
  source:
    description: The name of the server that is mirrored, for the trace file.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Publish what has arrived
  slipway.release.mirror_publish:
    directory: /srv/mirror/download
    incoming: /srv/mirror/incoming
    tree: "{{ kept.tree }}"
    name: mirror.example.net
    source: download.example.org
  register: found
"""

RETURN = r"""
published:
  description: Whether readers find all that the list says.
  returned: success
  type: bool
missing:
  description: The digests of what has not arrived, perhaps of the list itself.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.mirror.store import Store, publish_tree
from ..module_utils.slipway.mirror.trace import Push
from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    done = publish_tree(
        Store(Path(options["directory"]), Path(options["incoming"])),
        options["tree"],
        Push(options["name"], options["source"]),
        progress=Progress(options["progress"] if write else None),
        check=not write,
    )
    return {"changed": done.changed, "published": done.published, "missing": done.missing}


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            "directory": {"type": "path", "required": True},
            "incoming": {"type": "path", "required": True},
            "tree": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
        },
    )


if __name__ == "__main__":
    main()
