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
extends_documentation_fragment:
  - slipway.release.attributes
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

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.host.textfile import TextFile
from ..module_utils.slipway.module.report import report


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "mode": {"type": "str", "default": "0644"},
        },
        supports_check_mode=True,
    )
    given = module.params
    file = TextFile(Path(given["path"]), given["content"], int(given["mode"], 8))
    report(module, lambda: file.have(dry=module.check_mode))


if __name__ == "__main__":
    main()
