#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sbuild_chroot
short_description: Create a chroot in which sbuild builds Debian packages
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes the archive of a minimal Debian system once, without root, for C(sbuild --chroot-mode=unshare).
  - Remove it, and it is made again. With O(max_days) it is also made again when it is old; builds that run go on with
    the one that they have begun with.
requirements:
  - mmdebstrap and uidmap
  - lines for the user in C(/etc/subuid) and C(/etc/subgid)
extends_documentation_fragment:
  - slipway.release.apt.sources
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  path:
    description: The archive, which sbuild looks for as C(~/.cache/sbuild/<suite>-<architecture>.tar.zst).
    type: path
    required: true
  suite:
    description: Its Debian suite.
    type: str
    required: true
  architecture:
    description: Its Debian architecture.
    type: str
    required: true
  sources:
    required: true
  max_days:
    description: How many days old it may be. With V(0) it stays.
    type: int
    default: 0
  timeout:
    description: Seconds that making it may take.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Create a chroot for bookworm
  slipway.release.sbuild_chroot:
    path: ~/.cache/sbuild/bookworm-amd64.tar.zst
    suite: bookworm
    architecture: amd64
    sources: [deb machine bookworm main]
"""

RETURN = r"""
path:
  description: The archive.
  returned: success
  type: str
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.host.chroot import make_chroot
from ..module_utils.slipway.module.options import APT_SOURCES
from ..module_utils.slipway.module.report import run_module


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    path = Path(params["path"])
    missing = not path.is_file() or is_old(path, days=params["max_days"])
    if missing and write:
        sources, timeout = params["sources"], params["timeout"]
        make_chroot(path, params["suite"], params["architecture"], sources=sources, timeout=timeout)
    return {"changed": missing, "path": str(path)}


def is_old(path: Path, *, days: int) -> bool:
    """Whether it is older than that many days; none is for 0."""
    return days > 0 and time.time() - path.stat().st_mtime > days * 86400


def main() -> None:
    run_module(
        act,
        {
            "sources": {**APT_SOURCES["sources"], "required": True},
            "path": {"type": "path", "required": True},
            "suite": {"type": "str", "required": True},
            "architecture": {"type": "str", "required": True},
            "max_days": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 1800},
        },
    )


if __name__ == "__main__":
    main()
