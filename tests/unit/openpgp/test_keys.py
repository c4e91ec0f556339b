# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import (
    find_secret_key,
    find_signing_key,
    make_key,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import verify_signature
from publishing import run_module, tree

ANNE = "Anne Release <anne@example.org>"
BEN = "Ben Release <ben@example.org>"
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def test_a_made_key_signs_and_only_signs(home: Path) -> None:
    key = find_signing_key(home)
    assert key.user_id == ANNE
    assert key.algorithm == "ed25519"
    assert key.expires is not None
    assert abs(key.expires - key.created - 365 * 86400) < 2 * 86400
    assert home.stat().st_mode & 0o777 == 0o700
    assert find_signing_key(home, key.fingerprint.lower()) == key
    assert find_secret_key(home, ANNE) == key
    assert find_secret_key(home, BEN) is None


def test_a_missing_key_is_one_sentence(tmp_path: Path, home: Path) -> None:
    with pytest.raises(SlipwayError, match=r"Could not sign with a key in .*nowhere: there are no keys\. Make or"):
        find_signing_key(tmp_path / "nowhere")
    with pytest.raises(SlipwayError, match=f"the key {FINGERPRINT} in .*: no secret key has this fingerprint"):
        find_signing_key(home, FINGERPRINT)
    with pytest.raises(SlipwayError, match="this is not a full fingerprint of 40"):
        find_signing_key(home, "DEADBEEF")
    assert not (tmp_path / "nowhere").exists()


def test_keys_of_others_are_no_signing_keys(tmp_path: Path, home: Path) -> None:
    exported = export_public_key(home, find_signing_key(home).fingerprint)
    other = tmp_path / "g"
    other.mkdir(mode=0o700)
    subprocess.run(["gpg", "--homedir", other, "--batch", "--import"], input=exported, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", other, "--kill", "all"], check=True)
    with pytest.raises(SlipwayError, match="there are no secret keys"):
        find_signing_key(other)
    mine = make_key(other, BEN)
    assert find_signing_key(other).fingerprint == mine


def test_several_keys_need_a_choice(tmp_path: Path) -> None:
    prints = [make_key(tmp_path / "g", user) for user in (ANNE, BEN)]
    with pytest.raises(SlipwayError, match="2 keys can sign: .* Say which one by its fingerprint"):
        find_signing_key(tmp_path / "g")
    assert find_signing_key(tmp_path / "g", prints[1]).user_id == BEN


def test_an_expired_key_is_named_with_its_day(tmp_path: Path) -> None:
    fingerprint = make_key(tmp_path / "g", ANNE, expires="90d")
    later = time.time() + 100 * 86400
    day = time.strftime("%Y-%m-%d", time.gmtime(find_signing_key(tmp_path / "g").expires))
    with pytest.raises(SlipwayError, match=f"the key {fingerprint} in .*: it expired on {day}"):
        find_signing_key(tmp_path / "g", fingerprint, now=later)
    with pytest.raises(SlipwayError, match=f"{fingerprint}: it expired on {day}"):
        find_signing_key(tmp_path / "g", now=later)
    with pytest.raises(SlipwayError, match="expired"):
        find_secret_key(tmp_path / "g", ANNE, now=later)


def test_a_revoked_key_is_refused_and_its_signatures_too(tmp_path: Path) -> None:
    home, data, signature = tmp_path / "g", tmp_path / "data", tmp_path / "data.asc"
    fingerprint = make_key(home, ANNE)
    data.write_text("x")
    sign_detached(home, fingerprint, data=data, signature=signature)
    certificate = (home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text().replace(":-----", "-----")
    subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--import"], input=certificate.encode(), check=True, capture_output=True
    )
    with pytest.raises(SlipwayError, match="it is revoked"):
        find_signing_key(home, fingerprint)
    assert verify_signature(home, data=data, signature=signature) is None
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def test_bad_names_and_expiries_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    for user in ("Anne", "Anne <anne>", "An\nne <a@b.c>", "<a@b.c>", "Anne <a@b.c> (x)"):
        with pytest.raises(SlipwayError, match="not of the form 'Name <mail@address>'"):
            make_key(tmp_path / "g", user)
    for expires in ("soon", "-1d", "1y; rm", ""):
        with pytest.raises(SlipwayError, match="not a time of expiry"):
            make_key(tmp_path / "g", ANNE, expires=expires)
    assert not (tmp_path / "g").exists()


def test_the_module_makes_one_key_once_and_exports_it(tmp_path: Path) -> None:
    arguments = {
        "gnupghome": str(tmp_path / "g"),
        "name": "Anne",
        "email": "anne@example.org",
        "expires": "1y",
        "public_key": str(tmp_path / "public/key.asc"),
    }
    would = run_module("openpgp_key", arguments, check=True)
    assert (would["changed"], would["fingerprint"]) == (True, "")
    assert tree(tmp_path) == {}
    made = run_module("openpgp_key", arguments)
    assert made["changed"]
    assert made["fingerprint"] == find_signing_key(tmp_path / "g").fingerprint
    assert (tmp_path / "public/key.asc").read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    before = tree(tmp_path)
    for check in (False, True):
        again = run_module("openpgp_key", arguments, check=check)
        assert (again["changed"], again["fingerprint"]) == (False, made["fingerprint"])
    assert tree(tmp_path) == before
    refused = run_module("openpgp_key", {**arguments, "email": "anne"})
    assert refused["failed"]
    assert "not of the form" in refused["msg"]
