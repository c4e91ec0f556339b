# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose signature is good, and what is wrong with others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import make_scratch, read_regular
from ..process import run
from .command import FINGERPRINT, GPG_OFFLINE, GPG_READ, GPG_WEAK, format_day, gpg_command, has_keyring

#: The classes of signatures: over bytes as they are, and over a text that holds its signature.
OVER_BYTES, OVER_TEXT = "00", "01"
#: Digests that no longer bind a signature to what it is over, by their numbers in OpenPGP.
BROKEN_DIGESTS = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}


def open_clearsigned(
    signed: bytes, *, gnupghome: str | os.PathLike[str] | None = None, keyring: str | os.PathLike[str] | None = None
) -> tuple[Signature, bytes] | None:
    """Whose good signature is around a text, and what it signs; None unless there is exactly one.

    Keys that count are those of the home, or those of a file, armoured or not, by which alone :program:`gpgv` judges.
    """
    with make_scratch("slipway-gpgv-") as directory:
        message, text = directory / "message", directory / "text"
        message.write_bytes(signed)
        if keyring is not None:
            words, verb = ["gpgv", "--homedir", str(directory), "--keyring", _place_keyring(keyring, directory)], []
        elif gnupghome is not None and has_keyring(Path(gnupghome)):
            words, verb = [*gpg_command(gnupghome), *GPG_READ], ["--decrypt"]
        else:
            return None
        done = run(
            [*words, *GPG_WEAK, "--status-fd", "1", "--output", str(text), *verb, str(message)],
            attempt="check the signature",
            on="of a text",
            timeout=60,
            ok_codes=range(256),
        )
        found = parse_verification(done.stdout)
        return None if found is None or not text.is_file() else (found, text.read_bytes())


def _place_keyring(keyring: str | os.PathLike[str], directory: Path) -> str:
    """A copy of a file of keys in the form that gpgv reads."""
    content, copy = read_regular(keyring), directory / "keyring.gpg"
    if content.lstrip().startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"):
        words = [*gpg_command(directory), "--dearmor"]
        content = run(words, attempt="read the keys in", on=os.fspath(keyring), stdin=content, timeout=60).raw
    copy.write_bytes(content)
    return str(copy)


@dataclass(frozen=True)
class Signature:
    """A good signature: the fingerprint of the (primary) key, and when it was made (seconds since the epoch)."""

    fingerprint: str
    made: int


def verify_signature(gnupghome: str | os.PathLike[str], *, data: Path, signature: Path) -> Signature | None:
    """Who signed ``data``; None unless ``signature`` is one good signature by a key of that home. Writes nothing."""
    if not (signature.is_file() and data.is_file() and has_keyring(Path(gnupghome))):
        return None
    done = run(
        [*gpg_command(gnupghome), *GPG_READ, "--status-fd", "1", "--verify", os.fspath(signature), os.fspath(data)],
        attempt="check the signature",
        on=str(signature),
        timeout=60,
        ok_codes=range(256),
    )
    return parse_verification(done.stdout)


def parse_verification(status: str) -> Signature | None:
    """Read GnuPG's status lines of a verification; None unless there is exactly one signature and it is good.

    A signature made before its key expired stays good; one by a revoked key does not.
    """
    lines = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[0] for line in lines if line}
    valid = [line for line in lines if line and line[0] == "VALIDSIG"]
    if words & {"BADSIG", "ERRSIG", "REVKEYSIG", "EXPSIG"} or len(valid) != 1 or len(valid[0]) < 11:
        return None
    fingerprint, made = valid[0][10], valid[0][3]
    return Signature(fingerprint, int(made)) if FINGERPRINT.match(fingerprint) and made.isdecimal() else None


@dataclass(frozen=True)
class Judgement:
    """What a signature is worth now: ``fault`` is why it is not good, as half a sentence, None if it is.

    ``key`` is what signed, a primary key or a subkey, and ``fingerprint`` its primary key; empty where GnuPG cannot
    know. ``made`` is the time that the signature gives, which whoever signs can choose.
    """

    fault: str | None
    key: str = ""
    fingerprint: str = ""
    made: int | None = None


def dearmor(gnupghome: str | os.PathLike[str], armoured: bytes) -> bytes | None:
    """What a text in ASCII armour stands for; None if it is none."""
    words = [*gpg_command(gnupghome), "--dearmor"]
    done = run(words, attempt="read", on="a signature", stdin=armoured, timeout=60, ok_codes=range(256))
    return done.raw if done.returncode == 0 and done.raw else None


def judge_signature(
    gnupghome: str | os.PathLike[str], *, data: Path | None, signature: Path, at: float | None = None
) -> Judgement:
    """What a signature is worth now, by the keys of a home, and whose it is.

    Other than for :func:`verify_signature`, a key that has expired since counts no more. ``at`` (seconds since the
    epoch) is the time instead of that of this machine's clock. Without ``data``, ``signature`` is a clear-signed text.
    """
    dated = () if at is None else ("--faked-system-time", f"{int(at)}!")
    signed = () if data is None else (os.fspath(data),)
    words = ["--status-fd", "1", "--verify", os.fspath(signature), *signed]
    done = run(
        [*gpg_command(gnupghome), *GPG_READ, *GPG_OFFLINE, *dated, *words],
        attempt="check the signature",
        on=str(signature),
        timeout=60,
        ok_codes=range(256),
    )
    return parse_judgement(done.stdout, over=OVER_BYTES if data is not None else OVER_TEXT)


def parse_judgement(status: str, *, over: str = OVER_BYTES) -> Judgement:
    """Read GnuPG's status lines of a verification; what they do not say outright is no good signature.

    ``over`` is the class that the signature must have.
    """
    # What else splits a line for Python may stand in a name, which GnuPG repeats.
    lines = [words for line in status.split("\n") if line.startswith("[GNUPG:] ") and (words := line.split()[1:])]
    said = {words[0]: words[1:] for words in lines}
    times = max([words[0] for words in lines].count(word) for word in ("NEWSIG", "VALIDSIG"))
    if times > 1:
        return Judgement(f"it has {times} signatures, of which none counts")
    if "ERRSIG" in said:
        return _judge_unchecked([*said["ERRSIG"], *[""] * 7])
    if "BADSIG" in said:
        key = said["BADSIG"][0] if said["BADSIG"] else ""
        return Judgement(f"its signature, by the key {key}, is over another text", key)
    valid = said.get("VALIDSIG", [])
    if len(valid) < 10 or not (FINGERPRINT.match(valid[0]) and FINGERPRINT.match(valid[9])):
        return Judgement("GnuPG cannot read its signature")
    key, made, fingerprint = valid[0], int(valid[2]) if valid[2].isdecimal() else None, valid[9]
    return Judgement(_find_fault_of_valid(said, valid, key, over), key, fingerprint, made)


def _judge_unchecked(fields: Sequence[str]) -> Judgement:
    """Of a signature that GnuPG could not check: the key's id, what it lacks, and perhaps the fingerprint."""
    key = fields[6] if FINGERPRINT.match(fields[6]) else fields[0]
    if fields[5] == "9":
        return Judgement(f"its signature is by the key {key}, which is none of those that are known here", key)
    return Judgement(f"its signature, by the key {key}, is of a kind that GnuPG cannot check here", key)


def _find_fault_of_valid(said: Mapping[str, Sequence[str]], valid: Sequence[str], key: str, over: str) -> str | None:
    """Why a signature does not count that is right in itself: its key, its end, or how it was made."""
    if "REVKEYSIG" in said:
        return f"its signature is by the key {key}, which is revoked"
    if "EXPKEYSIG" in said:
        end = "".join(said.get("KEYEXPIRED", ()))
        when = f" on {format_day(int(end))}" if re.fullmatch(r"[0-9]{1,10}", end) else ""
        return f"its signature is by the key {key}, which expired{when}"
    if "EXPSIG" in said:
        return f"its signature, by the key {key}, was made for a time that is over"
    if valid[7] in BROKEN_DIGESTS:
        return f"its signature, by the key {key}, is over a digest by {BROKEN_DIGESTS[valid[7]]}, which can be forged"
    return None if "GOODSIG" in said and valid[8] == over else f"its signature, by the key {key}, is none over a file"
