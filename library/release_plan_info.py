#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_plan_info
short_description: Plan a release and verify the plan as a whole
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Looks at the definitions on the public Trove, reads the cluster file of the commit that is to be released and the
    systems that it names, and returns what each stage needs to know.
  - The commit is the head of the release branch if that exists, else of O(definitions.ref).
  - Everything is checked before anything is changed, and every fault of a cluster is listed at once.
  - Run it where the release's records are, which is on the coordinator.
extends_documentation_fragment:
  - slipway.release.plan.kept
  - slipway.release.plan.defined
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  version:
    description:
      - The version to release, such as V(26.47) or V(26.47rc1). Text, because the number 26.40 is the number 26.4.
    type: raw
  project:
    description: The project to release; label, branch, tag and file names begin with it.
    type: str
    default: baserock
  definitions:
    description: The repository that says what the systems are made of.
    type: dict
    required: true
    suboptions:
      url:
        description: Its URL on the public Trove.
        type: str
        required: true
      mirror_url:
        description: Its URL on the local Trove, from which build hosts fetch.
        type: str
        required: true
      path:
        description: Its path on both Troves.
        type: str
        required: true
      ref:
        description: The branch, tag or commit to release when there is no release branch yet.
        type: str
        default: master
  build_hosts:
    description: The architectures that a host builds for, by the host's name. The first host of one builds for it.
    type: dict
    required: true
  allow_missing_arches:
    description: Architectures whose systems may be left out while no host builds for them.
    type: list
    elements: str
    default: []
  architectures:
    description: The known architectures. With an empty list, those that Baserock knew.
    type: list
    elements: str
    default: []
  deployment_types:
    description:
      - The known types of deployments, where another tool than M(slipway.release.system_deploy) makes them.
      - With an empty list, those that it makes, and then their settings are checked too.
    type: list
    elements: str
    default: []
  products:
    description:
      - The products that take part, as a list or as names with commas. When empty, all of them; or those that the
        version was begun with.
    type: raw
    default: []
  bills:
    description: Whether systems have bills of materials, in SPDX and CycloneDX, unless their product says otherwise.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Plan the release
  slipway.release.release_plan_info:
    version: "26.47"
    definitions:
      url: ssh://git@git.example.org/baserock/baserock/definitions.git
      mirror_url: git://trove.example.net/baserock/baserock/definitions.git
      path: baserock/baserock/definitions
    state_directory: /srv/slipway
    coordinator: "{{ inventory_hostname }}"
    build_hosts:
      builder1: [x86_64, x86_32]
      builder2: [armv7lhf]
"""

RETURN = r"""
ansible_facts:
  description: The plan and the records that stand already, as facts.
  returned: success
  type: dict
  contains:
    release_records: {description: The records that stand already by stage., type: dict, returned: always}
    release_plan:
      description: What is to be released, from where, and what is there already.
      type: dict
      returned: always
      contains:
        project: {description: The project., type: str, returned: always}
        version: {description: The version., type: str, returned: always}
        label: {description: Project and version., type: str, returned: always, sample: baserock-26.47}
        branch: {description: The release branch., type: str, returned: always, sample: baserock/release/baserock-26.47}
        tag: {description: The release's tag., type: str, returned: always}
        definitions: {description: Where they are and which commit is released., type: dict, returned: always}
        coordinator: {description: The host that keeps the release., type: str, returned: always}
        build_hosts: {description: The hosts that build for an architecture by its name., type: dict, returned: always}
        cluster: {description: The cluster file., type: str, returned: always}
        cluster_sha256: {description: The digest of its content., type: str, returned: always}
        epoch: {description: When the commit was made in seconds since 1970., type: int, returned: always}
        systems:
          description: Every system to build, with name, file and architecture.
          type: list
          elements: dict
          returned: always
        deployments:
          description:
            - Every file to make, with name, system, system_name, architecture, type, location, file, settings,
              subsystems and product. Where the product says it, compression and compression_level as well.
          type: list
          elements: dict
          returned: always
        extras:
          description:
            - Every extra file to make, with name, product, type, system, system_name, architecture, file, settings and
              compression.
          type: list
          elements: dict
          returned: always
        skipped:
          description: Systems that are left out, with architecture, deployments and reason.
          type: list
          elements: dict
          returned: always
        products:
          description:
            - The products that take part, with name, title, the names of their systems, and what else O(policy) says of
              each.
          type: list
          elements: dict
          returned: always
        left_out: {description: The names of products that do not take part., type: list, returned: always}
        published:
          description:
            - What the manifest says of these products, with name, title and support. Empty where there is but the
              project itself, as it is by default; and of a version that has begun, what its record says.
          type: list
          elements: dict
          returned: always
        policy: {description: What O(policy) says of all releases., type: dict, returned: always}
        directories: {description: The absolute directories of this release., type: dict, returned: always}
        remote:
          description:
            - The commits of branch, tag and ref on the public Trove, the release tagged before this one, and newer
              ones.
          type: dict
          returned: always
last:
  description:
    - How long the stages of the release took that was published last. Empty if there is none.
  returned: success
  type: dict
  contains:
    version: {description: Its version., type: str, returned: if there is one}
    seconds: {description: The seconds of each stage by its name., type: dict, returned: if there is one}
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import PLAN_DEFINED, PLAN_KEPT
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.products import read_wanted
from ..module_utils.slipway.plan.release import make_plan
from ..module_utils.slipway.plan.request import ARCHITECTURES, Request, find_builders
from ..module_utils.slipway.release.durations import find_last_durations

DEFINITIONS = {
    "url": {"type": "str", "required": True},
    "mirror_url": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "ref": {"type": "str", "default": "master"},
}


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    wanted = dict(options)
    definitions = wanted.pop("definitions")
    wanted["architectures"] = wanted["architectures"] or ARCHITECTURES
    wanted["products"] = read_wanted(wanted["products"])
    wanted["build_hosts"] = find_builders(wanted["build_hosts"])
    planned = make_plan(Request(**definitions, **wanted))
    releases = Path(planned.plan["directories"]["release"]).parent
    return {
        "changed": False,
        "last": find_last_durations(releases, version=planned.plan["version"]),
        "ansible_facts": {"release_plan": planned.plan, "release_records": planned.records},
        "warnings": planned.warnings,
    }


def main() -> None:
    run_module(
        act,
        {
            **PLAN_KEPT,
            **PLAN_DEFINED,
            "version": {"type": "raw"},
            "project": {"type": "str", "default": "baserock"},
            "definitions": {"type": "dict", "required": True, "options": DEFINITIONS},
            "build_hosts": {"type": "dict", "required": True},
            "allow_missing_arches": {"type": "list", "elements": "str", "default": []},
            "architectures": {"type": "list", "elements": "str", "default": []},
            "deployment_types": {"type": "list", "elements": "str", "default": []},
            "products": {"type": "raw", "default": []},
            "bills": {"type": "bool", "default": False},
        },
    )


if __name__ == "__main__":
    main()
