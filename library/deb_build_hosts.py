#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_build_hosts
short_description: Drain and add build hosts for Debian packages, also while builds run
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes the file in which M(slipway.release.deb_builds) looks for its hosts over and over.
  - A host that is drained gets no new builds, and ends those that it has. It stays so, in later runs too, until it is
    in O(resume). C(drained.json) beside O(path) has the names. One that is not among O(hosts) any more is forgotten.
extends_documentation_fragment:
  - slipway.release.deb_build_hosts
  - slipway.release.attributes
options:
  hosts:
    required: true
  path:
    description: The file.
    type: path
    required: true
  drain:
    description: Hosts that get no new builds from now on.
    type: list
    elements: str
    default: []
  resume:
    description: Hosts that get builds again.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Drain a host
  slipway.release.deb_build_hosts:
    path: /srv/apt/builds/hosts.json
    hosts:
      - {name: build-1, destination: slipway-build@build-1, chroots: {amd64: amd64}}
      - {name: build-2, destination: slipway-build@build-2, chroots: {amd64: amd64}}
    drain: [build-1]
"""

RETURN = r"""
hosts:
  description: The hosts as they are in the file now, with C(drained).
  returned: success
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.farm.roster import change_drained, format_roster, mark_drained, read_drained
from ..module_utils.slipway.files import make_directory, write_atomic
from ..module_utils.slipway.module.options import DEB_BUILD_HOSTS
from ..module_utils.slipway.module.report import run_module


def main() -> None:
    run_module(
        act,
        {
            "hosts": {**DEB_BUILD_HOSTS["hosts"], "required": True},
            "path": {"type": "path", "required": True},
            "drain": {"type": "list", "elements": "str", "default": []},
            "resume": {"type": "list", "elements": "str", "default": []},
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    path = Path(options["path"])
    drained_file = path.with_name("drained.json")
    names = [row["name"] for row in options["hosts"]]
    known = read_drained(drained_file)
    drained = change_drained(names, known, drain=options["drain"], resume=options["resume"])
    hosts = mark_drained(options["hosts"], drained)
    before, after = path.read_text(encoding="utf-8") if path.is_file() else "", format_roster(hosts)
    changed = after != before or drained != known
    if write and changed:
        make_directory(path.parent)
        write_atomic(drained_file, format_roster(drained).encode())
        write_atomic(path, after.encode())
    diff = {"before": before, "after": after, "before_header": str(path), "after_header": str(path)}
    return {"changed": changed, "hosts": hosts, "diff": diff}


if __name__ == "__main__":
    main()
