# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The progress of a long step: lines in a file that the terminal follows."""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import name_refusals
from .escape import redacted_text
from .files import open_log

#: Where root keeps what only root may write to, and any other account the same below its home.
ROOTS_LOGS = Path("/var/log/slipway")
OWN_LOGS = Path(".local/state/slipway")
#: Seconds between lines on one step that takes long.
SELDOM = 2.0

_LINE = re.compile(r"\d\d:\d\d:\d\d (\d+)/(\d+) (.*?)(?: \[(\d+)/(\d+) bytes\])?")


@dataclass(frozen=True)
class Step:
    """What one line says: steps that are done of how many, and bytes where they are known."""

    done: int
    total: int
    text: str
    done_bytes: int = 0
    total_bytes: int = 0


def parse_line(line: str) -> Step | None:
    """Read one line of a :class:`Progress`; ``None`` if it is none."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    return Step(int(found[1]), int(found[2]), found[3], int(found[4] or 0), int(found[5] or 0))


def find_log_directory() -> Path:
    """Where this account keeps logs that belong to no release: nobody else can put anything there in advance."""
    return ROOTS_LOGS if os.geteuid() == 0 else Path.home() / OWN_LOGS


class Progress:
    """Numbered lines appended to ``path``; without a path it is silent.

    ``total`` is how many steps there are; :meth:`step` counts one as done, :meth:`report` only writes a line.
    Where ``total_bytes`` is set, lines say how many of these are done. Safe to use from several threads.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, total: int = 0) -> None:
        self.total = total
        self.done = 0
        self.total_bytes = 0
        self.done_bytes = 0
        self._lock = threading.Lock()
        self._written = time.monotonic()
        self._path = None if path is None else Path(path)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)

    def step(self, text: str, *, size: int | None = None) -> None:
        """Count one step as done, and its bytes, and write a line."""
        with self._lock:
            self.done += 1
            self.done_bytes += size or 0
            self._write(text)

    def report(self, text: str) -> None:
        """Write a line without counting a step."""
        with self._lock:
            self._write(text)

    def meter(self, text: str, size: int) -> None:
        """Write a line, if the last one is :data:`SELDOM` seconds old, when so many bytes of the next step are done."""
        with self._lock:
            if time.monotonic() - self._written >= SELDOM:
                self._write(text, more_bytes=size)

    def _write(self, text: str, *, more_bytes: int = 0) -> None:
        self._written = time.monotonic()
        if self._path is None:
            return
        line = redacted_text(" ".join(text.split()))
        if self.total_bytes:
            line += f" [{min(self.done_bytes + more_bytes, self.total_bytes)}/{self.total_bytes} bytes]"
        with (
            name_refusals("write the progress to", str(self._path), do_next="Remove what is there and run again."),
            open(open_log(self._path), "a", encoding="utf-8") as stream,
        ):
            stream.write(f"{time.strftime('%H:%M:%S')} {self.done}/{self.total} {line}\n")
