#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: distro_version
short_description: Ensure that a distro file has a version of a stack
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Replaces the version of one stack in a distro file, by one commit where the file is in a git repository. Comments,
    order and every other byte stay. What cannot be edited so is refused, as is a stack that the file does not have.
  - When others push to the branch meanwhile, the file is read again and edited anew, five times in all. Nothing of
    theirs is lost. If it was this stack's version that they set, to another one, it fails.
  - The file must have no faults, before and after.
extends_documentation_fragment:
  - slipway.release.distro
  - slipway.release.git.author
  - slipway.release.attributes
options:
  stack:
    description: The stack.
    type: str
    required: true
  version:
    description: Its version, as Debian's packages have them.
    type: str
    required: true
  allow_downgrade:
    description: Whether a version that is lower than the present one, in dpkg's order, is written too.
    type: bool
    default: false
  commit_message:
    description: The commit's message. Without it stack, version and distro file are named.
    type: str
"""

EXAMPLES = r"""
- name: Name the version that is released
  slipway.release.distro_version:
    repository: ssh://git@git.example.org/distros.git
    path: cturtle.rosdistro
    stack: navigation
    version: 1.0.2
    commit_message: Release navigation 1.0.2 into cturtle
"""

RETURN = r"""
commit:
  description:
    - The head of the branch, which has the version; null for a file of the host. In check mode the head that it would
      be committed to.
  returned: success
  type: str
before:
  description: The version that the stack had; null if it was not released.
  returned: success
  type: str
"""

from typing import Any

from ..module_utils.slipway.distro.edit import VersionChange
from ..module_utils.slipway.distro.source import Place, commit_version
from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import DISTRO, GIT_AUTHOR
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    place = Place(wanted["path"], wanted["repository"], wanted["branch"])
    stack, version = wanted["stack"], wanted["version"]
    change = VersionChange(str(place), stack, version, allow_downgrade=wanted["allow_downgrade"])
    made = commit_version(
        place,
        change,
        message=wanted["commit_message"] or f"Set {stack} to {version} in {wanted['path']}\n",
        person=Person(wanted["name"], wanted["email"], wanted["epoch"]),
        write=write,
    )
    return {
        "changed": bool(made.changed),
        "commit": made.head,
        "before": change.before,
        "diff": diff_texts(made.changed),
    }


def main() -> None:
    run_module(
        act,
        {
            **DISTRO,
            **GIT_AUTHOR,
            "stack": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "allow_downgrade": {"type": "bool", "default": False},
            "commit_message": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
