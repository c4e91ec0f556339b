#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: definitions_publish
short_description: Publish definitions to a Trove with their sources pinned
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Commits the files of a directory to a branch of a bare git repository, which is made if absent. Equal files give an
    equal commit, if they are the first.
  - In its elements (C(*.bst)), and in the files that they include, the sources that O(pins) match get the URL and the
    ref that the pin says. Nothing else of their text changes. A source that cannot be pinned is an error.
  - A branch that somebody else committed to is left as it is, with a warning.
  - As root it works as the user to whom the repository belongs, or if there is none, the directory for it.
requirements:
  - ruamel.yaml
extends_documentation_fragment:
  - slipway.release.attributes
options:
  source:
    description: The directory with C(project.conf).
    type: path
    required: true
  remote_src:
    description: Whether O(source) is on the machine of O(repository). If not, it is taken from the controller.
    type: bool
    default: true
  repository:
    description: The bare git repository.
    type: path
    required: true
  branch:
    description: The branch to publish.
    type: str
    default: master
  pins:
    description: What sources to pin, and at what.
    type: list
    elements: dict
    default: []
    suboptions:
      match:
        description: A pattern of the URL with its alias, such as C(bases:bookworm-*).
        type: str
        required: true
      url:
        description: The URL to write. Without it, O(pins[].match), which then is not a pattern.
        type: str
      ref:
        description: The commit or SHA-256 to write.
        type: str
        required: true
  commit_message:
    description: The commit message.
    type: str
    default: Publish the definitions
  epoch:
    description: The time of the commit, in seconds since 1970.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Publish the definitions
  slipway.release.definitions_publish:
    source: examples/definitions
    repository: /srv/git/baserock/baserock/definitions.git
    epoch: 1700000000
    pins:
      - match: trove:delta/tree.git
        ref: 56c4d4f6e5a4b4ea0cd8e4f1c1b4c5a2a2a1b0c9
"""

RETURN = r"""
commit:
  description: The head of the branch. In check mode, the one before. Absent when there is none.
  returned: always
  type: str
files:
  description: The files that changed, or would change.
  returned: always
  type: list
  elements: str
foreign:
  description: Why the branch was left as it is.
  returned: when somebody else committed to it
  type: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.git.archive import unpack_tree
from ..module_utils.slipway.git.remote import Person
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trove.account import find_existing, run_as_owner
from ..module_utils.slipway.trove.definitions import Pin, pin_tree, publish_definitions, read_pinned_tree

PUBLISHER = ("Slipway", "slipway@slipway.invalid")


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    pins = [Pin(one["match"], one["url"] or one["match"], one["ref"]) for one in options["pins"]]
    source, repository = Path(options["source"]), Path(options["repository"])
    tree = (
        read_pinned_tree(source, pins)
        if source.is_dir() or options["remote_src"]
        else pin_tree(unpack_tree(source), pins)
    )
    published = run_as_owner(
        find_existing(repository),
        lambda: publish_definitions(
            tree,
            repository,
            branch=options["branch"],
            message=options["commit_message"] + "\n",
            person=Person(*PUBLISHER, options["epoch"]),
            write=write,
        ),
    )
    result: dict[str, Any] = {
        "changed": bool(published.changed),
        "commit": published.commit,
        "files": sorted(published.changed),
        "diff": diff_texts(published.changed),
    }
    if published.foreign is not None:
        result["warnings"] = [
            f"The branch {options['branch']} of {options['repository']} is somebody else's now ({published.foreign}); "
            "it was left as it is."
        ]
        result["foreign"] = published.foreign
    return result


def main() -> None:
    pin = {
        "match": {"type": "str", "required": True},
        "url": {"type": "str"},
        "ref": {"type": "str", "required": True},
    }
    run_module(
        act,
        {
            "source": {"type": "path", "required": True},
            "remote_src": {"type": "bool", "default": True},
            "repository": {"type": "path", "required": True},
            "branch": {"type": "str", "default": "master"},
            "pins": {"type": "list", "elements": "dict", "default": [], "options": pin},
            "commit_message": {"type": "str", "default": "Publish the definitions"},
            "epoch": {"type": "int", "required": True},
        },
    )


if __name__ == "__main__":
    main()
