#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: trove_mirror
short_description: Mirror a whole Trove with grokmirror
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Compares every ref of two Troves on one machine. If the mirror lacks anything, writes the manifest of the first and
    runs C(grok-pull) once.
  - A Trove on another machine is compared by the manifest that it keeps itself.
  - As root it works as the user to whom O(mirror) belongs.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  upstream:
    description:
      - The directory of the Trove to mirror, also as a C(file://) address.
      - Or its C(http://) or C(https://) address, below which its manifest and repositories are.
    type: str
    required: true
  mirror:
    description: The directory of the Trove that mirrors it.
    type: path
    required: true
  config:
    description: The configuration of C(grok-pull) for O(mirror).
    type: path
    required: true
  log:
    description: A file to which C(grok-manifest) writes what it does. Needed for a Trove on this machine.
    type: path
  programs:
    description: The directory of C(grok-pull) and C(grok-manifest). Without it those installed with this Python.
    type: path
  timeout:
    description: Seconds that mirroring a Trove on another machine may take.
    type: float
    default: 1800
attributes:
  check_mode:
    details:
      - Compares the repositories that are there already.
      - Another machine is not asked if there is no mirror yet.
"""

EXAMPLES = r"""
- name: Mirror the public Trove
  slipway.release.trove_mirror:
    upstream: /srv/trove/public
    mirror: /srv/trove/local
    config: /srv/trove/grokmirror.conf
    log: /srv/trove/grokmirror.log

- name: Mirror the public Trove on another machine
  slipway.release.trove_mirror:
    upstream: https://trove.example.org/git
    mirror: /srv/trove
    config: /etc/slipway/grokmirror.conf
    programs: /opt/slipway/grokmirror/bin
"""

RETURN = r"""
mirrored:
  description: The paths of what was mirrored, each with what the mirror lacked of it.
  returned: always
  type: list
  elements: dict
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trove.account import run_as_owner
from ..module_utils.slipway.trove.mirror import Difference, mirror_directory, mirror_site


def mirror_trove(options: dict[str, Any], *, write: bool) -> list[Difference]:
    upstream, target, configuration = options["upstream"], Path(options["mirror"]), Path(options["config"])
    programs = options["programs"] and Path(options["programs"])
    if upstream.startswith(("http://", "https://")):
        return mirror_site(
            upstream.rstrip("/"),
            target,
            configuration=configuration,
            programs=programs,
            timeout=options["timeout"],
            write=write,
        )
    source = Path(upstream.removeprefix("file://"))
    return mirror_directory(
        source,
        target,
        configuration=configuration,
        log=Path(options["log"] or os.devnull),
        programs=programs,
        write=write,
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    lacked = run_as_owner(Path(options["mirror"]), lambda: mirror_trove(options, write=write))
    return {"changed": bool(lacked), "mirrored": [asdict(one) for one in lacked]}


def main() -> None:
    run_module(
        act,
        {
            "upstream": {"type": "str", "required": True},
            "mirror": {"type": "path", "required": True},
            "config": {"type": "path", "required": True},
            "log": {"type": "path"},
            "programs": {"type": "path"},
            "timeout": {"type": "float", "default": 1800},
        },
    )


if __name__ == "__main__":
    main()
