# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release is current, by what was signed, until when that is to be believed, and by which clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlipwayError, count_of
from ..release.artifact import SHA256
from ..release.names import VERSION, check_project
from ..trust.moments import format_moment, parse_moment
from ..trust.strictjson import load_object
from .finding import Report

LATEST = "latest.json"
DAY = 86400.0
#: How far clocks may differ; a signature was made a moment before it is published.
LEEWAY = 3600.0
ASK = "Look at another mirror, and at when this one was updated; tell the project if all are like that."


@dataclass(frozen=True)
class Latest:
    """What ``latest.json`` says. Times are seconds since the epoch."""

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


def read_latest(payload: bytes, *, on: str) -> Latest:
    """Read what was signed; what is not of the form is refused in one sentence."""
    attempt, do_next = "read what is current in", "Tell the project."
    said = load_object(payload, attempt=attempt, on=on, do_next=do_next)
    try:
        return _read(said)
    except (ValueError, SlipwayError) as error:
        came_back = error.came_back if isinstance(error, SlipwayError) else str(error)
        raise SlipwayError(attempt, on, came_back, do_next=do_next) from None


def _read(said: Mapping[str, Any]) -> Latest:
    if said.get("format") != 1:
        raise ValueError(f"its format is {str(said.get('format'))[:50]!r}, not 1")
    project, version, serial = check_project(said.get("project")), said.get("version"), said.get("serial")
    if not isinstance(version, str) or not VERSION.match(version):
        raise ValueError(f"{str(version)[:80]!r} is no version")
    if said.get("label") != f"{project}-{version}":
        raise ValueError(f"its label is {str(said.get('label'))[:80]!r}, and not {project}-{version}")
    if not isinstance(serial, int) or isinstance(serial, bool) or serial < 0:
        raise ValueError(f"its serial is {str(serial)[:50]!r}, and no number")
    withdrawn, attestations, product = (said.get(name) for name in ("withdrawn", "attestations", "product"))
    return Latest(
        project,
        version,
        serial,
        parse_moment(said.get("date")),
        parse_moment(said.get("believe_until")),
        product=product if isinstance(product, str) else None,
        sums=_read_digest(said, "sums"),
        statements=_read_digest(said, "statements"),
        withdrawn=frozenset(str(each) for each in withdrawn) if isinstance(withdrawn, list) else frozenset(),
        attestations=attestations if isinstance(attestations, dict) else {},
    )


def _read_digest(said: Mapping[str, Any], name: str) -> str | None:
    found = said.get(name)
    if found is None:
        return None
    digest = found.get("sha256") if isinstance(found, dict) else None
    if not isinstance(digest, str) or not SHA256.match(digest):
        raise ValueError(f"its {name} have no digest")
    return digest


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
