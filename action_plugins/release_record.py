# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps records and makes them known to the stages that follow in the same run."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.slipway.release.records import drift

__all__ = ["ActionModule"]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Run the module, merge its records into the fact, and note when the next stage begins."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the time at which the stage began; if the records stand already, there is no need to."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        # On build hosts the fact is a variable of the play that points to the coordinator's.
        earlier = self._templar.template(known.get("release_records")) or {}
        standing = self._standing(earlier)
        if standing is not None:
            result.update(changed=False, records=standing)
        else:
            arguments = {"started": known.get("release_stage_started"), **self._task.args}
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if not result.get("failed"):
            result["ansible_facts"] = {
                "release_records": {**earlier, **result["records"]},
                "release_stage_started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
        return result

    def _standing(self, earlier: dict[str, Any]) -> dict[str, Any] | None:
        """The records of ``earlier``, which this run read, if they say all that is to be said; else ``None``."""
        named = {name: str(self._task.args.get(name)) for name in ("project", "version")}
        standing = {}
        for part in self._task.args.get("records") or []:
            before = earlier.get(part.get("stage"))
            if before is None or drift(before, {"inputs": {}, "outputs": {}, **part, **named}):
                return None
            standing[part["stage"]] = before
        return standing or None
