# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which keys count for somebody who has one of them, or its fingerprint, from elsewhere."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import make_scratch, read_regular
from ..openpgp.command import FINGERPRINT, normalise_fingerprint
from ..openpgp.keyring import list_certificates, list_ends, list_fingerprints, provide_keyring
from ..openpgp.verifying import Judgement, judge_signature
from ..publish.packets import read_keys
from ..release.tombstone import parse_moment
from ..trust import keys
from ..trust.dsse import Envelope, judge_envelopes
from .finding import Report

#: A file of keys with a thousand user ids is smaller.
MOST_KEY_BYTES = 4 << 20
ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
NEW_KEY = "Ask the project, elsewhere than there, which key it signs with now."


@dataclass(frozen=True)
class Given:
    """The key that a reader has: its fingerprint, and the key itself if it is not only known by that."""

    fingerprint: str
    key: bytes | None = None


@dataclass
class Trusted:
    """The public keys at hand, in a GnuPG home, and which of them count: the given one, and those that it leads to.

    ``at`` is the time (seconds since the epoch) at which all is judged; ``spans`` are the times, by fingerprint, in
    which a key signs.
    """

    home: Path
    given: str
    at: float
    spans: dict[str, tuple[float, float | None]] = field(default_factory=dict)

    def describe(self) -> dict[str, object]:
        """All that a judgement depends on, besides what is judged."""
        ends = list_ends(self.home)
        return {
            "given": self.given,
            "ended": sorted(part for part, end in ends.items() if end is not None and end <= self.at),
            "keys": dict(sorted(ends.items())),
            "spans": {key: list(span) for key, span in sorted(self.spans.items())},
        }

    def list_keys(self) -> set[str]:
        """The fingerprints of all keys at hand, those of subkeys among them."""
        return list_fingerprints(self.home)

    def judge(self, data: bytes, signature: bytes) -> Judgement:
        """What a detached signature is worth."""
        with make_scratch("slipway-signed-") as scratch:
            text, detached = scratch / "data", scratch / "data.asc"
            text.write_bytes(data)
            detached.write_bytes(signature)
            return self._judge_file(text, detached)

    def judge_text(self, signed: bytes) -> Judgement:
        """What a text is worth that holds its signature, as an InRelease file does."""
        with make_scratch("slipway-signed-") as scratch:
            path = scratch / "signed"
            path.write_bytes(signed)
            return self._count(judge_signature(self.home, data=None, signature=path, at=self.at))

    def _judge_file(self, text: Path, detached: Path) -> Judgement:
        judged = judge_signature(self.home, data=text, signature=detached, at=self.at)
        if judged.fault is None or judged.made is None or judged.made > self.at:
            return self._count(judged)
        # A key that expired since is as good as it was, if the list of keys, which is signed by one of now, has it.
        then = judge_signature(self.home, data=text, signature=detached, at=judged.made)
        if then.fault is None and then.fingerprint in self.spans:
            return self._count(then)
        return judged

    def judge_envelopes(self, envelopes: Sequence[Envelope]) -> list[Judgement]:
        """What the best signature of each envelope is worth."""
        found = []
        for several in judge_envelopes(envelopes, gnupghome=self.home, at=self.at):
            judged = [self._count(each) for each in several]
            found.append(next((each for each in judged if each.fault is None), judged[0]))
        return found

    def _count(self, judged: Judgement) -> Judgement:
        fault = judged.fault or self._find_fault(judged)
        return Judgement(fault, judged.key, judged.fingerprint, judged.made)

    def _find_fault(self, judged: Judgement) -> str | None:
        span = self.spans.get(judged.fingerprint)
        if span is None:
            if judged.fingerprint == self.given:
                return None
            return f"it is by the key {judged.fingerprint}, which the key {self.given} does not lead to"
        made = judged.made or 0
        if made < span[0] or (span[1] is not None and made > span[1]):
            return f"it is by the key {judged.fingerprint}, which did not sign at that time, as keys.json says"
        return None


def read_given(key: str) -> Given:
    """The key that a reader gives: a fingerprint, one public key in ASCII armour, or the path of a file with it."""
    if FINGERPRINT.match("".join(key.split()).upper().removeprefix("0X")):
        return Given(normalise_fingerprint(key))
    attempt, do_next = "use the key", "Give a full fingerprint, or a file as `gpg --armor --export` writes it."
    try:
        data = f"{key.strip()}\n".encode() if ARMOUR in key else read_regular(Path(key))
    except OSError as error:
        came_back = f"it is no fingerprint, and no file that can be read: {error.strerror or error}"
        raise SlipwayError(attempt, repr(key), came_back, do_next=do_next) from error
    name = "that is given as text" if ARMOUR in key else key
    if len(data) > MOST_KEY_BYTES:
        raise SlipwayError(attempt, name, "it is larger than any file of keys", do_next=do_next)
    with provide_keyring({name: data}) as home:
        primary = _list_primary(home)
    if len(primary) != 1:
        came_back = f"it has {len(primary)} keys, and which of them is meant is not known"
        raise SlipwayError(attempt, name, came_back, do_next="Give the fingerprint, or a file with one key.")
    return Given(primary[0], data)


def _list_primary(home: Path) -> list[str]:
    """The primary keys of a home."""
    return sorted(list_certificates(home))


@contextlib.contextmanager
def trust_given(given: Given, published: bytes | None, *, at: float, report: Report, subject: str) -> Iterator[Trusted]:
    """The keys that a reader has and those that are ``published``, of which at first only the given one counts.

    What is published of the given key is taken in: by it one learns that it was prolonged or revoked.
    """
    there: dict[str, bytes] = {} if given.key is None else {"the given key": given.key}
    fetch = "Fetch it again, and compare the fingerprint with what you have from elsewhere."
    if published is None:
        report.add("missing", subject, expected="the public keys", seen="nothing", do_next=fetch)
    elif not are_keys(published):
        report.add("key", subject, expected="public keys", seen="something else", do_next=fetch)
    else:
        there[subject] = published
    if not there:
        with make_scratch("slipway-keyring-") as home:
            yield Trusted(home, given.fingerprint, at)
        return
    with provide_keyring(there) as home:
        known = _list_primary(home)
        if given.fingerprint not in known:
            named = f"{', '.join(known[:5])}{' and others' if len(known) > 5 else ''}"
            report.add("key", subject, expected=f"the key {given.fingerprint}", seen=named, do_next=NEW_KEY)
        elif published is not None and given.fingerprint not in _name_keys(published):
            named = ", ".join(sorted(_name_keys(published))) or "none"
            report.add("key", subject, expected=f"the given key {given.fingerprint}", seen=named, do_next=NEW_KEY)
        yield Trusted(home, given.fingerprint, at)


def are_keys(data: bytes) -> bool:
    """Whether these are public keys."""
    if not data or b"PRIVATE KEY" in data:
        return False
    try:
        with provide_keyring({"keys": data}):
            return True
    except SlipwayError:
        return False


def _name_keys(data: bytes) -> set[str]:
    return {key.fingerprint for key in read_keys(data.decode("utf-8", "replace"))}


def follow_keys(
    trusted: Trusted, data: bytes, published: bytes, *, given: Given, project: str | None, report: Report, subject: str
) -> None:
    """Let the keys count that the signed list of keys leads to."""
    own = {} if given.key is None else {"the given key": given.key}
    found = keys.follow_keys(
        data, key_file=published, trusted=[given.fingerprint], own=own, project=project, on=subject, at=trusted.at
    )
    for fault in found.faults:
        report.add(
            "key",
            subject,
            expected=f"a list of keys that the key {given.fingerprint} signed, or one that it leads to",
            seen=fault,
            do_next=NEW_KEY,
        )
    entries = found.listed.entries if found.listed is not None else ()
    for entry in entries:
        if entry.fingerprint in found.believed and not found.faults:
            trusted.spans[entry.fingerprint] = (entry.since, entry.until)


def read_object(data: bytes) -> dict[str, Any]:
    """A mapping in JSON; empty if it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_moment(said: object) -> float | None:
    """The seconds since the epoch of a time such as ``2026-12-01T02:00:00Z``, or of a day."""
    if isinstance(said, str):
        text = f"{said}T00:00:00Z" if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", said) else said
        if MOMENT.match(text):
            with contextlib.suppress(ValueError, OverflowError):
                return float(parse_moment(text))
    return None


def is_about_key(fault: str) -> bool:
    """Whether a signature's fault is that of its key, which expired or is revoked."""
    return "expired" in fault or "revoked" in fault
