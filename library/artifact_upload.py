#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_upload
short_description: Upload release files to the private directory of a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the coordinator, where the files are. Their digests are checked before anything is sent.
  - Sends only what is not there yet with the same content; a file that was cut off is resumed.
  - The files appear under their names only when they are whole. M(slipway.release.artifact_publish) hashes them there.
  - Never asks a question, such as for a password or an unknown host key, but fails.
extends_documentation_fragment:
  - slipway.release.artifacts
  - slipway.release.connection.ssh
  - slipway.release.progress
  - slipway.release.attributes
options:
  source:
    description: The directory of the files.
    type: path
    required: true
  directory:
    description: The directory to send them to. It is made if it is absent.
    type: path
    required: true
  method:
    description: V(local) copies into a directory of this machine, V(rsync) sends over ssh.
    type: str
    choices: [local, rsync]
    default: local
  host:
    description: The server's name or address, for O(method=rsync).
    type: str
  user:
    description: The user on the server. The default is ssh's.
    type: str
  port:
    description: The port of the server's sshd. The default is ssh's.
    type: int
  ssh_args:
    description: More arguments for ssh, as C(ansible_ssh_common_args) has them.
    type: str
    default: ""
  timeout:
    description: Seconds after which the whole upload is given up.
    type: int
    default: 14400
  idle_timeout:
    description: Seconds of silence after which rsync gives up.
    type: int
    default: 60
  bwlimit:
    description:
      - How many bytes a second may be sent to O(host), such as V(500K) or V(2M), in units of 1024. Empty for no limit.
    type: str
    default: ""
attributes:
  diff_mode:
    details: Lists the files that are sent.
"""

EXAMPLES = r"""
- name: Upload what the server needs
  slipway.release.artifact_upload:
    source: /srv/slipway/releases/26.47/artifacts
    files: "{{ release_records.package.outputs.files }}"
    directory: /srv/download.example.org/.private/baserock-26.47
    method: rsync
    host: download.example.org
    user: release
"""

RETURN = r"""
sent:
  description: The names of the files that were sent.
  returned: success
  type: list
  elements: str
"""

import shlex
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import ARTIFACTS, CONNECTION_SSH, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.publish import upload
from ..module_utils.slipway.release.artifact import read_artifacts


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    arguments = shlex.split(params["ssh_args"])
    host = upload.SshHost(params["host"] or "", params["user"], params["port"], params["ssh_options"], arguments)
    sent = upload.upload_files(
        Path(params["source"]),
        read_artifacts(params["files"], attempt="upload the release", known=write),
        directory=Path(params["directory"]),
        host=host if params["method"] == "rsync" else None,
        timeout=params["timeout"],
        idle_timeout=params["idle_timeout"],
        limit=params["bwlimit"],
        progress=Progress(params["progress"] if write else None),
        check=not write,
    )
    diff = diff_added(f"{params['directory']}/{name}" for name in sent)
    return {"changed": bool(sent), "sent": sent, **({"diff": diff} if sent else {})}


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS,
            **CONNECTION_SSH,
            **PROGRESS,
            "source": {"type": "path", "required": True},
            "directory": {"type": "path", "required": True},
            "method": {"type": "str", "choices": ["local", "rsync"], "default": "local"},
            "host": {"type": "str"},
            "user": {"type": "str"},
            "port": {"type": "int"},
            "ssh_args": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 14400},
            "idle_timeout": {"type": "int", "default": 60},
            "bwlimit": {"type": "str", "default": ""},
        },
        required_if=[("method", "rsync", ["host"])],
    )


if __name__ == "__main__":
    main()
