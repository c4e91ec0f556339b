# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file of signed statements of a release: made once, kept as it is once it is public."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import make_directory, read_regular, write_atomic
from ..http import FAILURES, explain_failure, fetch_url
from ..openpgp.keys import find_signing_key
from .dsse import STATEMENT, Envelope, judge_envelopes, read_envelopes, sign_envelopes
from .securesystems import IS_THERE, verify_line
from .statement import find_contradictions
from .strictjson import MOST_BYTES, dump_line, load_object

READ = "read the statements of"
RESTORE = (
    "Public bytes never change: put the records back that the release was made with, or remove what somebody else made "
    "public there. Run again."
)
FETCH_TIMEOUT = 60.0


@dataclass(frozen=True)
class Source:
    """Where statements may be public already, and whose they must be."""

    channels: Sequence[str] = ()
    ca_path: str | None = None
    published: bool = False


@dataclass(frozen=True)
class Stated:
    """A file of statements: its bytes (None in check mode where it would be made), and who signed."""

    content: bytes | None
    signed_by: str | None
    made: bool
    warnings: Sequence[str] = ()

    def describe(self, name: str) -> dict[str, Any]:
        """The file as records have it."""
        size, digest = None, None
        if self.content is not None:
            size, digest = len(self.content), hashlib.sha256(self.content).hexdigest()
        return {"name": name, "size": size, "sha256": digest}


def name_statements(label: str) -> str:
    """The file of statements beside a release."""
    return f"{label}.intoto.jsonl"


def state(
    statements: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    gnupghome: Path,
    signing_key: str | None,
    source: Source,
    recorded: str | None = None,
    write: bool = True,
) -> Stated:
    """Have the file of these statements: what is there or public if it says the same, else made and signed.

    ``recorded`` is the digest on record. What is public is kept as it is, if it does not contradict the records; if it
    does, that is a failure which names each difference.
    """
    payloads = [dump_line(dict(each)).rstrip(b"\n") for each in statements]
    kept = read_regular(path) if path.is_file() else None
    if kept is not None and recorded in (None, hashlib.sha256(kept).hexdigest()):
        envelopes = _try_reading(kept, path)
        if [each.payload for each in envelopes] == payloads and (
            recorded is not None or _find_faults(kept, envelopes, gnupghome) == []
        ):
            return Stated(kept, envelopes[0].signatures[0].keyid, made=False)
    public, warnings = _fetch_public(path.name, source)
    if public is not None:
        return _keep_public(public, statements, path, gnupghome, recorded=recorded, write=write)
    if recorded is not None and source.published:
        if kept is not None and hashlib.sha256(kept).hexdigest() == recorded:
            return _keep_public(kept, statements, path, gnupghome, recorded=recorded, write=write)
        has = "there is no file" if kept is None else f"the file has sha256 {hashlib.sha256(kept).hexdigest()}"
        came_back = f"they are on record with sha256 {recorded}, {has}, and no channel serves them"
        raise SlipwayError("confirm the statements in", str(path), came_back, do_next=RESTORE)
    if not write:
        return Stated(None, None, made=True, warnings=warnings)
    return replace(_make(payloads, path, gnupghome, signing_key), warnings=warnings)


def state_once(
    statements: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    gnupghome: Path,
    signing_key: str | None,
    write: bool = True,
) -> Stated:
    """Have the file of statements where it is public: made where none is, else verified and kept as it is."""
    if path.is_file():
        kept = _keep_public(read_regular(path), statements, path, gnupghome, recorded=None, write=False)
        return replace(kept, made=False)
    if not write:
        return Stated(None, None, made=True)
    payloads = [dump_line(dict(each)).rstrip(b"\n") for each in statements]
    return _make(payloads, path, gnupghome, signing_key)


def _make(payloads: Sequence[bytes], path: Path, gnupghome: Path, signing_key: str | None) -> Stated:
    key = find_signing_key(gnupghome, signing_key)
    lines = sign_envelopes(payloads, STATEMENT, gnupghome=gnupghome, fingerprint=key.fingerprint)
    content = b"".join(lines)
    faults = _find_faults(content, _read(content, path), gnupghome)
    refuse("sign the statements in", str(path), faults, do_next="Look at the key, and run again.")
    make_directory(path.parent)
    write_atomic(path, content)
    return Stated(content, key.fingerprint, made=True)


def _read(content: bytes, path: Path) -> list[Envelope]:
    return read_envelopes(content, payload_type=STATEMENT, attempt=READ, on=path.name)


def _try_reading(content: bytes, path: Path) -> list[Envelope]:
    try:
        return _read(content, path)
    except SlipwayError:
        return []  # made anew, or read from where it is public


def _find_faults(content: bytes, envelopes: Sequence[Envelope], gnupghome: Path) -> list[str]:
    """Why signatures are not good: by securesystemslib, or by GnuPG alone where Python does not have that."""
    if not IS_THERE:
        judged = judge_envelopes(envelopes, gnupghome=gnupghome)
        return [each.fault for found in judged for each in found if each.fault is not None]

    def verify(numbered: tuple[int, tuple[bytes, Envelope]]) -> str | None:
        number, (line, envelope) = numbered
        try:
            said = verify_line(
                line, gnupghome=gnupghome, fingerprint=envelope.signatures[0].keyid, on=f"statement {number}"
            )
        except SlipwayError as error:
            return str(error)
        return None if said == envelope.payload else f"securesystemslib reads another text in statement {number}"

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = pool.map(verify, enumerate(zip(content.splitlines(), envelopes, strict=True), 1))
        return [fault for fault in found if fault is not None]


def _fetch_public(name: str, source: Source) -> tuple[bytes | None, list[str]]:
    """What the first channel that has the file serves; a channel that cannot be asked is told."""
    warnings = []
    for channel in source.channels:
        url = f"{channel.rstrip('/')}/{name}"
        try:
            trust = ssl.create_default_context(cafile=source.ca_path)
            return fetch_url(url, size=MOST_BYTES, timeout=FETCH_TIMEOUT, trust=trust), []
        except FAILURES as error:
            if not _is_absent(error):
                said = f"{url} could not be asked whether statements are public there: {explain_failure(error)}"
                warnings.append(f"{said}. What is public is compared before anything changes")
    return None, warnings


def _is_absent(error: Exception) -> bool:
    reason = getattr(error, "reason", None)
    return getattr(error, "code", None) in (404, 410) or isinstance(
        reason if isinstance(reason, Exception) else error, FileNotFoundError
    )


def _keep_public(
    public: bytes,
    statements: Sequence[Mapping[str, Any]],
    path: Path,
    gnupghome: Path,
    *,
    recorded: str | None,
    write: bool,
) -> Stated:
    digest = hashlib.sha256(public).hexdigest()
    if recorded not in (None, digest):
        came_back = f"they have sha256 {digest}, on record is {recorded}"
        raise SlipwayError("confirm the public statements", path.name, came_back, do_next=RESTORE)
    envelopes = read_envelopes(public, payload_type=STATEMENT, attempt=READ, on=f"the public {path.name}")
    said = [load_object(each.payload, attempt=READ, on=path.name, do_next=RESTORE) for each in envelopes]
    faults = find_contradictions(said, statements)
    if recorded is None:
        # What was signed before its key expired stays as it is.
        faults += [each for each in _find_faults(public, envelopes, gnupghome) if ", which expired" not in each]
    refuse(
        "confirm the public statements",
        path.name,
        faults,
        several="things differ from the records",
        do_next=RESTORE,
    )
    changed = not path.is_file() or read_regular(path) != public
    if changed and write:
        make_directory(path.parent)
        write_atomic(path, public)
    return Stated(public, envelopes[0].signatures[0].keyid, made=changed)
