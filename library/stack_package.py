#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_package
short_description: Make the tarball and the control YAML of a stack
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Judges a tree of sources, a ROS stack, sources with C(debian/), or a C(.dsc) with its files, and makes what is
    released of it, below O(directory) in C(<stack>-<version>/).
  - The version in the sources must be the wanted one. That of Debian sources may have an epoch besides, which no name
    of a file has.
  - What the manifests of a stack's packages need must be in the stack, in a stack that it declares to depend on or
    that such a one depends on, or a rosdep key. The stack C(ros) counts as declared where the distribution has it.
    For catkin packages, whose stacks declare nothing, what they need is what the stack depends on.
  - A platform for which a key stands for nothing is not supported, which is said. None at all is a failure. So is
    whatever else is wrong, all of it at once.
  - The tarball holds the tree without C(build) at its top and without what version control keeps. The same tree and
    O(epoch) give the same bytes, on any machine. Of a C(.dsc) the files are copied as they are.
  - Files that are there already stay if they have the same bytes, and are replaced if not.
extends_documentation_fragment:
  - slipway.release.stack.surroundings
  - slipway.release.attributes
options:
  tree:
    description: The directory of the sources, as M(slipway.release.stack_checkout) leaves it.
    type: path
    required: true
  kind:
    description: What the sources are. With V(auto), the first that they are of V(dsc), V(debian) and V(ros).
    type: str
    choices: [auto, ros, debian, dsc]
    default: auto
  stack:
    description: The name of the stack.
    type: str
    required: true
  version:
    description: The version that is to be released.
    type: str
    required: true
  vcs:
    description: The kind of the repository that the sources are from, which is recorded.
    type: str
  uri:
    description: The address that the sources are from, which is recorded.
    type: str
  revision:
    description: The revision that the sources are, which is recorded.
    type: str
attributes:
  check_mode:
    details: What would be made is computed, with its digests, and nothing is written.
    support: full
  diff_mode:
    details: Shows the control YAML before and after.
"""

EXAMPLES = r"""
- name: Package the stack
  slipway.release.stack_package:
    tree: /srv/slipway/debs/checkout/common_msgs
    stack: common_msgs
    version: 1.0.3
    distribution: cturtle
    stacks: [ros, common_msgs]
    known:
      ros: {packages: [roslib, rospy], depends: []}
    platforms: [bookworm]
    rosdep:
      boost: libboost-all-dev
    directory: /srv/slipway/debs/made
  register: package
"""

RETURN = r"""
label:
  description: The name of the directory below O(directory), which is that of the release.
  returned: success
  type: str
kind:
  description: What the sources are.
  returned: success
  type: str
files:
  description: The files, each with C(name), C(path), C(size) and C(sha256). The control YAML is the last.
  returned: success
  type: list
  elements: dict
made:
  description: The names of those that were made now.
  returned: success
  type: list
  elements: str
control:
  description: What the control YAML says.
  returned: success
  type: dict
source_format:
  description: The format of a Debian source, such as C(3.0 (quilt)); null for a ROS stack.
  returned: success
  type: str
remarks:
  description: Sentences about what is odd and was no reason to refuse it.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.options import STACK_SURROUNDINGS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.stack.controlfile import name_release
from ..module_utils.slipway.stack.package import Request, read_surroundings, release_stack


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    origin = {"kind": wanted["vcs"], "uri": wanted["uri"], "revision": wanted["revision"]}
    made = release_stack(
        Path(wanted["tree"]),
        Request(wanted["stack"], wanted["version"], wanted["kind"], wanted["epoch"], origin),
        around=read_surroundings(wanted),
        directory=Path(wanted["directory"]),
        write=write,
    )
    return {
        "changed": bool(made.changed),
        "label": name_release(wanted["stack"], made.control["version"]),
        "kind": made.kind,
        "files": [file.as_dict() for file in made.files],
        "made": made.changed,
        "control": made.control,
        "source_format": made.source_format,
        "remarks": made.remarks,
        "diff": diff_texts({str(made.files[-1].path): made.text}),
    }


def main() -> None:
    run_module(
        act,
        {
            **STACK_SURROUNDINGS,
            "tree": {"type": "path", "required": True},
            "kind": {"type": "str", "choices": ["auto", "ros", "debian", "dsc"], "default": "auto"},
            "stack": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "vcs": {"type": "str"},
            "uri": {"type": "str"},
            "revision": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
