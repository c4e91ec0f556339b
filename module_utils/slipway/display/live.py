# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a step says while it runs, on its way from the worker that follows it to the terminal."""

from __future__ import annotations

from typing import Any

from ..escape import escape_terminal
from ..progress import Step, parse_line


class LiveLine(str):
    """A line for the terminal that also tells a display which knows of it what it is about.

    Any other display shows it as the text that it is. ``host`` is the host of the play, ``path`` the log that the
    line comes from, and ``step`` what it says, unless it only names the log.
    """

    __slots__ = ("host", "path", "step")

    host: str
    path: str
    step: Step | None

    def __new__(cls, text: str, host: str = "", path: str = "", step: Step | None = None) -> LiveLine:
        """Make the text, and what belongs to it."""
        made = super().__new__(cls, text)
        made.host, made.path, made.step = host, path, step
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers send it to the process that has the terminal."""
        return type(self), (str(self), self.host, self.path, self.step)


def make_line(line: str, *, host: str, path: str) -> LiveLine:
    """A line that was appended to the progress file ``path``."""
    return LiveLine(f"    {escape_terminal(line)}", host, path, parse_line(escape_terminal(line)))


def make_heading(task: str, *, host: str, path: str) -> LiveLine:
    """What says once whose lines follow, and where they are kept."""
    return LiveLine(f"    {task} (this is also in {path})", host, path)
