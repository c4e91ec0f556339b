#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: definitions_info
short_description: Query what can be released of definitions
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Looks at a git repository of definitions and returns what an inventory says of it.
  - That it cannot be released, because it has no cluster file for example, is a failure that says so.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  url:
    description: The URL of the repository, or its directory.
    type: str
    required: true
  ref:
    description: A branch, a tag or a commit. Empty is the repository's default branch.
    type: str
    default: ""
  cluster:
    description:
      - The path of the cluster file in it. Empty is C(clusters/release.morph), else the only one that there is.
    type: str
    default: ""
  timeout:
    description: Seconds to wait for the answer of the git server.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Query what can be released
  slipway.release.definitions_info:
    url: ssh://git@git.example.org/acme/definitions.git
"""

RETURN = r"""
url: {description: The URL. Of a directory it is the absolute path., returned: success, type: str}
ref: {description: The branch; or what was given., returned: success, type: str, sample: main}
commit: {description: The commit that it names., returned: success, type: str}
cluster: {description: The path of the cluster file., returned: success, type: str}
systems:
  description: Every system with name, file and architecture.
  returned: success
  type: list
  elements: dict
architectures: {description: The architectures of the systems., returned: success, type: list, elements: str}
options:
  description: The project's options for each architecture, as C(release_build_options) has them.
  returned: success
  type: dict
"""

from dataclasses import asdict
from typing import Any

from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.plan.project import survey_definitions


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    found = survey_definitions(wanted["url"], ref=wanted["ref"], cluster=wanted["cluster"], timeout=wanted["timeout"])
    return {"changed": False, **asdict(found)}


def main() -> None:
    run_module(
        act,
        {
            "url": {"type": "str", "required": True},
            "ref": {"type": "str", "default": ""},
            "cluster": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 60},
        },
    )


if __name__ == "__main__":
    main()
