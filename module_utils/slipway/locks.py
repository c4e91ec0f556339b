# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks that end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .wait import wait_for


@contextlib.contextmanager
def hold_flock(path: str | os.PathLike[str], *, attempt: str, on: str, timeout: float) -> Iterator[None]:
    """Hold an exclusive ``flock`` on ``path``, a file (made if absent) or a directory, waiting ``timeout`` seconds.

    The kernel drops the lock when the process ends, however it ends.
    """
    with _hold_lock(path, fcntl.flock, attempt=attempt, on=on, timeout=timeout):
        yield


@contextlib.contextmanager
def hold_posix_lock(path: str | os.PathLike[str], *, attempt: str, on: str, timeout: float) -> Iterator[None]:
    """Like :func:`hold_flock` with a POSIX record lock, which grokmirror uses; the two kinds do not see each other."""
    with _hold_lock(path, fcntl.lockf, attempt=attempt, on=on, timeout=timeout):
        yield


@contextlib.contextmanager
def _hold_lock(
    path: str | os.PathLike[str], lock: Callable[[int, int], object], *, attempt: str, on: str, timeout: float
) -> Iterator[None]:
    if Path(path).is_dir():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        wait_for(
            lambda: "free" if _try_lock(descriptor, lock) else f"held by another process ({path})",
            lambda state: state == "free",
            attempt=attempt,
            on=on,
            timeout=timeout,
            interval=0.2,
            do_next=f"Check who holds it with `fuser {path}`, wait for its end and run again.",
        )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, lock: Callable[[int, int], object]) -> bool:
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
