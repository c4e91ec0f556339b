#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: rosinstall
short_description: Write the sources of a distribution's stacks as a rosinstall file
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes a C(.rosinstall) file, by which C(rosinstall) and C(vcs) check out the sources of stacks side by side, from
    the rules of a distro file. The same distro file gives the same bytes.
  - What stands in the file besides is replaced. A stack whose source is a C(.dsc) has no place in it, nor has one
    without the source that O(at) asks for. It is left out with a remark, or refused if O(stacks) names it.
extends_documentation_fragment:
  - slipway.release.distro
  - slipway.release.attributes
options:
  dest:
    description: The rosinstall file. Its directory must be there.
    type: path
    required: true
  at:
    description:
      - Which sources. V(development) is each stack's development line, V(distro) what its tag of the distribution
        names, V(release) what the tag of its version names.
    type: str
    choices: [development, distro, release]
    default: development
  stacks:
    description: Only these stacks, and those of O(variants). With neither, all are written.
    type: list
    elements: str
    default: []
  variants:
    description: Only the stacks of these variants, and O(stacks).
    type: list
    elements: str
    default: []
  anonymous:
    description: Whether addresses for reading without an account are written, where the distro file has them.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Write what the continuous build checks out
  slipway.release.rosinstall:
    repository: https://git.example.org/distros.git
    path: cturtle.rosdistro
    variants: [desktop]
    anonymous: true
    dest: /srv/ci/cturtle-desktop.rosinstall
"""

RETURN = r"""
stacks:
  description: The stacks that the file names, in its order.
  returned: success
  type: list
  elements: str
commit:
  description: The commit that the distro file was read at; null for a file of the host.
  returned: success
  type: str
remarks:
  description: Which stacks were left out, and why, and what in the distro file was ignored.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.distro.rosinstall import POINTS, make_rosinstall
from ..module_utils.slipway.distro.source import Place, fetch_distro
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.files import read_regular, write_atomic
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import DISTRO
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    distro, _text, commit = fetch_distro(Place(wanted["path"], wanted["repository"], wanted["branch"]))
    made = make_rosinstall(
        distro,
        at=wanted["at"],
        stacks=wanted["stacks"],
        variants=wanted["variants"],
        anonymous=wanted["anonymous"],
    )
    path = Path(wanted["dest"])
    if not path.parent.is_dir():
        do_next = "Make it and run again."
        raise SlipwayError("write the rosinstall file", str(path), "its directory is not there", do_next=do_next)
    before = read_regular(path) if path.exists() else b""
    changed = before != made.text.encode()
    if changed and write:
        write_atomic(path, made.text.encode())
    shown = {wanted["dest"]: (before.decode(errors="replace"), made.text)} if changed else {}
    return {
        "changed": changed,
        "stacks": made.stacks,
        "commit": commit,
        "remarks": [*distro.remarks, *made.remarks],
        "diff": diff_texts(shown),
    }


def main() -> None:
    run_module(
        act,
        {
            **DISTRO,
            "dest": {"type": "path", "required": True},
            "at": {"type": "str", "choices": [*POINTS], "default": "development"},
            "stacks": {"type": "list", "elements": "str", "default": []},
            "variants": {"type": "list", "elements": "str", "default": []},
            "anonymous": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
