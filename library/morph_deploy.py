#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: morph_deploy
short_description: Create the files of a release with morph deploy
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs C(morph deploy) for each deployment of a release's plan, with the location and the C(VERSION_LABEL) that
    Baserock's release scripts gave it.
  - A file is made elsewhere, hashed, and moved into place whole. What an interrupted run left is removed.
  - Subsystems come with their parents.
requirements:
  - morph
extends_documentation_fragment:
  - slipway.release.plan.deployments
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  cluster:
    description: The cluster file, as a path in the definitions.
    type: str
    required: true
  definitions:
    description: A checkout of the definitions at the release's commit, in which morph is run.
    type: path
    required: true
  command:
    description: The command that runs morph.
    type: list
    elements: str
    default: [morph]
  config:
    description: Morph's configuration. By default the one of the user.
    type: path
  trove_host:
    description: The Trove that morph gets sources from, if its configuration does not say.
    type: str
    default: ''
  cache_server:
    description: The cache server that morph gets artifacts from, if its configuration does not say.
    type: str
    default: ''
  log_directory:
    description: Where the output of morph is kept, in one file for each deployment.
    type: path
    required: true
  timeout:
    description: Seconds that one deployment may take.
    type: int
    default: 7200
attributes:
  idempotent:
    details: Changed only when a file was made. Morph makes other bytes each time.
"""

EXAMPLES = r"""
- name: Create a disk image
  slipway.release.morph_deploy:
    cluster: clusters/release.morph
    definitions: /srv/slipway/releases/26.47/source
    deployments:
      - name: minimal-system-x86_64-generic
        system: systems/minimal-system-x86_64-generic.morph
        architecture: x86_64
        type: rawdisk
        file: baserock-26.47-minimal-system-x86_64-generic.img
    directory: /srv/slipway/releases/26.47/images
    label: baserock-26.47
    log_directory: /srv/slipway/releases/26.47/logs
"""

RETURN = r"""
files:
  description: The file of each deployment. In check mode, those that are there already.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The name of the file., type: str}
    size: {description: Its size in bytes., type: int}
    sha256: {description: Its SHA-256 in hexadecimal., type: str}
    deployment: {description: The deployment's name., type: str}
    system: {description: The system's file., type: str}
    architecture: {description: The system's architecture., type: str}
    type: {description: The deployment's type., type: str}
made:
  description: The names of the files that were made now, or would be made.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import PLAN_DEPLOYMENTS, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.morph.deploy import Site, deploy_files
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.release.making import describe_made


def main() -> None:
    run_module(
        act,
        {
            **PLAN_DEPLOYMENTS,
            **PROGRESS,
            "cluster": {"type": "str", "required": True},
            "definitions": {"type": "path", "required": True},
            "command": {"type": "list", "elements": "str", "default": ["morph"]},
            "config": {"type": "path"},
            "trove_host": {"type": "str", "default": ""},
            "cache_server": {"type": "str", "default": ""},
            "log_directory": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 7200},
        },
    )


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    there, made = deploy_files(
        wanted["deployments"],
        cluster=wanted["cluster"],
        definitions=Path(wanted["definitions"]),
        directory=Path(wanted["directory"]),
        label=wanted["label"],
        site=Site(wanted["command"], wanted["config"] or "", wanted["trove_host"], wanted["cache_server"]),
        previous=wanted["previous"],
        logs=Path(wanted["log_directory"]),
        timeout=wanted["timeout"],
        progress=Progress(wanted["progress"]) if write else None,
        write=write,
    )
    return {"changed": bool(made), "files": describe_made(wanted["deployments"], there), "made": made}


if __name__ == "__main__":
    main()
