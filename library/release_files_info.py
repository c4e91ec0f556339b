#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_files_info
short_description: Plan a release of files that something else made
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Selects files of a directory and returns what the stages of a release need to know of them, as
    M(slipway.release.release_plan_info) does for what is made of definitions. No file is read yet.
  - What cannot be released is listed at once - names that are not safe everywhere or would be the same, links,
    directories, devices, empty files, and patterns that match nothing.
  - Once the release is packaged its files are those on record. They may be gone from the directory, and no other ones
    may be there.
  - Run it where the release's records are, which is on the coordinator.
extends_documentation_fragment:
  - slipway.release.plan.kept
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  version:
    description: The version to release, such as V(1.0) or V(1.0rc1). Text, because the number 1.10 is the number 1.1.
    type: raw
  project:
    description: The project to release; label and file names begin with it.
    type: str
    required: true
  directory:
    description: The absolute path of the directory with the files.
    type: path
    required: true
  files:
    description: Which files are released. The first that matches a file counts.
    type: list
    elements: dict
    default: [{path: "*"}]
    suboptions:
      path:
        description:
          - A path below O(directory), or a pattern as shells have them. V(*) stands for no slash and no leading point.
          - Links are not followed, but one beside the file that it names is left out.
        type: str
        required: true
      name:
        description:
          - What one file is called. By default its path, with V(-) for each slash.
          - The release's label is put before it, unless the name begins with project and version already.
        type: str
        default: ""
      system:
        description: The system that it is made of, for pages. By default what its name says.
        type: str
        default: ""
      architecture:
        description: The architecture that it is for. By default what its name says, under one name for each.
        type: str
        default: ""
      type:
        description: What it is, such as V(rawdisk), V(iso) or V(kernel). By default what its name says.
        type: str
        default: ""
      compression:
        description: Whether it is published as it is, or compressed.
        type: str
        choices: [none, gzip, xz, zstd]
        default: none
  exclude:
    description: Patterns of paths that are not released.
    type: list
    elements: str
    default: []
  sums:
    description:
      - The path below O(directory) of a file with the SHA-256 of all files, as C(sha256sum) writes it.
      - It is not released itself. A file that is not listed there is a fault. The digests are compared by
        M(slipway.release.release_digests_info).
    type: str
    default: ""
  policy:
    description:
      - What the site wants of its releases, such as its products. A file is of the product that names its system, or
        its name where no system is known; those that no product names are of the one that is called as the project.
    type: raw
    default: {}
"""

EXAMPLES = r"""
- name: Plan the release of what mkosi made
  slipway.release.release_files_info:
    version: "1.0"
    project: acme
    directory: /srv/build/mkosi.output
    files:
      - {path: "*.raw", compression: gzip}
      - {path: "*.efi"}
    state_directory: /srv/slipway
    coordinator: "{{ inventory_hostname }}"
"""

RETURN = r"""
ansible_facts:
  description: The plan and the records that stand already, as facts.
  returned: success
  type: dict
  contains:
    release_records: {description: The records that stand already by stage., type: dict, returned: always}
    release_plan:
      description:
        - What is to be released. What a plan of definitions has besides, such as C(definitions) and C(tag), is null.
      type: dict
      returned: always
      contains:
        project: {description: The project., type: str, returned: always}
        version: {description: The version., type: str, returned: always}
        label: {description: Project and version., type: str, returned: always, sample: acme-1.0}
        coordinator: {description: The host that keeps the release., type: str, returned: always}
        deployments:
          description:
            - Every file, with name, file (what it is published as, uncompressed), path, size, system, architecture,
              type and compression. The path is empty if the file is packaged and gone. With O(sums), expected is its
              digest there.
          type: list
          elements: dict
          returned: always
        products:
          description: The products with name, title, the names of their systems, and what else O(policy) says of each.
          type: list
          elements: dict
          returned: always
        left_out: {description: Empty; all products take part., type: list, returned: always}
        published:
          description:
            - What the manifest says of these products, with name, title and support. Empty where there is but the
              project itself, as it is by default; and of a version that has begun, what its record says.
          type: list
          elements: dict
          returned: always
        policy: {description: What O(policy) says of all releases., type: dict, returned: always}
        directories:
          description: The absolute directories of this release. That of the images is the one with the files.
          type: dict
          returned: always
        previous:
          description: Version, label and files of the release before; null if this host has no record of one.
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

from ..module_utils.slipway.module.options import PLAN_KEPT
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.fileplan import FileRequest, make_file_plan
from ..module_utils.slipway.plan.found import Wanted
from ..module_utils.slipway.release.durations import find_last_durations

FILE = {
    "path": {"type": "str", "required": True},
    **{name: {"type": "str", "default": ""} for name in ("name", "system", "architecture", "type")},
    "compression": {"type": "str", "choices": ["none", "gzip", "xz", "zstd"], "default": "none"},
}


def act(options: dict[str, Any], **_: bool) -> dict[str, Any]:
    wanted = [Wanted(**each) for each in options.pop("files")]
    planned = make_file_plan(FileRequest(wanted=wanted, **options))
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
            "version": {"type": "raw"},
            "project": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "dict", "options": FILE, "default": [{"path": "*"}]},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "sums": {"type": "str", "default": ""},
            "policy": {"type": "raw", "default": {}},
        },
    )


if __name__ == "__main__":
    main()
