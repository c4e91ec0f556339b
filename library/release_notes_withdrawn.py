#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_notes_withdrawn
short_description: Write into the notes of a release that it is withdrawn
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Commits and pushes a notice with day and reason below the title of notes in Markdown, in the place of an earlier
    one. All else in them stays, also what others push meanwhile.
  - Notes that are not there are left so. Without O(epoch) the commit has the time of the withdrawal.
extends_documentation_fragment:
  - slipway.release.git.author
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the remote repository.
    type: str
    required: true
  branch:
    description: The branch.
    type: str
    default: main
  path:
    description: The notes in the repository.
    type: str
    required: true
  facts:
    description: What the tombstone says, as M(slipway.release.release_tombstone) returns it.
    type: dict
    required: true
  commit_message:
    description: The commit's message.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write into the notes that the release is withdrawn
  slipway.release.release_notes_withdrawn:
    repository: ssh://git@wiki.example.org/wiki
    path: releases/baserock-26.47.mdwn
    facts: "{{ made.facts }}"
    commit_message: Say that baserock-26.47 is withdrawn
"""

RETURN = r"""
commit:
  description: The branch's head.
  returned: success
  type: str
"""

from typing import Any

from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import GIT_AUTHOR
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.notes.withdrawn import mark_withdrawn
from ..module_utils.slipway.release.tombstone import parse_moment


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    marked = mark_withdrawn(
        wanted["repository"],
        wanted["branch"],
        wanted["path"],
        facts=wanted["facts"],
        message=wanted["commit_message"],
        person=Person(
            wanted["name"], wanted["email"], wanted["epoch"] or parse_moment(str(wanted["facts"]["withdrawn"]))
        ),
        write=write,
    )
    return {"changed": bool(marked.changed), "commit": marked.head, "diff": diff_texts(marked.changed)}


def main() -> None:
    run_module(
        act,
        {
            **GIT_AUTHOR,
            **{name: {"type": "str", "required": True} for name in ("repository", "path", "commit_message")},
            "branch": {"type": "str", "default": "main"},
            "facts": {"type": "dict", "required": True},
        },
    )


if __name__ == "__main__":
    main()
