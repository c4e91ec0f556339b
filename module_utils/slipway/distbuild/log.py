# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logs of one distributed build: ``build-step-<name>.log`` for each step, as Morph wrote them.

They are appended to, so a build that is joined again goes on in the same files. The output is written as
the bytes that the build wrote: a piece can end within a character, and nothing here has to decode it.
``distbuild.log`` beside them tells the course of the whole build.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

MAX_OPEN = 64
TAIL_BYTES = 2000
MAX_NAME = 180


class BuildLog:
    """The files of one build, in ``directory``, which is made when the first line is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.summary = directory / "distbuild.log"
        self._open: dict[str, IO[bytes]] = {}
        self._tails: dict[str, bytearray] = {}

    def note(self, text: str) -> None:
        """A dated line about the build as a whole."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.summary, "ab", buffering=0) as stream:
            stream.write(_format_dated(text))

    def path(self, step: str) -> Path:
        """The file of a step; a name that a file cannot have is encoded."""
        name = quote(step, safe="+ ,=@:")
        if len(name) > MAX_NAME:
            name = f"{name[:MAX_NAME]}-{hashlib.sha256(step.encode()).hexdigest()[:16]}"
        return self.directory / f"build-step-{name}.log"

    def write_status(self, step: str, text: str) -> None:
        """A dated line in a step's file."""
        self._open_stream(step).write(_format_dated(text))

    def write_output(self, step: str, data: bytes) -> None:
        """A piece of a step's output."""
        if data:
            self._open_stream(step).write(data)
            tail = self._tails.setdefault(step, bytearray())
            tail += data[-TAIL_BYTES:]
            del tail[: max(0, len(tail) - TAIL_BYTES)]

    def last_lines(self, step: str, count: int = 3) -> str:
        """The last lines of a step's output that are not blank, as one line."""
        tail = self._tails.get(step, b"").decode("utf-8", "replace")
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        return " / ".join(lines[-count:])

    def end(self, step: str, text: str, *, keep_tail: bool = False) -> None:
        """The step wrote its last; ``keep_tail`` keeps what :meth:`last_lines` says of it."""
        self.write_status(step, text)
        self._close(step)
        if not keep_tail:
            self._tails.pop(step, None)

    def mark_interrupted(self) -> None:
        """Note in the file of each unfinished step that the initiator cancelled it, as Morph did."""
        for step in [*self._open]:
            self.write_status(step, "Initiator cancelled")

    def close_all(self) -> None:
        """Nothing more is written."""
        for step in [*self._open]:
            self._close(step)
        self._tails.clear()

    def _close(self, step: str) -> None:
        if (stream := self._open.pop(step, None)) is not None:
            stream.close()

    def _open_stream(self, step: str) -> IO[bytes]:
        if step not in self._open:
            while len(self._open) >= MAX_OPEN:
                self._close(next(iter(self._open)))
            self.directory.mkdir(parents=True, exist_ok=True)
            self._open[step] = open(self.path(step), "ab", buffering=0)  # noqa: SIM115  # closed at the step's end
        return self._open[step]


def _format_dated(text: str) -> bytes:
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(text.split())}\n".encode("utf-8", "replace")
