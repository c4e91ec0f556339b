#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_plan_info
short_description: Plan which source packages of a distribution are to be built, where, in which order, and why
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Reads the indexes of the shadow archive and of the platforms, and says what is missing there, what is there in
    another version, what a new version of a source invalidates, in which order all of it is built, and what cannot be
    built, and why.
  - A build waits for the packages that it needs, and for those that these depend on, as far as they are to be built.
    What waits for nothing is in the first wave.
  - Of several versions of a package the highest counts, as for apt. A demand that nothing meets is named, with the
    versions that there are. Whether what is installed for a build excludes each other is not asked here, but for
    C(Build-Conflicts); the build itself finds out.
  - The same indexes and options give the same plan, byte for byte.
extends_documentation_fragment:
  - slipway.release.deb_plan
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  distribution:
    description: The distribution, for names of packages and for the plan.
    type: str
    default: ""
  platforms:
    description:
      - What is to be built for. Indexes are paths or URLs of files, plain or compressed by gzip or xz, or directories
        that have C(Packages) or C(Sources) in one of these forms. In their names C({platform}) and C({architecture})
        are filled in.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its codename.
        type: str
        required: true
      architectures:
        description: Debian's names of its architectures.
        type: list
        elements: str
        required: true
      all_architecture:
        description:
          - Where packages for C(all) are built, once for all architectures.
          - The first of O(platforms[].architectures) without it.
        type: str
      sources:
        description: The C(Sources) indexes.
        type: list
        elements: str
        required: true
      shadow:
        description: The C(Packages) indexes of the archive that builds are for.
        type: list
        elements: str
        default: []
      base:
        description: The C(Packages) indexes of the platform itself.
        type: list
        elements: str
        default: []
  new:
    description: Stacks or sources and the version that they would have, a text, to see what that would lead to.
    type: dict
    default: {}
  alternatives:
    description:
      - Which alternatives of a build dependency count. V(any) is the first that can be had; V(first) is the first that
        is for the architecture, and others of the same name, which is what Debian's build machines take.
    type: str
    choices: [any, first]
    default: any
  most:
    description: How many builds of a wave the readable plan names, with their reasons.
    type: int
    default: 12
  timeout:
    description: How long fetching one index may take, in seconds.
    type: float
    default: 300
"""

EXAMPLES = r"""
- name: Plan the builds of what the distro file names
  slipway.release.deb_plan_info:
    distribution: cturtle
    stacks: {common_msgs: 1.2.0, navigation: 1.4.1}
    platforms:
      - name: bookworm
        architectures: [amd64, i386]
        sources: [/srv/apt/shadow/public/dists/bookworm/main/source]
        shadow: ["/srv/apt/shadow/public/dists/bookworm/main/binary-{architecture}"]
        base: ["https://mirror.example.org/debian/dists/bookworm/main/binary-{architecture}/Packages.xz"]
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ plan.text }}"
"""

RETURN = r"""
plan:
  description: The plan.
  returned: success
  type: dict
  contains:
    entries:
      description:
        - Every source on every architecture, in the order of building; what is blocked and what is current follow.
        - Each has C(source), C(stack), C(version), C(platform), C(architecture), C(builds) (V(any), V(all) or both),
          C(present) (the version in the archive), C(binary_version) (of a binary rebuild), C(order) (its wave from 1),
          C(reasons), C(invalidates) (sources) and C(state) (V(build), V(blocked) or V(current)).
        - C(removes) are what C(invalidates) names, each with its architecture, as V(foo/i386).
        - A reason has C(kind) (V(missing), V(new version), V(forced), V(rebuild), V(invalidated)), C(by) (the source
          whose success invalidates it), C(edge) (V(build) or V(run)), C(through) (packages, from that source's to the
          one that this needs) and C(text).
      type: list
      elements: dict
      returned: always
    blocked: {description: "What is not built, C(why), and its C(needs).", type: list, elements: dict, returned: always}
    cycles: {description: "Sources that wait for each other, in order.", type: list, elements: list, returned: always}
    cycle_details: {description: "Their edges, and how they are broken.", type: list, elements: dict, returned: always}
    excluded: {description: What is left out., type: list, elements: dict, returned: always}
    policies: {description: How many builds there would be under each policy., type: dict, returned: always}
    counts: {description: Numbers of all this., type: dict, returned: always}
    remarks: {description: What else was noticed., type: list, elements: str, returned: always}
text:
  description: The plan for people, a list of lines.
  returned: success
  type: list
  elements: str
"""

import gc
from typing import Any

from ..module_utils.slipway.distro.plan import make_plan
from ..module_utils.slipway.distro.planindexes import Request, read_platforms
from ..module_utils.slipway.distro.plantext import format_plan
from ..module_utils.slipway.module.options import DEB_PLAN
from ..module_utils.slipway.module.report import run_module

NAMES = {"type": "list", "elements": "str", "default": []}
PLATFORM = {
    "name": {"type": "str", "required": True},
    "architectures": {"type": "list", "elements": "str", "required": True},
    "all_architecture": {"type": "str"},
    "sources": {"type": "list", "elements": "str", "required": True},
    "shadow": NAMES,
    "base": NAMES,
}


def main() -> None:
    run_module(
        act,
        {
            "distribution": {"type": "str", "default": ""},
            **DEB_PLAN,
            "platforms": {"type": "list", "elements": "dict", "required": True, "options": PLATFORM},
            "new": {"type": "dict", "default": {}},
            "alternatives": {"type": "str", "choices": ["any", "first"], "default": "any"},
            "most": {"type": "int", "default": 12},
            "timeout": {"type": "float", "default": 300},
        },
    )


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    request = Request.from_options(options)
    gc.disable()  # a plan leaves nothing to collect, and looking for it takes a fifth of the time
    try:
        plan = make_plan(read_platforms(request), request.make_wishes())
    finally:
        gc.enable()
    return {"changed": False, "plan": plan, "text": format_plan(plan, most=options["most"])}


if __name__ == "__main__":
    main()
