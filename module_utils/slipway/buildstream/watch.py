# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out while bst runs that it will not end by itself."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .log import Log

#: Seconds that bst may take to end after it has reported how its session ended: it gives its cache server 15.
ENDING = 60.0
#: Seconds without a word after which a full disk counts as what it waits for.
SILENCE = 300.0
#: The share of the disk that BuildStream's cache server leaves free. Below it, it looks over and over for what it may
#: remove, and when all else on the disk belongs to others it never answers.
RESERVED = 0.05
#: Where less is left, not even a log can be written.
NOTHING = 1 << 20
STATUS = {"SUCCESS": 0}
FAILED = 255


@dataclass(frozen=True)
class Verdict:
    """Why bst is ended; ``status`` is what it would have ended with, where it has said so."""

    reason: str
    do_next: str
    status: int | None = None


class Watch:
    """Passes on what one bst says, and judges from it and from the cache's disk whether it goes on for nothing."""

    def __init__(self, log: Log, cache: Path, on_line: Callable[[str], None]) -> None:
        self._log = log
        self._cache = cache
        self._on_line = on_line
        self._spoke = time.monotonic()

    def read(self, line: str) -> None:
        """Take the next line of the output."""
        self._spoke = time.monotonic()
        self._on_line(line)

    def judge(self) -> Verdict | None:
        """Whether bst is to be ended, and why."""
        silent = time.monotonic() - self._spoke
        if self._log.outcome and silent >= ENDING:
            reason = f"bst reported {self._log.outcome} and had not ended {silent:.0f} s later"
            return Verdict(reason, "Run again.", STATUS.get(self._log.outcome, FAILED))
        return self._judge_room(silent) if silent >= SILENCE else None

    def _judge_room(self, silent: float) -> Verdict | None:
        try:
            disk = shutil.disk_usage(self._cache)
        except OSError:
            return None  # the cache is not there yet
        if disk.free > NOTHING and (self._log.is_busy or disk.free > RESERVED * disk.total):
            return None
        return Verdict(
            f"the disk of BuildStream's cache {self._cache} is full, {disk.free} of {disk.total} bytes are free, "
            f"and bst did nothing for {silent:.0f} s but wait for room",
            "Make room there, and run again.",
        )
