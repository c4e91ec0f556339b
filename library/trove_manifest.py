#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_manifest
short_description: Update the manifest of a Trove
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Compares the manifest that grokmirror reads with the refs of the repositories that anybody may read, those with a
    file C(git-daemon-export-ok), and runs C(grok-manifest) for what differs.
  - A hook does this after each push. This module does it after imports, and fixes what went wrong.
  - As root it works as the user to whom O(toplevel) belongs.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  toplevel:
    description: The directory of the repositories. The manifest is C(manifest.js.gz) in it.
    type: path
    required: true
  programs:
    description: The directory of C(grok-manifest). Without it the one installed with this Python.
    type: path
"""

EXAMPLES = r"""
- name: Update the manifest
  slipway.release.trove_manifest:
    toplevel: /srv/trove
    programs: /opt/slipway/grokmirror/bin
"""

RETURN = r"""
renewed:
  description: The paths whose entries in the manifest were wrong.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trove.account import run_as_owner
from ..module_utils.slipway.trove.manifest import find_stale, update_manifest


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    toplevel = Path(options["toplevel"])
    programs = options["programs"] and Path(options["programs"])

    def work() -> list[str]:
        wrong = find_stale(toplevel)
        if wrong and write:
            update_manifest(toplevel, wrong, programs=programs)
        return wrong

    wrong = run_as_owner(toplevel, work)
    return {"changed": bool(wrong), "renewed": wrong}


def main() -> None:
    run_module(
        act,
        {"toplevel": {"type": "path", "required": True}, "programs": {"type": "path"}},
    )


if __name__ == "__main__":
    main()
