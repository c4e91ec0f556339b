# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What OpenPGP files say of themselves, beside what GnuPG reads in them."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.listing import parse_keys
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import judge_signature
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.packets import (
    SignatureWords,
    read_keys,
    read_signature,
)
from hypothesis import given
from hypothesis import strategies as st

KINDS = ("ed25519", "rsa2048")


def gpg(home: Path, words: Sequence[str]) -> str:
    command = ["gpg", "--homedir", home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a key of two names and a signing subkey, and a signature by the latter over ``data``."""
    home = tmp_path_factory.mktemp("h")
    home.chmod(0o700)
    gpg(home, ["--quick-generate-key", "Zoë <z@example.org>", request.param, "sign,cert", "never"])
    (key,) = [entry.primary.fingerprint for entry in parse_keys(gpg(home, ["--with-colons", "--list-keys"]))]
    gpg(home, ["--quick-add-uid", key, "Zoë again <a@example.org>"])
    gpg(home, ["--quick-add-key", key, request.param, "sign", "2y"])
    (home / "data").write_text("data")
    gpg(home, ["--armor", "--detach-sign", str(home / "data")])
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    return home


def test_a_key_has_the_fingerprints_and_names_that_gnupg_finds(home: Path) -> None:
    (key,) = read_keys(gpg(home, ["--armor", "--export"]))
    (entry,) = parse_keys(gpg(home, ["--with-colons", "--with-subkey-fingerprint", "--list-keys"]))
    assert [key.fingerprint, *key.subkeys] == [part.fingerprint for part in entry.parts()]
    assert sorted(key.user_ids) == sorted(entry.user_ids)


def test_a_signature_has_the_time_and_the_key_that_gnupg_finds(home: Path) -> None:
    found = read_signature((home / "data.asc").read_text())
    judged = judge_signature(home, data=home / "data", signature=home / "data.asc")
    assert judged.fault is None
    assert (found.made, found.key) == (judged.made, judged.key)
    assert found.key != judged.fingerprint, "the subkey signs"


def test_several_keys_in_a_file_are_read_one_after_the_other(home: Path) -> None:
    text = gpg(home, ["--armor", "--export"])
    assert read_keys(f"words\n{text}{text.replace(chr(10), chr(13) + chr(10))}") == read_keys(text) * 2


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_what_is_no_such_file_says_nothing(text: str) -> None:
    block = f"-----BEGIN PGP SIGNATURE-----\n\n{text}\n-----END PGP SIGNATURE-----\n"
    assert read_signature(text) == SignatureWords()
    assert read_keys(text) == []
    read_signature(block)
    read_keys(block)


@given(st.binary(max_size=80))
def test_any_bytes_in_armour_end_without_a_failure(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    block = f"-----BEGIN PGP SIGNATURE-----\n\n{text}\n-----END PGP SIGNATURE-----\n"
    read_signature(block)
    read_keys(block)
