# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes the lock for the process that runs the playbook, which only the controller can name."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.slipway.release.lock import Holder

display = Display()

__all__ = ["ActionModule"]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Pass the holder to the module; check from here whether another holder still runs."""

    INTERVAL = 2.0

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take or drop the lock, waiting for another run as long as the task allows."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        # A task runs in a child of the ansible-playbook process.
        holder = Holder.of_process(str(self._task.args.get("what", "")), os.getppid())
        deadline = time.monotonic() + float(self._task.args.get("timeout") or 0)
        ended: Holder | None = None
        reported = False
        while True:
            answer = self._ask(holder, ended, task_vars)
            if answer.get("failed") or "held_by" not in answer:
                return {**result, **answer, "waited": reported}
            other = Holder(**answer["held_by"])
            if self._task.check_mode:
                return {**result, **answer, "waited": False, "msg": f"Would wait for or be refused by {other}."}
            if other.is_dead():
                ended = other
                continue
            if time.monotonic() >= deadline:
                return {**result, **answer, "failed": True, "msg": self._describe_refusal(other)}
            if not reported:
                display.display(f"    waiting for {other}")
                reported = True
            time.sleep(self.INTERVAL)

    def _ask(self, holder: Holder, ended: Holder | None, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        arguments = {**self._task.args, "holder": asdict(holder), "ended": asdict(ended) if ended else None}
        answer: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return answer

    def _describe_refusal(self, other: Holder) -> str:
        return (
            f"Could not release {self._task.args.get('what')}: another release is running ({other}). "
            "Wait for its end and run again; if that machine is gone for good, remove "
            f"{self._task.args.get('path')} on the coordinator first."
        )
