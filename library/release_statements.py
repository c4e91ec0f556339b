#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_statements
short_description: State of what, how and by what the files of a release were made
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes one in-toto statement with SLSA's provenance for each file that C(SHA256SUMS) lists, and for C(SHA256SUMS).
    Each is in a DSSE envelope that the signing key signs, one on each line of a file.
  - All that is stated comes from the records. The same records give the same statements.
  - What is public is kept as it is. If it contradicts the records, that is a failure that names each difference.
extends_documentation_fragment:
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.trust.builder
  - slipway.release.attributes
options:
  plan:
    description: The release's plan.
    type: dict
    required: true
  records:
    description: Its records, by stage.
    type: dict
    required: true
  path:
    description: The file, whose name is that under which it becomes public.
    type: path
    required: true
  artifacts:
    description: The directory of the packaged files, in which bills of materials name the components of systems.
    type: path
    required: true
  host:
    description: What is said of the machine that packages. Without it, its system and architecture.
    type: dict
  channels:
    description: The public addresses (file, http or https) under which the file may be already.
    type: list
    elements: str
    default: []
  ca_path:
    description: A file of certificates to trust for https, instead of the system's.
    type: str
  required_before:
    description: Stages that must be on record, since something is stated of them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: State how the files of the release were made
  slipway.release.release_statements:
    plan: "{{ release_plan }}"
    records: "{{ release_records }}"
    path: /srv/slipway/releases/26.47/baserock-26.47.intoto.jsonl
    artifacts: /srv/slipway/releases/26.47/artifacts
    gnupghome: /srv/slipway/gnupg
    builder: https://releases.example.org/builder
"""

RETURN = r"""
file:
  description: The file's C(name), C(size) in bytes and C(sha256); null in check mode if it is not there yet.
  returned: success
  type: dict
signed_by:
  description: The fingerprint of the key that signed. Null if not signed yet.
  returned: success
  type: str
statements:
  description: The names of the files that something is stated of.
  returned: success
  type: list
  elements: str
"""

import platform
from pathlib import Path
from typing import Any

from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.diff import diff_added
from ..module_utils.slipway.module.options import OPENPGP_REQUIRED, TRUST_BUILDER
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.trust.statement import Site, make_statements, read_components
from ..module_utils.slipway.trust.stating import Source, state


def describe_host() -> dict[str, str]:
    """The kind of machine that this is."""
    try:
        said = platform.freedesktop_os_release()
        system = said.get("PRETTY_NAME") or said["NAME"]
    except OSError:
        system = platform.system()
    return {"system": system, "architecture": platform.machine()}


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    plan, records = params["plan"], params["records"]
    missing = [stage for stage in ["package", *params["required_before"]] if stage not in records]
    if missing:
        came_back = f"there is no record {' and no record '.join(missing)}"
        do_next = "Run the stages before it, or the whole release."
        raise SlipwayError("state how it was made", plan["label"], came_back, do_next=do_next)
    components = read_components(Path(params["artifacts"]), records["package"]["inputs"]["images"])
    site = Site(params["builder"], params["host"] or describe_host())
    statements = make_statements(plan, records, site, components=components)
    path = Path(params["path"])
    recorded = (records.get("statement") or {}).get("outputs") or {}
    done = state(
        statements,
        path,
        gnupghome=Path(params["gnupghome"]),
        signing_key=params["signing_key"] or None,
        source=Source(params["channels"], params["ca_path"] or None, published="publication" in records),
        recorded=(recorded.get("file") or {}).get("sha256"),
        write=write,
    )
    return {
        "changed": done.made,
        "file": done.describe(path.name),
        "signed_by": done.signed_by,
        "statements": [each["subject"][0]["name"] for each in statements],
        "warnings": list(done.warnings),
        **({"diff": diff_added([str(path)])} if done.made else {}),
    }


def main() -> None:
    run_module(
        act,
        {
            **OPENPGP_REQUIRED,
            **TRUST_BUILDER,
            "plan": {"type": "dict", "required": True},
            "records": {"type": "dict", "required": True},
            "path": {"type": "path", "required": True},
            "artifacts": {"type": "path", "required": True},
            "host": {"type": "dict"},
            "channels": {"type": "list", "elements": "str", "default": []},
            "ca_path": {"type": "str"},
            "required_before": {"type": "list", "elements": "str", "default": []},
        },
    )


if __name__ == "__main__":
    main()
