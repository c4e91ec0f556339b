#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_record
short_description: Write the records of a stage
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes one sealed JSON file for each record. A record with the same inputs and outputs is left as it is.
  - A record that differs is drift, and a failure that names each difference.
  - Beside the directory of the records it writes a page for people, C(report.html), which is no part of the release.
  - Also returns the records as the fact C(release_records), merged into what that fact held.
extends_documentation_fragment:
  - slipway.release.attributes
options:
  directory:
    description: The directory of the records. The action plugin knows that of the release in the fact C(release_plan).
    type: path
  project:
    description: The project that is released. The action plugin knows it from that fact.
    type: str
  version:
    description: The version that is released. The action plugin knows it from that fact.
    type: str
  records:
    description: The records to keep.
    type: list
    elements: dict
    required: true
    suboptions:
      stage:
        description: The stage, which is also the file's name.
        type: str
        required: true
      inputs:
        description: What the stage worked on. Only facts that are the same in every run of the same release.
        type: dict
        default: {}
      outputs:
        description: What the stage made, such as names, sizes, digests and commits.
        type: dict
        default: {}
      tools:
        description: Names and versions of the tools that were used. They may change without being drift.
        type: dict
        default: {}
  replace:
    description: Whether records that differ are replaced. For a stage that nothing was built on yet.
    type: bool
    default: false
  outdated:
    description:
      - Stages whose records are set aside when the release takes a fix. In check mode they are there yet, and replaced.
        The action plugin knows them from the fact C(release_plan).
    type: list
    elements: str
    default: []
  started:
    description: When the stage began, as ISO 8601. Set by the action plugin.
    type: str
"""

EXAMPLES = r"""
- name: Write the tag record of the release in the fact release_plan
  slipway.release.release_record:
    records:
      - stage: tag
        inputs: {commit: 6c1c4e0a4be8e0c2d2ef3d5c2a3b4c5d6e7f8091}
        outputs: {tag: baserock-26.47}
"""

RETURN = r"""
records:
  description: The records as they now stand, by stage.
  returned: success
  type: dict
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.display.report import write_report
from ..module_utils.slipway.errors import SlipwayError
from ..module_utils.slipway.module.diff import diff_texts
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.release.records import Record, format_json, keep_record

RECORD = {
    "stage": {"type": "str", "required": True},
    "inputs": {"type": "dict", "default": {}},
    "outputs": {"type": "dict", "default": {}},
    "tools": {"type": "dict", "default": {}},
}


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    if not all(options[name] for name in ("directory", "project", "version")):
        raise SlipwayError(
            "keep",
            "the records",
            "missing: release_plan, made by the role release",
            do_next="Run that role before.",
        )
    directory = Path(options["directory"])
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kept: dict[str, Record] = {}
    texts = {}
    for part in options["records"]:
        record = {
            **part,
            "project": options["project"],
            "version": options["version"],
            "started": options["started"] or ended,
            "ended": ended,
        }
        stage = part["stage"]
        replace = options["replace"] or (not write and stage in options["outdated"])
        now, before = keep_record(directory, record, replace=replace, write=write)
        kept[stage] = now
        if now != before:
            text = format_json(before).decode() if before else ""
            texts[str(directory / f"{stage}.json")] = (text, format_json(now).decode())
    if write:
        write_report(directory.parent)
    return {"changed": bool(texts), "records": kept, **({"diff": diff_texts(texts)} if texts else {})}


def main() -> None:
    run_module(
        act,
        {
            "directory": {"type": "path"},
            "project": {"type": "str"},
            "version": {"type": "str"},
            "records": {"type": "list", "elements": "dict", "required": True, "options": RECORD},
            "replace": {"type": "bool", "default": False},
            "outdated": {"type": "list", "elements": "str", "default": []},
            "started": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
