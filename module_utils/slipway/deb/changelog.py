# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The changelog of a source package: its newest entry is read, and another put before it; the rest keeps its bytes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

from .version import find_version_fault

#: As dpkg reads them.
_HEADING = re.compile(rb"(\w[-+0-9a-z.]*) \(([^() \t]+)\)((?:\s+[-+0-9a-z.~]+)+);(.*)", re.IGNORECASE)
_TRAILER = re.compile(rb" -- ?(.*) <(.*)>  ?((?:\w+,\s*)?\d{1,2}\s+\w+\s+\d{4}\s+\d{1,2}:\d\d:\d\d\s+[-+]\d{4}).*")


@dataclass(frozen=True)
class Entry:
    """An entry of a changelog; ``moment`` is its date in seconds since the epoch."""

    source: str
    version: str
    distribution: str
    maintainer: str
    moment: int
    changes: tuple[str, ...] = ()
    urgency: str = "medium"

    def format(self) -> bytes:
        """The entry as it is written, without the empty line that separates it from the next."""
        changes = "".join(f"  * {change}\n" for change in self.changes)
        return (
            f"{self.source} ({self.version}) {self.distribution}; urgency={self.urgency}\n\n{changes}\n"
            f" -- {self.maintainer}  {format_date(self.moment)}\n"
        ).encode("utf-8", "surrogateescape")


def format_date(moment: int) -> str:
    """A date as changelogs have it, in English whatever the locale is."""
    parts = time.gmtime(moment)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[parts.tm_wday]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    month = months[parts.tm_mon - 1]
    return f"{day}, {parts.tm_mday:02d} {month} {parts.tm_year:04d} {time.strftime('%H:%M:%S', parts)} +0000"


def parse_newest(text: bytes) -> Entry:
    """The newest entry of a changelog, without its changes; ``ValueError`` with the fault."""
    lines = text.split(b"\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    heading = _HEADING.fullmatch(lines[first].rstrip()) if first < len(lines) else None
    if heading is None:
        raise ValueError("its debian/changelog does not begin with an entry")
    for line in lines[first + 1 :]:
        if _HEADING.fullmatch(line.rstrip()):
            break
        if trailer := _TRAILER.fullmatch(line.rstrip()):
            return _make_entry(heading, trailer)
        if line.startswith(b" --"):
            break
    raise ValueError("the newest entry of its debian/changelog is not ended by a line with a maintainer and a date")


def _make_entry(heading: re.Match[bytes], trailer: re.Match[bytes]) -> Entry:
    source, version, distribution = (_decode(heading[number]).strip() for number in (1, 2, 3))
    fault = find_version_fault(version)
    if fault:
        raise ValueError(f"the version '{version}' in its debian/changelog {fault}")
    parts = parsedate_tz(_decode(trailer[3]))
    if parts is None:
        raise ValueError(f"'{_decode(trailer[3])}' in its debian/changelog is not a date")
    urgency = re.search(r"urgency=([a-z]+)", _decode(heading[4]), re.IGNORECASE)
    return Entry(
        source,
        version,
        distribution,
        f"{_decode(trailer[1])} <{_decode(trailer[2])}>",
        mktime_tz(parts),
        urgency=urgency[1].lower() if urgency else "medium",
    )


def prepend_entry(text: bytes, entry: Entry) -> bytes:
    """A changelog with a new entry before the others."""
    return entry.format() + b"\n" + text.lstrip(b"\n")


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
