# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of making debs once more: a verdict, signed and dated, and what a release may require of it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import make_directory, read_regular, write_atomic
from ..locks import hold_flock
from ..trust.dsse import AGAIN, judge_envelopes, read_envelopes, sign_envelope
from ..trust.moments import format_moment, parse_moment
from ..trust.strictjson import dump_line, load_object

TYPE = "application/vnd.slipway.deb-reproduction+json"
SAME, DIFFERENT, UNAVAILABLE = "same", "different", "unavailable"
#: How a deb was made once more.
BUILT, STAMPED = "built", "stamped"
REPRODUCED, ENDING = "reproduced", ".jsonl"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Seconds that a verdict may be from the future.
AHEAD = 300


@dataclass(frozen=True)
class DebVerdict:
    """What came of one deb. Digests are empty where there was no file; ``where`` says in what two differ."""

    name: str
    archive: str
    before: str
    now: str
    where: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether all that there is of it has the same bytes, and something came."""
        return bool(self.now) and {self.archive or self.now, self.before or self.now} == {self.now}

    def as_dict(self) -> dict[str, Any]:
        """As a verdict has it."""
        digests = {"archive_sha256": self.archive, "before_sha256": self.before, "now_sha256": self.now}
        return {"name": self.name, **digests, "same": self.is_same, "where": list(self.where)}


@dataclass(frozen=True)
class Verdict:
    """What came of making the debs of a build, or of a release, once more."""

    what: str
    platform: str
    source: str
    version: str
    verdict: str
    reason: str
    debs: tuple[DebVerdict, ...]
    host: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        names = ("what", "platform", "source", "version", "verdict", "reason", "host")
        return {
            **{name: getattr(self, name) for name in names},
            **dict(self.facts),
            "debs": [deb.as_dict() for deb in self.debs],
        }

    def tell(self) -> str:
        """In a sentence."""
        label = f"{self.source} {self.version} for {self.platform}"
        if self.verdict == SAME:
            return f"{label} is the same, bit for bit: {', '.join(deb.name for deb in self.debs)}."
        wrong = [f"{deb.name}: {'; '.join(deb.where) or 'other bytes'}" for deb in self.debs if not deb.is_same]
        said = [self.reason.rstrip(".")] if self.reason else []
        return f"{label} is {self.verdict}: {'. '.join([*said, *(wrong if self.verdict == DIFFERENT else [])])}."


def locate_verdicts(public: Path, platform: str, source: str, buildinfo: str) -> Path:
    """Where the verdicts on a build are, below what clients read of an archive."""
    return public / REPRODUCED / platform / source / f"{buildinfo.removesuffix('.buildinfo')}{ENDING}"


def locate_stamp_verdicts(published: Path, platform: str, label: str) -> Path:
    """Where the verdicts on a release are."""
    return published / REPRODUCED / platform / f"{label}{ENDING}"


def publish_verdict(
    path: Path, verdict: Verdict, *, gnupghome: str | os.PathLike[str], fingerprint: str, moment: float
) -> None:
    """Sign a verdict and add it to those at ``path``, which keep what they say."""
    said = {"format": 1, "signer": fingerprint, "date": format_moment(moment), **verdict.as_dict()}
    line = sign_envelope(dump_line(said), TYPE, gnupghome=gnupghome, fingerprint=fingerprint)
    make_directory(path.parent)
    with hold_flock(path.parent, attempt="record", on=str(path), timeout=60):
        before = read_regular(path) if path.exists() else b""
        write_atomic(path, before + line)


@dataclass(frozen=True)
class Recorded:
    """A verdict of somebody: what it says of debs by their digests."""

    date: int
    signer: str
    verdict: str
    reason: str
    debs: Mapping[str, Mapping[str, Any]]


def read_verdicts(
    paths: Iterable[Path], *, gnupghome: str | os.PathLike[str], signers: Collection[str] = ()
) -> tuple[list[Recorded], list[str]]:
    """The verdicts whose signature is good and of one of ``signers`` (any key of the home without), and the faults."""
    envelopes, places, faults = [], [], []
    for path in paths:
        try:
            found = read_envelopes(read_regular(path), payload_type=TYPE, attempt="read the verdicts in", on=str(path))
        except (SlipwayError, OSError) as error:
            faults.append(str(error) if isinstance(error, SlipwayError) else f"{path}: {error.strerror}")
            continue
        envelopes += found
        places += [path] * len(found)
    told = []
    judged = judge_envelopes(envelopes, gnupghome=gnupghome) if envelopes else []
    for envelope, judgements, path in zip(envelopes, judged, places, strict=True):
        good = [each for each in judgements if each.fault is None and (not signers or each.fingerprint in signers)]
        if not good:
            why = next((each.fault for each in judgements if each.fault), "none of those asked has signed it")
            faults.append(f"a verdict in {path} does not count: {why}")
            continue
        try:
            told.append(_read(envelope.payload, str(path), good[0].fingerprint))
        except ValueError as error:
            faults.append(f"a verdict in {path} does not count: {error}")
        except SlipwayError as error:
            faults.append(str(error))
    return told, faults


def _read(payload: bytes, on: str, signer: str) -> Recorded:
    said = load_object(payload, attempt="read a verdict in", on=on, do_next=AGAIN)
    if said.get("format") != 1 or said.get("verdict") not in (SAME, DIFFERENT, UNAVAILABLE):
        raise ValueError("it is of another format")
    rows = said.get("debs")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it names no debs")
    debs = {str(digest): row for row in rows if _DIGEST.fullmatch(str(digest := row.get("now_sha256")))}
    return Recorded(parse_moment(said.get("date")), signer, said["verdict"], str(said.get("reason", ""))[:500], debs)


def find_unreproduced(
    debs: Mapping[str, str], recorded: Iterable[Recorded], *, max_days: float, now: float
) -> list[str]:
    """Why each of these debs, by name and SHA-256, may not be released: nobody got its very bytes lately.

    A later verdict counts more than an earlier one about a file of the same name.
    """
    newest: dict[str, tuple[int, str, str]] = {}
    for one in sorted(recorded, key=lambda one: one.date):
        if one.date > now + AHEAD:
            continue
        for digest, row in one.debs.items():
            newest[str(row.get("name"))] = (one.date, SAME if row.get("same") is True else DIFFERENT, digest)
    faults = []
    for name, digest in sorted(debs.items()):
        date, verdict, seen = newest.get(name, (0, "", ""))
        if not verdict:
            faults.append(f"{name} was not made once more by anybody whose word counts")
        elif verdict != SAME:
            faults.append(f"{name} came out with other bytes on {format_moment(date)}")
        elif seen != digest:
            faults.append(
                f"{name} was reproduced as {seen[:12]} on {format_moment(date)}, and this one is {digest[:12]}"
            )
        elif now - date > max_days * 86400:
            faults.append(f"{name} was last reproduced on {format_moment(date)}, more than {max_days:g} days ago")
    return faults


def refuse_unreproduced(
    debs: Mapping[str, str],
    directories: Iterable[Path],
    *,
    gnupghome: str | os.PathLike[str],
    signers: Collection[str],
    max_days: float,
    now: float,
    on: str,
) -> int:
    """Refuse debs that nobody reproduced; the number of verdicts that were read."""
    paths = sorted({path for directory in directories for path in directory.rglob(f"*{ENDING}")})
    recorded, faults = read_verdicts(paths, gnupghome=gnupghome, signers=signers)
    missing = find_unreproduced(debs, recorded, max_days=max_days, now=now)
    refuse(
        "release",
        on,
        [*missing, *(faults if missing else [])],
        several="reasons why its debs do not count as reproduced",
        do_next="Run playbooks/debs_reproduce.yml, mend what differs, and run again.",
    )
    return len(recorded)
