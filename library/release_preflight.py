#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_preflight
short_description: Verify that a release can begin
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Checks what is needed on the host where it runs, and fails with everything that is wrong, listed at once.
  - Each option adds its check. Nothing is changed.
extends_documentation_fragment:
  - slipway.release.openpgp
  - slipway.release.connection.https
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  programs:
    description: The programs that must be there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The program.
        type: str
        required: true
      package:
        description: The Debian package that it comes in, for the advice. Empty for what Slipway's own setup installs.
        type: str
        default: ""
  directory:
    description: The directory that will hold the release. It need not exist.
    type: path
  min_free_gib:
    description: How many GiB must be free there. A release that is packaged already needs no more room.
    type: float
    default: 30
  key_warning_days:
    description: A key that expires in less than so many days is a warning.
    type: int
    default: 30
  repositories:
    description: Repositories that git must be able to read.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is, for the message, such as V(wiki).
        type: str
        required: true
      url:
        description: Its URL.
        type: str
        required: true
  public:
    description: The directory of public files, if it is on this host.
    type: path
  masons:
    description:
      - Addresses of the pages of masons, which build with the previous release's tools. Each must have built the plan's
        commit for every system of its architectures. Needs O(plan).
    type: list
    elements: str
    default: []
  mason_max_age:
    description: Seconds after which a status that a mason did not write again is void.
    type: int
    default: 3600
  mason_override:
    description: The reason to begin although a mason forbids it. What the masons report is then a warning.
    type: str
    default: ""
  plan:
    description: The release's plan, to check that its names are free or its own.
    type: dict
  records:
    description: The stages of which a record stands already.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for the answer of a repository or a mason.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Verify that the release can begin
  slipway.release.release_preflight:
    programs:
      - {name: gpg, package: gnupg}
    directory: /srv/slipway
    min_free_gib: 30
    gnupghome: /srv/slipway/gnupg
    plan: "{{ release_plan }}"
    records: "{{ release_records.keys() | list }}"
"""

RETURN = r"""
findings:
  description: What is wrong, one sentence each.
  returned: failure
  type: list
  elements: str
masons:
  description: What each mason reported.
  returned: success
  type: list
  elements: dict
  contains:
    url: {description: Its page., type: str}
    passed: {description: Whether it built all that it had to., type: bool}
    override: {description: The reason for which that was passed over. Empty if it was not., type: str}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.errors import refuse
from ..module_utils.slipway.gates import preflight
from ..module_utils.slipway.gates.masons import fetch_mason_status, report_masons
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, OPENPGP
from ..module_utils.slipway.module.report import report

PROGRAM = {"name": {"type": "str", "required": True}, "package": {"type": "str", "default": ""}}
REPOSITORY = {"name": {"type": "str", "required": True}, "url": {"type": "str", "required": True}}


def run_checks(wanted: dict[str, Any]) -> tuple[preflight.Report, list[dict[str, Any]]]:
    found = preflight.Report(preflight.find_missing_programs(wanted["programs"]))
    plan = wanted["plan"]
    if wanted["directory"] and "package" not in wanted["records"]:
        found.findings += preflight.check_room(wanted["directory"], gib=wanted["min_free_gib"])
    reports: list[preflight.Report] = []
    masons: list[dict[str, Any]] = []
    if wanted["gnupghome"]:
        reports.append(
            preflight.check_signing_key(
                wanted["gnupghome"],
                wanted["signing_key"] or None,
                warning_days=wanted["key_warning_days"],
                now=time.time(),
            )
        )
    if plan:
        reports.append(preflight.check_names(plan, wanted["records"], public_directory=wanted["public"]))
        found.warnings += preflight.list_left_out(plan)
        mason_report, masons = report_masons(
            wanted["masons"],
            plan,
            max_age=wanted["mason_max_age"],
            now=time.time(),
            override=wanted["mason_override"].strip(),
            fetch=lambda url: fetch_mason_status(url, ca_path=wanted["ca_path"], timeout=wanted["timeout"]),
        )
        reports.append(mason_report)
    for part in reports:
        found.findings += part.findings
        found.warnings += part.warnings
    found.findings += preflight.find_unreachable(wanted["repositories"], timeout=wanted["timeout"])
    return found, masons


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **OPENPGP,
            **CONNECTION_HTTPS,
            "programs": {"type": "list", "elements": "dict", "default": [], "options": PROGRAM},
            "directory": {"type": "path"},
            "min_free_gib": {"type": "float", "default": 30},
            "key_warning_days": {"type": "int", "default": 30, "no_log": False},
            "repositories": {"type": "list", "elements": "dict", "default": [], "options": REPOSITORY},
            "public": {"type": "path"},
            "masons": {"type": "list", "elements": "str", "default": []},
            "mason_max_age": {"type": "int", "default": 3600},
            "mason_override": {"type": "str", "default": ""},
            "plan": {"type": "dict"},
            "records": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )

    def act() -> dict[str, Any]:
        found, masons = run_checks(module.params)
        for warning in found.warnings:
            module.warn(warning)
        refuse(
            "begin",
            (module.params["plan"] or {}).get("label", "the release"),
            found.findings,
            several="checks failed",
            do_next="Nothing was changed. Fix this and run again.",
        )
        return {"changed": False, "masons": masons}

    report(module, act)


if __name__ == "__main__":
    main()
