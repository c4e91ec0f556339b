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
  - What later stages need on servers of others is tried as far as it goes without changing anything there. Pushes have
    the very names that the release uses, and are such as git refuses at the very last, after every hook. A mail is
    begun and not sent.
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
  bills:
    description:
      - The Python that is to make bills of materials, and so must have what makes them.
      - Empty is that of the environment that C(bst) is in.
    type: path
  makes:
    description:
      - Whether the files of O(plan) are made here by M(slipway.release.system_deploy), so that the programs of their
        types must be there too. What compresses them must be there in any case, until the release is packaged.
    type: bool
    default: false
  directory:
    description: The directory that will hold the release. It need not exist.
    type: path
  min_free_gib:
    description: How many GiB must be free there. A release that is packaged already needs no more room.
    type: float
    default: 30
  writable:
    description: Directories that this user must be able to write to, or to make.
    type: list
    elements: path
    default: []
  unpublished:
    description: Paths of a public directory that must not be there, because what the release is made of has changed.
    type: list
    elements: path
    default: []
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
      branch:
        description: The branch that the release commits to. With O(try_access) it is tried whether that is allowed.
        type: str
        default: ""
  try_access:
    description:
      - Whether to try what the servers of others allow, outside check mode - pushing the plan's branch and tag,
        committing to repositories that have a branch, giving a mail to the relays. What is done according to
        O(records) is not tried, and nothing is while anything else is wrong.
    type: bool
    default: false
  tag:
    description: How the release's tag is made.
    type: dict
    suboptions:
      gnupghome:
        description: The directory of the keyring with the key that signs it. Empty for a tag that is not signed.
        type: path
        default: ""
      signing_key:
        description: The fingerprint of that key. Needed when the keyring holds several.
        type: str
        default: ""
      name:
        description: Who tags.
        type: str
        required: true
      email:
        description: The mail address of who tags.
        type: str
        required: true
  relays:
    description: SMTP servers that the announcement goes through.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The server.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        default: 587
      tls:
        description: Whether the connection is encrypted after C(STARTTLS), from its beginning, or not at all.
        type: str
        choices: [starttls, implicit, none]
        default: starttls
      user:
        description: Who logs in. Empty means that nobody does.
        type: str
        default: ""
      password:
        description: The password of that user.
        type: str
      ca_path:
        description: A file of certificates to trust instead of the system's. Empty is the system's.
        type: str
        default: ""
      sender:
        description: Who sends, such as V(Release Team <release@example.org>).
        type: str
        required: true
      recipients:
        description: Who gets the mail.
        type: list
        elements: str
        required: true
  keys_list:
    description: The coordinator's list of keys, by which the key that signs must be the one of now.
    type: path
  public:
    description: The directory of public files, if it is on this host.
    type: path
  mirror_url:
    description: The address (http, https or file) of the local Trove's status page, which tells how far behind it is.
    type: str
    default: ""
  mirror_max_age:
    description:
      - Seconds that the local Trove's status may be old, and that a repository there may be behind. Less than that is a
        warning.
    type: int
    default: 86400
  withdrawn_label:
    description: The label of the release, if it is to be looked whether it was withdrawn.
    type: str
  withdrawn_public:
    description: The directory of public files that may have its tombstone.
    type: path
  withdrawn_record:
    description: The outputs of its record C(withdrawal), if there is one.
    type: dict
  masons:
    description:
      - Addresses of the pages of masons, which build with the previous release's tools. Each must have built the plan's
        commit for every system of its architectures. Needs O(plan) with definitions.
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
would_try:
  description: What is tried with O(try_access), a few words each. In check mode it is only listed.
  returned: success
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
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.slipway.bill.make import find_bill_obstacles, find_python
from ..module_utils.slipway.errors import SlipwayError, refuse
from ..module_utils.slipway.escape import escape_terminal
from ..module_utils.slipway.gates import preflight
from ..module_utils.slipway.gates.checks import find_obstacles
from ..module_utils.slipway.gates.masons import report_masons
from ..module_utils.slipway.gates.mirror import report_mirror
from ..module_utils.slipway.gates.tries import list_tries
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, OPENPGP
from ..module_utils.slipway.module.report import report
from ..module_utils.slipway.openpgp.keys import find_signing_key
from ..module_utils.slipway.trust.keys import SETTING, find_key_fault, load_entries

PROGRAM = {"name": {"type": "str", "required": True}, "package": {"type": "str", "default": ""}}
REPOSITORY = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "branch": {"type": "str", "default": ""},
}
TAG = {
    "gnupghome": {"type": "path", "default": "", "no_log": False},
    "signing_key": {"type": "str", "default": "", "no_log": False},
    "name": {"type": "str", "required": True},
    "email": {"type": "str", "required": True},
}
RELAY = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 587},
    "tls": {"type": "str", "choices": ["starttls", "implicit", "none"], "default": "starttls"},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "no_log": True},
    "ca_path": {"type": "str", "default": ""},
    "sender": {"type": "str", "required": True},
    "recipients": {"type": "list", "elements": "str", "required": True},
}


def run_checks(wanted: dict[str, Any]) -> tuple[preflight.Report, list[dict[str, Any]]]:
    plan, programs = wanted["plan"], [*wanted["programs"]]
    if plan and "package" not in wanted["records"]:
        programs += preflight.list_needed_programs(plan, makes=wanted["makes"])
    found = preflight.Report(preflight.find_missing_programs(programs))
    found.findings += find_bill_obstacles(wanted["bills"] or find_python("bst")) if wanted["bills"] is not None else []
    found.findings += preflight.find_unwritable(wanted["writable"])
    found.findings += preflight.find_published(wanted["unpublished"])
    if wanted["withdrawn_label"]:
        record, public = wanted["withdrawn_record"], wanted["withdrawn_public"]
        found.findings += preflight.find_withdrawal(wanted["withdrawn_label"], record, public=public)
    if wanted["directory"] and "package" not in wanted["records"]:
        found.findings += preflight.check_room(wanted["directory"], gib=wanted["min_free_gib"])
    reports: list[preflight.Report] = []
    status = partial(preflight.fetch_status, ca_path=wanted["ca_path"], timeout=wanted["timeout"])
    if wanted["mirror_url"]:
        fetch = partial(status, of="the local Trove", schemes=(*preflight.SCHEMES, "file"))
        reports.append(
            report_mirror(wanted["mirror_url"], max_age=wanted["mirror_max_age"], now=time.time(), fetch=fetch)
        )
    masons: list[dict[str, Any]] = []
    # What is signed already needs no key.
    for home, key in list_keys(wanted):
        reports.append(
            preflight.check_signing_key(home, key or None, warning_days=wanted["key_warning_days"], now=time.time())
        )
    if plan and wanted["keys_list"] and "package" not in wanted["records"]:
        reports.append(check_listed(wanted))
    if plan:
        reports.append(preflight.check_names(plan, wanted["records"], public_directory=wanted["public"]))
        found.warnings += preflight.list_left_out(plan)
        found.warnings += [] if "branch" in wanted["records"] else preflight.list_newer(plan)
        if "publication" not in wanted["records"]:
            reports.append(find_obstacles(plan, today=datetime.now(UTC).date()))
    if plan and plan["definitions"] is not None:
        mason_report, masons = report_masons(
            wanted["masons"],
            plan,
            max_age=wanted["mason_max_age"],
            now=time.time(),
            override=wanted["mason_override"].strip(),
            fetch=partial(status, of="the mason"),
        )
        reports.append(mason_report)
    for part in reports:
        found.findings += part.findings
        found.warnings += part.warnings
    found.findings += preflight.find_unreachable(wanted["repositories"], timeout=wanted["timeout"])
    return found, masons


def check_listed(wanted: dict[str, Any]) -> preflight.Report:
    """Whether the key that signs is the one that does so now, by the list of keys."""
    try:
        entries = load_entries(Path(wanted["keys_list"]), project=wanted["plan"]["project"])
        key = find_signing_key(wanted["gnupghome"], wanted["signing_key"] or None) if entries else None
    except SlipwayError as error:
        # Another check tells of a key that cannot sign.
        return preflight.Report([str(error)] if error.on == wanted["keys_list"] else [])
    fault = None if key is None else find_key_fault(entries, key.fingerprint, now=time.time())
    return preflight.Report(
        [] if fault is None or key is None else [f"{key.fingerprint} may not sign: {fault}. {SETTING}"]
    )


def list_keys(wanted: dict[str, Any]) -> list[tuple[str, str]]:
    """The keyrings and keys that are still to sign, each once. Without definitions there is nothing to tag."""
    signs = {"package": wanted}
    if wanted["plan"] is None or wanted["plan"]["definitions"] is not None:
        signs["tag"] = wanted["tag"] or {"gnupghome": "", "signing_key": ""}
    if signs.keys() <= {*wanted["records"]}:
        return []
    return list(
        dict.fromkeys((each["gnupghome"], each["signing_key"] or "") for each in signs.values() if each["gnupghome"])
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **OPENPGP,
            **CONNECTION_HTTPS,
            "programs": {"type": "list", "elements": "dict", "default": [], "options": PROGRAM},
            "makes": {"type": "bool", "default": False},
            "directory": {"type": "path"},
            "min_free_gib": {"type": "float", "default": 30},
            "bills": {"type": "path"},
            "writable": {"type": "list", "elements": "path", "default": []},
            "unpublished": {"type": "list", "elements": "path", "default": []},
            "key_warning_days": {"type": "int", "default": 30, "no_log": False},
            "repositories": {"type": "list", "elements": "dict", "default": [], "options": REPOSITORY},
            "try_access": {"type": "bool", "default": False},
            "tag": {"type": "dict", "options": TAG},
            "relays": {"type": "list", "elements": "dict", "default": [], "options": RELAY},
            "keys_list": {"type": "path", "no_log": False},
            "public": {"type": "path"},
            "mirror_url": {"type": "str", "default": ""},
            "mirror_max_age": {"type": "int", "default": 86400},
            "withdrawn_label": {"type": "str"},
            "withdrawn_public": {"type": "path"},
            "withdrawn_record": {"type": "dict"},
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
        tries = list_tries(module.params) if module.params["try_access"] else {}
        # A release that cannot begin anyhow leaves servers alone: a push changes the times of directories there.
        for attempt in [] if module.check_mode or found.findings else tries.values():
            part = attempt()
            found.findings += part.findings
            found.warnings += part.warnings
        for warning in found.warnings:
            module.warn(escape_terminal(warning))
        refuse(
            "begin",
            (module.params["plan"] or {}).get("label", "the release"),
            found.findings,
            several="checks failed",
            do_next="Nothing was changed. Fix this and run again.",
        )
        return {"changed": False, "masons": masons, "would_try": list(tries)}

    report(module, act)


if __name__ == "__main__":
    main()
