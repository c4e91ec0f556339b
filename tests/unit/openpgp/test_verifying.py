# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp import command
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import clearsign_within
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import (
    Judgement,
    Signature,
    open_clearsigned,
    parse_judgement,
    parse_verification,
    verify_signature,
)
from hypothesis import given
from hypothesis import strategies as st

FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def test_a_good_signature_is_recognised_and_every_other_is_not(home: Path, signed: tuple[Path, Path, str]) -> None:
    data, signature, fingerprint = signed
    found = verify_signature(home, data=data, signature=signature)
    assert found is not None
    assert found.fingerprint == fingerprint
    assert abs(found.made - time.time()) < 60
    data.write_text("abd  x\n")
    assert verify_signature(home, data=data, signature=signature) is None
    signature.write_text("no signature")
    assert verify_signature(home, data=data, signature=signature) is None
    signature.unlink()
    assert verify_signature(home, data=data, signature=signature) is None


@given(st.text(max_size=200), st.sampled_from(["VALIDSIG", "GOODSIG", "BADSIG", ""]))
def test_any_status_can_be_read(text: str, word: str) -> None:
    found = parse_verification(f"[GNUPG:] {word} {text}\n{text}")
    assert found is None or command.FINGERPRINT.match(found.fingerprint)


def test_two_signatures_or_a_bad_one_are_not_good() -> None:
    valid = f"[GNUPG:] VALIDSIG {FINGERPRINT} 2026-11-21 1000 0 4 0 22 8 00 {FINGERPRINT}\n"
    assert parse_verification(valid) == Signature(FINGERPRINT, 1000)
    assert parse_verification(valid * 2) is None
    assert parse_verification(valid + "[GNUPG:] BADSIG F750 A\n") is None
    assert parse_verification("[GNUPG:] EXPKEYSIG F750 A\n" + valid) is not None
    assert parse_verification("[GNUPG:] REVKEYSIG F750 A\n" + valid) is None


VALID = f"VALIDSIG {FINGERPRINT} 2026-11-21 1000 0 4 0 22 8 00 {FINGERPRINT}"


#: Each makes a signature worthless that is good in all else.
WORTHLESS = [
    "BADSIG F750 A",
    "ERRSIG F750 22 8 00 1000 9 -",
    "REVKEYSIG F750 A",
    "EXPKEYSIG F750 A",
    "EXPSIG F750 A",
    f"NEWSIG\n[GNUPG:] NEWSIG\n[GNUPG:] {VALID}",
    VALID,
    VALID.replace(" 8 00", " 2 00"),
    VALID.replace(" 8 00", " 8 10"),
]


@given(st.permutations(["NEWSIG", "GOODSIG F750 A", VALID]), st.sampled_from([*WORTHLESS, None]), st.integers(0, 3))
def test_a_judgement_is_good_only_where_nothing_speaks_against_it(
    good: list[str], worthless: str | None, place: int
) -> None:
    lines = [*good[:place], *([] if worthless is None else [worthless]), *good[place:]]
    if worthless is not None and worthless.startswith("VALIDSIG") and worthless != VALID:
        lines.remove(VALID)
    found = parse_judgement("".join(f"[GNUPG:] {line}\n" for line in lines))
    assert (found.fault is None) is (worthless is None)
    assert found.fault is not None or found == Judgement(None, FINGERPRINT, FINGERPRINT, 1000)


@given(st.text(max_size=200), st.sampled_from(["VALIDSIG", "GOODSIG", "BADSIG", "ERRSIG", "KEYEXPIRED", ""]))
def test_any_status_can_be_judged_and_is_no_good_signature(text: str, word: str) -> None:
    assert parse_judgement(f"[GNUPG:] {word} {text}\n{text}").fault is not None


def test_a_name_cannot_pass_for_what_gnupg_says() -> None:
    other = "F" * 40
    name = f"Mallory\u2028[GNUPG:] {VALID.replace(FINGERPRINT, other)}"
    found = parse_judgement(f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG F750 {name}\n[GNUPG:] {VALID}\n")
    assert (found.fault, found.fingerprint) == (None, FINGERPRINT)


def test_a_signed_text_is_opened_by_a_home_and_by_a_file_of_keys(home: Path, tmp_path: Path) -> None:
    fingerprint = find_signing_key(home).fingerprint
    text = b"Source: one\n- a line that begins with a dash\n"
    with provide_environment(home) as environment:
        signed = clearsign_within(environment, fingerprint, text, on="a text")
    armored, plain = tmp_path / "key.asc", tmp_path / "key.gpg"
    armored.write_bytes(export_public_key(home, fingerprint))
    subprocess.run(["gpg", "--homedir", home, "--export", "--output", plain], check=True, capture_output=True)
    for found in (
        open_clearsigned(signed, gnupghome=home),
        open_clearsigned(signed, keyring=armored),
        open_clearsigned(signed, keyring=plain),
    ):
        assert found is not None
        assert (found[0].fingerprint, found[1]) == (fingerprint, text)


@pytest.mark.parametrize(
    "change", [lambda signed: signed.replace(b"one", b"two"), lambda signed: signed[:-60], lambda _: b"x"]
)
def test_a_signed_text_that_was_changed_is_not_opened(
    home: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    fingerprint = find_signing_key(home).fingerprint
    with provide_environment(home) as environment:
        signed = change(clearsign_within(environment, fingerprint, b"Source: one\n", on="a text"))
    keyring = tmp_path / "key.asc"
    keyring.write_bytes(export_public_key(home, fingerprint))
    assert open_clearsigned(signed, gnupghome=home) is None
    assert open_clearsigned(signed, keyring=keyring) is None
    assert open_clearsigned(signed, gnupghome=tmp_path) is None


def test_a_text_that_was_signed_by_a_digest_which_can_be_forged_is_not_opened(home: Path, tmp_path: Path) -> None:
    text, keyring = tmp_path / "text", tmp_path / "key.asc"
    text.write_text("Source: one\n")
    words = ["gpg", "--homedir", home, "--batch", "--digest-algo", "SHA1", "--clearsign", text]
    subprocess.run(words, check=True, capture_output=True)
    signed = (tmp_path / "text.asc").read_bytes()
    assert b"Hash: SHA1" in signed
    keyring.write_bytes(export_public_key(home, find_signing_key(home).fingerprint))
    assert open_clearsigned(signed, gnupghome=home) is None
    assert open_clearsigned(signed, keyring=keyring) is None
