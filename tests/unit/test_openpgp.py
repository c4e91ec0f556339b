# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import openpgp
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from hypothesis import given
from hypothesis import strategies as st
from publishing import run_module, tree

ANNE = "Anne Release <anne@example.org>"
BEN = "Ben Release <ben@example.org>"
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys") / "gnupg"
    openpgp.make_key(directory, ANNE, expires="1y")
    return directory


@pytest.fixture
def signed(home: Path, tmp_path: Path) -> tuple[Path, Path, str]:
    data, signature = tmp_path / "SHA256SUMS", tmp_path / "SHA256SUMS.asc"
    data.write_text("abc  x\n")
    fingerprint = openpgp.find_signing_key(home).fingerprint
    openpgp.sign_detached(home, fingerprint, data=data, signature=signature)
    return data, signature, fingerprint


def agents_of(home: Path) -> list[int]:
    """Processes that have this home (or a link to it) on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(os.path.realpath(os.fsdecode(word)) == os.path.realpath(home) for word in words if word[:1] == b"/"):
                found.append(int(entry.name))
    return found


def test_a_made_key_signs_and_only_signs(home: Path) -> None:
    key = openpgp.find_signing_key(home)
    assert key.user_id == ANNE
    assert key.algorithm == "ed25519"
    assert key.expires is not None
    assert abs(key.expires - key.created - 365 * 86400) < 2 * 86400
    assert home.stat().st_mode & 0o777 == 0o700
    assert openpgp.find_signing_key(home, key.fingerprint.lower()) == key
    assert openpgp.find_secret_key(home, ANNE) == key
    assert openpgp.find_secret_key(home, BEN) is None


def test_a_signature_is_verified_by_gpg_itself_with_the_exported_key(
    home: Path, signed: tuple[Path, Path, str], tmp_path: Path
) -> None:
    data, signature, fingerprint = signed
    exported = tmp_path / "key.asc"
    exported.write_bytes(openpgp.export_public_key(home, fingerprint))
    keyring = tmp_path / "key.gpg"
    subprocess.run(["gpg", "--dearmor", "--output", keyring, exported], check=True, capture_output=True)
    subprocess.run(["gpgv", "--keyring", keyring, signature, data], check=True, capture_output=True)
    assert openpgp.export_public_key(home, fingerprint) == exported.read_bytes()


def test_a_good_signature_is_recognised_and_every_other_is_not(home: Path, signed: tuple[Path, Path, str]) -> None:
    data, signature, fingerprint = signed
    found = openpgp.verify_signature(home, data=data, signature=signature)
    assert found is not None
    assert found.fingerprint == fingerprint
    assert abs(found.made - time.time()) < 60
    data.write_text("abd  x\n")
    assert openpgp.verify_signature(home, data=data, signature=signature) is None
    signature.write_text("no signature")
    assert openpgp.verify_signature(home, data=data, signature=signature) is None
    signature.unlink()
    assert openpgp.verify_signature(home, data=data, signature=signature) is None


def test_a_signature_with_the_same_date_has_the_same_bytes(home: Path, signed: tuple[Path, Path, str]) -> None:
    data, signature, fingerprint = signed
    before = signature.read_bytes()
    found = openpgp.verify_signature(home, data=data, signature=signature)
    assert found is not None
    openpgp.sign_detached(home, fingerprint, data=data, signature=signature, at=found.made)
    assert signature.read_bytes() == before
    openpgp.sign_detached(home, fingerprint, data=data, signature=signature, at=found.made + 5)
    assert signature.read_bytes() != before


def test_a_gpg_conf_changes_no_byte(home: Path, signed: tuple[Path, Path, str]) -> None:
    data, signature, fingerprint = signed
    before = signature.read_bytes()
    found = openpgp.verify_signature(home, data=data, signature=signature)
    assert found is not None
    (home / "gpg.conf").write_text("comment by hand\ndigest-algo SHA224\ntextmode\nverbose\n")
    openpgp.sign_detached(home, fingerprint, data=data, signature=signature, at=found.made)
    assert signature.read_bytes() == before


@pytest.mark.parametrize("length", range(103, 110))
def test_a_home_whose_path_is_about_as_long_as_sockets_may_be_works(tmp_path: Path, length: int) -> None:
    room = length - len(f"{tmp_path}//S.gpg-agent.browser")
    assert room > 0
    home = tmp_path / ("h" * room)
    assert len(f"{home}/S.gpg-agent.browser") == length
    assert openpgp.make_key(home, "Release <release@example.org>")


def test_a_home_whose_path_is_too_long_for_sockets_works_and_leaves_no_agent(tmp_path: Path) -> None:
    home = tmp_path / ("state" * 20) / ("gnupg" * 10)
    assert len(str(home)) > 150
    fingerprint = openpgp.make_key(home, ANNE, expires="0")
    assert openpgp.find_signing_key(home).expires is None
    data, signature = tmp_path / "data", tmp_path / "data.asc"
    data.write_text("x")
    openpgp.sign_detached(home, fingerprint, data=data, signature=signature)
    assert openpgp.verify_signature(home, data=data, signature=signature) is not None
    assert [path.name for path in home.iterdir() if path.is_socket()] == []
    assert agents_of(home) == []


def test_looking_changes_nothing_in_the_home(home: Path, signed: tuple[Path, Path, str]) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in (home, *home.iterdir())}
        return {name: said for name, said in found.items() if not name.startswith("S.")}

    data, signature, fingerprint = signed
    before = state()
    openpgp.find_signing_key(home, fingerprint)
    openpgp.verify_signature(home, data=data, signature=signature)
    openpgp.export_public_key(home, fingerprint)
    openpgp.find_secret_key(home, ANNE)
    assert state() == before


def socket_of(home: Path) -> Path:
    """Where the agent listens: in its home, or below /run/user where a session has that."""
    words = ["gpgconf", "--homedir", home, "--list-dirs", "agent-socket"]
    return Path(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())


def test_an_agent_that_was_there_before_stays(tmp_path: Path) -> None:
    home = tmp_path / "gnupg"
    openpgp.make_key(home, ANNE)
    agent = subprocess.Popen(["gpg-agent", "--homedir", home, "--daemon", "sleep", "60"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket_of(home).is_socket():
                break
            time.sleep(0.05)
        openpgp.find_signing_key(home)
        assert socket_of(home).is_socket()
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        agent.kill()
        agent.wait()


def test_a_missing_key_is_one_sentence(tmp_path: Path, home: Path) -> None:
    with pytest.raises(SlipwayError, match=r"Could not sign with a key in .*nowhere: there are no keys\. Make or"):
        openpgp.find_signing_key(tmp_path / "nowhere")
    with pytest.raises(SlipwayError, match=f"the key {FINGERPRINT} in .*: no secret key has this fingerprint"):
        openpgp.find_signing_key(home, FINGERPRINT)
    with pytest.raises(SlipwayError, match="this is not a full fingerprint of 40"):
        openpgp.find_signing_key(home, "DEADBEEF")
    assert not (tmp_path / "nowhere").exists()


def test_keys_of_others_are_no_signing_keys(tmp_path: Path, home: Path) -> None:
    exported = openpgp.export_public_key(home, openpgp.find_signing_key(home).fingerprint)
    other = tmp_path / "g"
    other.mkdir(mode=0o700)
    subprocess.run(["gpg", "--homedir", other, "--batch", "--import"], input=exported, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", other, "--kill", "all"], check=True)
    with pytest.raises(SlipwayError, match="there are no secret keys"):
        openpgp.find_signing_key(other)
    mine = openpgp.make_key(other, BEN)
    assert openpgp.find_signing_key(other).fingerprint == mine


def test_a_secret_key_that_only_a_running_agent_has_is_found(tmp_path: Path) -> None:
    home, away = tmp_path / "g", tmp_path / "away"
    fingerprint = openpgp.make_key(home, ANNE)
    agent = subprocess.Popen(["gpg-agent", "--homedir", home, "--daemon", "sleep", "60"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket_of(home).is_socket():
                break
            time.sleep(0.05)
        away.mkdir(mode=0o700)
        (away / "pubring.kbx").write_bytes((home / "pubring.kbx").read_bytes())
        with pytest.raises(SlipwayError, match="no secret key"):
            openpgp.find_signing_key(away, fingerprint)
        subprocess.run(["gpgconf", "--homedir", away, "--create-socketdir"], check=False)  # fails where none is needed
        socket_of(away).symlink_to(socket_of(home))
        assert openpgp.find_signing_key(away, fingerprint).fingerprint == fingerprint
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        agent.kill()
        agent.wait()


def test_several_keys_need_a_choice(tmp_path: Path) -> None:
    prints = [openpgp.make_key(tmp_path / "g", user) for user in (ANNE, BEN)]
    with pytest.raises(SlipwayError, match="2 keys can sign: .* Say which one by its fingerprint"):
        openpgp.find_signing_key(tmp_path / "g")
    assert openpgp.find_signing_key(tmp_path / "g", prints[1]).user_id == BEN


def test_an_expired_key_is_named_with_its_day(tmp_path: Path) -> None:
    fingerprint = openpgp.make_key(tmp_path / "g", ANNE, expires="90d")
    later = time.time() + 100 * 86400
    day = time.strftime("%Y-%m-%d", time.gmtime(openpgp.find_signing_key(tmp_path / "g").expires))
    with pytest.raises(SlipwayError, match=f"the key {fingerprint} in .*: it expired on {day}"):
        openpgp.find_signing_key(tmp_path / "g", fingerprint, now=later)
    with pytest.raises(SlipwayError, match=f"{fingerprint}: it expired on {day}"):
        openpgp.find_signing_key(tmp_path / "g", now=later)
    with pytest.raises(SlipwayError, match="expired"):
        openpgp.find_secret_key(tmp_path / "g", ANNE, now=later)


def test_a_revoked_key_is_refused_and_its_signatures_too(tmp_path: Path) -> None:
    home, data, signature = tmp_path / "g", tmp_path / "data", tmp_path / "data.asc"
    fingerprint = openpgp.make_key(home, ANNE)
    data.write_text("x")
    openpgp.sign_detached(home, fingerprint, data=data, signature=signature)
    certificate = (home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text().replace(":-----", "-----")
    subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--import"], input=certificate.encode(), check=True, capture_output=True
    )
    with pytest.raises(SlipwayError, match="it is revoked"):
        openpgp.find_signing_key(home, fingerprint)
    assert openpgp.verify_signature(home, data=data, signature=signature) is None
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def test_bad_names_and_expiries_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    for user in ("Anne", "Anne <anne>", "An\nne <a@b.c>", "<a@b.c>", "Anne <a@b.c> (x)"):
        with pytest.raises(SlipwayError, match="not of the form 'Name <mail@address>'"):
            openpgp.make_key(tmp_path / "g", user)
    for expires in ("soon", "-1d", "1y; rm", ""):
        with pytest.raises(SlipwayError, match="not a time of expiry"):
            openpgp.make_key(tmp_path / "g", ANNE, expires=expires)
    assert not (tmp_path / "g").exists()


LISTING = f"""sec:u:255:22:F750359CE532A081:1000:5000::u:::cESC:::+::ed25519:::0:
fpr:::::::::{FINGERPRINT}:
grp:::::::::A2E625189641754B9226657BD8AE2C81B9FE16FD:
uid:u::::1000::15BA::A \\x3a B <a@b.c>::::::::::0:
ssb:u:255:22:AAAA:1000:3000:::::s:::+::ed25519::
fpr:::::::::1111111111111111111111111111111111111111:
ssb:e:255:18:BBBB:1000:1500:::::e:::+::cv25519::
fpr:::::::::2222222222222222222222222222222222222222:
"""


def test_a_key_lasts_as_long_as_its_last_signing_part() -> None:
    (listed,) = openpgp.parse_keys(LISTING)
    assert listed.find_fault(2000) is None
    key = listed.describe()
    assert (key.fingerprint, key.user_id, key.expires) == (FINGERPRINT, "A : B <a@b.c>", 3000)
    assert listed.find_fault(4000) == "its signing subkey expired on 1970-01-01"
    assert listed.find_fault(6000) == "it expired on 1970-01-01"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ((":::cESC:::+", ":::cESCD:::+"), "it is disabled"),
        (("sec:u:", "sec:r:"), "it is revoked"),
        ((":s:::+:", ":s:::#:"), "its secret part is not there"),
        ((":s:::+:", ":a:::+:"), "it is not made for signing"),
        (("ssb:u:", "ssb:r:"), "its signing subkey is revoked or not valid"),
    ],
)
def test_why_a_key_cannot_sign(change: tuple[str, str], fault: str) -> None:
    (listed,) = openpgp.parse_keys(LISTING.replace(*change))
    assert listed.find_fault(2000) == fault


@given(st.text(alphabet="secsbfpruid:0123u\n\\x#+", max_size=200))
def test_any_listing_can_be_read(text: str) -> None:
    for listed in openpgp.parse_keys(text):
        if listed.find_fault(0) is None:
            listed.describe()


@given(st.text(max_size=200), st.sampled_from(["VALIDSIG", "GOODSIG", "BADSIG", ""]))
def test_any_status_can_be_read(text: str, word: str) -> None:
    found = openpgp.parse_verification(f"[GNUPG:] {word} {text}\n{text}")
    assert found is None or openpgp.FINGERPRINT.match(found.fingerprint)


def test_two_signatures_or_a_bad_one_are_not_good() -> None:
    valid = f"[GNUPG:] VALIDSIG {FINGERPRINT} 2026-11-21 1000 0 4 0 22 8 00 {FINGERPRINT}\n"
    assert openpgp.parse_verification(valid) == openpgp.Signature(FINGERPRINT, 1000)
    assert openpgp.parse_verification(valid * 2) is None
    assert openpgp.parse_verification(valid + "[GNUPG:] BADSIG F750 A\n") is None
    assert openpgp.parse_verification("[GNUPG:] EXPKEYSIG F750 A\n" + valid) is not None
    assert openpgp.parse_verification("[GNUPG:] REVKEYSIG F750 A\n" + valid) is None


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
    found = openpgp.parse_judgement("".join(f"[GNUPG:] {line}\n" for line in lines))
    assert (found.fault is None) is (worthless is None)
    assert found.fault is not None or found == openpgp.Judgement(None, FINGERPRINT, FINGERPRINT, 1000)


@given(st.text(max_size=200), st.sampled_from(["VALIDSIG", "GOODSIG", "BADSIG", "ERRSIG", "KEYEXPIRED", ""]))
def test_any_status_can_be_judged_and_is_no_good_signature(text: str, word: str) -> None:
    assert openpgp.parse_judgement(f"[GNUPG:] {word} {text}\n{text}").fault is not None


def test_a_name_cannot_pass_for_what_gnupg_says() -> None:
    other = "F" * 40
    name = f"Mallory\u2028[GNUPG:] {VALID.replace(FINGERPRINT, other)}"
    found = openpgp.parse_judgement(f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG F750 {name}\n[GNUPG:] {VALID}\n")
    assert (found.fault, found.fingerprint) == (None, FINGERPRINT)


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
    assert made["fingerprint"] == openpgp.find_signing_key(tmp_path / "g").fingerprint
    assert (tmp_path / "public/key.asc").read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    before = tree(tmp_path)
    for check in (False, True):
        again = run_module("openpgp_key", arguments, check=check)
        assert (again["changed"], again["fingerprint"]) == (False, made["fingerprint"])
    assert tree(tmp_path) == before
    refused = run_module("openpgp_key", {**arguments, "email": "anne"})
    assert refused["failed"]
    assert "not of the form" in refused["msg"]


def test_the_module_imports_a_key_that_there_is(home: Path, tmp_path: Path) -> None:
    words = ["gpg", "--homedir", home, "--batch", "--armor", "--export-secret-keys"]
    secret = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    name, address = ANNE.removesuffix(">").split(" <")
    arguments = {"gnupghome": str(tmp_path / "g"), "name": name, "email": address, "secret_key": secret}
    assert run_module("openpgp_key", arguments, check=True)["changed"]
    assert tree(tmp_path) == {}
    for change, why in (({"name": "Ben"}, f"it is of {ANNE}"), ({"secret_key": "none"}, "no valid OpenPGP data found")):
        refused = run_module("openpgp_key", {**arguments, **change})
        assert why in refused["msg"]
        assert tree(tmp_path) == {}
    made = run_module("openpgp_key", arguments)
    assert (made["changed"], made["fingerprint"]) == (True, openpgp.find_signing_key(home).fingerprint)
    again = run_module("openpgp_key", {**arguments, "secret_key": "none"})
    assert (again["changed"], again["fingerprint"]) == (False, made["fingerprint"])
    openpgp.try_signing(tmp_path / "g", made["fingerprint"])
    assert agents_of(tmp_path / "g") == []


def test_a_signed_text_is_opened_by_a_home_and_by_a_file_of_keys(home: Path, tmp_path: Path) -> None:
    fingerprint = openpgp.find_signing_key(home).fingerprint
    text = b"Source: one\n- a line that begins with a dash\n"
    with openpgp.provide_environment(home) as environment:
        signed = openpgp.clearsign_within(environment, fingerprint, text, on="a text")
    armored, plain = tmp_path / "key.asc", tmp_path / "key.gpg"
    armored.write_bytes(openpgp.export_public_key(home, fingerprint))
    subprocess.run(["gpg", "--homedir", home, "--export", "--output", plain], check=True, capture_output=True)
    for found in (
        openpgp.open_clearsigned(signed, gnupghome=home),
        openpgp.open_clearsigned(signed, keyring=armored),
        openpgp.open_clearsigned(signed, keyring=plain),
    ):
        assert found is not None
        assert (found[0].fingerprint, found[1]) == (fingerprint, text)


@pytest.mark.parametrize(
    "change", [lambda signed: signed.replace(b"one", b"two"), lambda signed: signed[:-60], lambda _: b"x"]
)
def test_a_signed_text_that_was_changed_is_not_opened(
    home: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    fingerprint = openpgp.find_signing_key(home).fingerprint
    with openpgp.provide_environment(home) as environment:
        signed = change(openpgp.clearsign_within(environment, fingerprint, b"Source: one\n", on="a text"))
    keyring = tmp_path / "key.asc"
    keyring.write_bytes(openpgp.export_public_key(home, fingerprint))
    assert openpgp.open_clearsigned(signed, gnupghome=home) is None
    assert openpgp.open_clearsigned(signed, keyring=keyring) is None
    assert openpgp.open_clearsigned(signed, gnupghome=tmp_path) is None


def test_a_text_that_was_signed_by_a_digest_which_can_be_forged_is_not_opened(home: Path, tmp_path: Path) -> None:
    text, keyring = tmp_path / "text", tmp_path / "key.asc"
    text.write_text("Source: one\n")
    words = ["gpg", "--homedir", home, "--batch", "--digest-algo", "SHA1", "--clearsign", text]
    subprocess.run(words, check=True, capture_output=True)
    signed = (tmp_path / "text.asc").read_bytes()
    assert b"Hash: SHA1" in signed
    keyring.write_bytes(openpgp.export_public_key(home, openpgp.find_signing_key(home).fingerprint))
    assert openpgp.open_clearsigned(signed, gnupghome=home) is None
    assert openpgp.open_clearsigned(signed, keyring=keyring) is None


def test_why_an_agent_does_not_start_is_told(tmp_path):
    home = tmp_path / "gnupg"
    (home / "S.gpg-agent/in the way").mkdir(parents=True)
    home.chmod(0o700)
    with pytest.raises(SlipwayError, match=r"gpg-agent ended with status 2; .*S\.gpg-agent"):
        openpgp.make_key(home, "Release <release@example.org>")
