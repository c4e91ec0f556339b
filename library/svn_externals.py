#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: svn_externals
short_description: Point svn:externals to the released versions of stacks
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Changes those entries of the property C(svn:externals) of one directory that point to a stack, so that they point
    to the release tag of its version. Everything else of the property stays as it is, byte by byte.
  - An entry belongs to a stack if its URL, or a directory above it, is the stack's C(dev), its C(distro-tag), or its
    C(release-tag) with any version in the place of the stack's version. What follows in the URL stays. An entry below
    one of the C(anon-) twins gets C(anon-release-tag). Of several stacks that it may belong to it is that with the
    longest such URL.
  - A URL that begins with C(^/), C(//), C(/) or C(../) does so afterwards too, where that leads to the tag. A
    revision of the entry, as C(-r7) or C(@7), was one of the old URL and goes. An entry that is right keeps its
    revision.
  - A property that Subversion would refuse is refused.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  url:
    description:
      - The URL of the directory in a repository. The change is one commit, which fails if somebody else was quicker.
    type: str
  directory:
    description:
      - The directory in a working copy. Without O(commit_message) the change stays there, to be committed by hand.
    type: path
  commit_message:
    description: The message of the commit. In a working copy, only the directory's own properties are committed.
    type: str
  stacks:
    description:
      - The stacks by their names, as M(slipway.release.distro_file_info) returns them.
      - Those without a version, or that are not in Subversion, are left out.
    type: dict
    required: true
  timeout:
    description: Seconds after which a client is ended, each time that one is called.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Point the tree of all stacks to what is released
  slipway.release.svn_externals:
    url: https://code.example.org/svn/all/trunk
    commit_message: Use the stacks of cturtle r468
    stacks:
      navigation:
        version: 1.0.3
        values:
          dev: https://code.example.org/svn/stacks/navigation/trunk
          release-tag: https://code.example.org/svn/stacks/navigation/tags/navigation-1.0.3
          distro-tag: https://code.example.org/svn/stacks/navigation/tags/cturtle
"""

RETURN = r"""
updated:
  description:
    - The entries that changed, each with the C(stack), the C(target) directory, and the URL C(before) and C(after).
  returned: success
  type: list
  elements: dict
others:
  description: The target directories of entries that belong to no stack.
  returned: success
  type: list
  elements: str
commit:
  description: The revision that was committed, or null.
  returned: success
  type: str
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.vcs.externals import PROPERTY, read_stacks
from ..module_utils.slipway.vcs.properties import Updated, update_remote, update_working_copy


def act(wanted: dict[str, Any], *, write: bool) -> dict[str, Any]:
    done = update(wanted, write=write)
    name = f"{PROPERTY} of {wanted['url'] or wanted['directory']}"
    return {
        "changed": done.changed,
        "updated": [asdict(change) for change in done.update.changes],
        "others": done.update.others,
        "commit": done.commit,
        "diff": diff_texts({name: (done.before, done.update.text)} if done.changed else {}),
    }


def update(wanted: dict[str, Any], *, write: bool) -> Updated:
    stacks, message, timeout = read_stacks(wanted["stacks"]), wanted["commit_message"], wanted["timeout"]
    if wanted["url"]:
        return update_remote(wanted["url"], stacks, message=message, timeout=timeout, write=write)
    return update_working_copy(Path(wanted["directory"]), stacks, message=message, timeout=timeout, write=write)


def main() -> None:
    run_module(
        act,
        {
            "url": {"type": "str"},
            "directory": {"type": "path"},
            "commit_message": {"type": "str"},
            "stacks": {"type": "dict", "required": True},
            "timeout": {"type": "float", "default": 300},
        },
        required_one_of=[["url", "directory"]],
        mutually_exclusive=[["url", "directory"]],
        required_by={"url": ["commit_message"]},
    )


if __name__ == "__main__":
    main()
