# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run other programs: every program that Slipway starts is started here."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import SlipwayError

#: What is kept of a program's output in memory; the log keeps all of it.
TAIL_BYTES = 1 << 20
#: Seconds between asking a program to end and ending it.
GRACE = 10.0
#: What an operating system refuses: a program goes on to complain of what follows from it, often in many lines.
CAUSE = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Permission denied|Too many open files"
    r"|Cannot allocate memory|Input/output error",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Completed:
    """What a program left: its exit status and its decoded output; ``raw`` is the output's bytes."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    raw: bytes = b""


def make_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every program: ours, a fixed locale, and ``extra``."""
    return {**os.environ, "LC_ALL": "C.UTF-8", **(extra or {})}


def run(
    argv: Sequence[str],
    *,
    attempt: str,
    on: str = "",
    do_next: str = "Look at the message above and run the same command again.",
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 600.0,
    log: str | os.PathLike[str] | None = None,
    on_line: Callable[[str], None] | None = None,
    ok_codes: Sequence[int] = (0,),
) -> Completed:
    """Run ``argv`` without a shell and wait for it, at most ``timeout`` seconds.

    With ``log`` (appended to) or ``on_line``, standard output and error are one stream, written and
    passed on line by line while the program runs; ``stdout`` then holds the last megabyte of it.
    A missing program, another exit status than ``ok_codes`` and the end of the time raise
    :class:`SlipwayError`; on a time-out the program's whole process group is ended.
    """
    words = tuple(str(word) for word in argv)
    merged = log is not None or on_line is not None
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            cwd=cwd,
            env=make_environment(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        missing = words[0] if cwd is None or Path(cwd).is_dir() else f"the directory {cwd}"
        raise SlipwayError(
            attempt, on, f"{missing} was not found", do_next="Install it, or correct the path, and run again."
        ) from error
    except OSError as error:
        raise SlipwayError(attempt, on, f"{words[0]} did not start: {error}", do_next=do_next) from error
    where = None if log is None else os.fspath(log)
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill_group(process)

    timer = threading.Timer(timeout, expire)
    timer.start()
    try:
        if merged:
            out, err = _stream_output(process, stdin=stdin, log=where, on_line=on_line), b""
        else:
            out, err = process.communicate(stdin)
        code = process.wait()
    except BaseException:
        _kill_group(process)
        process.wait()
        raise
    finally:
        timer.cancel()
    done = Completed(words, code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), out)
    if expired.is_set() and code != 0:
        raise SlipwayError(attempt, on, f"{words[0]} was ended after {timeout:.0f} s", do_next=do_next, log=where)
    if code not in ok_codes:
        summary = summarise_output(done.stderr or done.stdout)
        how = f"{words[0]} ended with status {code}" if code >= 0 else f"{words[0]} was ended by signal {-code}"
        raise SlipwayError(attempt, on, f"{how}: {summary}" if summary else how, do_next=do_next, log=where)
    return done


def read_version(*command: str, env: Mapping[str, str] | None = None) -> str:
    """What a program says of its version, in its first line."""
    done = run(command, attempt="ask for the version of", on=command[0], env=env, timeout=60)
    return (done.stdout.strip() or done.stderr.strip()).split("\n", 1)[0]


def summarise_output(text: str, count: int = 3) -> str:
    """The last ``count`` lines of ``text`` that are not blank, and before them the first that names a cause, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = next((line for line in lines if CAUSE.search(line)), None)
    last = lines[-count:]
    return " / ".join([cause, *last] if cause is not None and cause not in last else last)


def _stream_output(
    process: subprocess.Popen[bytes], *, stdin: bytes | None, log: str | None, on_line: Callable[[str], None] | None
) -> bytes:
    feeder = None
    if stdin is not None and process.stdin is not None:
        feeder = threading.Thread(target=_feed_input, args=(process.stdin, stdin), daemon=True)
        feeder.start()
    tail = bytearray()
    with open(os.devnull if log is None else log, "ab", buffering=0) as sink:
        if process.stdout is None:
            raise AssertionError("process.stdout is always set here")
        for raw in process.stdout:
            sink.write(raw)
            tail += raw
            del tail[: max(0, len(tail) - TAIL_BYTES)]
            if on_line is not None:
                on_line(raw.decode("utf-8", "replace").rstrip("\n"))
    if feeder is not None:
        feeder.join(timeout=5)
    return bytes(tail)


def _feed_input(pipe: IO[bytes], data: bytes) -> None:
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        pass  # the program ended without reading all of it; its exit status tells the rest


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it started, which may outlive it and hold its output open."""
    deadline = time.monotonic() + GRACE
    with contextlib.suppress(ProcessLookupError):  # the group is gone
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
