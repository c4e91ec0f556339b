# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs of strangers within limits: they end in time, leave room on the disk and in the log, and no other behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, name_refusals
from ..files import open_log
from ..process import UMASK, make_environment

#: Seconds that a program has to clean up when it is ended.
GRACE = 20.0
#: Seconds between looks at the limits.
LOOK = 1.0
PIECE = 1 << 16
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Limits:
    """What a program may use: seconds in all and without a word in the log, bytes of the log, and the bytes that must
    stay free on the disk.
    """

    seconds: float = 4 * 3600.0
    silent_seconds: float = 3600.0
    log_bytes: int = 64 << 20
    free_bytes: int = 1 << 30

    def are_numbers(self) -> bool:
        """Whether all of them can be compared with what is used."""
        numbers = (self.seconds, self.silent_seconds, self.log_bytes, self.free_bytes)
        return all(type(one) in (int, float) and one >= 0 for one in numbers)


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status, or the limit that ended it; ``stopped`` if nobody waits for it any more."""

    status: int = 0
    limit: str = ""
    stopped: bool = False


def adopt_orphans() -> None:
    """Become the parent of all that is started from here on and loses its own, so that nothing gets lost."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise SlipwayError("keep programs together", "this process", os.strerror(number), do_next="Use Linux.")


def run_limited(
    argv: Sequence[str],
    *,
    log: Path,
    limits: Limits,
    stop: threading.Event,
    directory: Path,
    env: Mapping[str, str] | None = None,
    tell: Callable[[int], None] = lambda _size: None,
    clock: Callable[[], float] = time.monotonic,
) -> Ended:
    """Run a program whose output is appended to ``log``; ``tell`` hears how long that is, about once a second.

    ``directory`` is where it works, and on the disk of which there must be room.
    """
    with name_refusals("run", argv[0], do_next="Install it and run again."):
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=make_environment(env),
            umask=UMASK,
            start_new_session=True,
        )
    ended = Ended()
    try:
        ended = _watch(process, log, limits, stop, directory, tell, clock)
    finally:
        end_session(process)
    return ended if ended.limit or ended.stopped else Ended(process.returncode)


def _watch(
    process: subprocess.Popen[bytes],
    log: Path,
    limits: Limits,
    stop: threading.Event,
    directory: Path,
    tell: Callable[[int], None],
    clock: Callable[[], float],
) -> Ended:
    """Write the log until the program has ended, or a limit is met."""
    if process.stdout is None:
        raise AssertionError("its output is a pipe")
    begin = heard = looked = clock()
    with open(open_log(log), "ab", buffering=0) as sink:
        size = os.fstat(sink.fileno()).st_size
        while True:
            readable, _writable, _other = select.select([process.stdout], [], [], LOOK)
            piece = os.read(process.stdout.fileno(), PIECE) if readable else None
            now = clock()
            if piece:
                heard = now
                sink.write(piece[: max(0, limits.log_bytes - size)])
                size += len(piece)
            elif piece == b"" or process.poll() is not None:
                process.wait()
                return Ended()
            if now - looked >= LOOK or size > limits.log_bytes:
                looked = now
                tell(min(size, limits.log_bytes))
                if stop.is_set():
                    return Ended(stopped=True)
                if limit := _find_limit(limits, size, now - begin, now - heard, directory):
                    sink.write(f"\nEnded here: {limit}.\n".encode())
                    return Ended(limit=limit)


def _find_limit(limits: Limits, size: int, seconds: float, silent: float, directory: Path) -> str:
    if size > limits.log_bytes:
        return f"its log has more than {limits.log_bytes} bytes"
    if seconds > limits.seconds:
        return f"it was not done after {limits.seconds:.0f} s"
    if silent > limits.silent_seconds:
        return f"it said nothing for {limits.silent_seconds:.0f} s"
    free = find_free(directory)
    if free < limits.free_bytes:
        return f"{free} bytes are free on the disk, and {limits.free_bytes} must stay free"
    return ""


def find_free(directory: Path) -> int:
    """The bytes that an account may still use on the disk of a directory."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a program, which may clean up, and all that it left behind."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def end_orphans() -> None:
    """Kill and collect every descendant of this process. It must be one that :func:`adopt_orphans`."""
    while children := list(_list_children(os.getpid())):
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _list_children(parent: int) -> Iterator[int]:
    for task in Path(f"/proc/{parent}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield from map(int, (task / "children").read_text().split())
