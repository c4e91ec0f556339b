#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_phase
short_description: Let a published release reach more machines, or none
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Sets C(Phased-Update-Percentage) in the indexes of an archive that M(slipway.release.apt_publish) keeps. Each apt
    judges by it for its machine. Packages and snapshots stay as they are; the change is a generation of its own.
  - A machine that has a release already keeps it. Who installs a package anew, or asks for it by name, gets it in any
    case.
  - apt counts from 0 to 100, so that of 101 machines with one package 1 gets it at 0 percent.
extends_documentation_fragment:
  - slipway.release.apt.served
  - slipway.release.apt.publication
  - slipway.release.openpgp.required
  - slipway.release.openpgp
  - slipway.release.phases
  - slipway.release.attributes
options:
  state:
    description:
      - V(applied) applies the steps that are due by now. A release that is halted stays so, and one that was published
        without steps is for all.
      - V(halted) offers the release to no machine. V(resumed) goes on from there; the time between does not count.
      - V(complete) offers it to all.
    type: str
    choices: [applied, halted, resumed, complete]
    default: applied
attributes:
  diff_mode:
    details: Shows how many of a hundred machines get the release, before and after.
"""

EXAMPLES = r"""
- name: Halt the current release
  slipway.release.apt_phase:
    directory: /srv/apt/public/fixed
    distribution: cturtle
    state: halted
    origin: Example
    gnupghome: /srv/apt/gnupg
"""

RETURN = r"""
label:
  description: The release.
  returned: success
  type: str
phase:
  description: V(scheduled), V(halted) or V(complete).
  returned: success
  type: str
percentage:
  description: How many of a hundred machines get the release.
  returned: success
  type: int
package_percentages:
  description: The same of packages that have steps of their own.
  returned: success
  type: dict
next:
  description: When the next step is due, in seconds since 1970.
  returned: when there is one
  type: int
"""

import time
from pathlib import Path
from typing import Any

from ..module_utils.slipway.apt import publication
from ..module_utils.slipway.apt.index import Archive
from ..module_utils.slipway.apt.phases import ORDERS, Phases, describe_phases
from ..module_utils.slipway.module.options import APT_PUBLICATION, APT_SERVED, OPENPGP_REQUIRED, PHASES
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.openpgp.keys import find_signing_key


def main() -> None:
    run_module(
        act,
        {
            **APT_SERVED,
            **APT_PUBLICATION,
            **OPENPGP_REQUIRED,
            **PHASES,
            "state": {"type": "str", "choices": [*ORDERS], "default": "applied"},
        },
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    directory, state = Path(options["directory"]), options["state"]
    label = publication.find_current_label(directory, options["distribution"])
    schedules = options["phases"], options["package_phases"]
    now = publication.read_current(directory)
    before = now.find_phases(label)
    planned = publication.plan_phases(now, label, state, schedules=schedules, moment=int(time.time()))
    changed = not publication.is_phased_so(before, planned)
    if write and changed:
        key = find_signing_key(options["gnupghome"], options["signing_key"])
        home = Path(options["gnupghome"])
        archive = Archive(directory, options["origin"], options["component"], home, key.fingerprint)
        timeout = options["lock_timeout"]
        changed = publication.publish_phases(archive, label, state, schedules=schedules, timeout=timeout)
        planned = publication.read_current(directory).find_phases(label)
    after = planned or Phases(state="complete")
    coming = after.find_next(time.time())
    return {
        "changed": changed,
        "label": label,
        "phase": after.state,
        "percentage": after.percentage,
        "package_percentages": dict(after.package_percentages),
        **({} if coming is None else {"next": coming}),
        "diff": {"before": describe_phases(label, before), "after": describe_phases(label, planned)},
    }


if __name__ == "__main__":
    main()
