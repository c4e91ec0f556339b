# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs modules that are for this very machine within the process of the task.

Ansible packs a module with all that it imports, and starts a Python that unpacks and compiles it. Here all of that is
there already: a task takes a tenth of the time.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ..module_utils.slipway.module.inprocess import run_in_process
from ..module_utils.slipway.module.report import read_parts

__all__ = ["ActionModule", "InProcess"]

#: Seconds in which a module must have ended what it began.
PATIENCE = 10
MODULES = f"{__name__.rpartition('.action.')[0]}.modules"


class InProcess(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """Executes the module of the task in this process where that comes to the same, and elsewhere as Ansible does."""

    def _execute_module(
        self,
        module_name: str | None = None,
        module_args: Mapping[str, Any] | None = None,
        task_vars: dict[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        result = None
        if module_name is None and not any(more.values()) and self._is_same_process(task_vars or {}):
            result = self._run_here(self._task.args if module_args is None else module_args)
        if result is None:
            result = super()._execute_module(
                module_name=module_name, module_args=module_args, task_vars=task_vars, **more
            )
        return dict(result)

    def _run_here(self, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        module = importlib.import_module(f"{MODULES}.{self._task.action.rpartition('.')[2]}")
        if not hasattr(module, "run_module"):  # it has more to say to Ansible than a result
            return None
        parts = read_parts(module.main)
        with _interruptible():
            return run_in_process(parts, arguments, write=not self._task.check_mode)

    def _is_same_process(self, task_vars: dict[str, Any]) -> bool:
        """Whether the module would run here, by the same Python, as the same user and with the same environment."""
        if self._connection.transport != "local" or self._connection.become is not None or self._task.async_val:
            return False
        if any(self._task.environment or ()):
            return False
        delegate = self._task.delegate_to
        of_host = (task_vars.get("ansible_delegated_vars") or {}).get(delegate, {}) if delegate else task_vars
        interpreter = constants.config.get_config_value("INTERPRETER_PYTHON", variables=of_host)
        return os.path.normpath(str(self._templar.template(interpreter))) == os.path.normpath(sys.executable)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let a module end what it began when Ansible is told to end, as its program would; then this process ends.

    Ansible's own process of a task ends at once, and the programs that a module started would go on. Ansible tells it
    twice, one right after the other.
    """
    told: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        told.append(number)
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends this process, whatever it waits for
        signal.alarm(PATIENCE)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in told:
            os.kill(os.getpid(), number)


class ActionModule(InProcess):
    """Run the module of the task's own name."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run it, in the background if the task says so."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        return result
