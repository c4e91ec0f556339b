#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_extras
short_description: Create the extra files of a release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes the files that the products of a release have besides those of its deployments, with the same bytes in every
    run.
  - The type C(baseline-manifest) tells what a system is made of, in the format of the GENIVI Baseline, and
    C(licence-manifest) the licences of its components. C(kernel) is taken out of a system's archive or disk without
    mounting it, C(file) is one of the definitions, and C(command) is what a command makes.
  - A file is made elsewhere, hashed, and moved into place whole. What an interrupted run left is removed.
requirements:
  - licensecheck for licences
  - debugfs (e2fsprogs) or btrfs (btrfs-progs) for kernels out of disks
extends_documentation_fragment:
  - slipway.release.buildstream
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  plan:
    description: The release's plan, whose C(extras) are made.
    type: dict
    required: true
  artifacts:
    description: The build artifact of each system, by the system's name.
    type: dict
    default: {}
  keys:
    description: The cache key of each system's artifact, by the system's name.
    type: dict
    default: {}
  previous:
    description: The RV(files) that an earlier run returned. They are verified and not made again.
    type: list
    elements: dict
    default: []
  cache:
    description: The directory that keeps what is known of components, such as their licences, for all releases.
    type: path
    required: true
  trove:
    description: The address of the local Trove, above its repositories.
    type: str
    default: ""
  aliases:
    description: "Further short forms of addresses, such as C({example: 'https://git.example.org/%s'})."
    type: dict
    default: {}
  project_options:
    description: The options of a BuildStream project by architecture.
    type: dict
    default: {}
  artifacts_directory:
    description: A directory of this machine that has Morph's artifacts.
    type: path
  cache_url:
    description: The cache server that has Morph's artifacts.
    type: str
    default: ""
  timeout:
    description: Seconds to wait for one system to be taken out of a cache.
    type: int
    default: 3600
attributes:
  check_mode:
    details: Verifies the files in O(previous), and returns which would be made.
"""

EXAMPLES = r"""
- name: Create the extra files that the policy asks for
  slipway.release.release_extras:
    plan: "{{ release_plan }}"
    cache: /srv/slipway/licences
"""

RETURN = r"""
files:
  description: The extra files. In check mode, those that are there already.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The name of the file., type: str}
    size: {description: Its size in bytes., type: int}
    sha256: {description: Its SHA-256 in hexadecimal., type: str}
    deployment: {description: The name of the extra file in the plan., type: str}
    system: {description: The system's file. Empty if it is about no system., type: str}
    architecture: {description: The system's architecture., type: str}
    type: {description: The type., type: str}
tools:
  description: The versions of the programs that made the files, when some were made.
  returned: success
  type: dict
  sample: {licensecheck: licensecheck version v3.3.5}
made:
  description: The names of the files that were made now, or would be made.
  returned: success
  type: list
  elements: str
"""

import signal
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import require_fields
from ..module_utils.slipway.extras.elements import Origin
from ..module_utils.slipway.extras.make import make_files, read_tools
from ..module_utils.slipway.extras.site import Release, Site, Wanted
from ..module_utils.slipway.extras.sources import GitSources
from ..module_utils.slipway.module.options import BUILDSTREAM, PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.release.artifact import read_artifacts
from ..module_utils.slipway.release.making import describe_made


def main() -> None:
    # Interrupted, the module ends at once like on any other signal, and what it started ends with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_module(
        act,
        {
            **BUILDSTREAM,
            **PROGRESS,
            "plan": {"type": "dict", "required": True},
            "artifacts": {"type": "dict", "default": {}},
            # The name of a build is not a secret.
            "keys": {"type": "dict", "default": {}, "no_log": False},
            "previous": {"type": "list", "elements": "dict", "default": []},
            "cache": {"type": "path", "required": True},
            "trove": {"type": "str", "default": ""},
            "aliases": {"type": "dict", "default": {}},
            "project_options": {"type": "dict", "default": {}},
            "artifacts_directory": {"type": "path"},
            "cache_url": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 3600},
        },
    )


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    plan = params["plan"]
    require_fields(
        plan["extras"],
        ("name", "product", "type", "file"),
        attempted="make the extra files of",
        on=str(plan.get("label")),
        do_next="Give them as the release's plan has them.",
    )
    wanted = [Wanted.from_plan(entry) for entry in plan["extras"]]
    directories, definitions = plan["directories"], plan["definitions"]
    site = Site(
        release=Release(
            label=plan["label"],
            version=plan["version"],
            epoch=int(plan["epoch"]),
            definitions=Origin(definitions["path"], plan["branch"], definitions["commit"]),
            url=definitions["mirror_url"],
            source=Path(directories["source"]),
            images=Path(directories["images"]),
        ),
        deployments=plan["deployments"],
        artifacts=params["artifacts"],
        keys=params["keys"],
        cache=Path(params["cache"]),
        git=GitSources(params["trove"], params["aliases"]),
        config=params["config"] and Path(params["config"]),
        bst=params["bst"],
        options=params["project_options"],
        artifacts_directory=params["artifacts_directory"] or "",
        cache_url=params["cache_url"],
        timeout=params["timeout"],
        progress=Progress(params["progress"] if write else None),
    )
    there, made = make_files(
        wanted,
        site,
        previous={each.name: each for each in read_artifacts(params["previous"], attempt="read the record of")},
        write=write,
    )
    files = describe_made(plan["extras"], there)
    versions = read_tools([each for each in wanted if each.file in made], site) if write and made else {}
    return {"changed": bool(made), "files": files, "made": made, "tools": versions}


if __name__ == "__main__":
    main()
