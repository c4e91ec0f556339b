#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_unit
short_description: Ensure that a unit of systemd runs with what is on disk now
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Starts a unit, and starts it anew or reloads it when something that it reads is newer than what it runs with.
  - It looks at the host and not at what the same run changed, so a run that ended between writing a configuration and
    restarting its service is made good by the next one.
  - systemd reads its own files again where the unit's differ from what it knows.
  - A unit of the type C(oneshot) is run when it has not run yet or something that it reads is newer than its last run.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  name:
    description: The unit, with its suffix.
    type: str
    required: true
  reads:
    description:
      - Files that it reads when it starts, and directories that count with everything in them. The unit's own file is
        among them in any case, unless it is only reloaded.
      - Files of other units in C(/etc/systemd/system) are read again by systemd, too.
    type: list
    elements: path
    default: []
  reload:
    description: Whether it reads them again when it is reloaded, so that it need not be restarted.
    type: bool
    default: false
  enabled:
    description: Whether it is to start with the host. Without it that is left as it is.
    type: bool
    default: true
  written:
    description:
      - What the same run wrote. It is needed in check mode only, in which nothing on disk tells of it.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Ensure that nginx runs with its configuration
  slipway.release.systemd_unit:
    name: nginx.service
    reads: [/etc/nginx]
    reload: true
"""

RETURN = r"""
reasons:
  description: Why something was done, each as a sentence without its full stop.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.host.unit import Unit, ensure_current
from ..module_utils.slipway.module.report import run_module


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    unit = Unit(options["name"], tuple(map(Path, options["reads"])), options["reload"], options["enabled"])
    reasons = ensure_current(unit, written=[Path(each) for each in options["written"]], write=write)
    return {"changed": bool(reasons), "reasons": reasons}


def main() -> None:
    run_module(
        act,
        {
            "name": {"type": "str", "required": True},
            "reads": {"type": "list", "elements": "path", "default": []},
            "reload": {"type": "bool", "default": False},
            "enabled": {"type": "bool", "default": True},
            "written": {"type": "list", "elements": "path", "default": []},
        },
    )


if __name__ == "__main__":
    main()
