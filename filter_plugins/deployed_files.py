# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A filter over the records: the files that were deployed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: deployed_files
short_description: List the files of a release as its deploy records describe them
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Goes through the deployments of a release's plan and finds each one's file in the deploy records, and then through
    its extra files and their records.
  - A file that no record describes has a null C(size) and C(sha256), which is how it is in check mode before a release.
options:
  _input:
    description: The records by stage. Those whose stage begins with C(deploy-) or C(extra-) are read.
    type: dict
    required: true
  plan:
    description: The release's plan.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what would be packaged
  ansible.builtin.debug:
    msg: "{{ release_records | slipway.release.deployed_files(release_plan) }}"
"""

RETURN = r"""
_value:
  description: >-
    For each deployment and then each extra file, in the plan's order, C(name), C(size) in bytes and C(sha256) of its
    file, and C(deployment), C(system), C(architecture) and C(type). C(compression) and C(compression_level) as well,
    where the plan says them, and C(product) of what is of another one than the project's own.
  type: list
  elements: dict
"""


def deployed_files(records: Mapping[str, Any], plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Join the plan's deployments and extra files with the digests of their files."""
    outputs = [record["outputs"] for stage, record in records.items() if stage.startswith(("deploy-", "extra-"))]
    known = {file["name"]: file for file in outputs}
    own = plan.get("project")
    return [
        {
            "name": deployment["file"],
            "size": known.get(deployment["file"], {}).get("size"),
            "sha256": known.get(deployment["file"], {}).get("sha256"),
            "deployment": deployment["name"],
            **{name: deployment[name] for name in ("system", "architecture", "type")},
            **{name: deployment[name] for name in ("compression", "compression_level") if name in deployment},
            **({"product": deployment["product"]} if deployment.get("product", own) != own else {}),
        }
        for deployment in [*plan["deployments"], *plan.get("extras", [])]
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {"deployed_files": deployed_files}
