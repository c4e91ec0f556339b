# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OpenPGP keys and signatures as TUF's metadata have them, for clients that know no GnuPG.

They are those of securesystemslib (``pgp+eddsa-ed25519``, ``pgp+rsa-pkcsv1.5``), which TUF's own client verifies as it
is. So one key signs all of a project, also from a smart card or another machine's agent. When it expires is
none of their business: the metadata have dates of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SlipwayError
from ..openpgp.keyring import export_public_key
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import sign_messages
from ..publish.packets import (
    ISSUER,
    PUBLIC_KEY,
    SIGNATURE,
    SUBKEY,
    list_packets,
    list_subpackets,
    make_fingerprint,
    split_packets,
)

RSA, EDDSA = 1, 22
ED25519 = bytes.fromhex("2b06010401da470f01")
SHA256 = 8
SIZE = 32


@dataclass(frozen=True)
class ViewKey:
    """A public key or subkey that signs: what metadata say of it, under its fingerprint in lower case."""

    keyid: str
    kind: str
    scheme: str
    public: dict[str, str] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """As it stands in root.json."""
        return {"keytype": self.kind, "scheme": self.scheme, "keyval": {"private": "", "public": self.public}}


@dataclass(frozen=True)
class ViewSignature:
    """A signature as metadata have it; ``headers`` are what OpenPGP hashes besides what is signed."""

    keyid: str
    sig: str
    headers: str


@dataclass(frozen=True)
class Signer:
    """A key that can sign now; ``sign`` signs several texts at once."""

    key: ViewKey
    sign: Callable[[Sequence[bytes]], Sequence[ViewSignature]]


def make_signer(gnupghome: str | os.PathLike[str], fingerprint: str | None) -> Signer:
    """The key of that fingerprint, or the only one that can sign; by its subkey, where that signs."""
    found = find_signing_key(gnupghome, fingerprint)
    *_primary, part = found.ends
    keys = read_keys(export_public_key(gnupghome, found.fingerprint).decode())
    key = next((key for key in keys if key.keyid == part.lower()), None)
    if key is None:
        raise _make_error(part)

    def sign(texts: Sequence[bytes]) -> list[ViewSignature]:
        on = f"metadata for TUF clients with the key {found.fingerprint}"
        made = sign_messages(gnupghome, f"{part}!", texts, on=on, digest="SHA256")
        return [read_signature(each, [key]) for each in made]

    return Signer(key, sign)


def read_keys(armoured: str) -> list[ViewKey]:
    """The key and its subkeys that such metadata can name."""
    found = [_read_key(body) for kind, body in list_packets(armoured) if kind in (PUBLIC_KEY, SUBKEY)]
    return [key for key in found if key is not None]


def _read_key(body: bytes) -> ViewKey | None:
    if len(body) < 8 or body[0] != 4:
        return None
    keyid = make_fingerprint(body).lower()
    if body[5] == RSA:
        numbers = list(_list_numbers(body[6:]))
        if len(numbers) == 2:
            return ViewKey(keyid, "rsa", "pgp+rsa-pkcsv1.5", {"n": numbers[0].hex(), "e": numbers[1].hex()})
    elif body[5] == EDDSA and body[7 : 7 + body[6]] == ED25519:
        point = b"".join(_list_numbers(body[7 + body[6] :]))
        if len(point) == SIZE + 1 and point[0] == 0x40:
            return ViewKey(keyid, "eddsa", "pgp+eddsa-ed25519", {"q": point[1:].hex()})
    return None


def read_signature(binary: bytes, keys: list[ViewKey]) -> ViewSignature:
    """A binary detached signature by one of these keys, over a SHA-256."""
    for kind, body in split_packets(binary):
        if kind != SIGNATURE or len(body) < 10 or body[0] != 4 or body[3] != SHA256:
            continue
        end = 6 + int.from_bytes(body[4:6], "big")
        issuer = dict(list_subpackets(body[6:end])).get(ISSUER, b"")[1:].hex()
        key = next((key for key in keys if key.keyid == issuer), None)
        after = end + 2 + int.from_bytes(body[end : end + 2], "big") + 2
        numbers = list(_list_numbers(body[after:]))
        if key is not None and len(numbers) == (1 if key.kind == "rsa" else 2):
            return ViewSignature(key.keyid, _join(key, numbers).hex(), body[:end].hex())
    raise _make_error(", ".join(key.keyid.upper() for key in keys))


def _make_error(fingerprint: str) -> SlipwayError:
    return SlipwayError(
        "sign for TUF clients with",
        fingerprint,
        "its signatures are of a kind that they do not verify",
        do_next="They know ed25519 and RSA keys. Use such a key, or set release_current_tuf to false.",
    )


def _join(key: ViewKey, numbers: list[bytes]) -> bytes:
    """What OpenPGP writes as numbers, without leading zeros, in the size that verifiers expect."""
    if key.kind == "rsa":
        return numbers[0].rjust(len(bytes.fromhex(key.public["n"])), b"\0")
    return b"".join(number.rjust(SIZE, b"\0") for number in numbers)


def _list_numbers(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 2 <= len(data):
        size = (int.from_bytes(data[at : at + 2], "big") + 7) // 8
        if at + 2 + size > len(data):
            return
        yield data[at + 2 : at + 2 + size]
        at += 2 + size
