#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_packages
short_description: Install the Debian packages that a host lacks
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Where nothing is missing it asks dpkg only. Else apt's lists are fetched, and what is missing is installed, without
    what is merely recommended.
  - While another apt or dpkg is at work, as on a new machine for minutes, it waits, says for which process, and gives
    up at the limit.
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait for others.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Install what builds need
  slipway.release.debian_packages:
    names: [bubblewrap, fuse3]
"""

RETURN = r"""
missing:
  description: The packages that were missing.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ..module_utils.slipway.host.packages import find_missing, install_packages
from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    missing = find_missing(options["names"])
    if missing and write:
        install_packages(missing, timeout=options["timeout"], progress=Progress(options["progress"]))
    after = "".join(f"{name}\n" for name in missing)
    return {"changed": bool(missing), "missing": missing, "diff": {"before": "", "after": after}}


def main() -> None:
    run_module(
        act,
        {
            **PROGRESS,
            "names": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
        },
    )


if __name__ == "__main__":
    main()
