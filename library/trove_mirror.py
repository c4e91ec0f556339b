#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_mirror
short_description: Mirror a whole Trove by grokmirror
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Compares every ref of two Troves on one machine. If the mirror lacks anything, writes the manifest of the first and
    lets C(grok-pull) make one pass.
options:
  upstream:
    description: The directory of the Trove to mirror.
    type: path
    required: true
  mirror:
    description: The directory of the Trove that mirrors it.
    type: path
    required: true
  configuration:
    description: The configuration of C(grok-pull) for O(mirror).
    type: path
    required: true
  log:
    description: A file to which C(grok-manifest) writes what it does.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Says what would be mirrored of the repositories that are there already.
  diff_mode:
    support: none
    description: There is no text to compare.
  idempotent:
    support: full
    description: A mirror that has everything is left as it is.
"""

EXAMPLES = r"""
- name: Mirror the public Trove
  slipway.release.trove_mirror:
    upstream: /srv/trove/public
    mirror: /srv/trove/local
    configuration: /srv/trove/grokmirror.conf
    log: /srv/trove/grokmirror.log
"""

RETURN = r"""
mirrored:
  description: The paths of what was mirrored, each with what the mirror lacked of it.
  returned: always
  type: list
  elements: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.bulkmirror import mirror
from ..module_utils.slipway.report import report


def act(module: AnsibleModule) -> dict[str, Any]:
    paths = {name: Path(module.params[name]) for name in ("upstream", "mirror", "configuration", "log")}
    lacked = mirror(
        paths["upstream"],
        paths["mirror"],
        configuration=paths["configuration"],
        log=paths["log"],
        write=not module.check_mode,
    )
    return {"changed": bool(lacked), "mirrored": [asdict(one) for one in lacked]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            name: {"type": "path", "required": True} for name in ("upstream", "mirror", "configuration", "log")
        },
        supports_check_mode=True,
    )
    report(module, lambda: act(module))


if __name__ == "__main__":
    main()
