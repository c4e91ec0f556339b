#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_withdrawal
short_description: Withdraw a release from a download server
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Runs on the download server. Puts C(<label>.withdrawn.json) and its signature beside the release, and takes every
    link that names it back to the newest release before it that is not withdrawn. What none of those has loses its
    link.
  - While the tombstone is there, M(slipway.release.artifact_publish) publishes nothing under the label, and
    M(slipway.release.current_links) has no link name it.
  - With O(remove), the files of the release leave the public directory, by one rename of their directory. Their digests
    stay in the tombstone.
extends_documentation_fragment:
  - slipway.release.artifacts.public
  - slipway.release.attributes
options:
  project:
    description: The project of the release.
    type: str
    required: true
  tombstone:
    description: The text of M(slipway.release.release_tombstone).
    type: str
    required: true
  signature:
    description: The signature of the text. Without one, as in check mode, none is written.
    type: str
  private:
    description: The directory for what is not public, on the same file system. Needed with O(remove).
    type: path
  remove:
    description: Whether to remove the files, once pages and lists name them no more.
    type: bool
    default: false
attributes:
  diff_mode:
    details: Shows the tombstone, the links that move, and what is removed.
"""

EXAMPLES = r"""
- name: Withdraw the release
  slipway.release.release_withdrawal:
    public: /srv/download.example.org/public
    project: baserock
    label: baserock-26.47
    tombstone: "{{ made.tombstone }}"
    signature: "{{ made.signature }}"
"""

RETURN = r"""
moves:
  description: The links that moved, each with C(name), C(before) and C(after), which are null where there is no link.
  returned: success
  type: list
  elements: dict
removed:
  description: The directory and the links that were removed.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import ARTIFACTS_PUBLIC
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.undo.withdrawal import remove_release, withdraw_release


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    public, label = Path(params["public"]), params["label"]
    done = withdraw_release(public, params, project=params["project"], label=label, check=not write)
    if params["remove"]:
        done.removed = remove_release(public, Path(params["private"]), label=label, check=not write)
    texts = dict(done.texts)
    if done.moves:
        before = "".join(f"{move.name} -> {move.before}\n" for move in done.moves if move.before)
        texts["links"] = (before, "".join(f"{move.name} -> {move.after}\n" for move in done.moves if move.after))
    if done.removed:
        texts["files"] = ("".join(f"{name}\n" for name in done.removed), "")
    return {
        "changed": bool(texts),
        "moves": [asdict(move) for move in done.moves],
        "removed": done.removed,
        **({"diff": diff_texts(texts)} if texts else {}),
    }


def main() -> None:
    run_module(
        act,
        {
            **ARTIFACTS_PUBLIC,
            "project": {"type": "str", "required": True},
            "tombstone": {"type": "str", "required": True},
            "signature": {"type": "str"},
            # The name of a directory is not a secret.
            "private": {"type": "path", "no_log": False},
            "remove": {"type": "bool", "default": False},
        },
        required_if=[("remove", True, ["private"])],
    )


if __name__ == "__main__":
    main()
