# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which mirrors serve a release, which do not yet, and which serve something else than was released."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_directory, read_regular, write_atomic
from ..progress import Progress
from ..release.artifact import Artifact
from ..release.tombstone import format_moment
from ..trust.dsse import judge_envelope
from ..trust.latest import NAME, Latest, read_latest
from ..verify.reader import Reader, UnreadableError

SERVES, SLOW, LIES = "serves", "slow", "lies"
AT_ONCE = 8
MOST_LATEST = 1 << 20
ATTEMPT = "judge the mirror"


@dataclass(frozen=True)
class Expected:
    """What a mirror is to serve: the release, and the word of which one is current, if the site signs that.

    ``signers`` are the keys whose signatures that word has on the server itself.
    """

    label: str
    files: Sequence[Artifact]
    latest: Latest | None = None
    signers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """What came of a look at a mirror; ``reason`` is half a sentence, empty if it serves."""

    url: str
    state: str
    reason: str = ""
    serial: int | None = None


class _NotServedError(Exception):
    """What a mirror has is not what is expected."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


def expect_release(label: str, files: Sequence[Artifact], latest: bytes | None, *, gnupghome: Path) -> Expected:
    """What mirrors are to serve; ``latest`` is the server's own latest.json, which must be good itself."""
    if latest is None:
        return Expected(label, files)
    on = f"{NAME} of the server"
    envelope, said = read_latest(latest, attempt=ATTEMPT, on=on)
    judged = judge_envelope(envelope, gnupghome=gnupghome)
    signers = frozenset(each.fingerprint for each in judged if each.fault is None and each.fingerprint)
    if not signers:
        faults = "; ".join(str(each.fault) for each in judged)
        raise SlipwayError(
            "judge mirrors by",
            on,
            faults,
            do_next="Refresh it (playbooks/refresh.yml), and run the same command again.",
        )
    return Expected(label, files, said, signers)


def judge_mirror(
    url: str,
    expected: Expected,
    *,
    gnupghome: Path,
    seen: int | None = None,
    fetch_timeout: float = 3600.0,
    idle_timeout: float = 30.0,
    ca_path: str | None = None,
    now: float | None = None,
) -> Verdict:
    """Read all of the release from a mirror; ``seen`` is the serial that it had before."""
    serial: int | None = None
    try:
        reader = Reader(url, timeout=fetch_timeout, idle_timeout=idle_timeout, ca_path=ca_path)
        if expected.latest is not None:
            moment = time.time() if now is None else now
            serial = _judge_latest(
                reader, expected.latest, expected.signers, home=gnupghome, seen=seen, now=moment
            ).serial
        _judge_files(reader, expected)
    except UnreadableError as error:
        return Verdict(url, SLOW, f"it does not answer: {error.came_back}", serial)
    except _NotServedError as error:
        return Verdict(url, error.state, error.reason, serial)
    except SlipwayError as error:
        return Verdict(url, LIES, error.came_back, serial)
    return Verdict(url, SERVES, serial=serial)


def _judge_latest(
    reader: Reader, wanted: Latest, signers: frozenset[str], *, home: Path, seen: int | None, now: float
) -> Latest:
    body = reader.read(NAME, size=MOST_LATEST)
    if body is None:
        state = SLOW if seen is None else LIES
        raise _NotServedError(state, f"it has no {NAME}" + ("" if seen is None else ", which it had before"))
    try:
        envelope, said = read_latest(body.data, attempt=ATTEMPT, on=reader.address(NAME))
    except SlipwayError as error:
        raise _NotServedError(LIES, f"its {NAME} is none: {error.came_back}") from error
    judged = judge_envelope(envelope, gnupghome=home)
    if not any(each.fault is None and each.fingerprint in signers for each in judged):
        fault = next((each.fault for each in judged if each.fault is not None), "it is by a key that does not count")
        raise _NotServedError(LIES, f"the signature of its {NAME} is not good: {fault}")
    if said.project != wanted.project or said.product != wanted.product:
        raise _NotServedError(LIES, f"its {NAME} is of {said.project!r}, and not of {wanted.project!r}")
    if seen is not None and said.serial < seen:
        raise _NotServedError(
            LIES, f"it was rolled back: its {NAME} has the serial {said.serial}, and had {seen} before"
        )
    if said.serial < wanted.serial:
        raise _NotServedError(SLOW, f"its {NAME} has the serial {said.serial} still, and not {wanted.serial}")
    if said.serial == wanted.serial and not said.says_same(wanted):
        raise _NotServedError(LIES, f"its {NAME} says something else under the serial {said.serial}")
    if said.end < now:
        raise _NotServedError(SLOW, f"its {NAME} was to be believed until {said.believe_until} only")
    return said


def _judge_files(reader: Reader, expected: Expected) -> None:
    for file in expected.files:
        path = f"{expected.label}/{file.name}"
        found = reader.hash(path, size=file.size)
        if found is None:
            raise _NotServedError(SLOW, f"it does not have {path}")
        if found.sha256 == file.sha256:
            continue
        if file.size is not None and found.size < file.size:
            raise _NotServedError(SLOW, f"it has {found.size} of the {file.size} bytes of {path}")
        raise _NotServedError(LIES, f"it serves other bytes: {path} has not the digest {file.sha256}")


@dataclass
class Quorum:
    """The last verdict on each mirror, and whether enough of them serve the release."""

    verdicts: list[Verdict] = field(default_factory=list)
    needed: int = 0

    def select(self, *states: str) -> list[Verdict]:
        """Those with one of these verdicts."""
        return [each for each in self.verdicts if each.state in states]

    @property
    def reached(self) -> bool:
        """Whether there are enough."""
        return len(self.select(SERVES)) >= self.needed

    def describe(self) -> str:
        """How many there are of how many that are needed."""
        return f"{len(self.select(SERVES))} of {len(self.verdicts)} mirrors serve it, and {self.needed} must"


def wait_for_quorum(
    urls: Sequence[str],
    judge: Callable[[str], Verdict],
    *,
    needed: int,
    timeout: float,
    interval: float = 5.0,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Quorum:
    """Look until enough mirrors serve the release, no more of them can, or the time is over; each at least once.

    One that lies is not asked again, nor is one that serves all of it.
    """
    reporter = progress or Progress(None)
    reporter.total = needed
    ends = clock() + timeout
    found: dict[str, Verdict] = {}
    while True:
        waiting = [url for url in urls if url not in found or found[url].state == SLOW]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for verdict in pool.map(judge, waiting):
                found[verdict.url] = verdict
                _report(reporter, verdict)
        quorum = Quorum([found[url] for url in urls], needed)
        slow = quorum.select(SLOW)
        hopeless = len(quorum.select(SERVES)) + len(slow) < needed
        left = ends - clock()
        if quorum.reached or hopeless or left <= 0:
            return quorum
        reporter.report(f"{quorum.describe()}; waiting for {redacted(slow[0].url)}: {slow[0].reason}")
        sleep(min(interval, left))


def name_faults(verdicts: Sequence[Verdict], faults: Mapping[str, str]) -> list[Verdict]:
    """The verdicts, with why mirrors that are left out could not be pushed to."""
    return [
        replace(each, reason=f"{each.reason}; it could not be pushed to: {' '.join(faults[each.url].split())}")
        if each.state != SERVES and faults.get(each.url)
        else each
        for each in verdicts
    ]


def _report(progress: Progress, verdict: Verdict) -> None:
    if verdict.state == SERVES:
        progress.step(f"{redacted(verdict.url)} serves it")
    elif verdict.state == LIES:
        progress.report(f"{redacted(verdict.url)} is left out: {verdict.reason}")


@dataclass
class Memory:
    """What mirrors were seen to serve: by address ``serial``, and ``since`` when they do without a gap."""

    path: Path
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Memory:
        """Read the memory; nothing is there before the first look."""
        try:
            found = json.loads(read_regular(path))
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError) as error:
            raise SlipwayError(
                "read what mirrors served before from", str(path), str(error), do_next="Remove it and run again."
            ) from error
        usable = isinstance(found, dict) and all(isinstance(each, dict) for each in found.values())
        return cls(path, found if usable else {})

    def find_serial(self, url: str) -> int | None:
        """The highest serial that this mirror was seen with."""
        found = self.seen.get(url, {}).get("serial")
        return found if isinstance(found, int) else None

    def find_since(self, url: str) -> str | None:
        """Since when it serves what it is to."""
        found = self.seen.get(url, {}).get("since")
        return found if isinstance(found, str) else None

    def note(self, verdicts: Sequence[Verdict], *, now: float) -> Mapping[str, dict[str, Any]]:
        """Take in what was seen now, and forget mirrors that nobody asks for any more."""
        seen: dict[str, dict[str, Any]] = {}
        for each in verdicts:
            serials = [serial for serial in (each.serial, self.find_serial(each.url)) if serial is not None]
            since = (self.find_since(each.url) or format_moment(now)) if each.state == SERVES else None
            seen[each.url] = {"serial": max(serials, default=None), "since": since}
        self.seen = seen
        return seen

    def save(self) -> None:
        """Keep it for the next look."""
        make_directory(self.path.parent)
        text = json.dumps(self.seen, sort_keys=True, indent=1) + "\n"
        if not self.path.exists() or self.path.read_text(encoding="utf-8") != text:
            write_atomic(self.path, os.fsencode(text))
