# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``mirrors.json``: the signed list of mirrors that serve what is current, and of those left out, with the reason."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SlipwayError
from ..escape import redacted
from ..release.tombstone import format_moment, parse_moment
from ..trust.dsse import MIRRORS, judge_envelope, read_envelope, sign_envelope
from ..trust.strictjson import dump_line, load_object
from .quorum import SERVES, Verdict

FORMAT = 1
NAME = "mirrors.json"
DAY = 86400
ATTEMPT = "read the list of mirrors"
DATED = ("date", "believe_until")


def make_listing(
    project: str, label: str, verdicts: Sequence[Verdict], since: Mapping[str, str | None], *, now: float, days: float
) -> dict[str, Any]:
    """What is to be signed."""
    return {
        "format": FORMAT,
        "project": project,
        "date": format_moment(now),
        "believe_until": format_moment(now + days * DAY),
        "label": label,
        "mirrors": [
            {"url": redacted(each.url), "since": since.get(each.url) or format_moment(now)}
            for each in verdicts
            if each.state == SERVES
        ],
        "left_out": [{"url": redacted(each.url), "reason": each.reason} for each in verdicts if each.state != SERVES],
    }


def renew_listing(
    listing: Mapping[str, Any],
    present: bytes,
    *,
    gnupghome: str | os.PathLike[str],
    fingerprint: str,
    now: float,
) -> bytes:
    """The signed list; what is public already, if that says the same and is to be believed for long enough yet."""
    if present and (said := _read_good(present, gnupghome)) is not None:
        fresh = parse_moment(str(said["believe_until"])) - now
        whole = parse_moment(str(listing["believe_until"])) - now
        same = {**said, **dict.fromkeys(DATED)} == {**listing, **dict.fromkeys(DATED)}
        if same and fresh > whole / 2:
            return present
    return sign_envelope(dump_line(dict(listing)), MIRRORS, gnupghome=gnupghome, fingerprint=fingerprint)


def _read_good(present: bytes, gnupghome: str | os.PathLike[str]) -> dict[str, Any] | None:
    try:
        said, judged = read_listing(present, gnupghome=gnupghome)
    except SlipwayError:
        return None
    return said if judged else None


def read_listing(data: bytes, *, gnupghome: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """What such a list says, and the keys whose signatures on it are good."""
    do_next = "Fetch it again; if it stays like this, tell the project's release team."
    envelope = read_envelope(data, payload_type=MIRRORS, attempt=ATTEMPT, on=NAME, do_next=do_next)
    said = load_object(envelope.payload, attempt=ATTEMPT, on=NAME, do_next=do_next)
    try:
        if said["format"] != FORMAT:
            raise ValueError(f"its format is {said['format']!r}")
        parse_moment(str(said["believe_until"]))
        listed = [*(each["url"] for each in said["mirrors"]), *(each["url"] for each in said["left_out"])]
        if not all(isinstance(each, str) for each in listed):
            raise ValueError("an address in it is no text")
    except (ValueError, KeyError, TypeError) as error:
        raise SlipwayError(ATTEMPT, NAME, f"it is no such list: {error}", do_next=do_next) from None
    judged = judge_envelope(envelope, gnupghome=gnupghome)
    return said, [each.fingerprint for each in judged if each.fault is None and each.fingerprint is not None]
