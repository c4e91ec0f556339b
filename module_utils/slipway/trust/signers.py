# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who attests releases, with which key each, and how many of them must agree."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SlipwayError, count_of, refuse
from ..escape import escape_line
from ..files import read_regular
from ..openpgp.command import normalise_fingerprint
from ..openpgp.keyring import export_certificate, export_public_key, list_certificates, provide_keyring

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
#: Where the public keys of all of them are published.
KEY_FILE = "signers.asc"
MEMBERS = ("fingerprint", "key", "key_text")
#: Somebody's public key with all that others certified of it; what is larger is something else.
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Attestor:
    """Somebody who attests: the fingerprint of the primary key, and the public key as :program:`sqv` reads it."""

    name: str
    fingerprint: str
    certificate: bytes


@dataclass(frozen=True)
class Quorum:
    """How many of whom must agree."""

    threshold: int
    attestors: tuple[Attestor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all attestors."""
        return tuple(each.name for each in self.attestors)

    def find(self, fingerprint: str) -> Attestor | None:
        """Whose primary key that is."""
        return next((each for each in self.attestors if each.fingerprint == fingerprint), None)


def read_quorum(signers: object, *, threshold: object = 1, repository: str = "") -> Quorum:
    """The quorum of a mapping ``name -> {fingerprint, key or key_text}``; each fault of it is one sentence.

    ``repository`` is where they attest. Without signers there is none to ask, and all agree.
    """
    attestors, faults = _read_attestors(signers)
    faults += _find_threshold_faults(threshold, len(signers) if isinstance(signers, Mapping) else 0, repository)
    _refuse(faults)
    return Quorum(int(str(threshold)), tuple(attestors))


def read_signers(signers: object) -> tuple[Attestor, ...]:
    """Those who attest, whoever of them must agree and wherever they attest."""
    attestors, faults = _read_attestors(signers)
    _refuse(faults)
    return tuple(attestors)


def make_key_file(attestors: Sequence[Attestor]) -> bytes:
    """The public keys, one after the other in ASCII armour and by name: the same keys make the same bytes."""
    ordered = sorted(attestors, key=lambda each: each.name)
    with provide_keyring({each.name: each.certificate for each in ordered}) as home:
        return b"".join(export_public_key(home, each.fingerprint) for each in ordered)


def _refuse(faults: Sequence[str]) -> None:
    refuse("use", "the signers of releases", faults, do_next="Correct the settings.", several="settings are not usable")


def _read_attestors(signers: object) -> tuple[list[Attestor], list[str]]:
    faults = [] if isinstance(signers, Mapping) else ["release_signers is no mapping of names to keys"]
    wanted: Mapping[Any, Any] = signers if isinstance(signers, Mapping) else {}
    attestors: list[Attestor] = []
    parts: dict[str, str] = {}
    for name, value in wanted.items():
        fault, made, fingerprints = _read_attestor(name, value)
        fault = fault or _find_repetition(str(name), fingerprints, parts, attestors)
        if fault is not None or made is None:
            faults.append(f"release_signers.{escape_line(str(name))}: {fault}")
            continue
        attestors.append(made)
        parts |= dict.fromkeys(fingerprints, made.name)
    return attestors, faults


def _find_threshold_faults(threshold: object, count: int, repository: str) -> list[str]:
    whole = re.fullmatch(r"[0-9]{1,4}", str(threshold)) and not isinstance(threshold, bool)
    if not whole or int(str(threshold)) < 1:
        shown = escape_line(str(threshold))
        return [f"release_attestation_threshold is {shown!r}, and must be a number from 1"]
    number = int(str(threshold))
    if count == 0 and (number > 1 or repository):
        asked = f"release_attestation_threshold is {number}" if number > 1 else "release_attestation_repository is set"
        return [f"{asked}, and release_signers names nobody who attests"]
    if count and number > count:
        return [
            f"release_attestation_threshold is {number}, and release_signers are only {count}: {number} never agree"
        ]
    if count and not repository:
        only = f"release_signers names {count_of(count, 'signer')}"
        return [f"{only}, and release_attestation_repository does not say where they attest"]
    return []


def _read_attestor(name: object, value: object) -> tuple[str | None, Attestor | None, set[str]]:
    """The fault, or the attestor and all fingerprints of the key."""
    if not isinstance(name, str) or not NAME.match(name):
        return (
            "the name is not made of letters, digits and ._@+- (at most 64, the first a letter or digit)",
            None,
            set(),
        )
    if not isinstance(value, Mapping):
        return "it is no mapping with a fingerprint and a key", None, set()
    unknown = sorted(str(each) for each in value if each not in MEMBERS)
    if unknown:
        return f"nothing is called {escape_line(unknown[0])} there: members are {', '.join(MEMBERS)}", None, set()
    if sum(1 for each in ("key", "key_text") if value.get(each)) != 1:
        return "exactly one of key (the path of the public key) and key_text must be given", None, set()
    try:
        fingerprint = normalise_fingerprint(str(value.get("fingerprint") or ""))
        data = _read_key(str(value.get("key") or ""), str(value.get("key_text") or ""))
        with provide_keyring({name: data}) as home:
            known = list_certificates(home)
            owner = next((primary for primary, parts in known.items() if fingerprint in parts), None)
            if owner is None:
                return f"the key that is given is not {fingerprint}, but {', '.join(sorted(known))}", None, set()
            if owner != fingerprint:
                return f"{fingerprint} is a subkey: name its primary key, {owner}", None, set()
            certificate = export_certificate(home, fingerprint)
    except SlipwayError as error:
        return error.came_back, None, set()
    except OSError as error:
        return f"its key cannot be read: {error.strerror or error} ({error.filename or value.get('key')})", None, set()
    return None, Attestor(name, fingerprint, certificate), set(known[owner])


def _find_repetition(name: str, parts: set[str], before: Mapping[str, str], attestors: list[Attestor]) -> str | None:
    """Why somebody would count twice."""
    owners = {each.fingerprint for each in attestors}
    shared = sorted(parts & before.keys(), key=lambda part: (part not in owners, part))
    if shared:
        return f"it has the key {shared[0]} of {before[shared[0]]}: the same key twice is one signer"
    same = next((each.name for each in attestors if each.name.casefold() == name.casefold()), None)
    return None if same is None else f"its name differs from that of {same} in nothing but capitals"


def _read_key(path: str, text: str) -> bytes:
    if not path:
        return text.encode()
    if not os.path.isabs(path):
        raise SlipwayError("read the key", path, f"{path} is no absolute path", do_next="Correct it.")
    if os.stat(path).st_size > MOST_BYTES:
        raise SlipwayError("read the key", path, f"{path} is larger than a public key", do_next="Correct it.")
    return read_regular(path)
