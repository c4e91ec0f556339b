# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where lines go: to a terminal, whose last line is redrawn, or to a log, where nothing is taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from .text import measure

#: Nobody waits longer than these seconds without a sign of life.
QUIET = 10.0
#: A log gets news of a stage that lasts at least after each QUIET, and at last after this many seconds.
RARELY = 60.0
#: So many dots are behind a line before there is another.
DOTS = 6
#: The width of what is no terminal.
LOG_WIDTH = 80
CLEAR = "\r\x1b[K"
UP = "\x1b[A"


class Stream(Protocol):
    """What is written to."""

    def write(self, text: str, /) -> object:
        """Write the text."""

    def flush(self) -> object:
        """Let everybody see it."""


class Screen:
    """The line that says what happens now, below all that was said before.

    On a terminal it is redrawn by every :meth:`tick`. In a log there is a line when there are news and nothing was
    written for a while; as long as there are none, it gets dots.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        redraws: bool,
        width: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._redraws = redraws
        self._measure_width = width
        self._clock = clock
        self._drawn = 0
        self._open = False
        self._dots = 0
        self._news = ""
        self._said_at = self._wrote_at = clock()

    @property
    def width(self) -> int:
        """The columns that a line may take now."""
        return max(20, self._measure_width())

    @property
    def width_now(self) -> int:
        """The columns that the line may take that says what happens now."""
        return self.width if self._redraws else self.width - DOTS

    @property
    def redraws(self) -> bool:
        """Whether this is a terminal that takes lines back."""
        return self._redraws

    def tick(self, line: str, news: str, *, began: float) -> None:
        """Show ``line``, of the stage that began at that time; ``news`` is what distinguishes it from lines before."""
        if self._redraws:
            self.make_room()
            self._write(line)
            self._drawn = measure(line)
            return
        now = self._clock()
        if now - self._wrote_at < QUIET:
            return
        is_news = news != self._news and now - self._said_at >= min(RARELY, max(QUIET, (now - began) / 3))
        if self._open and self._dots < DOTS and not is_news:
            self._write(".")
            self._dots += 1
        else:
            self.make_room()
            self._write(line)
            self._open, self._dots, self._news, self._said_at = True, 0, news, now
        self._wrote_at = now

    def make_room(self) -> None:
        """Take back the line that is redrawn, or end the one with dots, before something else is written."""
        if self._drawn:
            # A terminal that became narrower has wrapped it.
            rows = -(-self._drawn // self.width)
            self._drawn = 0
            self._write(CLEAR + (UP + CLEAR) * (rows - 1))
        if self._open:
            self._open = False
            self._write("\n")

    def note(self) -> None:
        """Remember that something was written, so that the next sign of life is due later."""
        self._wrote_at = self._clock()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def can_redraw(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether lines can be taken back there."""
    return is_terminal and environment.get("TERM", "dumb") not in ("", "dumb", "unknown")


def choose_width(columns: int | None, environment: Mapping[str, str]) -> int:
    """The columns of a terminal, whose last one stays free, or of a log."""
    if columns:
        return columns - 1
    named = environment.get("COLUMNS", "")
    return int(named) if named.isdigit() and int(named) > 0 else LOG_WIDTH
