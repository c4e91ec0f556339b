# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether servers have what was signed last. What they have besides is told by name, and never signed over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..trust.dsse import KEYS, MIRRORS, Envelope, judge_envelope, read_envelope
from ..trust.latest import FILE, read_latest
from ..trust.strictjson import load_object
from .found import digest_text
from .kept import Kept

TYPES = {"keys.json": KEYS, "mirrors.json": MIRRORS}
SETTLE = (
    "Nothing was signed. If the server was restored from a backup, -e release_current_settle=record has it get what is "
    "on record here. If this coordinator was, and the servers are right, -e release_current_settle=servers takes over "
    "what they have. Else find out who wrote it."
)


def judge_servers(
    servers: Mapping[str, Mapping[str, Any]], kept: Kept, *, gnupghome: Path, trusted: Collection[str]
) -> list[str]:
    """Each thing on a server that is not what was signed last, as a sentence without its full stop."""
    return [
        f"{host}: {fault}"
        for host, found in servers.items()
        for fault in (*_judge_signed(found, kept, gnupghome, trusted), *_judge_views(found, kept))
    ]


def _judge_signed(found: Mapping[str, Any], kept: Kept, gnupghome: Path, trusted: Collection[str]) -> list[str]:
    signed = found["signed"]
    faults = [
        fault
        for name, text in signed.items()
        if not kept.knows(name, digest_text(text))
        and (fault := _judge_text(name, text, kept, gnupghome, trusted)) is not None
    ]
    if signed:  # a server that has none of them is a new one
        faults += [f"{name} is gone" for name in kept.confirmed if "/" not in name and name not in signed]
    return faults


def _judge_text(name: str, text: str, kept: Kept, gnupghome: Path, trusted: Collection[str]) -> str | None:
    """Why a file is not to be there that is not known; None if a key of ours signed it, and it contradicts nothing."""
    try:
        number, date = read_signed(name, text.encode(), gnupghome=gnupghome, trusted=trusted)
    except SlipwayError as error:
        return f"{name} is not what was signed: {error.came_back}"
    data = kept.files.get(name)
    if data is None:
        return None
    known, known_date = read_signed(name, data, gnupghome=gnupghome, trusted=trusted)
    if FILE.match(name) is None:
        return f"{name} of {date} is older than that of {known_date}: it was rolled back" if number < known else None
    if number == known:
        return f"{name} has the serial {number}, as that on record, and says something else"
    if number < known:
        return f"{name} of {date} has the serial {number}, and was rolled back: on record is {known} of {known_date}"
    return f"{name} of {date} has the serial {number}, newer than {known} on record: another coordinator has signed it"


def read_signed(name: str, data: bytes, *, gnupghome: Path, trusted: Collection[str]) -> tuple[int, str]:
    """The serial of a file that one of our keys signed, or for want of one its date as a number; and its date."""
    attempt, do_next = "trust", "Find out who wrote it."
    if FILE.match(name):
        envelope, latest = read_latest(data, attempt=attempt, on=name)
        _require_good(envelope, name, gnupghome, trusted)
        return latest.serial, latest.date
    envelope = read_envelope(data, payload_type=TYPES[name], attempt=attempt, on=name)
    _require_good(envelope, name, gnupghome, trusted)
    said = load_object(envelope.payload, attempt=attempt, on=name, do_next=do_next)
    date = str(said.get("date"))
    return int("".join(filter(str.isdigit, date)) or 0), date


def _require_good(envelope: Envelope, name: str, gnupghome: Path, trusted: Collection[str]) -> None:
    judged = judge_envelope(envelope, gnupghome=gnupghome)
    if not any(each.fault is None and each.fingerprint in trusted for each in judged):
        fault = next((each.fault for each in judged if each.fault), "its key is none of the project's")
        raise SlipwayError("trust", name, fault, do_next="Find out who wrote it.")


def _judge_views(found: Mapping[str, Any], kept: Kept) -> list[str]:
    faults = []
    for view, said in found["views"].items():
        known = [path for path in (*kept.files, *kept.confirmed) if path.startswith(f"{view}/")]
        if not known:
            faults.append(f"{view} is there, and was not made here")
            continue
        paths = {f"{view}/{path}": digest for path, digest in said["files"].items()}
        faults += [
            f"{path} is none of those that were made last"
            for path, digest in paths.items()
            if not kept.knows(path, digest)
        ]
        faults += [
            f"{path} is gone" for path in kept.confirmed if path in known and path not in paths and path in kept.files
        ]
    return faults
