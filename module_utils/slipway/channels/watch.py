# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at all channels and mirrors, reading only what changed, and says which differs, and since when.

Each call of :func:`watch_once` is one round. Nothing is changed anywhere but in the directory of the watch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_directory, read_regular
from ..locks import hold_flock
from ..trust.expiry import OVER, SOON, UNREADABLE, End, Visit, list_ends_of_releases, list_ends_of_suites
from ..trust.moments import format_moment
from ..verify.archive import ArchiveRequest, verify_archives
from ..verify.current import LATEST, Latest
from ..verify.files import Look
from ..verify.finding import Report
from ..verify.memory import FileMemory
from ..verify.reader import Reader
from ..verify.site import Request, Seen, verify_site
from ..verify.trusted import read_given
from .settings import ARCHIVE, Channel, Settings
from .status import BEHIND, Entry, Status

#: How many channels are looked at at once.
PARALLEL = 4


@dataclass
class Round:
    """What a look at one channel found."""

    channel: Channel
    report: Report = field(default_factory=Report)
    seen: Seen | None = None
    soon: list[str] = field(default_factory=list)
    late: int = 0
    whole: bool = False
    seconds: float = 0.0
    trouble: str = ""

    @property
    def latest(self) -> Latest | None:
        """What it says of what is current."""
        return self.seen.latest if self.seen is not None else None


def watch_once(
    settings: Settings, *, clock: Callable[[], float] = time.time, tell: Callable[[str], None]
) -> Mapping[str, Entry]:
    """Look once at all channels; the entries of the status, by channel. What is new is told, line by line."""
    make_directory(settings.work / "memory")
    with hold_flock(settings.work / "lock", attempt="watch with", on=str(settings.work), timeout=5):
        status = Status(settings.work, clock=clock, tell=tell)
        with ThreadPoolExecutor(PARALLEL) as pool:
            rounds = list(pool.map(lambda channel: _look(settings, channel, clock), settings.channels))
        _compare(rounds)
        for found in rounds:
            status.report(found.channel.name, _describe(found), found.report.findings)
        status.forget({channel.name for channel in settings.channels})
        status.write(settings.title)
        return status.channels


def _look(settings: Settings, channel: Channel, clock: Callable[[], float]) -> Round:
    found, begun = Round(channel), time.monotonic()
    try:
        _look_within(settings, channel, clock, found)
    except (SlipwayError, OSError) as error:
        found.trouble = str(error)
    found.seconds = time.monotonic() - begun
    return found


def _look_within(settings: Settings, channel: Channel, clock: Callable[[], float], found: Round) -> None:
    memory = FileMemory(
        settings.work / f"memory/{channel.name}.json",
        reread=settings.reread,
        share=min(1.0, settings.interval / settings.reread),
        clock=clock,
    )
    reader = Reader(
        channel.url,
        timeout=settings.timeout,
        idle_timeout=settings.idle_timeout,
        ca_path=channel.ca_path,
        clock=clock,
        within=settings.timeout,
    )
    with Look(reader, found.report, memory=memory) as look:
        try:
            given = read_given(channel.key)
            if channel.kind == ARCHIVE:
                archive = verify_archives(look, ArchiveRequest(given, channel.suites, memory.dates))
                dates = archive.dates
                memory.dates.update({suite: max(date, memory.dates.get(suite, date)) for suite, date in dates.items()})
                visit = _make_visit(settings, channel, look, archive.at)
                _tell_ends(found, list_ends_of_suites(visit, sorted(dates), keys=archive.keys))
            else:
                keys = [read_regular(Path(path)) for path in channel.signer_keys]
                found.seen = verify_site(look, Request(given, every=True, serials=memory.serials, signer_keys=keys))
                for project, serial in found.seen.serials().items():
                    memory.serials[project] = max(serial, memory.serials.get(project, serial))
                if found.seen.latest is not None:  # else it did not answer, or has nothing
                    _tell_ends(found, list_ends_of_releases(_make_visit(settings, channel, look, found.seen.at)))
            found.whole = look.late == 0
        finally:
            found.late = look.late
            memory.save(whole=found.whole)


def _make_visit(settings: Settings, channel: Channel, look: Look, at: float) -> Visit:
    timeout = settings.idle_timeout
    return Visit(look.reader.address("").rstrip("/"), at, settings.warn, timeout, channel.ca_path, look.read_again)


def _tell_ends(found: Round, ends: Sequence[End]) -> None:
    """What ends soon is told; what is over is a finding, unless what was verified tells it already."""
    told = {finding.subject for finding in found.report.findings}
    is_key_told = any(finding.kind == "key" for finding in found.report.findings)
    for end in ends:
        is_key = end.what.startswith("the key ")
        if end.state == SOON:
            found.soon.append(f"{end.what}: {end.fault}" if end.fault else f"{end.what} ends on {_format(end)}")
        elif end.state in (OVER, UNREADABLE) and not (is_key_told if is_key else end.what in told):
            found.report.add(
                "key" if is_key else "frozen",
                end.what,
                expected="something that has not ended",
                seen=end.fault or f"what ended on {_format(end)}",
                do_next="Renew it: sign again what is current, prolong the key, or get another certificate.",
            )


def _format(end: End) -> str:
    return format_moment(end.ends or 0)


def _compare(rounds: Sequence[Round]) -> None:
    """Those that give an older text than others, or another release under the same label."""
    newest: dict[str, tuple[str, Latest]] = {}
    digests: dict[str, tuple[str, str]] = {}
    for found in rounds:
        latest = found.latest
        if latest is not None and not any(finding.subject == LATEST for finding in found.report.findings):
            best = newest.setdefault(latest.project, (found.channel.name, latest))
            if latest.serial > best[1].serial:
                newest[latest.project] = found.channel.name, latest
    for found in rounds:
        if found.latest is not None and found.latest.project in newest:
            _compare_latest(found, found.latest, *newest[found.latest.project])
        for label, release in found.seen.releases.items() if found.seen is not None else ():
            if not release.sums_sha256 or _is_doubted(found.report, label):
                continue
            name, digest = digests.setdefault(label, (found.channel.name, release.sums_sha256))
            if release.sums_sha256 != digest:
                found.report.add(
                    "sums",
                    f"{label}/SHA256SUMS",
                    expected=f"sha256 {digest}, as {name} has it",
                    seen=release.sums_sha256,
                    do_next="Find out which of them is right, by the signatures.",
                )


def _is_doubted(report: Report, label: str) -> bool:
    """Whether its list of digests is wrong by itself: then it says nothing against another channel."""
    subjects = (f"{label}/SHA256SUMS", f"{label}/SHA256SUMS.asc")
    return any(finding.subject in subjects for finding in report.findings)


def _compare_latest(found: Round, latest: Latest, name: str, newest: Latest) -> None:
    if latest.serial < newest.serial:
        found.report.add(
            BEHIND,
            LATEST,
            expected=f"the serial {newest.serial} ({newest.version}), as {name} has it",
            seen=f"{latest.serial} ({latest.version}, of {format_moment(latest.date)})",
            do_next="Wait until it has caught up, or look why it does not.",
        )


def _describe(found: Round) -> Entry:
    """What the status has of a channel, besides its findings."""
    latest = found.latest
    return {
        "url": found.channel.url,
        "kind": found.channel.kind,
        "latest": None
        if latest is None
        else {
            "version": latest.version,
            "serial": latest.serial,
            "date": format_moment(latest.date),
            "believe_until": format_moment(latest.believe_until),
        },
        "counts": found.report.counts,
        "notes": found.report.notes,
        "soon": found.soon,
        "unread": found.late,
        "seconds": round(found.seconds, 1),
        "trouble": found.trouble,
    }
