#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: git_ref
short_description: Create a branch or a tag in a remote git repository
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Creates a branch or a tag on a remote repository at a commit that the repository already has, and reads it back.
  - Needs no clone. A ref that names another commit is never moved; the module fails and names both commits.
extends_documentation_fragment:
  - slipway.release.openpgp
  - slipway.release.git.author
  - slipway.release.attributes
options:
  repository:
    description: URL or path of the remote repository.
    type: str
    required: true
  ref:
    description: The full name of the ref, such as C(refs/heads/x) or C(refs/tags/x).
    type: str
    required: true
  commit:
    description: The commit, 40 hexadecimal digits.
    type: str
    required: true
  annotation:
    description: The text of an annotated tag. Without it the ref names the commit itself.
    type: str
"""

EXAMPLES = r"""
- name: Create the release branch
  slipway.release.git_ref:
    repository: ssh://git@trove.example.org/baserock/baserock/definitions
    ref: refs/heads/baserock/release/baserock-26.47
    commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
"""

RETURN = r"""
ref:
  description: The full name of the ref.
  returned: success
  type: str
commit:
  description: The commit that the remote ref names, read back after a push.
  returned: success
  type: str
before:
  description: The commit that it named before, or null.
  returned: success
  type: str
"""

from typing import Any

from ..module_utils.slipway.git.annotation import provide_annotation
from ..module_utils.slipway.git.remote import Person, ensure_ref
from ..module_utils.slipway.module.options import GIT_AUTHOR, OPENPGP
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    author = Person(wanted["name"], wanted["email"], wanted["epoch"])
    keys = {name: wanted[name] for name in OPENPGP}
    with provide_annotation(wanted["ref"], wanted["annotation"], author, **keys) as annotation:
        before, changed = ensure_ref(
            wanted["repository"], wanted["ref"], commit=wanted["commit"], annotation=annotation, write=write
        )
    texts = [f"{wanted['ref']} {commit}\n" if commit else "" for commit in (before, wanted["commit"])]
    return {
        "changed": changed,
        "ref": wanted["ref"],
        "commit": wanted["commit"],
        "before": before,
        "diff": {"before": texts[0], "after": texts[1]},
    }


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP,
            **GIT_AUTHOR,
            "repository": {"type": "str", "required": True},
            "ref": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "annotation": {"type": "str"},
        },
        required_by={"signing_key": ["annotation", "gnupghome"], "gnupghome": ["annotation"]},
    )


if __name__ == "__main__":
    main()
