#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: git_checkout
short_description: Ensure that a work tree is at a commit
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Fetches one commit of a git repository, without its history, and checks it out into a directory.
  - Submodules are not fetched, since their addresses come from the repository. Filters and hooks that a person's
    settings of git name are not run, so that the files are those that were committed.
  - Files that somebody changed in the work tree make it fail; files that git does not track stay.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the repository.
    type: str
    required: true
  commit:
    description: The commit, as 40 hexadecimal digits.
    type: str
    required: true
  directory:
    description: The work tree. It is made if it is absent.
    type: path
    required: true
  timeout:
    description: Seconds after which git is ended.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Check out the definitions
  slipway.release.git_checkout:
    repository: https://trove.example.org/git/baserock/definitions
    commit: 3f1b0a51cd4b0ff1a3d1b9a5a05f7be1a4d7cf5e
    directory: /srv/release/source
"""

RETURN = r"""
before:
  description: The commit that the work tree was at; null if it was at none.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.git.checkout import check_out
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    before = check_out(
        wanted["repository"], wanted["commit"], Path(wanted["directory"]), timeout=wanted["timeout"], write=write
    )
    texts = [f"{wanted['directory']} {commit}\n" if commit else "" for commit in (before, wanted["commit"])]
    return {
        "changed": before != wanted["commit"],
        "before": before,
        "diff": {"before": texts[0], "after": texts[1]},
    }


def main() -> None:
    run_module(
        act,
        {
            "repository": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "timeout": {"type": "float", "default": 300},
        },
    )


if __name__ == "__main__":
    main()
