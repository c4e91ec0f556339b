# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public keys beside the releases: prolonged and followed by others, and never exchanged."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_secret_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.keyfile import make_key_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.packets import read_keys
from publishing import run_module


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made") / "gnupg"
    for name in ("Old", "New"):
        make_key(home, f"{name} <{name}@example.org>", expires="2030-01-01")
    make_key(home.parent / "other", "Eve <eve@example.org>")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "gnupg", ignore=shutil.ignore_patterns("S.*"))


def find(home: Path, name: str) -> str:
    key = find_secret_key(home, f"{name} <{name}@example.org>")
    assert key is not None
    return key.fingerprint


def expiry(text: bytes, tmp_path: Path) -> list[str]:
    (tmp_path / "key").write_bytes(text)
    words = ["gpg", "--homedir", tmp_path, "--batch", "--with-colons", "--show-keys", tmp_path / "key"]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [line.split(":")[6] for line in shown.splitlines() if line.startswith("pub:")]


def prolong(home: Path, fingerprint: str) -> None:
    words = ["gpg", "--homedir", home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run([*words, "--quick-set-expire", fingerprint, "9y"], check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def test_the_first_file_is_the_signing_key_and_stays_as_it_is(home: Path) -> None:
    old = find(home, "Old")
    first = make_key_file(home, old, ["", ""])
    assert first == export_public_key(home, old)
    assert make_key_file(home, old, [first.decode()]) == first


def test_a_new_key_comes_beside_the_old_one_whichever_signs(home: Path) -> None:
    old, new = find(home, "Old"), find(home, "New")
    both = make_key_file(home, new, [make_key_file(home, old, []).decode()])
    assert sorted(key.fingerprint for key in read_keys(both.decode())) == sorted([old, new])
    for signer in (old, new):
        assert make_key_file(home, signer, [both.decode(), "", make_key_file(home, old, []).decode()]) == both


def test_a_prolonged_key_replaces_itself_and_an_older_copy_takes_nothing_back(home: Path, tmp_path: Path) -> None:
    old = find(home, "Old")
    before = make_key_file(home, old, [])
    backup = shutil.copytree(home, tmp_path / "backup", ignore=shutil.ignore_patterns("S.*"))
    prolong(home, old)
    after = make_key_file(home, old, [before.decode()])
    assert expiry(after, tmp_path) > expiry(before, tmp_path)
    assert make_key_file(backup, old, [after.decode()]) == after, "what was restored from a backup is older"


def test_another_key_and_what_is_no_key_are_refused_with_both_digests(home: Path, made: Path) -> None:
    old = find(home, "Old")
    ours = make_key_file(home, old, []).decode()
    eve = find_secret_key(made.parent / "other", "Eve <eve@example.org>")
    assert eve is not None
    theirs = export_public_key(made.parent / "other", eve.fingerprint).decode()
    damaged = ours.replace("\n\n", "\n\nAAAA", 1)
    for text, why in ((theirs, eve.fingerprint), (ours + theirs, eve.fingerprint), ("words", "no public key")):
        with pytest.raises(SlipwayError, match=r"release-key\.asc") as caught:
            make_key_file(home, old, [text])
        for part in (why, hashlib.sha256(text.encode()).hexdigest(), hashlib.sha256(ours.encode()).hexdigest()):
            assert part in str(caught.value)
    with pytest.raises(SlipwayError, match="holds no public key"):
        make_key_file(home, old, [damaged])


def test_a_signing_key_that_is_gone_is_named(home: Path) -> None:
    with pytest.raises(SlipwayError, match=f"the key {'A' * 40} is not in .* Import its public half"):
        make_key_file(home, "A" * 40, [])


def test_the_module_gives_the_file_with_its_digest(home: Path) -> None:
    old = find(home, "Old")
    answer = run_module("release_key_info", {"gnupghome": str(home), "signing_key": old, "published": [""]}, check=True)
    assert not answer["changed"]
    content = answer["content"].encode()
    assert answer["fingerprints"] == [old]
    assert answer["file"] == {
        "name": "release-key.asc",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
