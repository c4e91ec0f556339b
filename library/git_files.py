#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: git_files
short_description: Ensure the content of text files in a remote git repository
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Commits and pushes the files that differ from what is wanted. Needs no clone and leaves all other files alone.
  - Meant for wikis and websites that live in git.
extends_documentation_fragment:
  - slipway.release.git.author
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the remote repository.
    type: str
    required: true
  branch:
    description: The branch. It is made if it is absent.
    type: str
    default: main
  files:
    description: The wanted text of each file, by its path in the repository.
    type: dict
    required: true
  keep:
    description: Whether a file that is there stays, whatever is in it.
    type: bool
    default: false
  commit_message:
    description: The commit's message.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Publish the release notes in the wiki
  slipway.release.git_files:
    repository: ssh://git@wiki.example.org/wiki
    files:
      releases/baserock-26.47.mdwn: "{{ notes }}"
    commit_message: Add the notes of baserock-26.47
"""

RETURN = r"""
commit:
  description: The branch's head; null if there is none yet in check mode.
  returned: success
  type: str
"""

from typing import Any

from ..module_utils.slipway.git.files import ensure_files
from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import GIT_AUTHOR
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    kept = ensure_files(
        wanted["repository"],
        wanted["branch"],
        files=wanted["files"],
        message=wanted["commit_message"],
        person=Person(wanted["name"], wanted["email"], wanted["epoch"]),
        keep=wanted["keep"],
        write=write,
    )
    return {"changed": bool(kept.changed), "commit": kept.head, "diff": diff_texts(kept.changed)}


def main() -> None:
    run_module(
        act,
        {
            **GIT_AUTHOR,
            "repository": {"type": "str", "required": True},
            "branch": {"type": "str", "default": "main"},
            "files": {"type": "dict", "required": True},
            "keep": {"type": "bool", "default": False},
            "commit_message": {"type": "str", "required": True},
        },
    )


if __name__ == "__main__":
    main()
