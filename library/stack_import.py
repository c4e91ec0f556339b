#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_import
short_description: Take over existing tarballs of stacks, and make their control YAML
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Fetches tarballs that were released by other means, and makes below O(directory), in C(<stack>-<version>/), what
    M(slipway.release.stack_package) makes of sources, by the same rules.
  - A tarball is unpacked as one that a stranger made. One that is damaged, that has several top directories, members
    that lead out of it, come twice, or are neither files, directories nor links, or that unpacks to too much, is
    refused.
  - A tarball keeps its bytes if it is compressed by bzip2 and its top directory is C(<stack>-<version>). Otherwise it
    is packed again.
  - What an earlier run made is used, and not fetched again.
  - Tarballs that are refused are named in one failure. The others are made.
extends_documentation_fragment:
  - slipway.release.stack.surroundings
  - slipway.release.stack.reader
  - slipway.release.progress
  - slipway.release.attributes
options:
  sources:
    description: Addresses or paths of tarballs whose names are C(<stack>-<version>.tar.bz2), C(.tar.gz) or C(.tgz).
    type: list
    elements: str
    default: []
  wanted:
    description: The versions of stacks to take from O(repository), by name.
    type: dict
    default: {}
  repository:
    description:
      - Address or path of a release repository, in which a tarball is
        C(<stack>/<stack>-<version>/<stack>-<version>.tar.bz2), or C(.tar.gz) or C(.tgz).
    type: str
attributes:
  check_mode:
    details: It says what would be imported. Nothing is fetched, so it cannot say what would be refused.
    support: partial
  diff_mode:
    details: Lists the directories that are made.
"""

EXAMPLES = r"""
- name: Populate the release repository
  slipway.release.stack_import:
    repository: https://code.example.org/download/stacks
    wanted:
      common_msgs: 1.0.3
      geometry: 1.1.1
    distribution: cturtle
    stacks: [ros, common_msgs, geometry]
    platforms: [bookworm]
    directory: /srv/slipway/debs/made
"""

RETURN = r"""
releases:
  description:
    - For each tarball its C(stack), C(version), C(label), whether what is there was C(reused), why it was C(repacked)
      or null, C(files) as M(slipway.release.stack_package) returns them, C(control) and C(remarks).
    - In check mode, those that would be imported have null for C(control), and for sizes and digests.
  returned: success
  type: list
  elements: dict
imported:
  description: The labels of those that were imported now.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import PROGRESS, STACK_READER, STACK_SURROUNDINGS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress
from ..module_utils.slipway.stack.fetch import Reader
from ..module_utils.slipway.stack.imports import Importer, list_tarballs
from ..module_utils.slipway.stack.package import read_surroundings
from ..module_utils.slipway.stack.tree import Limits


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    versions = {str(stack): str(version) for stack, version in wanted["wanted"].items()}
    importer = Importer(
        Path(wanted["directory"]),
        around=read_surroundings(wanted),
        reader=Reader(wanted["timeout"], wanted["idle_timeout"], wanted["ca_path"]),
        epoch=wanted["epoch"],
        limits=Limits(size=wanted["max_bytes"]),
        progress=Progress(wanted["progress"] if write else None),
    )
    done = importer.import_all(list_tarballs(wanted["sources"], versions, repository=wanted["repository"]), write=write)
    imported = [each.tarball.label for each in done if not each.reused]
    return {
        "changed": bool(imported),
        "releases": [each.as_dict() for each in done],
        "imported": imported,
        "diff": diff_added(f"{wanted['directory']}/{label}/" for label in imported),
    }


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            **STACK_READER,
            **STACK_SURROUNDINGS,
            "sources": {"type": "list", "elements": "str", "default": []},
            "wanted": {"type": "dict", "default": {}},
            "repository": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
