# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What armoured OpenPGP files say of themselves, read without GnuPG, for pages: it is told and not verified.

A download server has no GnuPG, and hundreds of signatures are read for one list. What a file does not say in the form
of RFC 4880 (packets of version 4) is left out.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK = re.compile(r"-----BEGIN PGP ([A-Z ]+)-----\n(.*?)\n-----END PGP \1-----", re.DOTALL)
SIGNATURE, PUBLIC_KEY, USER_ID, SUBKEY = 2, 6, 13, 14
#: Kinds of subpackets of a signature.
MADE, ISSUER = 2, 33
#: Public bytes that are read of such a file; a key with a thousand user ids is smaller.
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class SignatureWords:
    """The time that a signature gives, in seconds since 1970, and the fingerprint of the key or subkey that made it."""

    made: int | None = None
    key: str | None = None


@dataclass
class KeyWords:
    """A public key: its fingerprint, those of its subkeys, and whose it is."""

    fingerprint: str
    subkeys: list[str] = field(default_factory=list)
    user_ids: list[str] = field(default_factory=list)


def read_signature(text: str) -> SignatureWords:
    """What a detached signature says of itself; of what is none, nothing."""
    for kind, body in list_packets(text):
        if kind == SIGNATURE and len(body) > 6 and body[0] == 4:
            found = dict(list_subpackets(body[6 : 6 + int.from_bytes(body[4:6], "big")]))
            made, key = found.get(MADE, b""), found.get(ISSUER, b"")
            return SignatureWords(
                int.from_bytes(made, "big") if len(made) == 4 else None,
                key[1:].hex().upper() if len(key) == 21 and key[0] == 4 else None,
            )
    return SignatureWords()


def read_keys(text: str) -> list[KeyWords]:
    """The public keys in a file of one or more blocks, in their order."""
    keys: list[KeyWords] = []
    for kind, body in list_packets(text):
        if kind == PUBLIC_KEY and body[:1] == b"\x04":
            keys.append(KeyWords(make_fingerprint(body)))
        elif kind == SUBKEY and keys and body[:1] == b"\x04":
            keys[-1].subkeys.append(make_fingerprint(body))
        elif kind == USER_ID and keys:
            keys[-1].user_ids.append(body.decode("utf-8", "replace"))
    return keys


def make_fingerprint(body: bytes) -> str:
    """The fingerprint of a key by its packet."""
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()


def list_packets(text: str) -> Iterator[tuple[int, bytes]]:
    """The packets of all armoured blocks; what does not go on as packets do ends the block."""
    for block in BLOCK.finditer(text[:MOST_BYTES].replace("\r\n", "\n")):
        _headers, _empty, lines = block[2].rpartition("\n\n")
        encoded = "".join(line for line in lines.split("\n") if not line.startswith("="))
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        yield from split_packets(data)


def split_packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The packets of data without armour, each by its kind, until something is none."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            return
        if head & 0x40:
            kind, (size, at) = head & 0x3F, _read_length(data, at + 1)
        else:
            width = 1 << (head & 3)
            kind, size, at = (head >> 2) & 0xF, int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width
            size = len(data) if width == 8 else size
        if size < 0 or len(data) < at + size:
            return
        yield kind, data[at : at + size]
        at += size


def list_subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    """The subpackets of a signature, each by its kind."""
    at = 0
    while at < len(area):
        size, at = _read_length(area, at)
        if size < 1 or len(area) < at + size:
            return
        yield area[at] & 0x7F, area[at + 1 : at + size]
        at += size


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """A length in the new form and where what it counts begins; a negative one where there is none."""
    first = data[at] if at < len(data) else 224
    if first < 192:
        return first, at + 1
    if first < 224 and at + 1 < len(data):
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    if first == 255 and at + 4 < len(data):
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    return -1, at
