# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict of a reproduction: a signed text that says whether a release that was made again came out the same."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SlipwayError
from ..escape import escape_line
from ..openpgp.keyring import provide_keyring
from .dsse import judge_envelope, read_envelope
from .signers import Quorum
from .strictjson import dump_line, load_object

TYPE = "application/vnd.slipway.reproduction+json"
FORMAT = 1
#: By how much clocks may differ.
AHEAD = 3600
AGAIN = "Make it again with playbooks/reproduce.yml, on a host whose key is known here, and run again."
_DATE = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Reproduced:
    """What was made again of which release; ``sums`` is the digest of the published ``SHA256SUMS``.

    ``clean`` is whether everything was built anew, with nothing out of a cache of before.
    """

    project: str
    version: str
    label: str
    commit: str
    sums: str
    same: bool
    clean: bool
    differs: Sequence[str] = ()

    def format(self, *, now: float) -> bytes:
        """The text that is signed."""
        members = {name: getattr(self, name) for name in ("project", "version", "label", "commit", "sums", "same")}
        date = time.strftime(_DATE, time.gmtime(now))
        said: dict[str, Any] = {**members, "clean": self.clean, "differs": [*self.differs], "date": date}
        return dump_line({"format": FORMAT, **said})


def require_reproduction(
    data: bytes, *, on: str, quorum: Quorum, wanted: Mapping[str, str], now: float
) -> dict[str, Any]:
    """The verdict, if a signer says that exactly the release ``wanted`` came out the same from a clean cache.

    ``wanted`` are ``project``, ``version``, ``label``, ``commit`` and ``sums``. A verdict of another release, one of
    bytes that are not the published ones, and one by nobody who is known here are refused.
    """
    attempt = "accept the verdict of a reproduction in"
    envelope = read_envelope(data, payload_type=TYPE, attempt=attempt, on=on, do_next=AGAIN)
    with provide_keyring({each.name: each.certificate for each in quorum.attestors}) as home:
        judged = judge_envelope(envelope, gnupghome=home)
    good = [each.fingerprint for each in judged if each.fault is None]
    by = next((found.name for fingerprint in good if (found := quorum.find(fingerprint))), None)
    if by is None:
        faults = "; ".join(each.fault or f"it is by {each.fingerprint}" for each in judged)
        raise SlipwayError(attempt, on, f"no signer who is known here signed it: {faults}", do_next=AGAIN)
    said = load_object(envelope.payload, attempt=attempt, on=on, do_next=AGAIN)
    if fault := _find_fault(said, wanted, now):
        raise SlipwayError(attempt, on, fault, do_next=AGAIN)
    return {"by": by, "date": said["date"], "commit": said["commit"], "sums": said["sums"], "clean": True}


def _find_fault(said: Mapping[str, Any], wanted: Mapping[str, str], now: float) -> str | None:
    if said.get("format") != FORMAT:
        return f"it is of the format {escape_line(str(said.get('format')))[:40]}, and {FORMAT} is read here"
    for name, value in wanted.items():
        if said.get(name) != value:
            shown = escape_line(str(said.get(name)))[:100]
            which = "other bytes than are published" if name == "sums" else "another release"
            return f"it is of {which}: {name} is {shown}, and should be {value}"
    date = said.get("date")
    try:
        made = calendar.timegm(time.strptime(str(date), _DATE)) if isinstance(date, str) else None
    except ValueError:
        made = None
    if made is None or not re.fullmatch(r"[0-9TZ:-]{20}", str(date)):
        return "it has no date"
    if made > now + AHEAD:
        return f"it says that it was made at {date}, which is not yet"
    if said.get("same") is not True:
        differs = said.get("differs")
        names = ", ".join(escape_line(str(each)) for each in differs[:5]) if isinstance(differs, list) else ""
        return f"what was made again is not the same: {names or 'it does not say what differs'}"
    return None if said.get("clean") is True else "it was not made from a clean cache, so that it proves nothing"
