# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that sign a suite: ``Release``, ``Release.gpg`` and ``InRelease``, made together and looked at afterwards.

apt reads InRelease; tools that mirror archives read Release and its detached signature too, and some read nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from ..files import hash_file
from ..openpgp.command import GPG_OPTIONS, GPG_READ
from ..openpgp.home import provide_environment
from ..openpgp.verifying import parse_verification
from ..process import run

RELEASE, SIGNATURE, INRELEASE = SIGNED = ("Release", "Release.gpg", "InRelease")
#: Until when readers believe a suite; after that they have not seen an update, or are kept from seeing it.
VALID_UNTIL = "Valid-Until"
DAY = 86400
#: What an index may be compressed with; one that is not on the disk in plain form is there in one of these.
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")

_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", re.MULTILINE)
_ENTRY = re.compile(r"^ ([0-9a-f]{64}) +([0-9]+) (\S+)$", re.MULTILINE)
_CLEARSIGNED = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [^\n]*\n)*\n(?P<text>.*\n)"
    r"-----BEGIN PGP SIGNATURE-----\n(?:(?!-----).*\n)*-----END PGP SIGNATURE-----\n\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class Entry:
    """An index as a Release file names it."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Signer:
    """Whose signature must be on a suite: of the key ``fingerprint``, or without one of any in ``gnupghome``."""

    gnupghome: Path
    fingerprint: str | None = None


@dataclass(frozen=True)
class Expected:
    """What a suite must say of itself; what is None may be anything."""

    codename: str
    architectures: Collection[str]
    components: Collection[str] | None = None
    signer: Signer | None = None
    files: Collection[str] = SIGNED


def sign_releases(signer: Signer, texts: Sequence[str], *, on: str) -> list[dict[str, bytes]]:
    """For each text of a Release file the three files that sign it, by name."""
    key = signer.fingerprint or ""
    sign = ["--pinentry-mode", "error", "--local-user", key, "--digest-algo", "SHA512", "--output", "-"]
    with provide_environment(signer.gnupghome) as env:

        def run_gpg(text: str, *words: str) -> bytes:
            return run(
                ["gpg", *GPG_OPTIONS, *sign, *words],
                attempt="sign",
                on=f"{on} with the key {key}",
                do_next="Check whether the key is there, not expired and without passphrase, and run again.",
                stdin=text.encode(),
                env=env,
                timeout=120,
            ).stdout.encode()

        return [
            {
                RELEASE: text.encode(),
                SIGNATURE: run_gpg(text, "--armor", "--detach-sign"),
                INRELEASE: run_gpg(text, "--clearsign"),
            }
            for text in texts
        ]


def extract_signed(text: str) -> str | None:
    """The text that an InRelease file signs; None if it is not one signed text, whole."""
    inside = _CLEARSIGNED.match(text)
    return None if inside is None else inside["text"]


def parse_entries(text: str) -> dict[str, Entry]:
    """The indexes that a Release file names, by their paths below it."""
    listed = text.partition("\nSHA256:")[2]
    section = re.split(r"^(?=[A-Za-z])", listed, maxsplit=1, flags=re.MULTILINE)[0]
    return {path: Entry(digest, int(size)) for digest, size, path in _ENTRY.findall(section)}


def read_fields(text: str) -> dict[str, str]:
    """The fields of a Release file before its lists of indexes."""
    return dict(_FIELD.findall(re.split(r"^(?:MD5Sum|SHA1|SHA256|SHA512):", text, maxsplit=1, flags=re.MULTILINE)[0]))


def read_date(fields: Mapping[str, str], name: str) -> int | None:
    """A date of a Release file in seconds since the epoch; None if there is none that can be read."""
    try:
        return int(parsedate_to_datetime(fields[name]).replace(tzinfo=UTC).timestamp())
    except (KeyError, ValueError, OverflowError):
        return None


def find_faults(top: Path, expected: Expected) -> list[str]:
    """What readers of the suite in the directory ``top`` would stumble over; empty if all is right.

    Looked at are the signatures and whose they are, that both forms sign one text, what that text says of the suite,
    and the digest of every index that it names.
    """
    missing = [f"{name} is missing" for name in expected.files if not (top / name).is_file()]
    if missing:
        return missing
    texts = {name: (top / name).read_text(encoding="utf-8", errors="replace") for name in expected.files}
    findings = []
    if INRELEASE in texts:
        inside = extract_signed(texts[INRELEASE])
        if inside is None:
            return [f"{INRELEASE} is not one signed text"]
        if texts.setdefault(RELEASE, inside) != inside:
            findings.append(f"{INRELEASE} and {RELEASE} are not the same text")
    if expected.signer is not None:
        findings += _find_signature_faults(top, expected.signer, expected.files)
    text = texts[RELEASE]
    return [*findings, *_find_wrong_fields(text, expected), *_find_wrong_indexes(top, text, expected)]


def _find_signature_faults(top: Path, signer: Signer, files: Collection[str]) -> list[str]:
    signed = {INRELEASE: (INRELEASE,), SIGNATURE: (SIGNATURE, RELEASE)}
    return [
        f"{name} {fault}"
        for name, words in signed.items()
        if name in files
        for fault in _find_signature_fault(signer, [os.fspath(top / word) for word in words])
    ]


def _find_signature_fault(signer: Signer, words: Sequence[str]) -> list[str]:
    home = ["--homedir", os.fspath(signer.gnupghome), *GPG_OPTIONS, *GPG_READ]
    done = run(
        ["gpg", *home, "--status-fd", "1", "--verify", *words],
        attempt="verify the signature",
        on=words[0],
        timeout=60,
        ok_codes=range(256),
    )
    found = parse_verification(done.stdout)
    if found is None:
        return ["has no good signature of a key that is known"]
    # The key that was asked for may be a subkey: GnuPG names it and its primary key.
    made_by = re.search(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]+)", done.stdout, re.MULTILINE)
    fingerprints = {found.fingerprint, made_by.group(1) if made_by else ""}
    if signer.fingerprint is not None and signer.fingerprint not in fingerprints:
        return [f"is signed by {found.fingerprint} instead of {signer.fingerprint}"]
    return []


def _find_wrong_fields(text: str, expected: Expected) -> list[str]:
    fields = read_fields(text)
    wanted: dict[str, Collection[str] | None] = {
        "Codename": [expected.codename],
        "Architectures": expected.architectures,
        "Components": expected.components,
    }
    return [
        f"its {name} is {fields.get(name, '').strip()!r} instead of {' '.join(sorted(words))!r}"
        for name, words in wanted.items()
        if words is not None and set(fields.get(name, "").split()) != set(words)
    ]


def _find_wrong_indexes(top: Path, text: str, expected: Expected) -> list[str]:
    entries = parse_entries(text)
    named = {path.rpartition("/")[0] for path in entries}
    findings = [
        f"it names no index {component}/binary-{architecture}"
        for component in expected.components or ()
        for architecture in sorted(expected.architectures)
        if f"{component}/binary-{architecture}" not in named
    ]
    by_hash = "\nAcquire-By-Hash: yes\n" in text
    for path, entry in sorted(entries.items()):
        places = [top / path]
        hashed = (top / path).parent / "by-hash/SHA256" / entry.sha256
        if by_hash and not (places[0].exists() and hashed.exists() and hashed.samefile(places[0])):
            places.append(hashed)
        elif not places[0].exists() and _has_compressed(top, path, entries):
            continue
        findings += [fault for place in places for fault in _find_wrong_content(top, place, entry)]
    return findings


def _has_compressed(top: Path, path: str, names: Iterable[str]) -> bool:
    return any(f"{path}{suffix}" in names and (top / f"{path}{suffix}").exists() for suffix in COMPRESSED)


def _find_wrong_content(top: Path, path: Path, entry: Entry) -> list[str]:
    name = path.relative_to(top)
    if not path.is_file():
        return [f"{name} is missing"]
    size = path.stat().st_size
    if size != entry.size:
        return [f"{name} has {size} bytes instead of {entry.size}"]
    return [] if hash_file(path) == entry.sha256 else [f"{name} is another file than its digest says"]
