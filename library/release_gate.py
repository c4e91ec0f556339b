#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_gate
short_description: Judge the files of a release before anything of it becomes public
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Makes the checks that the policy of each product asks for, from what was packaged. A packaged file is unpacked, and
    must have the digests that are on record.
  - Images are started under qemu, without KVM, network, or access to anything but their own files. All run at the same
    time, as many as there are processors, and end with the module in any case.
  - Every check is made before a failure is told. What was passed is not judged again while its bytes, its settings and
    what it is compared with are the same.
requirements:
  - qemu-system-x86, qemu-system-arm, firmware and bubblewrap, for what is started
extends_documentation_fragment:
  - slipway.release.progress
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  plan:
    description: The release's plan.
    type: dict
    required: true
  deployed:
    description: The deployed files, as the filter P(slipway.release.deployed_files#filter) lists them.
    type: list
    elements: dict
    required: true
  packaged:
    description: The packaged files, of the record C(package).
    type: list
    elements: dict
    required: true
  previous:
    description: The results on record, if this has been done before.
    type: list
    elements: dict
    default: []
  public:
    description: Directories of public files on this host, in which the release before is looked for first.
    type: list
    elements: path
    default: []
  timeout:
    description: Seconds that all of it may take.
    type: int
    default: 3600
attributes:
  check_mode:
    details: Says what would be judged, and starts nothing.
"""

EXAMPLES = r"""
- name: Judge what was packaged
  slipway.release.release_gate:
    plan: "{{ release_plan }}"
    deployed: "{{ release_records | slipway.release.deployed_files(release_plan) }}"
    packaged: "{{ release_records.package.outputs.files }}"
"""

RETURN = r"""
gates:
  description: What came of each check.
  returned: success
  type: list
  elements: dict
  contains:
    gate: {description: The gate., type: str}
    subject: {description: The deployment., type: str}
    result: {description: C(passed) or C(waived)., type: str}
    reason: {description: Why it was waived., type: str}
    seconds: {description: How long it took., type: float}
    log: {description: The path of the log. Empty if there is none., type: str}
    facts: {description: What was seen., type: dict}
open:
  description: In check mode, what would be judged.
  returned: success
  type: list
  elements: str
"""

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..module_utils.slipway.display.report import write_report
from ..module_utils.slipway.gates.judge import Judgement, Places, judge
from ..module_utils.slipway.gates.unpacked import match_packed
from ..module_utils.slipway.module.options import PROGRESS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.progress import Progress


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    try:
        judged = _judge(options, write=write)
    finally:
        if write:
            write_report(Path(options["plan"]["directories"]["release"]))
    changed = judged.made or bool(judged.open)
    return {"changed": changed, "gates": judged.results, "open": judged.open, "warnings": judged.warnings}


def _judge(options: dict[str, Any], *, write: bool) -> Judgement:
    plan = options["plan"]
    directories = {name: Path(path) for name, path in plan["directories"].items()}
    return judge(
        plan,
        match_packed(options["deployed"], options["packaged"], directories["artifacts"]),
        places=Places(
            directories["release"],
            directories["artifacts"],
            directories["logs"],
            tuple(Path(path) for path in options["public"]),
        ),
        known=options["previous"],
        today=datetime.now(UTC).date(),
        timeout=options["timeout"],
        progress=Progress(options["progress"] if write else None),
        write=write,
    )


def main() -> None:
    # Interrupted, the module ends at once like on any other signal, and what it started ends with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run_module(
        act,
        {
            **PROGRESS,
            "plan": {"type": "dict", "required": True},
            "deployed": {"type": "list", "elements": "dict", "required": True},
            "packaged": {"type": "list", "elements": "dict", "required": True},
            "previous": {"type": "list", "elements": "dict", "default": []},
            "public": {"type": "list", "elements": "path", "default": []},
            "timeout": {"type": "int", "default": 3600},
        },
    )


if __name__ == "__main__":
    main()
