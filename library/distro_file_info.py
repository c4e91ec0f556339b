#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: distro_file_info
short_description: Read a distro file, from a git repository or from the host
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the distro file of a distribution, which names its stacks, their versions, where their sources are, and the
    variants that people install.
  - All faults of the file are told together, each with its line, and no part of a file that has one is returned. A
    released stack that no rule says the source of is a fault.
extends_documentation_fragment:
  - slipway.release.distro
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  required_stacks:
    description: Stacks that the distro file must have.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Read what is to be released
  slipway.release.distro_file_info:
    repository: https://git.example.org/distros.git
    path: cturtle.rosdistro
    required_stacks: [ros]
  register: distro
"""

RETURN = r"""
distribution:
  description: The distribution.
  returned: success
  type: str
version:
  description: The name of its release, such as V(r468); null if it has none.
  returned: success
  type: str
commit:
  description: The commit that the file was read at; null for a file of the host.
  returned: success
  type: str
text:
  description: The whole file.
  returned: success
  type: str
stacks:
  description: What it says of each stack, by name.
  returned: success
  type: dict
  contains:
    version: {description: Its version; null if it is not released., type: str, returned: always}
    kind:
      description: How its source is kept, V(git), V(svn), V(hg), V(bzr) or V(dsc); null if no rule says so.
      type: str
      returned: always
    values:
      description:
        - Its rules with everything put in. Those of git, hg and bzr are C(uri), C(dev-branch), C(distro-tag) and
          C(release-tag), those of svn the addresses C(dev), C(distro-tag) and C(release-tag), that of dsc is C(uri).
          Each address and tag has an C(anon-) twin for who has no account, the same where the file has none.
        - One that needs the version of a stack without any is null.
      type: dict
      returned: always
    package_stem: {description: Its name in the names of packages., type: str, returned: always}
variants:
  description: The variants by name.
  returned: success
  type: dict
  contains:
    extends: {description: The variants whose stacks it has too., type: list, elements: str, returned: always}
    stacks: {description: All its stacks., type: list, elements: str, returned: always}
remarks:
  description: What in the file was ignored.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ..module_utils.slipway.distro.file import Stack
from ..module_utils.slipway.distro.source import Place, fetch_distro
from ..module_utils.slipway.module.options import DISTRO
from ..module_utils.slipway.module.report import run_module


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    place = Place(wanted["path"], wanted["repository"], wanted["branch"])
    distro, text, commit = fetch_distro(place, required=wanted["required_stacks"])
    return {
        "changed": False,
        "distribution": distro.name,
        "version": distro.version,
        "commit": commit,
        "text": text,
        "stacks": {name: describe_stack(stack) for name, stack in distro.stacks.items()},
        "variants": {
            name: {"extends": [*variant.extends], "stacks": [*variant.stacks]}
            for name, variant in distro.variants.items()
        },
        "remarks": distro.remarks,
    }


def describe_stack(stack: Stack) -> dict[str, Any]:
    return {
        "version": stack.version,
        "kind": None if stack.rules is None else stack.rules.kind,
        "values": {} if stack.rules is None else dict(stack.rules.values),
        "package_stem": stack.name.replace("_", "-"),
    }


def main() -> None:
    run_module(act, {**DISTRO, "required_stacks": {"type": "list", "elements": "str", "default": []}})


if __name__ == "__main__":
    main()
