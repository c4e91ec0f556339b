# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cancels builds when the process that requested them dies.

A controller goes on with a build whose initiator is gone. A process that is ended with SIGKILL (Ansible does
that at the time limit of an async task) cannot cancel anything, so a child in a session of its own waits
for its parent's end and does it instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator

from ..errors import SlipwayError
from .control import insist_cancel
from .protocol import Handle

TIMEOUT = 30.0
#: How long a controller may be away before its build is left to it.
AWAY = 600.0


class Guard:
    """Tells the child which builds are to be cancelled if this process dies."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._watched: dict[str, str] = {}
        self._left: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether there is a build that the child has to cancel when this process ends."""
        return bool(self._left)

    def watch(self, owner: str, handle: Handle | None) -> None:
        """``owner``'s build is ``handle`` now; ``None`` when there is nothing (more) to cancel."""
        line = json.dumps({"owner": owner, "handle": handle.as_dict() if handle else None})
        if self._watched.get(owner) != line:
            self._watched[owner] = line
            (self._left.discard if handle is None else self._left.add)(owner)
            with contextlib.suppress(OSError):
                os.write(self._pipe, line.encode() + b"\n")


@contextlib.contextmanager
def guard_builds() -> Iterator[Guard]:
    """A :class:`Guard` for the time of the block; builds that are watched at its end are cancelled after it."""
    reading, writing = os.pipe()
    waiting, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _keep_watch(reading)
        finally:
            os._exit(0)
    os.close(reading)
    os.close(ready)
    os.read(waiting, 1)  # ends when the child has closed it: before, it would be killed with this process's group
    os.close(waiting)
    guard = Guard(writing)
    try:
        yield guard
    finally:
        os.close(writing)
        if not guard.busy:  # else it has work to do, and its end is not waited for
            os.waitpid(child, 0)


def _keep_watch(reading: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _close_all_except(reading)
    watched: dict[str, Handle] = {}
    with open(reading, encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            watched.pop(message["owner"], None)
            if message["handle"] is not None:
                watched[message["owner"]] = Handle.from_dict(message["handle"])
    threads = [threading.Thread(target=_cancel, args=(handle,)) for handle in watched.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _cancel(handle: Handle) -> None:
    with contextlib.suppress(SlipwayError):
        insist_cancel(handle, away=AWAY, timeout=TIMEOUT)


def _close_all_except(reading: int) -> None:
    """Close inherited descriptors, so that readers of our output do not wait for this process."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.closerange(3, reading)
    os.closerange(reading + 1, os.sysconf("SC_OPEN_MAX"))
