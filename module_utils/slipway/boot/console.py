# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The serial console of a computer under qemu: what it says, within bounds, and what is typed on it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from ..errors import SlipwayError
from ..escape import escape_terminal
from ..files import replace_file
from ..process import UMASK, make_environment

READ_BYTES = 1 << 16
#: What a log keeps of the beginning, and of the end.
LOG_BYTES = 256 << 10
#: What is searched: no report and no answer is longer.
KEPT_TEXT = 256 << 10
#: More than that no system says that boots.
MOST_BYTES = 2 << 20
#: Seconds in which more may come, so that a line is not read letter by letter.
GATHER = 0.02
#: What moves cursors and sets colours, as firmware and shells write it.
ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+][0-9A-Za-z]|[=>78cDEHMNOZ])")
#: The beginning of such a sequence, or of the end of a line, which the next bytes decide.
UNDECIDED = re.compile(rb"(?:\x1b[^\x1b\n]{0,64}|\r)\Z")


class ConsoleEndedError(Exception):
    """The computer is not there any more; ``status`` is qemu's, ``words`` what it said of that."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        self.words = words
        super().__init__(words)


class ConsoleFloodedError(Exception):
    """The computer has printed more than :data:`MOST_BYTES`."""


class Log:
    """The text of a console for people: its beginning and its end, each of at most ``limit`` bytes."""

    def __init__(self, limit: int = LOG_BYTES) -> None:
        self._limit = limit
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def write(self, text: str) -> None:
        """Add to the end."""
        data = text.encode("utf-8", "replace")
        room = self._limit - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        more = max(0, len(self._tail) - self._limit)
        if more > self._limit:  # not with every piece, since each moves what is kept
            del self._tail[:more]
            self._left_out += more

    def read(self) -> bytes:
        """What is kept, with a line in place of what is not."""
        more = max(0, len(self._tail) - self._limit)
        left_out = self._left_out + more
        gap = f"\n[... {left_out} bytes are left out here ...]\n".encode() if left_out else b""
        return bytes(self._head) + gap + bytes(self._tail[more:])

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as stream:
            stream.write(self.read())


class Console:
    """A running computer: ``text`` is the end of what it said, lines without control characters."""

    def __init__(self, process: subprocess.Popen[bytes], log: Log, stderr: IO[bytes], on_line: Callable[[str], None]):
        self.text = ""
        self._process = process
        self._log = log
        self._stderr = stderr
        self._on_line = on_line
        self._undecided = b""
        self._count = 0

    def wait_for(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str] | None:
        """The first match in what it says from now on and said since the last one; ``None`` after so many seconds."""
        deadline = time.monotonic() + seconds
        while (found := pattern.search(self.text)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._read(min(left, 1.0))
        self.text = self.text[found.end() :]
        return found

    def wait_for_end(self, seconds: float) -> bool:
        """Whether the computer goes off within so many seconds."""
        try:
            return self.wait_for(re.compile(r"(?!)"), seconds) is not None
        except ConsoleEndedError as ended:
            if ended.status:
                raise
            return True

    def send(self, text: str) -> None:
        """Type on it."""
        if self._process.stdin is None:
            raise AssertionError("process.stdin is always set here")
        with contextlib.suppress(BrokenPipeError):  # what it ended by is told where its output is read
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()

    def _read(self, seconds: float) -> None:
        if self._process.stdout is None:
            raise AssertionError("process.stdout is always set here")
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], seconds)[0]:
            return
        time.sleep(GATHER)
        raw = os.read(descriptor, READ_BYTES)
        if not raw:
            self._take(self._undecided)
            raise ConsoleEndedError(self._process.wait(), self._read_stderr())
        self._count += len(raw)
        data = self._undecided + raw
        held = UNDECIDED.search(data)
        cut = len(data) if held is None else held.start()
        self._undecided = data[cut:]
        self._take(data[:cut])
        if self._count > MOST_BYTES:
            raise ConsoleFloodedError

    def _take(self, data: bytes) -> None:
        plain = ANSI.sub(b"", data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
        text = escape_terminal(plain.decode("utf-8", "replace"))
        self._log.write(text)
        self.text = (self.text + text)[-KEPT_TEXT:]
        if said := [line for line in text.split("\n") if line.strip()]:
            self._on_line(said[-1].strip()[:200])

    def _read_stderr(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read(1 << 16).decode("utf-8", "replace").split("\n")
        return " / ".join(line.strip() for line in lines if line.strip())[:1000]


@contextlib.contextmanager
def open_console(
    command: Sequence[str], *, log: Log, on: str, on_line: Callable[[str], None] = lambda _line: None
) -> Iterator[Console]:
    """Start a computer, which ends with the block."""
    with tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=make_environment(),
                umask=UMASK,
                start_new_session=True,
            )
        except OSError as error:
            raise SlipwayError(
                "start",
                on,
                f"{command[0]} did not start: {error}",
                do_next="Install it (Debian's packages bubblewrap and qemu-system), and run the same command again.",
            ) from error
        try:
            yield Console(process, log, stderr, on_line)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it started ends with it
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if pipe is not None:
                        pipe.close()
