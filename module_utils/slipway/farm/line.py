# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A line to a build host, on which one job is sent and its result comes back."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from ..binary import service
from ..binary.job import Job, Result
from ..binary.service import COMMAND
from ..binary.wire import list_files, receive_files, receive_message, send_message
from ..process import SSH_OPTIONS, UMASK, make_environment, summarise_output
from .schedule import Host

#: Seconds of silence after which a host is lost. It speaks about every five.
SILENCE = 90.0
#: How this machine does the same for itself.
OWN_COMMAND = (
    f"import sys; sys.path[:0] = sys.argv[1:]; from {service.__name__} import serve_here; sys.exit(serve_here())"
)
#: What is kept of what ssh complains of.
COMPLAINT = 1 << 16


#: What ssh says when it is not let in, or does not let itself in: nothing that another attempt changes.
REFUSED = re.compile(r"Permission denied|Host key verification failed|HOST IDENTIFICATION HAS CHANGED|this account")


class LostError(Exception):
    """The host did not answer to the end."""


@dataclass(frozen=True)
class Limit:
    """The bytes that may come back, and the seconds of silence."""

    bytes: int = 8 << 30
    silence: float = SILENCE


@dataclass(frozen=True)
class Watch:
    """How a job is watched: ``tell`` hears where it is, and with ``stop`` it is left right away."""

    tell: Callable[[dict[str, Any]], None]
    stop: threading.Event
    limit: Limit = field(default_factory=Limit)


#: Has a job done with these files; what was made is in the directory then. :class:`LostError` if there is no result.
Line = Callable[[Host, Job, Sequence[Path], Path, Watch], Result]


def make_command(host: Host) -> list[str]:
    """The words that start a worker there."""
    if not host.destination:
        # Where this collection is: what loads collections for Ansible itself does not look at sys.path.
        place = Path(service.__file__).parents[service.__name__.count(".")]
        return [sys.executable, "-c", OWN_COMMAND, str(place), *sys.path]
    words = [word for option in (*SSH_OPTIONS, "ControlPath=none", *host.options) for word in ("-o", option)]
    return ["ssh", "-T", *words, "--", host.destination, COMMAND]


def ask_host(host: Host, *, timeout: float) -> dict[str, Any]:
    """What a host has and allows, which changes nothing there; :class:`LostError` if it does not tell."""
    try:
        asked = subprocess.run(
            make_command(host),
            input=b'{"ping": 1}\n',
            capture_output=True,
            env=make_environment(),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LostError(f"it said nothing for {timeout:.0f} s") from None
    except OSError as error:
        raise LostError(f"ssh did not start: {error}") from error
    try:
        told = json.loads(asked.stdout)["host"]
    except (ValueError, TypeError, KeyError):
        said = summarise_output(asked.stderr.decode("utf-8", "replace"))
        raise LostError(said or f"it answered nothing, with status {asked.returncode}") from None
    if not isinstance(told, dict):
        raise LostError("it answered something else")
    return told


def find_host_faults(host: Host, told: Mapping[str, Any], platforms: Iterable[str]) -> list[str]:
    """Why a host cannot do what it is there for, by what it told."""
    chroots, runs = dict(told.get("chroots") or {}), dict(told.get("runs") or {})
    faults = [f"it has no {name}" for name in told.get("lacks") or ()]
    for platform in platforms:
        for architecture in sorted(set(host.chroots.values())):
            name = f"{platform}-{architecture}"
            if name not in chroots:
                faults.append(f"it has no chroot {name}")
            elif chroots[name] != architecture:
                faults.append(f"its chroot {name} is a system for {chroots[name] or 'nothing that is known'}")
            elif not runs.get(architecture, True):
                faults.append(f"it runs no programs for {architecture}")
    return list(dict.fromkeys(faults))


def do_job(host: Host, job: Job, source: Sequence[Path], target: Path, watch: Watch) -> Result:
    """Have a host do a job with these files; what it made is in the directory ``target`` then.

    :class:`LostError` says that there is no result, whatever became of the job there.
    """
    try:
        process = subprocess.Popen(
            make_command(host),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=make_environment(),
            umask=UMASK,
            start_new_session=True,
        )
    except OSError as error:
        raise LostError(f"ssh did not start: {error}") from error
    complaint = bytearray()
    guard = _Guard(process, watch)
    helpers = [
        threading.Thread(target=_read_complaint, args=(cast("IO[bytes]", process.stderr), complaint), daemon=True),
        threading.Thread(target=guard.watch, daemon=True),
    ]
    for helper in helpers:
        helper.start()
    try:
        try:
            send_message(cast("IO[bytes]", process.stdin), {"job": job.as_dict(), "files": list_files(source)}, source)
            return _hear(cast("IO[bytes]", process.stdout), target, watch, guard)
        except (ValueError, EOFError, OSError) as fault:
            guard.end()
            process.wait()
            helpers[0].join(timeout=5)
            said = summarise_output(complaint.decode("utf-8", "replace"))
            why = guard.why or (str(fault) if isinstance(fault, ValueError) else "") or said or "the line was cut"
            raise LostError(f"{host.name} gave no result: {why}") from fault
    finally:
        guard.end()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _hear(stream: IO[bytes], target: Path, watch: Watch, guard: _Guard) -> Result:
    while True:
        message = receive_message(stream)
        if message is None:
            raise EOFError
        guard.heard()
        if "result" in message:
            result = Result.from_dict(message["result"] if isinstance(message["result"], dict) else {})
            receive_files(_Heard(stream, guard), message.get("files"), target, most=watch.limit.bytes)
            return result
        watch.tell(message)


class _Heard:
    """A stream of which each piece is a sign of life."""

    def __init__(self, stream: IO[bytes], guard: _Guard) -> None:
        self._stream, self._guard = stream, guard

    def read(self, size: int, /) -> bytes:
        """A piece."""
        piece = self._stream.read(size)
        self._guard.heard()
        return piece


class _Guard:
    """Ends a line that is silent for too long, or that nobody needs any more."""

    def __init__(self, process: subprocess.Popen[bytes], watch: Watch) -> None:
        self.why = ""
        self._process, self._silence, self._stop = process, watch.limit.silence, watch.stop
        self._sign, self._over = threading.Event(), threading.Event()

    def heard(self) -> None:
        """A sign of life."""
        self._sign.set()

    def watch(self) -> None:
        """Look once a second."""
        silent = 0.0
        while not self._over.wait(1.0) and self._process.poll() is None:
            silent = 0.0 if self._sign.is_set() else silent + 1.0
            self._sign.clear()
            if silent >= self._silence:
                self.why = f"it was silent for {self._silence:.0f} s"
            elif self._stop.is_set():
                self.why = "the run ends"
            if self.why:
                self.end()
                return

    def end(self) -> None:
        """Cut the line: the worker behind it sees that, or is told so on this machine, and cleans up."""
        self._over.set()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30.0)
            except subprocess.TimeoutExpired:
                self._process.kill()


def _read_complaint(stream: IO[bytes], complaint: bytearray) -> None:
    with stream:
        while piece := stream.read1(4096) if hasattr(stream, "read1") else stream.read(4096):
            complaint += piece
            del complaint[:-COMPLAINT]
