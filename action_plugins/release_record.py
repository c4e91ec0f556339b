# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps records and makes them known to the stages that follow in the same run."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

__all__ = ["ActionModule"]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Run the module, merge its records into the fact, and note when the next stage begins."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the time at which the stage began."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        arguments = {"started": known.get("release_stage_started"), **self._task.args}
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if not result.get("failed"):
            # On build hosts the fact is a variable of the play that points to the coordinator's.
            earlier = self._templar.template(known.get("release_records")) or {}
            result["ansible_facts"] = {
                "release_records": {**earlier, **result["records"]},
                "release_stage_started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
        return result
