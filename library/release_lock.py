#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release_lock
short_description: Lock a state directory for one release at a time
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Writes into a file on the coordinator which C(ansible-playbook) process is releasing what.
  - A second run is refused, or waits, and names the run that it met.
  - The lock of a process that ended, however it ended, is taken over.
  - A process on another machine or in another PID namespace cannot be looked at. Its lock counts
    as long as the run renews it, and O(lease) seconds longer.
extends_documentation_fragment:
  - slipway.release.attributes.no_diff
  - slipway.release.attributes
options:
  path:
    description: The lock's file.
    type: path
    required: true
  what:
    description: What is being released, for the message that others see.
    type: str
    required: true
  state:
    description: Whether this run holds the lock.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds to wait for another release to end. With V(0) it is refused at once.
    type: float
    default: 0
  lease:
    description:
      - Seconds that the lock counts after it was renewed, for runs that cannot see whether this one still lives.
      - This run renews it four times in that time, from a process beside C(ansible-playbook), which ends with it.
    type: float
    default: 300
  holder:
    description: The process that takes the lock. Set by the action plugin, not by users.
    type: dict
  over:
    description: A lock whose run is over. Set by the action plugin, not by users.
    type: dict
attributes:
  check_mode:
    details: Looks whether another release holds the lock, and takes nothing.
  idempotent:
    details: A lock that this run holds stays as it is. Taking the lock is never reported as a change.
"""

EXAMPLES = r"""
- name: Lock the state directory
  slipway.release.release_lock:
    path: /srv/slipway/release.lock
    what: baserock-26.47
    timeout: 600
"""

RETURN = r"""
waited:
  description: Whether another release had to end first, so that what was read before may be stale.
  returned: success
  type: bool
path:
  description: The lock's file.
  returned: when this run holds the lock
  type: str
taken:
  description: Whether this run did not have the lock before.
  returned: success
  type: bool
held_by:
  description: Who holds the lock instead, when it was renewed, and the seconds until its lease ends.
  returned: when another run holds it
  type: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.release import lock


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    path = Path(options["path"])
    holder = lock.Holder(**options["holder"])
    if options["state"] == "absent":
        if write:
            lock.drop_lock(path, holder)
        return {"changed": False}
    before = lock.read_lock(path)
    other = lock.take_lock(path, holder, over=lock.read_held(options["over"]), write=write)
    if other is not None:
        return {"changed": False, "taken": False, "held_by": asdict(other)}
    had = before is not None and before.holder.is_same_run(holder)
    return {"changed": False, "taken": write and not had, "path": str(path)}


def main() -> None:
    run_module(
        act,
        {
            "path": {"type": "path", "required": True},
            "what": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "timeout": {"type": "float", "default": 0},
            "lease": {"type": "float", "default": 300},
            "holder": {"type": "dict"},
            "over": {"type": "dict"},
        },
    )


if __name__ == "__main__":
    main()
