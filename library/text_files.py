#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: text_files
short_description: Have files with certain texts
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes one file or many, each whole or not at all, and makes the directories above them with mode 0755.
  - One call does what otherwise takes several for each file, which counts where nothing is to be done most of the time.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is, an absolute path, or with O(directory) one below that.
        type: str
        required: true
      content:
        description: Its text.
        type: str
        required: true
      mode:
        description: Its permissions, if they are not O(mode).
        type: str
  directory:
    description: The directory that all the files are in or below.
    type: path
  owner:
    description: The account to which the files belong. Without it a new one belongs to whoever runs the module.
    type: str
  group:
    description: Their group.
    type: str
  mode:
    description: Their permissions, in octal digits.
    type: str
    default: "0644"
  validate:
    description:
      - A command, a list of words, that judges the files in their places. It runs whether one changed or not.
      - Where it fails, the module fails with its words, and what was there before is put back.
      - In check mode it is not run.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Configure the mirror
  slipway.release.text_files:
    files:
      - path: /etc/slipway/grokmirror.conf
        content: "{{ lookup('ansible.builtin.template', 'grokmirror.conf.j2') }}"

- name: Configure the service and its timer
  slipway.release.text_files:
    directory: /etc/systemd/system
    files:
      - path: slipway-mason.service
        content: "{{ lookup('ansible.builtin.template', 'slipway-mason.service.j2') }}"
      - path: slipway-mason.timer
        content: "{{ lookup('ansible.builtin.template', 'slipway-mason.timer.j2') }}"

- name: Configure the nginx site
  slipway.release.text_files:
    files:
      - path: /etc/nginx/conf.d/download.conf
        content: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
    validate: [nginx, -t, -q]
"""

RETURN = r"""
written:
  description: The paths of the files that were other ones before.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.host.textfile import TextFile, ensure_text_files
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module


def read_text_files(given: dict[str, Any]) -> list[TextFile]:
    """The files that are asked for, if each is in a place of its own."""
    directory = given["directory"]
    faulty = [one["path"] for one in given["files"] if not is_place(one["path"], below=directory)]
    if faulty:
        where = f"below {directory}" if directory else "with an absolute path"
        raise SlipwayError("write", ", ".join(faulty), f"not file names {where}", do_next="Correct them.")
    return [
        TextFile(
            Path(directory or "/", one["path"]),
            one["content"],
            int(one["mode"] or given["mode"], 8),
            given["owner"],
            given["group"],
        )
        for one in given["files"]
    ]


def is_place(path: str, *, below: str | None) -> bool:
    """Whether ``path`` is a plain one: absolute, or leading down from the directory that is given."""
    if path.startswith("/") is not (below is None):
        return False
    return not {"", ".", ".."} & set(path.removeprefix("/").split("/"))


def act(given: dict[str, Any], *, write: bool) -> dict[str, Any]:
    done = ensure_text_files(read_text_files(given), validate=given["validate"], dry=not write)
    return {"diff": diff_texts(done.pop("texts")), **done}


def main() -> None:
    run_module(
        act,
        {
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str"},
                },
            },
            "directory": {"type": "path"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "str", "default": "0644"},
            "validate": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
