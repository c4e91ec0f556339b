# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows on the terminal what a long module says while it runs."""

from __future__ import annotations

import contextvars
import os
import shlex
import signal
import threading
import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ..module_utils.slipway.display.live import make_heading, make_line
from .in_process import InProcess

display = Display()


class ActionModule(InProcess):
    """Run the module of the task's own name and show the lines it appends to its ``progress`` file."""

    #: Seconds between two looks at the progress file.
    INTERVAL = 1.0
    #: Seconds of silence after which a task that waits for others says that it goes on, and which tasks these are.
    SILENCE = 10.0
    WAITS = frozenset({"artifact_verify", "mirror_quorum", "release_attestation_info", "trove_promote"})
    #: A task that is not waited for (async) runs as any other; nobody follows it.
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; follow its progress file meanwhile, unless nothing will be done."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        progress = self._task.args.get("progress")
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        waits = self._task.action.rpartition(".")[2] in self.WAITS
        if not (progress or waits) or self._task.check_mode or wrap_async:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
            return result
        ended = threading.Event()
        follower = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._follow, str(progress or ""), self._measure(progress) if progress else 0, ended),
            kwargs={"host": _name_host(task_vars), "waits": waits},
        )
        follower.start()
        try:
            result.update(self._execute_module(task_vars=task_vars))
        finally:
            ended.set()
            follower.join()
        return result

    def _follow(self, path: str, offset: int, ended: threading.Event, *, host: str = "", waits: bool = False) -> None:
        shown_where, parent = False, os.getppid()
        last = False
        began = spoke = time.monotonic()
        while not last:
            last = ended.wait(self.INTERVAL)
            if os.getppid() != parent:
                self._end_with_ansible()
            now = time.monotonic()
            if waits and not last and now - spoke >= self.SILENCE:
                said = f"{self._task.get_name()}: waiting for {now - began:.0f} s"
                display.display(make_line(said, host=host, path=path), color="dark gray")
                spoke = now
            if not path:
                continue
            try:
                text = self._read_new(path, offset)
            except AnsibleError:
                return  # the host is lost, which the call of the module reports
            whole = text[: text.rfind("\n") + 1]
            offset += len(whole.encode())
            spoke = now if whole else spoke
            if whole and not shown_where:
                # Ansible names a task when it has a result.
                display.display(make_heading(self._task.get_name(), host=host, path=path), color="dark gray")
                shown_where = True
            for line in whole.splitlines():
                display.display(make_line(line, host=host, path=path))

    def _end_with_ansible(self) -> None:
        """End this worker and what it started, an ssh too, when ansible-playbook was ended without telling it."""
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGTERM)

    def _measure(self, path: str) -> int:
        return len(self._read_new(path, 0).encode())

    def _read_new(self, path: str, offset: int) -> str:
        file = shlex.quote(path)  # of a pipe, tail would wait for a writer
        command = f"test -f {file} && tail -c +{offset + 1} -- {file} 2>/dev/null || true"
        answer = self._low_level_execute_command(command, sudoable=False)
        return str(answer.get("stdout", ""))


def _name_host(task_vars: dict[str, Any] | None) -> str:
    """The host of the play, whoever the task is delegated to."""
    return str((task_vars or {}).get("inventory_hostname", ""))
