# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys as GnuPG lists them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..process import run
from .agent import ask_agent
from .command import FINGERPRINT, GPG_READ, format_day, gpg_command

#: What GnuPG calls a part that is revoked, disabled or invalid, which no new date helps.
GONE = {"r", "d", "i"}
ALGORITHMS = {"1": "rsa", "17": "dsa", "19": "ecdsa", "22": "eddsa"}


@dataclass(frozen=True)
class Key:
    """A secret key that can sign now; ``created`` and ``expires`` are seconds since the epoch (None: never).

    ``ends`` are the parts that signing needs, by fingerprint, and when each expires. An ``offline`` key has its primary
    key's secret part elsewhere.
    """

    fingerprint: str
    user_id: str
    algorithm: str
    created: int
    expires: int | None
    ends: Mapping[str, int | None] = field(default_factory=dict)
    offline: bool = False

    def explain_extension(self, gnupghome: str | os.PathLike[str], *, until: float) -> str:
        """How to prolong each part that expires before ``until``: the subkey, where that is what expires."""
        parts = [fingerprint for fingerprint, end in self.ends.items() if end is not None and end <= until]
        extend = shlex.join(["gpg", "--homedir", os.fspath(gnupghome), "--quick-set-expire", self.fingerprint, "2y"])
        commands = [extend if part == self.fingerprint else f"{extend} {part}" for part in parts]
        where = ", where the secret part of the primary key is, import the key here," if self.offline else ""
        return f"extend it with `{' && '.join(commands)}`{where} and publish it again"


@dataclass
class KeyPart:
    """A primary key or subkey as GnuPG lists it; a stub has no secret part here."""

    validity: str
    algorithm: str
    created: int
    expires: int | None
    capabilities: str
    stub: bool
    fingerprint: str = ""
    keygrip: str = ""

    def signs(self, now: float) -> bool:
        """Whether it can sign now, and here."""
        alive = self.validity not in {"e", *GONE} and (self.expires is None or self.expires > now)
        return alive and "s" in self.capabilities and not self.stub


@dataclass
class ListedKey:
    """A key with its subkeys and user ids."""

    primary: KeyPart
    subkeys: list[KeyPart] = field(default_factory=list)
    user_ids: list[str] = field(default_factory=list)

    def find_fault(self, now: float) -> str | None:
        """Why this key cannot sign, as half a sentence; None if it can."""
        primary = self.primary
        if primary.validity == "r":
            return "it is revoked"
        if primary.validity == "d" or "D" in primary.capabilities:
            return "it is disabled"
        if primary.expires is not None and primary.expires <= now:
            return f"it expired on {format_day(primary.expires)}"
        if any(part.signs(now) for part in self.parts()):
            return None
        signing = [part for part in self.parts() if "s" in part.capabilities]
        if not signing:
            return "it is not made for signing"
        if all(part.stub for part in signing):
            return "its secret part is not there"
        expired = [part.expires for part in signing if part.expires is not None and part.expires <= now]
        if expired:
            return f"its signing subkey expired on {format_day(max(expired))}"
        return "its signing subkey is revoked or not valid"

    def parts(self) -> list[KeyPart]:
        """The primary key and its subkeys."""
        return [self.primary, *self.subkeys]

    def describe(self) -> Key:
        """The key as those see it who sign with it."""
        needed = {part.fingerprint: part.expires for part in (self.primary, *self._select_signing())}
        return Key(
            fingerprint=self.primary.fingerprint,
            user_id=self.user_ids[0] if self.user_ids else "",
            algorithm=self.primary.algorithm,
            created=self.primary.created,
            expires=min((end for end in needed.values() if end is not None), default=None),
            ends=needed,
            offline=self.primary.stub,
        )

    def _select_signing(self) -> list[KeyPart]:
        """The part that signs longest, expired or not; the primary key, if it signs, since no subkey outlives it."""
        mine = [
            part for part in self.parts() if "s" in part.capabilities and not part.stub and part.validity not in GONE
        ]
        ranked = sorted(mine, key=lambda part: (part is self.primary, part.expires is None, part.expires or 0))
        return ranked[-1:]


def parse_keys(listing: str) -> list[ListedKey]:
    """Read ``gpg --with-colons --list-keys`` or ``--list-secret-keys``; lines of unknown kinds are passed over."""
    keys: list[ListedKey] = []
    for line in listing.splitlines():
        fields = line.split(":")
        kind = fields[0]
        if kind in {"pub", "sub", "sec", "ssb"}:
            part = _parse_part(fields)
            if kind in {"pub", "sec"}:
                keys.append(ListedKey(part))
            elif keys:
                keys[-1].subkeys.append(part)
        elif kind == "fpr" and keys and len(fields) > 9:
            last = keys[-1].parts()[-1]
            last.fingerprint = last.fingerprint or fields[9]
        elif kind == "grp" and keys and len(fields) > 9:
            keys[-1].parts()[-1].keygrip = fields[9]
        elif kind == "uid" and keys and len(fields) > 9 and fields[1] not in {"r", "e"}:
            keys[-1].user_ids.append(_unescape(fields[9]))
    return keys


def _parse_part(fields: Sequence[str]) -> KeyPart:
    padded = [*fields, *[""] * 20]
    return KeyPart(
        validity=padded[1],
        algorithm=padded[16] or f"{ALGORITHMS.get(padded[3], padded[3])}{padded[2]}",
        created=int(padded[5]) if padded[5].isdecimal() else 0,
        expires=int(padded[6]) if padded[6].isdecimal() and int(padded[6]) > 0 else None,
        capabilities=padded[11],
        stub=padded[14] == "#",
    )


def _unescape(text: str) -> str:
    """GnuPG writes a colon and control characters as ``\\x3a``."""
    raw = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda match: bytes([int(match.group(1), 16)]), text.encode())
    return raw.decode("utf-8", "replace")


def list_secret_keys(gnupghome: str | os.PathLike[str]) -> list[ListedKey]:
    """The keys whose secret part is here, found without an agent: one would write its sockets into the home.

    An agent that already runs is asked for those whose secret part is not here: it may be another machine's.
    """
    done = run(
        [*gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-keygrip", "--list-keys"],
        attempt="list the keys of",
        on=str(gnupghome),
        timeout=60,
    )
    secrets = Path(gnupghome) / "private-keys-v1.d"
    listed = parse_keys(done.stdout)
    absent = []
    for part in (part for entry in listed for part in entry.parts()):
        part.stub = not (FINGERPRINT.match(part.keygrip) and (secrets / f"{part.keygrip}.key").is_file())
        if part.stub and FINGERPRINT.match(part.keygrip):
            absent.append(part)
    if absent and (said := ask_agent(gnupghome, [f"HAVEKEY {part.keygrip}" for part in absent])):
        for part, answer in zip(absent, said, strict=True):
            part.stub = not answer.startswith("OK")
    return [entry for entry in listed if not all(part.stub for part in entry.parts())]
