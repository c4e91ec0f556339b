#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: text_file
short_description: Have a file with this text
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes the text whole or not at all, and makes the directories above it.
  - One call does what otherwise takes three, which counts where nothing is to be done most of the time.
options:
  path:
    description: The file.
    type: path
    required: true
  content:
    description: Its text.
    type: str
    required: true
  mode:
    description: Its permissions, in octal digits.
    type: str
    default: "0644"
attributes:
  check_mode:
    description: Says whether the file would change.
    support: full
  diff_mode:
    description: Shows the text before and after.
    support: full
  idempotent:
    description: A file with this text and mode is left as it is.
    support: full
"""

EXAMPLES = r"""
- name: Configure the mirror
  slipway.release.text_file:
    path: /etc/slipway/grokmirror.conf
    content: "{{ lookup('ansible.builtin.template', 'grokmirror.conf.j2') }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import write_atomic
from ..module_utils.slipway.report import report


def act(module: AnsibleModule) -> dict[str, Any]:
    path, content, mode = Path(module.params["path"]), module.params["content"], int(module.params["mode"], 8)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else None
        same_mode = before is not None and path.stat().st_mode & 0o7777 == mode
        if not module.check_mode and (before != content or not same_mode):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content.encode(), mode=mode)
    except (OSError, UnicodeDecodeError) as error:
        raise SlipwayError("write", str(path), str(error), do_next="See who may write there, and run again.") from error
    return {
        "changed": before != content or not same_mode,
        "path": str(path),
        "diff": {"before": before or "", "after": content, "before_header": str(path), "after_header": str(path)},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "mode": {"type": "str", "default": "0644"},
        },
        supports_check_mode=True,
    )
    report(module, lambda: act(module))


if __name__ == "__main__":
    main()
