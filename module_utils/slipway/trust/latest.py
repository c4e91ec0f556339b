# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release is current, signed and dated, so that a mirror that is frozen or rolled back is noticed.

``latest.json``, and ``latest-<product>.json`` for each product, are DSSE envelopes. ``serial`` only grows, and until
``believe_until`` a reader who finds nothing newer may believe that there is nothing newer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..errors import SlipwayError
from ..publish.directory import SUMS
from ..release.tombstone import format_moment, parse_moment
from .dsse import AGAIN, LATEST, Envelope, read_envelope
from .strictjson import dump_line, load_object

FORMAT = 1
NAME = "latest.json"
KEYS_URL = "keys.json"
STATEMENTS = ".intoto.jsonl"
FILE = re.compile(r"latest(?:-([A-Za-z0-9][A-Za-z0-9._+~-]{0,99}))?\.json\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
MOST_SERIAL = 1 << 53
#: What changes each time that the same is said once more.
DATED = ("serial", "date", "believe_until")


@dataclass(frozen=True)
class Pointer:
    """The release that is current: the digests of its SHA256SUMS, and of its statements if it has any."""

    version: str
    label: str
    sums: str
    statements: str | None = None


@dataclass(frozen=True)
class Latest:
    """What such a file says; without a pointer, that no release is current any more."""

    project: str
    product: str | None
    serial: int
    date: str
    believe_until: str
    pointer: Pointer | None
    withdrawn: tuple[str, ...] = ()
    attestations: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def end(self) -> int:
        """Until when it is to be believed, in seconds since the epoch."""
        return parse_moment(self.believe_until)

    def says_same(self, other: Latest) -> bool:
        """Whether both say the same, whenever they do."""
        mine, theirs = ({**self.as_payload(), **dict.fromkeys(DATED)} for self in (self, other))
        return mine == theirs

    def as_payload(self) -> dict[str, Any]:
        """The JSON object that is signed."""
        pointer = self.pointer
        return {
            "format": FORMAT,
            "project": self.project,
            "product": self.product,
            "serial": self.serial,
            "date": self.date,
            "believe_until": self.believe_until,
            "version": pointer.version if pointer else None,
            "label": pointer.label if pointer else None,
            "url": f"{quote(pointer.label)}/" if pointer else None,
            "sums": {"url": f"{quote(pointer.label)}/{SUMS}", "sha256": pointer.sums} if pointer else None,
            "statements": (
                {"url": quote(name_statements(pointer.label)), "sha256": pointer.statements}
                if pointer and pointer.statements
                else None
            ),
            "keys": {"url": KEYS_URL},
            "attestations": dict(self.attestations) if self.attestations else None,
            "withdrawn": list(self.withdrawn),
        }

    def format(self) -> bytes:
        """The text that is signed."""
        return dump_line(self.as_payload())


def name_latest(product: str | None) -> str:
    """The file of a product, or of the project."""
    return NAME if product is None else f"latest-{product}.json"


def name_statements(label: str) -> str:
    """The statements of a release."""
    return f"{label}{STATEMENTS}"


def make_latest(
    project: str,
    product: str | None,
    pointer: Pointer | None,
    *,
    serial: int,
    now: float,
    believe_until: float,
    withdrawn: Sequence[str] = (),
    attestations: Mapping[str, Any] | None = None,
) -> Latest:
    """What is to be signed now."""
    return Latest(
        project,
        product,
        serial,
        format_moment(now),
        format_moment(believe_until),
        pointer,
        tuple(withdrawn),
        attestations or None,
    )


def read_latest(data: bytes, *, attempt: str, on: str, do_next: str = AGAIN) -> tuple[Envelope, Latest]:
    """The envelope and what it says; nothing counts before its signatures were judged. Members may be added later."""
    envelope = read_envelope(data, payload_type=LATEST, attempt=attempt, on=on, do_next=do_next)
    return envelope, parse_latest(envelope.payload, attempt=attempt, on=on, do_next=do_next)


def parse_latest(payload: bytes, *, attempt: str, on: str, do_next: str = AGAIN) -> Latest:
    """What the text that is signed says; anything else is refused in one sentence."""
    said = load_object(payload, attempt=attempt, on=on, do_next=do_next)
    try:
        return _parse(said)
    except (ValueError, KeyError, TypeError) as error:
        raise SlipwayError(attempt, on, f"it does not say which release is current: {error}", do_next=do_next) from None


def _parse(said: dict[str, Any]) -> Latest:
    if said.get("format") != FORMAT or isinstance(said["format"], bool):
        raise ValueError(f"its format is {said.get('format')!r}, not {FORMAT}")
    serial = said["serial"]
    if not isinstance(serial, int) or isinstance(serial, bool) or not 0 < serial < MOST_SERIAL:
        raise ValueError(f"its serial is {serial!r}")
    product = None if said.get("product") is None else _text(said, "product")
    withdrawn = said.get("withdrawn", [])
    if not isinstance(withdrawn, list) or not all(isinstance(each, str) for each in withdrawn):
        raise ValueError("withdrawn is no list of versions")
    attestations = said.get("attestations")
    if attestations is not None and not isinstance(attestations, dict):
        raise ValueError("attestations is no object")
    return Latest(
        _text(said, "project"),
        product,
        serial,
        _moment(said, "date"),
        _moment(said, "believe_until"),
        _parse_pointer(said),
        tuple(withdrawn),
        attestations,
    )


def _parse_pointer(said: dict[str, Any]) -> Pointer | None:
    if said["version"] is None:
        if any(said.get(name) is not None for name in ("label", "url", "sums", "statements")):
            raise ValueError("it names no version, and yet a release")
        return None
    label, statements = _text(said, "label"), said.get("statements")
    found = Pointer(
        _text(said, "version"),
        label,
        _digest(said["sums"], f"{quote(label)}/{SUMS}"),
        None if statements is None else _digest(statements, quote(name_statements(label))),
    )
    if label != f"{said['project']}-{found.version}" or said["url"] != f"{quote(label)}/":
        raise ValueError(f"{label!r} and its url are not those of {said['project']} {found.version}")
    return found


def _digest(said: Any, url: str) -> str:
    if not isinstance(said, dict) or said.get("url") != url or not SHA256.match(str(said.get("sha256"))):
        raise ValueError(f"{url} is not named with a SHA-256")
    return str(said["sha256"])


def _text(said: Mapping[str, Any], name: str) -> str:
    if not isinstance(said[name], str) or not said[name]:
        raise ValueError(f"{name} is {said[name]!r}")
    return str(said[name])


def _moment(said: Mapping[str, Any], name: str) -> str:
    text = _text(said, name)
    if not MOMENT.match(text):
        raise ValueError(f"{name} is {text!r}, not a time such as 2026-12-01T02:00:00Z")
    parse_moment(text)
    return text
