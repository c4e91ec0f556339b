#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: text_files
short_description: Have several files with these texts in one directory
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes each text whole or not at all, and makes the directories above them.
  - One call does what otherwise takes one for each file, as M(slipway.release.text_file) does for one.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  directory:
    description: Where the files are.
    type: path
    required: true
  files:
    description:
      - The text of each file, by its name.
      - A name may have directories in it, and does not lead out of O(directory).
    type: dict
    required: true
  mode:
    description: The permissions of all of them, in octal digits.
    type: str
    default: "0644"
"""

EXAMPLES = r"""
- name: Describe the service and its timer
  slipway.release.text_files:
    directory: /etc/systemd/system
    files:
      slipway-mason.service: "{{ lookup('ansible.builtin.template', 'slipway-mason.service.j2') }}"
      slipway-mason.timer: "{{ lookup('ansible.builtin.template', 'slipway-mason.timer.j2') }}"
"""

RETURN = r"""
written:
  description: The names of the files that were other ones before.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.host.textfile import TextFile
from ..module_utils.slipway.module.report import report


def act(directory: Path, files: dict[str, Any], mode: int, *, dry: bool) -> dict[str, Any]:
    outside = [name for name in files if name.startswith("/") or {"", ".", ".."} & set(name.split("/"))]
    if outside:
        raise SlipwayError("write", ", ".join(outside), f"no names of files below {directory}", do_next="Correct them.")
    had = {name: TextFile(directory / name, str(text), mode).have(dry=dry) for name, text in sorted(files.items())}
    written = [name for name, one in had.items() if one["changed"]]
    return {"changed": bool(written), "written": written, "diff": [had[name]["diff"] for name in written]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "mode": {"type": "str", "default": "0644"},
        },
        supports_check_mode=True,
    )
    given = module.params
    mode = int(given["mode"], 8)
    report(module, lambda: act(Path(given["directory"]), given["files"], mode, dry=module.check_mode))


if __name__ == "__main__":
    main()
