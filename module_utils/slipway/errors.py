# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception of Slipway's logic: it says what failed, where, and what to do."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .escape import escape_message


class SlipwayError(Exception):
    """A failure that a release engineer can act on.

    ``attempted`` and ``on`` complete the words "Could not ...", ``came_back`` is what was seen instead,
    ``do_next`` is a whole sentence. ``log`` is the path of the full output, ``findings`` a list of
    single faults when several were found at once. What is no text that a terminal may show is escaped, and secrets in
    addresses are left out.
    """

    def __init__(
        self,
        attempted: str,
        on: str,
        came_back: str,
        *,
        do_next: str,
        log: str | None = None,
        findings: Sequence[str] = (),
    ) -> None:
        self.attempted = escape_message(attempted)
        self.on = escape_message(on)
        self.came_back = escape_message(came_back)
        self.do_next = escape_message(do_next)
        self.log = log
        self.findings = [escape_message(finding) for finding in findings]
        super().__init__(str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors come back from other processes as they were."""
        make = functools.partial(type(self), do_next=self.do_next, log=self.log, findings=self.findings)
        return make, (self.attempted, self.on, self.came_back)

    def __str__(self) -> str:
        subject = f"Could not {self.attempted} {self.on}".rstrip()
        sentence = f"{subject}: {self.came_back.strip().rstrip('.')}. {self.do_next}"
        if self.findings != [self.came_back]:
            sentence += "".join(f"\n  - {finding}" for finding in self.findings)
        if self.log:
            sentence += f" The log is {self.log}."
        return sentence


def refuse(
    attempted: str,
    on: str,
    findings: Sequence[str],
    *,
    do_next: str,
    summary: str = "",
    several: str = "problems",
    log: str | None = None,
) -> None:
    """Fail if there are findings: ``summary`` is the message, else the only one, or their number and ``several``."""
    if findings:
        came_back = summary or (findings[0] if len(findings) == 1 else f"{len(findings)} {several}")
        raise SlipwayError(attempted, on, came_back, do_next=do_next, log=log, findings=findings)


def require_fields(
    entries: Sequence[Mapping[str, Any]], fields: Sequence[str], *, attempted: str, on: str, do_next: str
) -> None:
    """Fail, before anything is done with them, if an entry of a list lacks what will be read of it."""
    refuse(
        attempted,
        on,
        [
            f"number {number} ({entry.get('name') or entry.get('element') or 'without a name'}) has no {field}"
            for number, entry in enumerate(entries, 1)
            for field in fields
            if not isinstance(entry.get(field), str) or not entry[field]
        ],
        do_next=do_next,
        several="values are missing",
    )


@contextlib.contextmanager
def name_refusals(
    attempted: str,
    on: str,
    *,
    do_next: str = "Fix it and run again.",
    refusals: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[None]:
    """Tell what was attempted when the operating system, or what else is among ``refusals``, refuses inside."""
    try:
        yield
    except refusals as error:
        raise SlipwayError(attempted, on, str(error), do_next=do_next) from error


def count_of(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
