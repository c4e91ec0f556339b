# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release is current, by what was signed, until when that is to be believed, and by which clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import count_of
from ..release.names import check_project
from ..trust import latest
from ..trust.moments import format_moment, parse_moment
from .finding import Report

LATEST = latest.NAME
DAY = 86400.0
#: How far clocks may differ; a signature was made a moment before it is published.
LEEWAY = 3600.0
ASK = "Look at another mirror, and at when this one was updated; tell the project if all are like that."


@dataclass(frozen=True)
class Latest:
    """What ``latest.json`` says. Times are seconds since the epoch; ``version`` is empty if no release is current."""

    project: str
    version: str
    serial: int
    date: int
    believe_until: int
    product: str | None = None
    sums: str | None = None
    statements: str | None = None
    withdrawn: frozenset[str] = frozenset()
    attestations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The label of the release."""
        return f"{self.project}-{self.version}"


def convert_latest(said: latest.Latest) -> Latest:
    """What was signed, with times as numbers. Without a version no release is current any more."""
    pointer = said.pointer
    return Latest(
        check_project(said.project),
        pointer.version if pointer else "",
        said.serial,
        parse_moment(said.date),
        parse_moment(said.believe_until),
        product=said.product,
        sums=pointer.sums if pointer else None,
        statements=pointer.statements if pointer else None,
        withdrawn=frozenset(said.withdrawn),
        attestations=said.attestations or {},
    )


def choose_time(report: Report, *, own: float, skew: float | None, date: float, believe_until: float) -> float:
    """The time at which all is judged, and findings on clocks: this machine's, the server's, and the signers'.

    ``skew`` is how far the server's clock is ahead of this machine's; ``date`` and ``believe_until`` were signed.
    """
    server = None if skew is None else own + skew

    def fits(moment: float) -> bool:
        return date - LEEWAY <= moment <= believe_until

    if server is not None and abs(server - own) > DAY:
        told = f"{format_moment(own)} here, {format_moment(server)} at the server"
        if fits(own) == fits(server):
            whose = "Which of the two is wrong cannot be told from here."
        elif fits(own):
            whose = "What was signed lately fits the clock of this machine, so it is the server's that is wrong."
        else:
            whose = (
                f"What was signed on {format_moment(date)} fits the server's clock, so it is most likely this "
                f"machine's that is wrong, by {_say_days(own - server)}. It may also be that the server is behind, and "
                "says another time to hide that. Keys and dates were judged by the server's clock."
            )
        report.add(
            "clock",
            "the clocks of this machine and of the server",
            expected="the same time",
            seen=told,
            do_next="Set this machine's clock (timedatectl), and run again.",
            meaning=whose,
        )
        return own if fits(own) or not fits(server) else server
    if own < date - LEEWAY:
        report.add(
            "clock",
            "this machine's clock",
            expected=f"a time after {format_moment(date)}, when {LATEST} was signed",
            seen=f"{format_moment(own)}, {_say_days(date - own)} before that",
            do_next="Set this machine's clock (timedatectl), and run again.",
            meaning="Either this machine's clock is behind, or that of the signer was ahead. Keys and dates were "
            "judged by the signer's.",
        )
        return float(date)
    return own


def _say_days(seconds: float) -> str:
    days = round(abs(seconds) / DAY)
    return count_of(days, "day") if days else "less than a day"


def verify_freshness(report: Report, subject: str, *, at: float, believe_until: float, skew: float | None) -> None:
    """Whether what was signed is to be believed still."""
    if at <= believe_until:
        return
    late = _say_days(at - believe_until)
    if skew is None:
        meaning = "Either nothing newer came here, so that this place is frozen, or this machine's clock is ahead."
    else:
        meaning = (
            "The server's clock says the same as this machine's: either this mirror does not get or does not give what "
            "is new, or the project has not signed it again."
        )
    report.add(
        "frozen",
        subject,
        expected=f"something to be believed at {format_moment(at)}",
        seen=f"what was to be believed until {format_moment(believe_until)}, {late} ago",
        do_next=ASK,
        meaning=meaning,
    )


def verify_serial(report: Report, subject: str, serial: int, *, seen: int | None) -> None:
    """The serial only grows."""
    if seen is not None and serial < seen:
        report.add(
            "rollback",
            subject,
            expected=f"the serial {seen}, which was seen before, or a higher one",
            seen=f"the serial {serial}",
            do_next=ASK,
            meaning="Either this mirror is behind the one that was looked at before, or somebody gives what is old.",
        )
