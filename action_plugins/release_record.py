# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps records and makes them known to the stages that follow in the same run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..module_utils.slipway.release.records import find_drift
from .in_process import InProcess

__all__ = ["ActionModule"]

FACTS = ("release_plan", "release_records", "release_stage_started")


class ActionModule(InProcess):
    """Run the module for the plan's release, merge its records into the fact, and note when the next stage begins."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the time at which the stage began; if the records stand already, there is no need to."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        # On other hosts than the coordinator the facts are variables of the play that lead to the coordinator's.
        known = {name: self._templar.template((task_vars or {}).get(name)) for name in FACTS}
        earlier = known["release_records"] or {}
        arguments = {
            **_read_plan(known["release_plan"]),
            "started": known["release_stage_started"] or None,
            **self._task.args,
        }
        standing = _find_standing(earlier, arguments)
        if standing is not None:
            result.update(changed=False, records=standing)
        else:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if not result.get("failed"):
            result["ansible_facts"] = {
                "release_records": {**earlier, **result["records"]},
                "release_stage_started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
        return result


def _read_plan(plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """Which release the records are of, and where they are."""
    if plan is None:
        return {}
    return {
        "directory": plan["directories"]["records"],
        "project": plan["project"],
        "version": plan["version"],
        "outdated": (plan.get("move") or {}).get("outdated", []),
    }


def _find_standing(earlier: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The records of ``earlier``, which this run read, if they say all that is to be said; else ``None``."""
    named = {name: str(arguments.get(name)) for name in ("project", "version")}
    standing = {}
    for part in arguments.get("records") or []:
        before = earlier.get(part.get("stage"))
        if before is None or find_drift(before, {"inputs": {}, "outputs": {}, **part, **named}):
            return None
        standing[part["stage"]] = before
    return standing or None
