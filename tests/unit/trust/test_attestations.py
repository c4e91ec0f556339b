"""What is published counts as attested when as many signers as must be got exactly that, each by a key of their own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust import attestations
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.attestations import (
    Given,
    Verdict,
    fetch_attestations,
    judge_attestations,
    push_attestation,
    require_agreement,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trust.signers import (
    Quorum,
    make_key_file,
    read_quorum,
    read_signers,
)
from signedtags import Keyring

VERSION, LABEL = "26.47", "baserock-26.47"
NOBODY = Person("A", "a@example.org", 0)


def make_sums(version: str = VERSION, **digests: str) -> bytes:
    files = {"a.tar": "1" * 64, "b.img": "2" * 64, "manifest.json": "3" * 64, **digests}
    return "".join(f"{digest}  baserock-{version}-{name}\n" for name, digest in files.items()).encode()


SUMS = make_sums()


class People:
    """Three signers, one whose key is over, one whose key is revoked, and somebody else."""

    def __init__(self, top: Path) -> None:
        self.keyring = Keyring(top / "gpg")
        self.keys = {name: self.keyring.make(name) for name in ("ada", "bob", "eve", "gone", "mallory")}
        self.keys["old"] = self.keyring.make("old", expires="1d", at="20200101T000000")
        self.sub = self.keyring.add_subkey(self.keys["ada"])
        self.signed_by_gone = self.keyring.sign(SUMS, self.keys["gone"])
        self.keyring.revoke(self.keys["gone"])

    def entry(self, name: str) -> dict[str, str]:
        return {"fingerprint": self.keys[name], "key_text": self.keyring.export(name)}

    def quorum(self, threshold: int = 2, names: tuple[str, ...] = ("ada", "bob", "eve")) -> Quorum:
        return read_quorum({name: self.entry(name) for name in names}, threshold=threshold, repository="/x")

    def sign(self, name: str, sums: bytes, *options: str) -> Given:
        return Given(sums, self.keyring.sign(sums, self.keys[name], *options))


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with tempfile.TemporaryDirectory(prefix="at-", dir="/tmp") as top:  # the agent's socket wants a short path
        found = People(Path(top))
        yield found
        found.keyring.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "attestations.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    return str(path)


def push(people: People, url: str, name: str, given: Given, version: str = VERSION, **more: Any) -> bool:
    quorum = people.quorum(1, (name,))
    pushed = push_attestation(url, attestor=quorum.attestors[0], version=version, given=given, person=NOBODY, **more)
    return bool(pushed.changed)


def commit(url: str, entries: dict[str, tuple[str, bytes]]) -> None:
    """What somebody pushes who may push anything: mode and content by path, and nothing else."""
    environment = {**os.environ, "GIT_INDEX_FILE": f"{url}/index", "GIT_DIR": url, "HOME": url}
    people = {f"GIT_{who}_{what}": "m@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *words], env=environment | people, input=stdin, check=True, capture_output=True)
        return done.stdout.decode().strip()

    Path(f"{url}/index").unlink(missing_ok=True)
    blobs = {
        content: git("hash-object", "-w", "--stdin", stdin=content)
        for content in {each for _mode, each in entries.values()}
    }
    listed = b"".join(f"{mode} {blobs[content]}\t{path}\0".encode() for path, (mode, content) in entries.items())
    git("update-index", "-z", "--index-info", stdin=listed)
    git("update-ref", "refs/heads/main", git("commit-tree", git("write-tree"), "-m", "x"))


def judge(quorum: Quorum, url: str, sums: bytes = SUMS, version: str = VERSION) -> Verdict:
    attested = fetch_attestations(url, version=version, names=quorum.names)
    return judge_attestations(quorum, attested, version=version, sums=sums)


def test_one_who_lies_and_one_who_lags_are_named_and_two_of_three_are_enough(people: People, url: str) -> None:
    quorum = people.quorum()
    lie = make_sums(**{"b.img": "6" * 64})
    push(people, url, "bob", people.sign("bob", make_sums("26.46")), "26.46")
    push(people, url, "eve", people.sign("eve", lie))
    assert judge(quorum, url).missing == ("ada",)
    push(people, url, "ada", people.sign("ada", SUMS))
    verdict = judge(quorum, url)
    assert (verdict.enough, verdict.agreed, verdict.waits) == (False, ("ada",), True)
    with pytest.raises(SlipwayError) as failure:
        require_agreement(verdict, label=LABEL, on=url)
    assert "1 of 3 signers attests exactly what is published (ada), and 2 must" in str(failure.value)
    assert failure.value.findings == [
        f"eve attests something else: {LABEL}-b.img ({'6' * 16} for {'2' * 16})",
        "bob lags: nothing of 26.47 is attested, the last that bob attested is 26.46",
    ]
    push(people, url, "bob", people.sign("bob", SUMS))
    verdict = judge(quorum, url)
    assert (verdict.enough, verdict.agreed, list(verdict.others)) == (True, ("ada", "bob"), ["eve"])
    require_agreement(verdict, label=LABEL, on=url)


def test_who_agree_with_each_other_and_not_with_what_is_published_are_told_loudly(people: People, url: str) -> None:
    for name in ("ada", "eve"):
        push(people, url, name, people.sign(name, make_sums(**{"a.tar": "7" * 64})))
    verdict = judge(people.quorum(), url)
    assert not verdict.enough
    assert not verdict.waits, "bob alone cannot make it two"
    assert "ada and eve attest the same as each other, and not what is published: then what is published is wrong" in (
        verdict.tell()
    )


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("another's key", "by the key {mallory}, which is none of those that are known here"),
        ("a copy of ada's", "it is signed by the key {ada} of ada"),
        ("another text", "is over another text"),
        ("the version before", "it is the one of 26.46 once more"),
        ("expired", "which expired on 2020-01-02"),
        ("revoked", "which is revoked"),
        ("no signature", "there is no SHA256SUMS.asc"),
        ("two signatures", "it has 2 signatures"),
        ("a link", "its SHA256SUMS is a link or a directory"),
        ("a large file", "its SHA256SUMS has 16777217 bytes, and at most 16777216 are read"),
        ("a file as directory", "where its directory should be is a file"),
        ("garbage", "GnuPG cannot read its signature"),
    ],
)
def test_what_is_forged_repeated_over_or_odd_does_not_count(people: People, url: str, case: str, says: str) -> None:
    signer = {"expired": "old", "revoked": "gone"}.get(case, "bob")
    quorum = people.quorum(2, ("ada", signer))
    place = f"{VERSION}/{signer}/SHA256SUMS"
    sums, by = SUMS, signer
    match case:
        case "another's key":
            by = "mallory"
        case "a copy of ada's":
            by = "ada"
        case "the version before":
            sums = make_sums("26.46")
    dated = ["--faked-system-time", "20200101T120000!"] if case == "expired" else []
    signature = people.signed_by_gone if case == "revoked" else people.sign(by, sums, *dated).signature
    mode = "120000" if case == "a link" else "100644"
    entries = {place: (mode, sums), f"{place}.asc": ("100644", signature)}
    match case:
        case "another text":
            entries[place] = ("100644", SUMS + b"\n")
        case "no signature":
            del entries[f"{place}.asc"]
        case "two signatures":
            both = people.keyring.run(
                *("-u", people.keys["ada"], "-u", people.keys["bob"], "--armor", "--detach-sign"), stdin=SUMS
            )
            entries[f"{place}.asc"] = ("100644", both)
        case "a large file":
            entries[place] = ("100644", b"0" * ((16 << 20) + 1))
        case "a file as directory":
            entries = {f"{VERSION}/{signer}": ("100644", SUMS)}
        case "garbage":
            entries[f"{place}.asc"] = ("100644", b"\xff" * 100)
        case "the version before":
            entries |= {path.replace(VERSION, "26.46", 1): entry for path, entry in entries.items()}
    ada = people.sign("ada", SUMS)
    for name, content in (("SHA256SUMS", ada.sums), ("SHA256SUMS.asc", ada.signature)):
        entries[f"{VERSION}/ada/{name}"] = ("100644", content)
        entries[f"{VERSION}/mallory\n\x1b[2J/{name}"] = ("100644", content)
    commit(url, entries)
    verdict = judge(quorum, url)
    assert (verdict.enough, verdict.agreed) == (False, ("ada",))
    assert says.format(**people.keys) in verdict.faults[signer]
    assert len(verdict.strangers) == 1
    assert "\x1b" not in "".join(verdict.tell())


def test_one_signer_counts_once_with_a_subkey_as_well_and_under_another_name(people: People, url: str) -> None:
    ada = people.keyring
    both = ada.run("-u", f"{people.sub}!", "-u", f"{people.keys['ada']}!", "--armor", "--detach-sign", stdin=SUMS)
    commit(
        url,
        {
            f"{VERSION}/{name}/{file}": ("100644", content)
            for name, signature in (("ada", ada.sign(SUMS, people.sub)), ("bob", both), ("ada-2", both))
            for file, content in (("SHA256SUMS", SUMS), ("SHA256SUMS.asc", signature))
        },
    )
    verdict = judge(people.quorum(), url)
    assert (verdict.enough, verdict.agreed, verdict.strangers) == (False, ("ada",), ("ada-2",))
    assert judge(people.quorum(1), url).enough


def test_what_is_attested_is_never_overwritten_and_the_same_again_changes_nothing(people: People, url: str) -> None:
    given = people.sign("ada", SUMS)
    assert push(people, url, "ada", given, write=False), "it would"
    assert fetch_attestations(url, version=VERSION, names=["ada"]).head is None
    assert push(people, url, "ada", given)
    assert not push(people, url, "ada", people.sign("ada", SUMS)), "signed anew"
    with pytest.raises(SlipwayError, match=f"another list is attested there: .*a.tar \\({'9' * 16} for {'1' * 16}\\)"):
        push(people, url, "ada", people.sign("ada", make_sums(**{"a.tar": "9" * 64})))
    found = fetch_attestations(url, version=VERSION, names=["ada"])
    assert found.given["ada"] == given


def test_signers_who_push_at_the_same_time_are_all_there(people: People, url: str) -> None:
    names = ("ada", "bob", "eve", "mallory")
    given = {name: people.sign(name, SUMS) for name in names}
    with ThreadPoolExecutor(len(names)) as pool:
        assert all(pool.map(lambda name: push(people, url, name, given[name]), names))
    assert judge(people.quorum(4, names), url).agreed == names


def test_what_nobody_can_bear_is_refused_before_it_is_read(people: People, url: str) -> None:
    quorum = people.quorum()
    assert judge(quorum, url).missing == quorum.names, "nothing is there yet"
    names = {f"{VERSION}/{number:060}": ("100644", b"") for number in range(60_000)}
    commit(url, names)
    with pytest.raises(SlipwayError, match="has more entries than signers and versions need"):
        judge(quorum, url)
    with pytest.raises(SlipwayError, match="has more entries"):
        push(people, url, "ada", people.sign("ada", SUMS))
    with pytest.raises(SlipwayError, match="does not appear to be a git repository"):
        judge(quorum, f"{url}/none")


def test_a_repository_that_is_too_large_is_not_fetched(
    people: People, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(url, {"payload": ("100644", os.urandom(3 << 20))})
    monkeypatch.setattr(attestations, "MOST_FETCHED", 1 << 20)
    with pytest.raises(SlipwayError, match="at most 1 MiB of it are read"):
        judge(people.quorum(), url)
    commit(url, {"zeros": ("100644", bytes(64 << 20))})  # small as git sends it
    assert judge(people.quorum(), url).missing == ("ada", "bob", "eve")


@pytest.mark.parametrize(
    ("change", "threshold", "says"),
    [
        ({}, 4, "release_attestation_threshold is 4, and release_signers are only 3: 4 never agree"),
        ({}, 0, "release_attestation_threshold is '0', and must be a number from 1"),
        ({}, True, "release_attestation_threshold is 'True'"),
        ({"bob": "ada"}, 2, "release_signers.bob: it has the key {ada} of ada: the same key twice is one signer"),
        ({"Ada": "mallory"}, 2, "release_signers.Ada: its name differs from that of ada in nothing but capitals"),
        ({"../x": "mallory"}, 2, "release_signers.../x: the name is not made of letters"),
        ({"x": {"fingerprint": "12"}}, 2, "release_signers.x: exactly one of key"),
        ({"x": {"fingerprint": "12", "key_text": "-"}}, 2, "release_signers.x: this is not a full fingerprint"),
        ({"x": {"fingerprint": "{bob}", "key": "/none"}}, 2, "release_signers.x: its key cannot be read: No such file"),
        ({"x": {"fingerprint": "{bob}", "key": "none"}}, 2, "release_signers.x: none is no absolute path"),
        ({"x": {"fingerprint": "{bob}", "keys": "none"}}, 2, "release_signers.x: nothing is called keys there"),
        ({"x": "me"}, 2, "release_signers.x: it is no mapping"),
        ({"x": {"fingerprint": "{bob}", "key_text": "none"}}, 2, "release_signers.x: GnuPG finds no public key in it"),
        ({"x": {"fingerprint": "{sub}", "key_text": "{ada}"}}, 2, "{sub} is a subkey: name its primary key, {ada}"),
        ({"x": {"fingerprint": "{bob}", "key_text": "{ada}"}}, 2, "the key that is given is not {bob}, but {ada}"),
    ],
)
def test_signers_that_cannot_be_meant_are_refused_with_a_sentence(
    people: People, change: dict[str, Any], threshold: Any, says: str
) -> None:
    names = {**people.keys, "sub": people.sub}
    signers: dict[str, Any] = {name: people.entry(name) for name in ("ada", "bob", "eve")}
    for name, value in change.items():
        if isinstance(value, dict):
            value = {member: text.format(**names) for member, text in value.items()}
            if value.get("key_text") == people.keys["ada"]:
                value["key_text"] = people.keyring.export("ada")
        signers[name] = people.entry(value) if isinstance(value, str) and value in people.keys else value
    with pytest.raises(SlipwayError) as failure:
        read_quorum(signers, threshold=threshold, repository="/x")
    assert says.format(**names) in str(failure.value)


@pytest.mark.parametrize(
    ("signers", "threshold", "repository", "says"),
    [
        (False, 1, "/x", "release_attestation_repository is set, and release_signers names nobody"),
        (False, 2, "", "release_attestation_threshold is 2, and release_signers names nobody"),
        (True, 1, "", "release_signers names 1 signer, and release_attestation_repository does not say where"),
        (None, 1, "", "release_signers is no mapping"),
    ],
)
def test_settings_that_lack_each_other_are_refused(
    people: People, signers: bool | None, threshold: int, repository: str, says: str
) -> None:
    given = None if signers is None else {"ada": people.entry("ada")} if signers else {}
    with pytest.raises(SlipwayError, match=says):
        read_quorum(given, threshold=threshold, repository=repository)


def test_without_signers_nobody_is_asked(people: People, url: str) -> None:
    quorum = read_quorum({})
    assert judge(quorum, url).enough


def test_the_file_of_their_keys_has_them_by_name_and_the_same_bytes_each_time(people: People, tmp_path: Path) -> None:
    names = ("eve", "ada", "bob")
    made = make_key_file(read_signers({name: people.entry(name) for name in names}))
    assert made == make_key_file(read_signers({name: people.entry(name) for name in reversed(names)}))
    assert made.count(b"-----BEGIN PGP PUBLIC KEY BLOCK-----") == 3
    keys = tmp_path / "signers.asc"
    keys.write_bytes(made)
    environment = {**os.environ, "GNUPGHOME": str(tmp_path)}

    def ask(*words: str | Path) -> bytes:
        return subprocess.run(words, check=True, capture_output=True, env=environment).stdout

    shown = ask("gpg", "--batch", "--with-colons", "--show-keys", keys).decode().splitlines()
    primaries = [line.split(":")[9] for before, line in pairwise(shown) if before[:4] == "pub:"]
    assert primaries == [people.keys[name] for name in sorted(names)]
    # As docs/attest.md has it, with programs alone.
    (tmp_path / "signers.pgp").write_bytes(ask("gpg", "--batch", "--dearmor", "--output", "-", keys))
    signatures = [people.keyring.sign(SUMS, people.keys[name]) for name in ("ada", "eve")]
    for number, signature in enumerate(signatures):
        (tmp_path / f"{number}.asc").write_bytes(signature)
    joined = b"".join(ask("gpg", "--batch", "--dearmor", "--output", "-", tmp_path / f"{each}.asc") for each in (0, 1))
    (tmp_path / "signatures").write_bytes(joined)
    (tmp_path / "SHA256SUMS").write_bytes(SUMS)
    ask(
        "sqv",
        "--signatures",
        "2",
        "--keyring",
        tmp_path / "signers.pgp",
        tmp_path / "signatures",
        tmp_path / "SHA256SUMS",
    )
