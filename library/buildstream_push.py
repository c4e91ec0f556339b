#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: buildstream_push
short_description: Push BuildStream artifacts to an artifact server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Queries an artifact server for the given systems and all that they were built from, pushes what it does not hold
    whole from the BuildStream cache of this host, and queries again.
  - An artifact is present when the server's index names it and the server holds all of its files. BuildStream itself
    queries only the index, which goes on naming what has expired.
  - A server that is away, that refuses, or that fails while it is pushed to, is a failure that names what is missing.
extends_documentation_fragment:
  - slipway.release.buildstream
  - slipway.release.buildstream.systems
  - slipway.release.plan.systems
  - slipway.release.progress
  - slipway.release.attributes
options:
  url:
    description: The artifact server (content store and Remote Asset), such as V(http://git.example.org:50052).
    type: str
    required: true
  server_cert:
    description: A file on this host with the certificates to trust, for https. By default those of the system.
    type: path
  client_cert:
    description: A file on this host with the certificate to show, for https.
    type: path
  client_key:
    description: The file on this host with its private key.
    type: path
  timeout:
    description: Seconds that the push for one architecture may take.
    type: int
    default: 14400
attributes:
  check_mode:
    details: While O(project) does not exist, nothing is known and it is changed.
  diff_mode:
    details: Shows the names that are added.
"""

EXAMPLES = r"""
- name: Publish what a system was built from
  slipway.release.buildstream_push:
    project: /srv/slipway/releases/26.47/source
    config: /etc/slipway/buildstream.conf
    systems:
      - {name: minimal-system-x86_64, file: systems/minimal-system-x86_64.bst, architecture: x86_64}
    project_options:
      x86_64: {arch: x86_64}
    url: http://git.example.org:50052
    log_directory: /srv/slipway/releases/26.47/logs
"""

RETURN = r"""
total:
  description: How many artifacts there are.
  returned: success
  type: int
missing:
  description: What the server lacked.
  returned: success
  type: list
  elements: dict
  contains:
    architecture: {description: The architecture that it was built for., type: str}
    element: {description: The element's path., type: str}
    name: {description: The name by which C(bst artifact) knows it., type: str}
pushed:
  description: What was pushed now, described as in RV(missing).
  returned: success
  type: list
  elements: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.buildstream.command import Project, group_systems
from ..module_utils.slipway.buildstream.push import Outcome, publish_artifacts
from ..module_utils.slipway.buildstream.servers import Server
from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import BUILDSTREAM, BUILDSTREAM_SYSTEMS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def main() -> None:
    run_module(
        act,
        {
            **BUILDSTREAM,
            **BUILDSTREAM_SYSTEMS,
            **PROGRESS,
            "url": {"type": "str", "required": True},
            "server_cert": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path", "no_log": False},
            "timeout": {"type": "int", "default": 14400},
        },
        required_together=[["client_cert", "client_key"]],
    )


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    def path(name: str) -> Path | None:
        return Path(params[name]) if params[name] else None

    if not write and not Path(params["project"]).is_dir():
        return {"changed": True, **asdict(Outcome(0))}
    outcome = publish_artifacts(
        Project(Path(params["project"]), path("config"), params["bst"]),
        group_systems(params["systems"], params["project_options"]),
        Server(params["url"], path("server_cert"), path("client_cert"), path("client_key")),
        log_directory=Path(params["log_directory"]),
        timeout=params["timeout"],
        progress=Progress(params["progress"] if write else None),
        write=write,
    )
    diff = diff_added(artifact.name for artifact in outcome.missing)
    return {"changed": bool(outcome.missing), **asdict(outcome), "diff": diff}


if __name__ == "__main__":
    main()
