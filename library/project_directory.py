#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: project_directory
short_description: Create the directory from which a project is released
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes files, and definitions as a git repository of their own, into a new directory, whole or not at all.
  - A directory that is there already is a failure, unless it is empty.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  path:
    description: The directory.
    type: path
    required: true
  project:
    description: The name of the project. One that cannot name a release is a failure.
    type: str
    required: true
  files:
    description: The files in it.
    type: list
    elements: dict
    default: []
    suboptions: &files
      path:
        description: The path, below the top.
        type: str
        required: true
      content:
        description: The text.
        type: str
        required: true
      program:
        description: Whether it can be executed.
        type: bool
        default: false
  definitions:
    description:
      - The files of the repository C(definitions) below it. Empty if it has none.
      - They are committed by whoever git's settings say, else by the project, with O(epoch) as the date. The same files
        by the same person are the same commit.
    type: list
    elements: dict
    default: []
    suboptions: *files
  branch:
    description: The branch on which they are committed.
    type: str
    default: main
  epoch:
    description: When, in seconds since 1970.
    type: int
    default: 1686355200
"""

EXAMPLES = r"""
- name: Create the directory of a project
  slipway.release.project_directory:
    path: /home/me/acme
    project: acme
    files:
      - {path: group_vars/all.yml, content: "release_project: acme\n"}
    definitions:
      - {path: project.conf, content: "name: acme\n"}
"""

RETURN = r"""
path: {description: The directory's absolute path., returned: success, type: str}
commit: {description: The commit with the definitions. Empty without any., returned: success, type: str}
"""

import os
from pathlib import Path
from typing import Any

from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.project import NewFile, check_free, find_author, write_project
from ..module_utils.slipway.release.names import check_project

FILES = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "path": {"type": "str", "required": True},
        "content": {"type": "str", "required": True},
        "program": {"type": "bool", "default": False},
    },
}


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    project, path = check_project(wanted["project"]), Path(os.path.abspath(wanted["path"]))
    check_free(path)
    commit = None
    if write:
        name, email = find_author() or (f"{project} release team", "release@localhost")
        commit = write_project(
            path,
            [NewFile(**file) for file in wanted["files"]],
            definitions=[NewFile(**file) for file in wanted["definitions"]],
            branch=wanted["branch"],
            person=Person(name, email, wanted["epoch"]),
        )
    return {"changed": True, "path": str(path), "commit": commit or ""}


def main() -> None:
    run_module(
        act,
        {
            "path": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "files": FILES,
            "definitions": FILES,
            "branch": {"type": "str", "default": "main"},
            "epoch": {"type": "int", "default": 1686355200},
        },
    )


if __name__ == "__main__":
    main()
