# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_secret_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust import dsse, securesystems, strictjson
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as LibraryEnvelope
from securesystemslib.exceptions import VerificationError

ANNE, BEN = "Anne Release <anne@example.org>", "Ben Release <ben@example.org>"
NONE = "its signature, by the key 0000000000000000, is of a kind that GnuPG cannot check here"
PAYLOAD = b'{"version": "26.47", "tricky": "\xc3\xa9 \\n"}\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys") / "gnupg"
    for user in (ANNE, BEN):
        make_key(directory, user)
    return directory


@pytest.fixture(scope="module")
def keys(home: Path) -> tuple[str, str]:
    found = [find_secret_key(home, user) for user in (ANNE, BEN)]
    assert found[0] is not None
    assert found[1] is not None
    return found[0].fingerprint, found[1].fingerprint


@pytest.fixture(scope="module")
def line(home: Path, keys: tuple[str, str]) -> bytes:
    return dsse.sign_envelope(PAYLOAD, dsse.LATEST, gnupghome=home, fingerprint=keys[0])


def read(data: bytes, kind: str = dsse.LATEST) -> dsse.Envelope:
    return dsse.read_envelope(data, payload_type=kind, attempt="read", on="latest.json")


def test_an_envelope_is_one_line_and_is_read_again(line: bytes, home: Path, keys: tuple[str, str]) -> None:
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    said = json.loads(line)
    assert list(said) == ["payload", "payloadType", "signatures"]
    envelope = read(line)
    assert (envelope.payload, envelope.payload_type) == (PAYLOAD, dsse.LATEST)
    assert envelope.format() == line
    (judged,) = dsse.judge_envelope(envelope, gnupghome=home)
    assert (judged.fault, judged.fingerprint) == (None, keys[0])
    assert judged.made is not None


def test_the_same_date_gives_the_same_bytes(home: Path, keys: tuple[str, str]) -> None:
    moment = int(time.time()) + 60
    lines = dsse.sign_envelopes([PAYLOAD] * 2, dsse.KEYS, gnupghome=home, fingerprint=keys[1], at=moment)
    assert lines[0] == lines[1]
    assert dsse.judge_envelope(read(lines[0], dsse.KEYS), gnupghome=home)[0].made == moment


def test_securesystemslib_verifies_it_and_signs_what_we_verify(
    line: bytes, home: Path, keys: tuple[str, str], tmp_path: Path
) -> None:
    anne, ben = (securesystems.OpenPGPKey.of_home(home, key) for key in keys)
    envelope = LibraryEnvelope.from_dict(json.loads(line))
    assert envelope.pae() == read(line).encode()
    assert envelope.verify([anne, ben], 1) == {keys[0]: anne}
    with pytest.raises(VerificationError):
        envelope.verify([anne, ben], 2)
    envelope.sign(securesystems.OpenPGPSigner.from_priv_key_uri(f"slipway-openpgp:{home}", ben))
    assert set(envelope.verify([anne, ben], 2)) == set(keys)
    theirs = read(json.dumps(envelope.to_dict()).encode())
    assert [judged.fingerprint for judged in dsse.judge_envelope(theirs, gnupghome=home)] == list(keys)
    said = {"gnupghome": home, "on": "latest.json"}
    assert securesystems.verify_line(line, fingerprint=keys[0], **said) == PAYLOAD
    for bad, key in ((line, keys[1]), (line.replace(b'"payload":"', b'"payload":"AAAA'), keys[0]), (b"{}", keys[0])):
        with pytest.raises(SlipwayError, match=r"verify latest\.json: securesystemslib says"):
            securesystems.verify_line(bad, fingerprint=key, **said)


VERIFY = r"""
set -eu
type=$(jq -j .payloadType "$1"); jq -j .payload "$1" | base64 -d > "$2/body"
{ printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(stat -c %s "$2/body")"; cat "$2/body"; } > "$2/pae"
jq -j '.signatures[0].sig' "$1" | base64 -d > "$2/sig"
sqv --keyring "$3" "$2/sig" "$2/pae"
gpg --homedir "$2" --batch --yes --quiet --output "$2/key.gpg" --dearmor "$3"
gpgv --quiet --keyring "$2/key.gpg" "$2/sig" "$2/pae"
"""


def test_sqv_and_gpgv_verify_it_with_nothing_but_jq_and_printf(
    line: bytes, home: Path, keys: tuple[str, str], tmp_path: Path
) -> None:
    key, envelope = tmp_path / "release-key.asc", tmp_path / "latest.json"
    key.write_bytes(export_public_key(home, keys[0]))
    for content, good in ((line, True), (line.replace(b'"payload":"', b'"payload":"AAAA'), False)):
        envelope.write_bytes(content)
        done = subprocess.run(
            ["bash", "-c", VERIFY, "verify", envelope, tmp_path, key], capture_output=True, text=True, check=False
        )
        assert (done.returncode == 0) is good, done.stderr
        assert (keys[0] in done.stdout) is good


def test_a_second_key_signs_too_and_each_signature_is_judged_alone(
    line: bytes, home: Path, keys: tuple[str, str]
) -> None:
    both = dsse.add_signature(read(line), gnupghome=home, fingerprint=keys[1])
    assert read(both.format()) == both
    assert [judged.fault for judged in dsse.judge_envelope(both, gnupghome=home)] == [None, None]
    again = dsse.add_signature(both, gnupghome=home, fingerprint=keys[0])
    assert [each.keyid for each in again.signatures] == [keys[1], keys[0]]
    bad = dsse.EnvelopeSignature(keys[1], b"\x88\x00")
    judged = dsse.judge_envelope(dsse.Envelope(PAYLOAD, dsse.LATEST, (both.signatures[0], bad)), gnupghome=home)
    assert [each.fault for each in judged] == [None, NONE]


def test_a_signature_of_another_key_type_or_text_is_no_good_one(line: bytes, home: Path, keys: tuple[str, str]) -> None:
    envelope = read(line)
    (signature,) = envelope.signatures
    for changed, why in (
        (dsse.Envelope(PAYLOAD + b" ", dsse.LATEST, (signature,)), "is over another text"),
        (dsse.Envelope(PAYLOAD, dsse.KEYS, (signature,)), "is over another text"),
        (
            dsse.Envelope(PAYLOAD, dsse.LATEST, (dsse.EnvelopeSignature(keys[1], signature.sig),)),
            f"is by the key {keys[0]}, not by {keys[1]} as it says",
        ),
        (dsse.Envelope(PAYLOAD, dsse.LATEST, (dsse.EnvelopeSignature(keys[0], signature.sig * 2),)), "2 signatures"),
    ):
        (judged,) = dsse.judge_envelope(changed, gnupghome=home)
        assert judged.fault is not None
        assert why in judged.fault


def change(**members: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda said: {**said, **members}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (change(payloadType=dsse.KEYS), r"of the type 'application/vnd.slipway.keys\+json', not"),
        (change(payloadType=7), "no DSSE envelope"),
        (change(payload=None), "no DSSE envelope"),
        (change(payload="e30"), "its payload is no base64"),
        (change(payload="e3 0="), "its payload is no base64"),
        (change(payload="e31="), "its payload is no base64"),
        (change(payload="é"), "its payload is no base64"),
        (change(signatures={}), "no DSSE envelope"),
        (change(signatures=[]), "has 0 signatures, not 1 to 64"),
        (lambda said: {**said, "signatures": said["signatures"] * 65}, "has 65 signatures"),
        (lambda said: {**said, "signatures": said["signatures"] * 2}, "a key has several signatures"),
        (change(signatures=["x"]), "has no keyid or no sig"),
        (change(signatures=[{"keyid": "A" * 40}]), "has no keyid or no sig"),
        (change(signatures=[{"keyid": "a" * 40, "sig": ""}]), "is no fingerprint"),
        (change(signatures=[{"keyid": "A" * 40, "sig": "*"}]), "its sig is no base64"),
    ],
)
def test_what_is_no_envelope_is_refused_in_one_sentence(
    line: bytes, changed: Callable[[dict[str, Any]], dict[str, Any]], why: str
) -> None:
    with pytest.raises(SlipwayError, match=rf"Could not read latest\.json: .*{why}"):
        read(json.dumps(changed(json.loads(line))).encode())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is no JSON"),
        (b"\xff{}", "it is no text in UTF-8"),
        (b"[]", "it is no JSON object"),
        (b'{"payload": "", "payload": "e30="}', "'payload' comes twice"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": "\\ud800"}', "it is no text in UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "limit"),
        (b" " * (strictjson.MOST_BYTES + 1), "at most 67108864 are read"),
    ],
)
def test_what_readers_of_json_read_in_different_ways_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(SlipwayError, match=why):
        read(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(SlipwayError, match=r"^Could not read latest\.json: "):
        read(data)


@given(st.binary(max_size=300), st.text(st.characters(categories=["L", "N", "P"]), max_size=30))
def test_what_is_signed_is_encoded_as_securesystemslib_encodes_it(payload: bytes, kind: str) -> None:
    assert dsse.encode(payload, kind) == LibraryEnvelope(payload, kind, {}).pae()
    envelope = dsse.Envelope(payload, kind, (dsse.EnvelopeSignature("A" * 40, payload),))
    assert read(envelope.format(), kind) == envelope
    urlsafe = json.loads(envelope.format())
    urlsafe["payload"] = base64.urlsafe_b64encode(payload).decode()
    assert read(json.dumps(urlsafe).encode(), kind) == envelope


def test_a_file_of_envelopes_is_signed_and_judged_fast(home: Path, keys: tuple[str, str]) -> None:
    payloads = [b"{%d}" % number for number in range(20)]
    before = time.monotonic()
    lines = dsse.sign_envelopes(payloads, dsse.STATEMENT, gnupghome=home, fingerprint=keys[0])
    envelopes = dsse.read_envelopes(b"".join(lines), payload_type=dsse.STATEMENT, attempt="read", on="statements")
    assert [each.payload for each in envelopes] == payloads
    found = dsse.judge_envelopes(envelopes, gnupghome=home)
    assert [[each.fault for each in judged] for judged in found] == [[None]] * 20
    assert time.monotonic() - before < 10  # a bound that holds on a busy machine; it takes about half a second
    for bad, why in ((lines[0][:-1], "its last line has no end"), (lines[0] + b"\n", "read line 2 of statements")):
        with pytest.raises(SlipwayError, match=why):
            dsse.read_envelopes(bad, payload_type=dsse.STATEMENT, attempt="read", on="statements")


def test_a_key_that_is_not_there_or_too_short_signs_nothing(home: Path, tmp_path: Path) -> None:
    for key, why in (("F" * 40, "No secret key"), ("F" * 16, "not a full fingerprint")):
        with pytest.raises(SlipwayError, match=why):
            dsse.sign_envelope(PAYLOAD, dsse.LATEST, gnupghome=home, fingerprint=key)
