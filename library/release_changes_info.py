#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_changes_info
short_description: Query the commits since the previous release
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Finds the tag of the release before, the highest version below this one, and lists the commits since.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the definitions' repository.
    type: str
    required: true
  commit:
    description: The commit of this release.
    type: str
    required: true
  project:
    description: The project; its tags are C(<project>-<version>).
    type: str
    required: true
  version:
    description: The version of this release.
    type: str
    required: true
  limit:
    description: How many commits to list at the most.
    type: int
    default: 200
"""

EXAMPLES = r"""
- name: Query what is new
  slipway.release.release_changes_info:
    repository: ssh://git@trove.example.org/baserock/baserock/definitions
    commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
    project: baserock
    version: "26.47"
"""

RETURN = r"""
previous:
  description: The tag of the release before, or null.
  returned: success
  type: str
changes:
  description: The commits since, newest first, each with C(commit), C(author) and C(subject).
  returned: success
  type: list
  elements: dict
total:
  description: How many there are in all, also beyond the limit.
  returned: success
  type: int
"""

from dataclasses import asdict
from typing import Any

from ..module_utils.slipway.git.history import list_changes
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    history = list_changes(
        wanted["repository"],
        wanted["commit"],
        project=wanted["project"],
        version=wanted["version"],
        limit=wanted["limit"],
    )
    return {"changed": False, **asdict(history)}


def main() -> None:
    run_module(
        act,
        {
            "repository": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "project": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "limit": {"type": "int", "default": 200},
        },
    )


if __name__ == "__main__":
    main()
