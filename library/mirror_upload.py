#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_upload
short_description: Send contents of a public directory to a mirror
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the server that is mirrored, after M(slipway.release.mirror_tree). Sends contents under their digests, so
    that one that was cut off is resumed, and one that is there is not sent.
  - Never asks a question, such as for a password or an unknown host key, but fails.
extends_documentation_fragment:
  - slipway.release.connection.ssh
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  work:
    description: The directory in which M(slipway.release.mirror_tree) keeps what it found.
    type: path
    required: true
  tree:
    description: The list of what it found.
    type: str
    required: true
  objects:
    description: The digests of what is to be sent, that of the list among them.
    type: list
    elements: str
    required: true
  directory:
    description: The directory of the mirror that is sent to.
    type: path
    required: true
  host:
    description: The mirror's name or address. Without one it is on this machine.
    type: str
  user:
    description: The user on the mirror.
    type: str
  port:
    description: The port of the mirror's sshd. The default is ssh's.
    type: int
  timeout:
    description: Seconds after which all of it is given up.
    type: int
    default: 14400
  bwlimit:
    description: How many bytes a second may be sent, such as V(500K) or V(2M), in units of 1024. Empty for no limit.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Send what the mirror does not have
  slipway.release.mirror_upload:
    work: /srv/download/private/.mirrors
    tree: "{{ kept.tree }}"
    objects: "{{ found.missing }}"
    directory: /srv/mirror/incoming/objects
    host: mirror.example.net
    user: slipway-mirror
"""

RETURN = r"""
sent:
  description: The digests of what was sent.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.mirror.source import send_objects
from ..module_utils.slipway.module.options import CONNECTION_SSH, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.publish.upload import SshHost


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    host = None
    if options["host"]:
        host = SshHost(options["host"], options["user"], options["port"], options["ssh_options"])
    sent = send_objects(
        Path(options["work"]),
        options["tree"],
        options["objects"],
        directory=Path(options["directory"]),
        host=host,
        timeout=options["timeout"],
        limit=options["bwlimit"],
        progress=Progress(options["progress"] if write else None),
        check=not write,
    )
    return {"changed": bool(sent), "sent": sent}


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_SSH,
            **PROGRESS,
            "work": {"type": "path", "required": True},
            "tree": {"type": "str", "required": True},
            "objects": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "host": {"type": "str"},
            "user": {"type": "str"},
            "port": {"type": "int"},
            "timeout": {"type": "int", "default": 14400},
            "bwlimit": {"type": "str", "default": ""},
        },
    )


if __name__ == "__main__":
    main()
