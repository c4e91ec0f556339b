# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DSSE envelopes whose signatures are detached OpenPGP signatures.

The format is a page long and is written here with the standard library: Debian 12's securesystemslib has none of it,
and hosts that sign have Debian's Python. What is made here is judged by securesystemslib in ``securesystems.py``.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import make_scratch
from ..openpgp.command import FINGERPRINT, normalise_fingerprint
from ..openpgp.signing import sign_messages
from ..openpgp.verifying import Judgement, judge_signature
from .strictjson import MOST_BYTES, dump_line, load_object

STATEMENT = "application/vnd.in-toto+json"
LATEST = "application/vnd.slipway.latest+json"
KEYS = "application/vnd.slipway.keys+json"
MIRRORS = "application/vnd.slipway.mirrors+json"
#: More signatures than a project has signers; each costs a program to judge.
MOST_SIGNATURES = 64
AGAIN = "Fetch it again; if it stays like this, it is not what the project signed: tell its release team."


@dataclass(frozen=True)
class EnvelopeSignature:
    """A signature of an envelope: the primary key's fingerprint as the envelope gives it, and the signature's bytes."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """What an envelope holds. Nothing of it counts before :func:`judge_envelope`."""

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]

    def encode(self) -> bytes:
        """What the signatures are over: the pre-authentication encoding of type and payload."""
        return encode(self.payload, self.payload_type)

    def format(self) -> bytes:
        """One line of JSON."""
        said: dict[str, Any] = {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": each.keyid, "sig": base64.b64encode(each.sig).decode("ascii")} for each in self.signatures
            ],
        }
        return dump_line(said)


def encode(payload: bytes, payload_type: str) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_envelope(
    payload: bytes, payload_type: str, *, gnupghome: str | os.PathLike[str], fingerprint: str, at: int | None = None
) -> bytes:
    """An envelope around a payload, as one line of JSON; ``at`` dates the signature (seconds since the epoch)."""
    (line,) = sign_envelopes([payload], payload_type, gnupghome=gnupghome, fingerprint=fingerprint, at=at)
    return line


def sign_envelopes(
    payloads: Sequence[bytes],
    payload_type: str,
    *,
    gnupghome: str | os.PathLike[str],
    fingerprint: str,
    at: int | None = None,
) -> list[bytes]:
    """An envelope around each payload, in their order; GnuPG's home is opened once for all of them."""
    key = normalise_fingerprint(fingerprint)
    refuse_long(payloads)
    messages = [encode(payload, payload_type) for payload in payloads]
    signatures = sign_messages(gnupghome, key, messages, on=f"{payload_type} with the key {key}", at=at)
    return [
        Envelope(payload, payload_type, (EnvelopeSignature(key, signature),)).format()
        for payload, signature in zip(payloads, signatures, strict=True)
    ]


def refuse_long(payloads: Sequence[bytes]) -> None:
    """Refuse to sign what no reader would read."""
    most = MOST_BYTES // 2
    long = [f"a text of {len(payload)} bytes, of at most {most}" for payload in payloads if len(payload) > most]
    refuse("sign", "an envelope", long, do_next="Leave out what readers do not need.")


def add_signature(
    envelope: Envelope, *, gnupghome: str | os.PathLike[str], fingerprint: str, at: int | None = None
) -> Envelope:
    """The same envelope with a signature of one more key, or with that key's signature made anew."""
    key = normalise_fingerprint(fingerprint)
    on = f"{envelope.payload_type} with the key {key}"
    (made,) = sign_messages(gnupghome, key, [envelope.encode()], on=on, at=at)
    others = tuple(each for each in envelope.signatures if each.keyid != key)
    return Envelope(envelope.payload, envelope.payload_type, (*others, EnvelopeSignature(key, made)))


def read_envelope(data: bytes, *, payload_type: str, attempt: str, on: str, do_next: str = AGAIN) -> Envelope:
    """Read an envelope of that type; what is not exactly one is refused in one sentence. Nothing is judged yet."""
    said = load_object(data, attempt=attempt, on=on, do_next=do_next)
    try:
        return _read(said, payload_type)
    except ValueError as error:
        raise SlipwayError(attempt, on, str(error), do_next=do_next) from None


def read_envelopes(data: bytes, *, payload_type: str, attempt: str, on: str, do_next: str = AGAIN) -> list[Envelope]:
    """Read a file of envelopes, one on each line."""
    if len(data) > MOST_BYTES:
        raise SlipwayError(attempt, on, f"it has {len(data)} bytes, at most {MOST_BYTES} are read", do_next=do_next)
    lines = data.split(b"\n")
    if lines.pop():
        raise SlipwayError(attempt, on, "its last line has no end", do_next=do_next)
    return [
        read_envelope(line, payload_type=payload_type, attempt=attempt, on=f"line {number} of {on}", do_next=do_next)
        for number, line in enumerate(lines, 1)
    ]


def _read(said: dict[str, Any], payload_type: str) -> Envelope:
    kind, payload, signatures = (said.get(name) for name in ("payloadType", "payload", "signatures"))
    if not isinstance(kind, str) or not isinstance(payload, str) or not isinstance(signatures, list):
        raise ValueError("it is no DSSE envelope, which has payload, payloadType and signatures")
    if kind != payload_type:
        raise ValueError(f"it is of the type {kind[:200]!r}, not {payload_type!r}")
    if not 0 < len(signatures) <= MOST_SIGNATURES:
        raise ValueError(f"it has {len(signatures)} signatures, not 1 to {MOST_SIGNATURES}")
    read = tuple(_read_signature(each) for each in signatures)
    if len({each.keyid for each in read}) != len(read):
        raise ValueError("a key has several signatures in it")
    return Envelope(_decode(payload, "payload"), kind, read)


def _read_signature(said: Any) -> EnvelopeSignature:
    keyid, sig = (said.get(name) if isinstance(said, dict) else None for name in ("keyid", "sig"))
    if not isinstance(keyid, str) or not isinstance(sig, str):
        raise ValueError("a signature in it has no keyid or no sig")
    if not FINGERPRINT.match(keyid):
        raise ValueError(f"the keyid {keyid[:200]!r} in it is no fingerprint of an OpenPGP key")
    return EnvelopeSignature(keyid, _decode(sig, "sig"))


def _decode(text: str, name: str) -> bytes:
    """Base64 of either alphabet, as DSSE wants it; what could be written in two ways is refused."""
    try:
        raw = text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/"))
        found = base64.b64decode(raw, validate=True)
    except (UnicodeError, binascii.Error):
        found, raw = b"", b"?"
    if base64.b64encode(found) != raw:
        raise ValueError(f"its {name} is no base64")
    return found


def judge_envelope(
    envelope: Envelope, *, gnupghome: str | os.PathLike[str], at: float | None = None
) -> list[Judgement]:
    """What each signature of an envelope is worth now, by the public keys of a home.

    ``at`` (seconds since the epoch) is the time instead of that of this machine's clock.
    """
    (found,) = judge_envelopes([envelope], gnupghome=gnupghome, at=at)
    return found


def judge_envelopes(
    envelopes: Sequence[Envelope], *, gnupghome: str | os.PathLike[str], at: float | None = None
) -> list[list[Judgement]]:
    """What the signatures of each envelope are worth; several are judged at once."""
    with make_scratch("slipway-dsse-") as scratch, ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:

        def judge(numbered: tuple[int, Envelope]) -> list[Judgement]:
            number, envelope = numbered
            return _judge(envelope, Path(gnupghome), scratch / str(number), at=at)

        return list(pool.map(judge, enumerate(envelopes)))


def _judge(envelope: Envelope, home: Path, scratch: Path, *, at: float | None) -> list[Judgement]:
    scratch.mkdir()
    data, signature = scratch / "data", scratch / "data.sig"
    data.write_bytes(envelope.encode())
    found = []
    for each in envelope.signatures:
        signature.write_bytes(each.sig)
        judged = judge_signature(home, data=data, signature=signature, at=at)
        if judged.fault is None and judged.fingerprint != each.keyid:
            fault = f"its signature is by the key {judged.fingerprint}, not by {each.keyid} as it says"
            judged = Judgement(fault, judged.key, judged.fingerprint, judged.made)
        found.append(judged)
    data.unlink()
    return found
