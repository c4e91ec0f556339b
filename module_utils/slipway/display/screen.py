# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where lines go: to a terminal, whose last line is redrawn, or to a log, where nothing is taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from .text import format_seconds, measure

#: Nobody waits longer than these seconds without a sign of life.
QUIET = 10.0
#: A log gets news of a stage that lasts at least after each QUIET, and at last after this many seconds.
RARELY = 60.0
#: Dots in a line of them.
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
    written for a while; a stage that has none gets a dot instead.
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
        self._dots = 0
        self._news = ""
        self._said_at = self._wrote_at = clock()

    @property
    def width(self) -> int:
        """The columns that a line may take now."""
        return max(20, self._measure_width())

    @property
    def redraws(self) -> bool:
        """Whether this is a terminal that takes lines back."""
        return self._redraws

    def tick(self, label: str, line: str, news: str, *, began: float) -> None:
        """Show ``line`` of the stage that began at that time; ``label`` is its name for a log without news."""
        if self._redraws:
            self._draw(line)
            return
        now = self._clock()
        if now - self._wrote_at < QUIET:
            return
        if news and news != self._news and now - self._said_at >= min(RARELY, max(QUIET, (now - began) / 5)):
            self.make_room()
            self._news, self._said_at, self._wrote_at = news, now, now
            self._write(f"{line}\n")
            return
        self._wrote_at = now
        self._dots += 1
        begin = f"{label} " if self._dots == 1 else ""
        if self._dots == DOTS:
            self._dots = 0
            self._write(f"{begin}. {format_seconds(now - began)}\n")
        else:
            self._write(f"{begin}.")

    def make_room(self) -> None:
        """Take back the line that is redrawn, or end one of dots, before something else is written."""
        if self._drawn:
            # A terminal that became narrower has wrapped it.
            rows = -(-self._drawn // self.width)
            self._drawn = 0
            self._write(CLEAR + (UP + CLEAR) * (rows - 1))
        if self._dots:
            self._dots = 0
            self._write("\n")

    def note(self) -> None:
        """Remember that something was written, so that the next sign of life is due later."""
        self._wrote_at = self._clock()

    def _draw(self, line: str) -> None:
        self.make_room()
        self._write(line)
        self._drawn = measure(line)

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
