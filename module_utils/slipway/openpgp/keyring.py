# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public keys of a home: listed, exported, and brought together in a home of their own."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import make_scratch
from ..process import run
from .command import GPG_OFFLINE, GPG_READ, gpg_command
from .listing import GONE, parse_keys


@contextlib.contextmanager
def provide_keyring(keys: Mapping[str, bytes]) -> Iterator[Path]:
    """A private GnuPG home with these public keys: where each is from, and the key itself, armoured or not."""
    secret = [f"{name} is a secret key" for name, data in keys.items() if b"PRIVATE KEY" in data]
    refuse("use the keys of", "signers", secret, do_next="Give the public half, as `gpg --armor --export` writes it.")
    with make_scratch("slipway-keyring-") as home:
        for number, (name, data) in enumerate(keys.items()):
            _import_key(home, home / f"key-{number}", name=name, data=data)
        yield home


def _import_key(home: Path, path: Path, *, name: str, data: bytes) -> None:
    path.write_bytes(data)
    done = run(
        [*gpg_command(home), *GPG_OFFLINE, "--status-fd", "1", "--import", os.fspath(path)],
        attempt="import the key of",
        on=name,
        timeout=60,
        ok_codes=range(256),
    )
    taken = re.findall(r"^\[GNUPG:\] IMPORT_OK [0-9]+ ", done.stdout, re.MULTILINE)
    if not taken:
        do_next = "Give a public key, as `gpg --armor --export` writes it."
        raise SlipwayError("use the key of", name, "GnuPG finds no public key in it", do_next=do_next)


def list_certificates(gnupghome: str | os.PathLike[str]) -> dict[str, set[str]]:
    """The public keys of a home by the fingerprints of their primary keys: the fingerprints of all their parts."""
    words = [*gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-subkey-fingerprint", "--list-keys"]
    done = run(words, attempt="list the keys of", on=str(gnupghome), timeout=60)
    return {
        entry.primary.fingerprint: {part.fingerprint for part in entry.parts()} for entry in parse_keys(done.stdout)
    }


def list_ends(gnupghome: str | os.PathLike[str]) -> dict[str, int | None]:
    """When each public key and subkey of a home expires (seconds since the epoch; None: never); 0 if it is revoked."""
    words = [*gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-subkey-fingerprint", "--list-keys"]
    done = run(words, attempt="list the keys of", on=str(gnupghome), timeout=60)
    return {
        part.fingerprint: 0 if part.validity in GONE else part.expires
        for entry in parse_keys(done.stdout)
        for part in entry.parts()
    }


def list_fingerprints(gnupghome: str | os.PathLike[str]) -> set[str]:
    """The fingerprints of the public keys of a home, those of subkeys among them."""
    return {part for parts in list_certificates(gnupghome).values() for part in parts}


def export_certificate(gnupghome: str | os.PathLike[str], fingerprint: str) -> bytes:
    """One public key of a home as OpenPGP's packets, which other programs than GnuPG read as well."""
    words = [*gpg_command(gnupghome), *GPG_READ, "--export", fingerprint]
    return run(words, attempt="export the public key", on=f"{fingerprint} of {gnupghome}", timeout=60).raw


def list_signing_ends(gnupghome: str | os.PathLike[str]) -> dict[str, int | None]:
    """When each primary key of a home can sign no more: itself, or the part of it that signs longest; 0 if revoked."""
    words = [*gpg_command(gnupghome), *GPG_READ, "--with-colons", "--with-subkey-fingerprint", "--list-keys"]
    done = run(words, attempt="list the keys of", on=str(gnupghome), timeout=60)
    return {
        entry.primary.fingerprint: 0 if entry.primary.validity in GONE else entry.describe().expires
        for entry in parse_keys(done.stdout)
    }


def export_public_key(gnupghome: str | os.PathLike[str], fingerprint: str, *, certified: bool = False) -> bytes:
    """The armoured public key; the same bytes as long as the key is the same.

    If it is to be ``certified``, what other keys of the home say of it remains.
    """
    options = "export-clean" if certified else "export-minimal"
    done = run(
        [*gpg_command(gnupghome), *GPG_READ, "--armor", "--export-options", options, "--export", fingerprint],
        attempt="export the public key",
        on=f"{fingerprint} of {gnupghome}",
        timeout=60,
    )
    return done.stdout.encode()


def list_certifiers(gnupghome: str | os.PathLike[str], fingerprint: str) -> set[str]:
    """The fingerprints of other keys of a home that signed a user id of this one, as GnuPG verifies it."""
    words = [*gpg_command(gnupghome), *GPG_READ, "--with-colons", "--no-sig-cache", "--check-signatures", fingerprint]
    done = run(words, attempt="list who signed", on=f"the key {fingerprint}", timeout=60)
    # GnuPG 2.2 gives wrong fingerprints of who signed where it uses no cache; the key ids are right.
    lines = [line.split(":") for line in done.stdout.splitlines()]
    good = {line[4] for line in lines if line[0] == "sig" and len(line) > 4 and line[1] == "!"}
    return {each for each in list_fingerprints(gnupghome) if each[-16:] in good} - {fingerprint}
