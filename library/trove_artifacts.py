#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_artifacts
short_description: Publish build artifacts from a local to a public Trove
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Queries a public Trove's cache server (morph-cache-server, API 1.0) for the artifacts of some systems, fetches what
    is missing from the local Trove's cache server, uploads it with one rsync, and reads it back. The digest of each
    is taken when it is fetched, since the servers know of none, and kept beside O(directory), in C(<directory>.sha256).
  - What is there under its name, but empty or shorter than in the local Trove's cache, is missing as well and is
    replaced. What is longer is a failure.
  - The answer of a cache server has to cover every name that was asked for. A body that is shorter than announced, or
    empty, is refused. No file appears under its name before it is whole.
  - The metadata and the build log of a source may be absent, by the form of their names only.
extends_documentation_fragment:
  - slipway.release.morph.list_command
  - slipway.release.connection.ssh
  - slipway.release.progress
  - slipway.release.attributes
options:
  names:
    description: The names of the artifacts. Without them, O(list_command) lists them.
    type: list
    elements: str
  systems:
    description:
      - The systems, for O(list_command). Give those that are only parts of others too, or what is theirs alone
        will not be published.
    type: list
    elements: str
  repo:
    description: The repository of the definitions, for O(list_command).
    type: str
  ref:
    description: The ref of the definitions, for O(list_command).
    type: str
  local_url:
    description: The local Trove's cache server, such as V(http://trove.internal.example.org:8080).
    type: str
    required: true
  public_url:
    description: The public Trove's cache server.
    type: str
    required: true
  destination:
    description: The directory of the public Trove's artifacts, as rsync names it.
    type: str
    required: true
  directory:
    description: The directory for the files on their way. Files of a run that was interrupted are used again.
    type: path
    required: true
  jobs:
    description: How many artifacts are fetched at a time.
    type: int
    default: 4
  timeout:
    description: Seconds that the fetching of one artifact may take.
    type: float
    default: 3600
  transfer_timeout:
    description: Seconds that the rsync may take.
    type: float
    default: 14400
  rsync_options:
    description: More options for rsync, such as V(--bwlimit=1000) or V(--chown=cache:cache).
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    details: While O(chdir) does not exist, nothing is known and it is changed.
  diff_mode:
    details: Shows the names that are added.
"""

EXAMPLES = r"""
- name: Publish the build artifacts of a release
  slipway.release.trove_artifacts:
    list_command: [morph, list-artifacts, --quiet, "{repo}", "{ref}", "{systems}"]
    repo: baserock:baserock/definitions
    ref: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
    systems: [systems/minimal-system-x86_64-generic.morph]
    local_url: http://trove.internal.example.org:8080
    public_url: http://trove.example.org:8080
    destination: root@trove.example.org:/home/cache/artifacts
    directory: /var/lib/slipway/releases/26.47/build-artifacts
"""

RETURN = r"""
total:
  description: How many artifacts there are.
  returned: success
  type: int
missing:
  description: The names that the public Trove lacked, or did not have whole.
  returned: success
  type: list
  elements: str
published:
  description: The names that were published now.
  returned: success
  type: list
  elements: str
absent:
  description: The optional names that the local Trove does not have either.
  returned: success
  type: list
  elements: str
bytes:
  description: How much was sent.
  returned: success
  type: int
digests:
  description: The SHA-256 of what was published, by name.
  returned: success
  type: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import CONNECTION_SSH, MORPH_LIST_COMMAND, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.morph.artifacts import Outcome, Transfer, publish_artifacts
from ..module_utils.slipway.morph.cache import MorphCache, list_artifacts
from ..module_utils.slipway.progress import Progress


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    if not write and wanted["chdir"] and not Path(wanted["chdir"]).is_dir():
        return {"changed": True, **asdict(Outcome(0, []))}
    outcome = publish_artifacts(
        list_names(wanted),
        local=MorphCache(wanted["local_url"]),
        public=MorphCache(wanted["public_url"]),
        transfer=Transfer(
            wanted["destination"], wanted["rsync_options"], wanted["ssh_options"], wanted["transfer_timeout"]
        ),
        directory=Path(wanted["directory"]),
        jobs=wanted["jobs"],
        timeout=wanted["timeout"],
        progress=Progress(wanted["progress"] if write else None),
        write=write,
    )
    expected = [name for name in outcome.missing if name not in outcome.absent]
    added = expected if not write else outcome.published
    return {"changed": bool(added), **asdict(outcome), "diff": diff_added(added)}


def main() -> None:
    run_module(
        act,
        {
            **MORPH_LIST_COMMAND,
            **CONNECTION_SSH,
            **PROGRESS,
            "names": {"type": "list", "elements": "str"},
            "systems": {"type": "list", "elements": "str"},
            "repo": {"type": "str"},
            "ref": {"type": "str"},
            "local_url": {"type": "str", "required": True},
            "public_url": {"type": "str", "required": True},
            "destination": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "jobs": {"type": "int", "default": 4},
            "timeout": {"type": "float", "default": 3600},
            "transfer_timeout": {"type": "float", "default": 14400},
            "rsync_options": {"type": "list", "elements": "str", "default": []},
        },
        required_one_of=[["names", "list_command"]],
        mutually_exclusive=[["names", "list_command"]],
        required_by={"list_command": ["systems", "repo", "ref"]},
    )


def list_names(wanted: dict[str, Any]) -> list[str]:
    if wanted["names"] is not None:
        return list(wanted["names"])
    return list_artifacts(
        wanted["list_command"],
        repo=wanted["repo"],
        ref=wanted["ref"],
        systems=wanted["systems"],
        cwd=wanted["chdir"],
    )


if __name__ == "__main__":
    main()
