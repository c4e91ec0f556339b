#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_notes_info
short_description: Query what the notes of a release say
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Tells which notes a release has, the main ones and those of products, where they go, and what stands in each.
  - That is files, systems, components old and new and the commits of the definitions since the release before, what
    differs between the bills of materials of each system then and now, what
    people wrote before in O(drafts_repository), and which findings of gates were waived.
  - A product's notes tell what changed in what its own systems are made of, since its last release.
extends_documentation_fragment:
  - slipway.release.attributes.info_module
  - slipway.release.attributes
options:
  plan:
    description: The release's plan, as the role C(release) found it.
    type: dict
    required: true
  records:
    description: The records of the stages before. What they do not have yet is told as far as the plan has it.
    type: dict
    default: {}
  settings:
    description: The main notes. Products have what they do not say in their policy from here.
    type: dict
    required: true
    suboptions:
      title: {description: The title., type: str, required: true}
      path: {description: The page's path in the wiki., type: str, required: true}
      repository: {description: The wiki's repository. Empty is none., type: str, default: ""}
      branch: {description: The wiki's branch., type: str, default: main}
      url: {description: Where readers find the notes., type: str, default: ""}
      drafts: {description: The directory of the drafts in their repository., type: str, required: true}
      required:
        description: The drafts that must be there, by their names without suffix.
        type: list
        elements: str
        default: []
  drafts_repository:
    description: URL or path of the git repository with the drafts. Empty is none.
    type: str
    default: ""
  drafts_ref:
    description: Its branch, a tag or a commit.
    type: str
    default: main
  changes:
    description: Whether what changed is looked for, which needs the history of the definitions.
    type: bool
    default: true
  rules:
    description: Rules by which pages are moved, as the module M(slipway.release.page_moves) has them, for RV(places).
    type: list
    elements: dict
    default: []
  file_changes:
    description: >-
      What changed in files that something else made, as the filter P(slipway.release.file_changes#filter) tells it.
    type: dict
  limit:
    description: How many commits are listed at the most.
    type: int
    default: 200
  bill_changes:
    description: What RV(bill_changes) was before. Without it, the bills are compared.
    type: list
    elements: dict
  public:
    description: Directories of public files on this host, in which bills of the release before are looked for first.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Query what the notes say
  slipway.release.release_notes_info:
    plan: "{{ release_plan }}"
    records: "{{ release_records }}"
    settings:
      title: Baserock 26.47
      path: releases/baserock-26.47.mdwn
      drafts: drafts/26.47
    drafts_repository: ssh://git@wiki.example.org/wiki
"""

RETURN = r"""
notes:
  description: What each of the notes is called and says, the main ones first.
  returned: success
  type: list
  elements: dict
changes:
  description: >-
    What changed in all, with C(previous), the tag of the release before, or null, and C(before), the version before of
    each product that takes part.
  returned: success
  type: dict
drafts_commit:
  description: The commit of the drafts that were read. Null if there is none.
  returned: success
  type: str
places:
  description: >-
    The C(url) and the C(branch) of every repository that notes, blogs and moved pages go to, and a C(name) for each.
  returned: success
  type: list
  elements: dict
bill_changes:
  description: >-
    What differs between the bills of materials of each system in the release before and now, with C(system),
    C(product), C(previous), C(total) and C(changes); each change has C(name), C(kind), C(before), C(now),
    C(licence_before) and C(licence_now).
  returned: success
  type: list
  elements: dict
findings:
  description: What is wrong with the drafts, one sentence each.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ..module_utils.slipway.bill.previous import find_bill_changes
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.notes.changes import find_changes, read_products
from ..module_utils.slipway.notes.drafts import Drafts, Wanted, read_drafts
from ..module_utils.slipway.notes.outline import fill_notes, list_places, outline_notes

SETTINGS = {
    **{name: {"type": "str", "required": True} for name in ("title", "path", "drafts")},
    **{name: {"type": "str", "default": ""} for name in ("repository", "url")},
    "branch": {"type": "str", "default": "main"},
    "required": {"type": "list", "elements": "str", "default": []},
}


def act(wanted: dict[str, Any], **_: bool) -> dict[str, Any]:
    plan = wanted["plan"]
    outlines = outline_notes(plan, wanted["settings"])
    drafts = Drafts()
    if wanted["drafts_repository"]:
        directories = {each["name"]: Wanted(each["drafts"], each["required"]) for each in outlines}
        drafts = read_drafts(wanted["drafts_repository"], wanted["drafts_ref"], directories)
    changes = wanted["file_changes"] or _find_changes(wanted, [each["name"] for each in outlines[1:]])
    bills = wanted["bill_changes"]
    if bills is None:
        bills = find_bill_changes(plan, public=[Path(path) for path in wanted["public"]]) if wanted["changes"] else []
    return {
        "changed": False,
        "changes": changes,
        "notes": fill_notes(outlines, plan, wanted["records"], changes=changes, drafts=drafts.texts, bills=bills),
        "drafts_commit": drafts.commit,
        "places": list_places(outlines, wanted["rules"]),
        "bill_changes": bills,
        "findings": drafts.findings,
    }


def _find_changes(wanted: dict[str, Any], products: list[str]) -> dict[str, Any]:
    plan = wanted["plan"]
    if not wanted["changes"] or plan["definitions"] is None:
        return {"previous": None, "changes": [], "total": 0, "components": [], "products": {}, "before": {}}
    product_of = {each["system_name"]: each.get("product") for each in plan["deployments"]}
    return find_changes(
        plan["definitions"]["url"],
        plan["definitions"]["commit"],
        project=plan["project"],
        version=plan["version"],
        systems=[system["file"] for system in plan["systems"]],
        products={
            name: [system["file"] for system in plan["systems"] if product_of.get(system["name"]) == name]
            for name in products
        },
        fixed_since=next(iter(_read(wanted["records"], "branch").get("fixed_since") or []), None),
        taking=[product["name"] for product in plan.get("products") or []],
        versions=read_products(Path(plan["directories"]["release"]).parent, plan["project"]),
        limit=wanted["limit"],
    )


def _read(records: dict[str, Any], stage: str) -> dict[str, Any]:
    return dict((records.get(stage) or {}).get("outputs") or {})


def main() -> None:
    run_module(
        act,
        {
            "plan": {"type": "dict", "required": True},
            "records": {"type": "dict", "default": {}},
            "settings": {"type": "dict", "required": True, "options": SETTINGS},
            "drafts_repository": {"type": "str", "default": ""},
            "drafts_ref": {"type": "str", "default": "main"},
            "changes": {"type": "bool", "default": True},
            "rules": {"type": "list", "elements": "dict", "default": []},
            "file_changes": {"type": "dict"},
            "limit": {"type": "int", "default": 200},
            "bill_changes": {"type": "list", "elements": "dict"},
            "public": {"type": "list", "elements": "path", "default": []},
        },
    )


if __name__ == "__main__":
    main()
