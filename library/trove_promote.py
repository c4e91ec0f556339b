#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_promote
short_description: Have a local Trove mirror one repository now, and wait until a commit is there
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Promotes one repository on a Trove, a site's git mirror, before whatever else is queued there.
  - The repository counts as promoted when the mirror's own ref names the wanted commit, and by nothing else.
  - Runs on the Trove's host.
options:
  backend:
    description:
      - What keeps the mirror.
      - With V(grokmirror) the one repository is fetched at once, under grokmirror's lock for it.
    type: str
    choices: [grokmirror]
    default: grokmirror
  toplevel:
    description: The directory of the mirrors, with V(grokmirror).
    type: path
    required: true
  path:
    description: The repository's path on the Trove, without C(.git).
    type: str
    required: true
  ref:
    description: The full name of the ref that must arrive.
    type: str
    required: true
  commit:
    description: The commit that the mirror's ref must name.
    type: str
    required: true
  timeout:
    description: Seconds to wait for the commit.
    type: float
    default: 600
attributes:
  check_mode:
    description: Looks at the mirror and fetches nothing.
    support: full
  diff_mode:
    description: The mirrored content is not shown.
    support: none
  idempotent:
    description: A mirror that has the commit is left alone.
    support: full
"""

EXAMPLES = r"""
- name: Promote the definitions on the local Trove
  slipway.release.trove_promote:
    toplevel: /srv/trove
    path: baserock/baserock/definitions
    ref: refs/heads/baserock/release/baserock-26.47
    commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091
  delegate_to: trove.internal.example.org
"""

RETURN = r"""
commit:
  description: The commit that the mirror's ref names.
  returned: success
  type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway import grokmirror
from ..module_utils.slipway.report import report


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "choices": ["grokmirror"], "default": "grokmirror"},
            "toplevel": {"type": "path", "required": True},
            "path": {"type": "str", "required": True},
            "ref": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 600},
        },
        supports_check_mode=True,
    )

    def act() -> dict[str, Any]:
        wanted = module.params
        changed = grokmirror.promote(
            Path(wanted["toplevel"]),
            wanted["path"],
            ref=wanted["ref"],
            commit=wanted["commit"],
            timeout=wanted["timeout"],
            write=not module.check_mode,
        )
        return {"changed": changed, "commit": wanted["commit"]}

    report(module, act)


if __name__ == "__main__":
    main()
