# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tag is accepted that one of the signers made for this release; every other is refused in a sentence."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.signers import (
    RefusedTagError,
    SignedTag,
    find_name_fault,
    names_release,
    read_signers,
    verify_tag,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from publishing import run_module
from signedtags import DATE, TAGGER, Keyring, Repository, silent_server

TAG = "foo-1.2"
#: What is said of everything that is not as it should be.
LATER = re.compile(
    r"(Find out who pushed it|Delete it there|Begin its message|Give the tag another name).*\.\Z", re.DOTALL
)


class People:
    """Everybody who signs in these tests, by name: the fingerprints of their keys."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.anne = keyring.make("anne")
        self.sub = keyring.add_subkey(self.anne)
        self.mallory = keyring.make("mallory")
        self.late = keyring.make("late", expires="1d", at="20200101T000000")
        self.stolen = keyring.make("stolen")
        self.keys = [keyring.export("anne")]

    def allow(self, *fingerprints: str, keys: list[str] | None = None) -> Any:
        return read_signers(fingerprints or [self.anne], self.keys if keys is None else keys)


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with tempfile.TemporaryDirectory(prefix="tags-", dir="/tmp") as top:  # the agent's socket wants a short path
        keyring = Keyring(Path(top) / "gpg")
        yield People(keyring)
        keyring.close()


@pytest.fixture
def silent() -> Iterator[str]:
    with silent_server() as address:
        yield f"{address}/foo.git"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "foo.git")


@pytest.fixture(scope="module")
def other(people: People, tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, bytes, bytes]:
    """A repository, and a tag's text with its signature."""
    made = Repository(tmp_path_factory.mktemp("other") / "foo.git")
    text = made.text(TAG, message="foo 1.2\n\nMore of it.")
    return made, text, people.keyring.sign(text, people.anne)


def verify(repository: Repository, signers: Any, tag: str = TAG, **options: Any) -> SignedTag:
    return verify_tag(f"file://{repository.path}", tag, signers=signers, **options)


def refusal(repository: Repository, signers: Any, tag: str = TAG, **options: Any) -> str:
    """Why a tag is refused, without the beginning and the end that all refusals have."""
    with pytest.raises(RefusedTagError) as raised:
        verify(repository, signers, tag, **options)
    sentence, begin = str(raised.value), f"Could not accept the tag {tag} of file://{repository.path}: "
    assert sentence.startswith(begin)
    assert LATER.match(raised.value.do_next)
    assert "\n" not in sentence
    return raised.value.came_back


def test_a_tag_that_a_signer_made_is_accepted_with_all_that_it_says(people: People, repository: Repository) -> None:
    made = repository.tag(TAG, people.keyring, people.anne, message="foo 1.2\n\nMore of it.")
    found = verify(repository, people.allow(), stack="foo", version="1.2", expected=made)
    text = "foo 1.2\n\nMore of it.\n"
    assert found == SignedTag(TAG, made, repository.commit, TAGGER, DATE, people.anne, people.anne, text)


def test_git_itself_makes_such_tags(people: People, repository: Repository, tmp_path: Path) -> None:
    environment = {**os.environ, "GNUPGHOME": str(people.keyring.home), "GIT_CONFIG_GLOBAL": os.devnull}
    person = ["-c", "user.name=Anne", "-c", "user.email=anne@example.org"]
    words = ["git", *person, "tag", "--sign", "--local-user", people.anne, "-m", "foo 1.2", TAG, repository.commit]
    subprocess.run(words, cwd=repository.path, env=environment, check=True)
    assert verify(repository, people.allow()).fingerprint == people.anne


def test_a_subkey_signs_for_its_primary_key_and_may_be_allowed_by_itself(
    people: People, repository: Repository
) -> None:
    repository.tag(TAG, people.keyring, people.sub)
    for allowed in (people.anne, people.sub, people.anne.lower()):
        found = verify(repository, people.allow(allowed))
        assert (found.fingerprint, found.key) == (people.anne, people.sub)
    repository.tag("foo-1.3", people.keyring, people.anne)
    assert f"signed by the key {people.anne}, which may not" in refusal(
        repository, people.allow(people.sub), tag="foo-1.3"
    )


def test_keys_may_be_files_and_armour_is_not_needed_there(
    people: People, repository: Repository, tmp_path: Path
) -> None:
    repository.tag(TAG, people.keyring, people.anne)
    file = tmp_path / "keys.gpg"
    file.write_bytes(people.keyring.run("--export", "mallory", "anne"))
    assert verify(repository, people.allow(keys=[str(file)])).fingerprint == people.anne


def lightweight(people: People, repository: Repository) -> None:
    repository.git("tag", TAG, repository.commit)


def unsigned(people: People, repository: Repository) -> None:
    repository.put(TAG, repository.text(TAG))


def by_nobody_known(people: People, repository: Repository) -> None:
    repository.tag(TAG, people.keyring, people.mallory)


def renamed(people: People, repository: Repository) -> None:
    made = repository.tag("foo-1.1", people.keyring, people.anne)
    repository.git("update-ref", f"refs/tags/{TAG}", made)


def altered(people: People, repository: Repository) -> None:
    text = repository.text("foo-1.1")
    signature = people.keyring.sign(text, people.anne)
    repository.put(TAG, text.replace(b"foo-1.1", TAG.encode()) + signature)


def on_another(kind: str) -> Any:
    def make(people: People, repository: Repository) -> None:
        inner = repository.tag("inner", people.keyring, people.anne)
        text = repository.text(TAG, on=inner if kind == "tag" else getattr(repository, kind), kind=kind)
        repository.put(TAG, text + people.keyring.sign(text, people.anne))

    return make


def with_line(extra: str) -> Any:
    """One more line in the header, which git does not look at, or takes for the name."""

    def make(people: People, repository: Repository) -> None:
        text = repository.text(TAG, extra=extra)
        repository.put(TAG, text + people.keyring.sign(text, people.anne))

    return make


def with_two_names(people: People, repository: Repository) -> None:
    text = repository.text("foo-1.1").replace(b"\ntag ", f"\ntag {TAG}\ntag ".encode())
    repository.put(TAG, text + people.keyring.sign(text, people.anne))


def with_two_blocks(people: People, repository: Repository) -> None:
    text = repository.text(TAG)
    signature = people.keyring.sign(text, people.anne)
    repository.put(TAG, text + signature + signature)


def with_two_signatures(people: People, repository: Repository) -> None:
    text = repository.text(TAG)
    repository.put(TAG, text + people.keyring.sign(text, people.mallory, "--local-user", f"{people.anne}!"))


def with_an_appendix(people: People, repository: Repository) -> None:
    text = repository.text(TAG)
    repository.put(TAG, text + people.keyring.sign(text, people.anne) + b"Also release bar.\n")


def with_a_torn_signature(people: People, repository: Repository) -> None:
    text = repository.text(TAG)
    lines = people.keyring.sign(text, people.anne).splitlines(keepends=True)
    repository.put(TAG, text + b"".join([*lines[:2], b"bm8gc2lnbmF0dXJl\n", lines[-1]]))


def with_an_old_digest(people: People, repository: Repository) -> None:
    repository.tag(TAG, people.keyring, people.anne, "--digest-algo", "SHA1", "--allow-weak-digest-algos")


def for_a_time_that_is_over(people: People, repository: Repository) -> None:
    dated = ["--faked-system-time", "20260101T000000", "--default-sig-expire", "1d"]
    elder = people.keyring.make("elder", at="20250101T000000")
    people.keys.append(people.keyring.export("elder"))
    repository.tag(TAG, people.keyring, elder, *dated)


def by_x509(people: People, repository: Repository) -> None:
    block = b"-----BEGIN SIGNED MESSAGE-----\nMIAG\n-----END SIGNED MESSAGE-----\n"
    repository.put(TAG, repository.text(TAG) + block)


def with_a_hostile_name(people: People, repository: Repository) -> None:
    repository.put(TAG, repository.text("\x1b[2Jfoo-1.2\r\u202e"))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lightweight, "it is no annotated tag: it names the commit {commit} by itself, so nobody signed it"),
        (unsigned, "it is not signed"),
        (by_nobody_known, "its signature is by the key {mallory}, which is none of those that are known here"),
        (renamed, "the signed tag in it says that it is 'foo-1.1': it was made for something else"),
        (altered, "its signature, by the key {anne_id}, is over another text"),
        (on_another("tree"), "it is on a tree, and not on a commit"),
        (on_another("blob"), "it is on a blob, and not on a commit"),
        (on_another("tag"), "it is on a tag, and not on a commit"),
        (with_two_names, "its header is not one line each of object, type, tag and tagger"),
        (with_line("tag foo-9\n"), "its header is not one line each of object, type, tag and tagger"),
        (with_line("encoding UTF-7\n"), "its header is not one line each of object, type, tag and tagger"),
        (with_two_blocks, "it has 2 signatures, of which none counts"),
        (with_two_signatures, "it has 2 signatures, of which none counts"),
        (with_an_appendix, "it goes on after its signature, or the signature has no end"),
        (with_a_torn_signature, "GnuPG cannot read its signature"),
        (with_an_old_digest, "its signature, by the key {anne}, is over a digest by SHA-1, which can be forged"),
        (for_a_time_that_is_over, "was made for a time that is over"),
        (by_x509, "its signature is a SIGNED MESSAGE, and only those of OpenPGP and ssh are supported"),
        (with_a_hostile_name, "the signed tag in it says that it is '\ufffd[2Jfoo-1.2 \ufffd': it was made for"),
    ],
    ids=lambda value: None if isinstance(value, str) else getattr(value, "__qualname__", None),
)
def test_what_is_no_tag_of_a_signer_is_refused_in_a_sentence(
    people: People, repository: Repository, make: Any, sentence: str
) -> None:
    make(people, repository)
    wanted = sentence.format(commit=repository.commit, anne_id=people.anne[-16:], **vars(people))
    assert wanted in refusal(repository, people.allow())


def test_a_tag_that_calls_a_tree_a_commit_never_gets_as_far_as_its_signature(
    people: People, repository: Repository
) -> None:
    text = repository.text(TAG, on=repository.tree)
    repository.put(TAG, text + people.keyring.sign(text, people.anne))
    with pytest.raises(SlipwayError, match=r"possible repository corruption on the remote side|it is on a tree"):
        verify(repository, people.allow())


def test_a_known_key_that_is_not_among_the_signers_may_not_sign(people: People, repository: Repository) -> None:
    repository.tag(TAG, people.keyring, people.mallory)
    said = refusal(repository, people.allow(keys=[people.keyring.export("anne", "mallory")]))
    assert said == f"it is signed by the key {people.mallory}, which may not sign it"


def test_a_key_that_has_expired_does_not_count_whatever_time_the_tag_gives(
    people: People, repository: Repository
) -> None:
    repository.tag(TAG, people.keyring, people.late, "--faked-system-time", "20200101T010000")
    said = refusal(repository, people.allow(people.late, keys=[people.keyring.export("late")]))
    assert said == f"its signature is by the key {people.late}, which expired on 2020-01-02"


def test_a_subkey_of_an_expired_key_does_not_count_either(people: People, repository: Repository) -> None:
    old = people.keyring.make("old", expires="30d", at="20200101T000000")
    dated = ("--faked-system-time", "20200102T000000")
    people.keyring.run(*dated, "--passphrase", "", "--quick-add-key", old, "ed25519", "sign", "0")
    sub = people.keyring.fingerprints("old")[-1]
    repository.tag(TAG, people.keyring, sub, "--faked-system-time", "20200103T000000")
    said = refusal(repository, people.allow(old, sub, keys=[people.keyring.export("old")]))
    assert said == f"its signature is by the key {sub}, which expired on 2020-01-31"


def test_a_key_that_was_revoked_does_not_count_also_where_the_tag_is_older(
    people: People, repository: Repository
) -> None:
    repository.tag(TAG, people.keyring, people.stolen)
    assert verify(repository, people.allow(people.stolen, keys=[people.keyring.export("stolen")])).commit
    people.keyring.revoke(people.stolen)
    said = refusal(repository, people.allow(people.stolen, keys=[people.keyring.export("stolen")]))
    assert said == f"its signature is by the key {people.stolen}, which is revoked"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_signature_by_ssh_counts_by_its_keys_fingerprint(
    people: People, repository: Repository, tmp_path: Path, kind: str
) -> None:
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True).stdout.split()[1]
    for name, namespace in ((TAG, "git"), ("foo-1.3", "file")):
        text = tmp_path / "text"
        text.write_bytes(repository.text(name))
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key, text], check=True)
        signature = text.with_name("text.sig")
        repository.put(name, text.read_bytes() + signature.read_bytes())
        repository.put(f"bar{name}", repository.text(f"bar{name}") + signature.read_bytes())
        signature.unlink()
    assert verify(repository, people.allow(shown)).fingerprint == shown
    unreadable = "its signature by ssh is over another text, or cannot be read"
    assert refusal(repository, people.allow(shown), tag="foo-1.3") == unreadable
    assert refusal(repository, people.allow(shown), tag=f"bar{TAG}") == unreadable
    assert refusal(repository, people.allow()) == f"it is signed by the key {shown}, which may not sign it"


def test_a_tag_that_names_no_stack_counts_by_its_message(people: People, repository: Repository) -> None:
    repository.tag("v1.2", people.keyring, people.anne, message="foo release 1.2 for unstable")
    assert verify(repository, people.allow(), tag="v1.2", stack="foo", version="1.2").commit == repository.commit
    said = refusal(repository, people.allow(), tag="v1.2", stack="bar", version="1.2")
    assert said == "neither its name nor its message says 'bar 1.2', so it may be another stack's"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("foo-1.2", True),
        ("release/foo-1.2", True),
        ("foo 1.2.\n", True),
        ("foo v1.2", True),
        ("[dgit please-upload source=foo version=1.2]", True),
        ("barfoo-1.2", False),
        ("bar-foo-1.2", False),
        ("foo-1.2.3", False),
        ("foo-1.20", False),
        ("foo-1.2-1", False),
        ("foo-1.2~rc1", False),
        ("foo and bar 1.2", False),
        ("1.2", False),
    ],
)
def test_a_release_is_named_by_its_stack_and_version_together(text: str, names: bool) -> None:
    assert names_release(text, "foo", "1.2") is names


@given(
    stack=st.from_regex(r"[a-z0-9][a-z0-9_+.-]{0,12}", fullmatch=True),
    version=st.from_regex(r"[0-9][A-Za-z0-9.+~-]{0,8}", fullmatch=True),
    other=st.from_regex(r"[a-z0-9_+.-]{1,3}", fullmatch=True),
)
def test_no_longer_name_or_version_passes_for_a_release(stack: str, version: str, other: str) -> None:
    assert names_release(f"{stack}-{version}", stack, version)
    assert not names_release(f"{other}{stack}-{version}", stack, version)
    assert not names_release(f"{stack}-{version}{other}", stack, version) or other.strip(".-") == ""


@settings(max_examples=20)
@given(place=st.floats(0, 1, exclude_max=True), letter=st.binary(min_size=1, max_size=1), replaced=st.booleans())
def test_no_other_byte_in_what_was_signed_is_accepted(
    people: People, other: tuple[Repository, bytes, bytes], place: float, letter: bytes, replaced: bool
) -> None:
    repository, text, signature = other
    at = int(place * len(text))
    changed = text[:at] + letter + text[at + replaced :]
    assume(changed != text)
    repository.put(TAG, changed + signature)
    with pytest.raises(SlipwayError):
        verify(repository, people.allow())
    repository.put(TAG, text + signature)
    assert verify(repository, people.allow()).commit == repository.commit


@pytest.mark.parametrize("name", ["", "-d", "a b", "a\nb", "a\x1b[2J", "../x", "a..b", "a@{1}", "a:b", "x.lock", "é"])
def test_a_name_that_git_would_not_take_never_reaches_it(people: People, repository: Repository, name: str) -> None:
    assert find_name_fault(name)
    with pytest.raises(RefusedTagError, match=r"its name (is none that git takes|has characters)"):
        verify(repository, people.allow(), tag=name)


def test_a_tag_that_became_another_meanwhile_is_no_refusal_but_is_looked_at_again(
    people: People, repository: Repository
) -> None:
    first = repository.tag(TAG, people.keyring, people.anne)
    second = repository.tag(TAG, people.keyring, people.anne, message="Again")
    with pytest.raises(SlipwayError, match=f"it was {first} and has become {second} meanwhile") as raised:
        verify(repository, people.allow(), expected=first)
    assert not isinstance(raised.value, RefusedTagError)


@pytest.mark.parametrize(
    ("fingerprints", "keys", "sentence"),
    [
        ([], [], "there are none, so nobody may sign"),
        (["0123ABCD"], [], "not a full fingerprint"),
        (["SHA256:abc"], [], "not a full fingerprint"),
        (["A" * 40], ["keys/anne.asc"], "'keys/anne.asc' is neither a key in ASCII armour nor an absolute path"),
        (["A" * 40], ["/nowhere/anne.asc"], "Could not read the key /nowhere/anne.asc: .*No such file"),
        (["A" * 40], ["-----BEGIN PGP PRIVATE KEY BLOCK-----\n"], "number 1 of the keys is a secret key"),
        (["A" * 40], ["-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n"], "GnuPG finds no public key in it"),
        (["A" * 40], [], "no key that was given has the fingerprint A{40}"),
    ],
)
def test_faults_of_the_settings_are_not_said_of_the_tag(
    people: People, repository: Repository, fingerprints: list[str], keys: list[str], sentence: str
) -> None:
    repository.tag(TAG, people.keyring, people.anne)
    with pytest.raises(SlipwayError, match=sentence) as raised:
        verify(repository, read_signers(fingerprints, keys))
    assert not isinstance(raised.value, RefusedTagError)


def test_what_decides_has_a_digest_that_no_order_changes(people: People) -> None:
    both = people.allow(people.anne, people.mallory)
    assert both.digest == people.allow(people.mallory, people.anne).digest
    assert len({both.digest, people.allow().digest, people.allow(keys=[]).digest}) == 3


def test_what_is_not_there_is_said_in_a_sentence(people: People, repository: Repository) -> None:
    with pytest.raises(SlipwayError, match=f"fetch the tag nope-1 of file://{repository.path}: there is no such tag"):
        verify(repository, people.allow(), tag="nope-1")
    with pytest.raises(
        SlipwayError, match="Could not fetch the tag foo-1.2 of /nowhere: .*does not appear to be a git"
    ):
        verify_tag("/nowhere", TAG, signers=people.allow())


def test_a_server_that_stands_still_is_given_up(people: People, silent: str) -> None:
    with pytest.raises(
        SlipwayError, match="Could not fetch the tag foo-1.2 of git://.*git was ended after 1 s"
    ) as raised:
        verify_tag(silent, TAG, signers=people.allow(), timeout=1)
    assert not isinstance(raised.value, RefusedTagError)


def test_the_module_says_who_signed_and_fails_where_nobody_did_unless_it_is_to_tell(
    people: People, repository: Repository
) -> None:
    made = repository.tag(TAG, people.keyring, people.anne)
    repository.put("foo-1.3", repository.text("foo-1.3"))
    options = {"repository": str(repository.path), "signers": [people.anne], "keys": people.keys}
    good = run_module("git_tag_info", {**options, "tag": TAG, "stack": "foo", "version": "1.2"})
    assert not good["changed"]
    assert good["acceptable"]
    assert {name: good[name] for name in ("fault", "object", "commit", "tagger", "date", "fingerprint", "key")} == {
        **{"fault": None, "object": made, "commit": repository.commit, "tagger": TAGGER, "date": DATE},
        **{"fingerprint": people.anne, "key": people.anne},
    }
    bad = run_module("git_tag_info", {**options, "tag": "foo-1.3"}, check=True)
    assert bad["failed"]
    assert "the tag foo-1.3 of " in bad["msg"]
    told = run_module("git_tag_info", {**options, "tag": "foo-1.3", "required": False})
    assert (told["acceptable"], told["commit"], told["fault"]) == (False, None, bad["msg"])
