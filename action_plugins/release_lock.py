# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes the lock for the process that runs the playbook, which only the controller can name, and renews its lease."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import asdict
from typing import Any, NoReturn

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ..module_utils.slipway.release.lock import Held, Holder, format_renewal, read_held
from .in_process import InProcess

display = Display()

__all__ = ["ActionModule"]


class ActionModule(InProcess):
    """Pass the holder to the module; check from here whether another holder still runs."""

    INTERVAL = 2.0
    LEASE = 300.0
    #: How often the lease is renewed while it lasts: some renewals may fail.
    RENEWALS = 4

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take or drop the lock, waiting for another run as long as the task allows."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        lease = float(self._task.args.get("lease") or self.LEASE)
        # A task runs in a child of the ansible-playbook process.
        holder = Holder.of_process(str(self._task.args.get("what", "")), os.getppid(), lease=lease)
        deadline = time.monotonic() + float(self._task.args.get("timeout") or 0)
        over: Held | None = None
        reported = False
        while True:
            answer = self._ask(holder, over, task_vars)
            other = read_held(answer.get("held_by"))
            if answer.get("failed") or other is None:
                if answer.get("taken"):
                    self._start_renewing(str(answer["path"]), holder)
                return {**result, **answer, "waited": reported}
            if self._task.check_mode:
                return {**result, **answer, "waited": False, "msg": f"Would wait for or be refused by {other.holder}."}
            if other.is_over():
                over = other
                continue
            if time.monotonic() >= deadline:
                msg = f"Could not release {self._task.args.get('what')}: {other.explain()}"
                return {**result, **answer, "failed": True, "msg": msg}
            if not reported:
                display.display(f"    waiting for {other.holder}")
                reported = True
            time.sleep(self.INTERVAL)

    def _ask(self, holder: Holder, over: Held | None, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        arguments = {**self._task.args, "holder": asdict(holder), "over": asdict(over) if over else None}
        answer: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        return answer

    def _start_renewing(self, path: str, holder: Holder) -> None:
        """Leave a process behind that renews the lease, since the one of this task ends with it."""
        if os.fork() == 0:
            self._renew(path, holder)

    def _renew(self, path: str, holder: Holder) -> NoReturn:
        """Renew the lease until ``ansible-playbook`` ends, or the lock is not its own any more."""
        try:
            self._detach()
            pause, renewed = holder.lease / self.RENEWALS, time.monotonic()
            command = format_renewal(path, holder)
            lost = False
            while not lost and holder.is_still_here() is not False:
                time.sleep(min(1.0, pause))
                if time.monotonic() - renewed >= pause:
                    renewed = time.monotonic()
                    with contextlib.suppress(AnsibleError):  # the host may be there again the next time
                        lost = self._low_level_execute_command(command)["rc"] in (1, 2)
        finally:
            os._exit(0)  # never back into the code of the task

    def _detach(self) -> None:
        """Nothing of the terminal and of the task's own pipes is kept, nor what ends the task."""
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        display.verbosity = 0
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
