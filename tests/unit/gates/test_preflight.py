"""What is wrong is found before a release begins, all of it, and told in sentences."""

from __future__ import annotations

import os
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.filter.findings import findings
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates import preflight
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.preflight import (
    DAY,
    Report,
    check_names,
    check_room,
    check_signing_key,
    find_missing_programs,
    find_unreachable,
    find_unwritable,
    list_left_out,
    list_needed_programs,
    list_newer,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from publishing import run_module

COMMIT, OTHER = "a" * 40, "b" * 40


def plan(*, branch=None, tag=None, skipped=()):
    return {
        "label": "baserock-26.47",
        "branch": "baserock/release/baserock-26.47",
        "tag": "baserock-26.47",
        "definitions": {"commit": COMMIT},
        "remote": {"branch_commit": branch, "tag_commit": tag},
        "skipped": list(skipped),
    }


@pytest.fixture
def key(tmp_path):
    home = tmp_path / "gnupg"
    return str(home), make_key(home, "Tests <tests@example.org>", expires="60d")


def test_programs_that_are_there_are_no_finding():
    assert find_missing_programs([{"name": "git", "package": "git"}, {"name": "sh"}]) == []


def test_every_missing_program_is_named_with_the_package_to_install(tmp_path):
    wanted = [
        {"name": "no-such-image-maker", "package": "genimage"},
        {"name": "no-such-builder", "package": ""},
        {"name": "git", "package": "git"},
    ]
    assert find_missing_programs(wanted) == [
        "the program no-such-image-maker is missing: install the Debian package genimage (apt-get install genimage)",
        "the program no-such-builder is missing: "
        "install it with make setup, with an installed collection by pip beside Ansible, "
        "or put the directory that holds it on the PATH",
    ]


def test_programs_are_those_that_the_files_of_the_release_are_made_by():
    def make_plan(**changes):
        fields = {"name": "one", "system_name": "one", "architecture": "x86_64", "type": "tar", "location": "one"}
        return {"deployments": [{**fields, **changes}]}

    def list_names(plan, *, makes=True):
        return [each["name"] for each in list_needed_programs(plan, makes=makes)]

    disk = make_plan(type="qcow2", settings={"DISK_SIZE": "1G", "BOOT": "both"}, compression="zstd")
    assert list_names(make_plan()) == ["pigz"]
    assert list_names(disk) == ["zstd", "genimage", "mcopy", "mke2fs", "qemu-img", "syslinux"]
    assert list_names(disk, makes=False) == ["zstd"]
    assert "syslinux" not in list_names(make_plan(type="rawdisk", settings={"BOOT": "both"}, architecture="armv7lhf"))
    nested = make_plan(subsystems=[{**disk["deployments"][0], "type": "initramfs"}], compression="none")
    assert list_needed_programs(nested, makes=True) == [{"name": "bsdtar", "package": "libarchive-tools"}]
    assert list_names(make_plan(type="kvm")) == ["pigz"], "what Morph alone knows is Morph's affair"


def test_a_program_of_the_administrator_is_found(tmp_path, monkeypatch):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert len(find_missing_programs([{"name": "tool"}], path="/nowhere")) == 1
    monkeypatch.setattr(preflight, "MORE_PATH", (str(tmp_path),))
    assert find_missing_programs([{"name": "tool"}], path="/nowhere") == []


def test_room_is_looked_for_where_the_directory_will_be(tmp_path):
    assert check_room(tmp_path / "not/yet/there", gib=0.001) == []
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_told_with_both_amounts(tmp_path, monkeypatch):
    Room = namedtuple("Room", "f_bavail f_frsize")
    monkeypatch.setattr(os, "statvfs", lambda _: Room(3 << 18, 4096))
    assert check_room(tmp_path / "state", gib=30) == [
        f"only 3.0 GiB are free in {tmp_path}, and a release needs 30 GiB (release_preflight_min_free_gib): "
        "make room, or set release_state_directory to a larger disk"
    ]
    assert check_room(tmp_path / "state", gib=3) == []


def test_a_place_where_nothing_can_be_made_is_a_finding(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    assert check_room(file / "state", gib=0) == [
        f"{file} is not a directory, so {file / 'state'} cannot be made: move it away, or set another directory"
    ]
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check_room(tmp_path, gib=0) == [
        f"{tmp_path} is not writable for this user: change its owner, or set release_state_directory"
    ]


def test_a_place_that_cannot_be_published_to_is_a_finding(tmp_path, monkeypatch):
    assert find_unwritable([str(tmp_path), str(tmp_path / "not/yet")]) == []
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        (finding,) = find_unwritable([str(tmp_path / name / "public")])
        assert finding.startswith(f"{tmp_path / name} is not a directory, so nothing can be published to ")
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = find_unwritable([str(tmp_path / "public")])
    assert finding.startswith(f"{tmp_path} is not writable for this user, so nothing can be published to ")


def test_a_key_that_can_sign_long_enough_is_no_finding(key):
    home, fingerprint = key
    assert check_signing_key(home, None, warning_days=30, now=time.time()) == Report()
    assert check_signing_key(home, fingerprint, warning_days=30, now=time.time()) == Report()


def test_a_key_that_expires_soon_is_a_warning_with_the_day(key):
    home, fingerprint = key
    later = time.time() + 50 * DAY
    found = check_signing_key(home, None, warning_days=30, now=later)
    assert found.findings == []
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 60 * DAY))
    (warning,) = found.warnings
    assert warning.startswith(f"the signing key {fingerprint} expires on {day}, ")
    assert " days from now: extend it with `gpg --homedir " in warning


def test_an_expired_key_is_a_finding(key):
    home, fingerprint = key
    (finding,) = check_signing_key(home, None, warning_days=30, now=time.time() + 61 * DAY).findings
    assert finding.startswith(f"Could not sign with a key in {home}: {fingerprint}: it expired on ")


def gpg(home, *words, at=None, passphrase="", **options):
    faked = () if at is None else ("--faked-system-time", f"{int(at)}!")
    command = [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        passphrase,
    ]
    return subprocess.run([*command, *faked, *words], check=True, capture_output=True, text=True, **options).stdout


def listed(home):
    """The fingerprints of the primary key and its subkeys."""
    lines = gpg(home, "--with-colons", "--list-keys").splitlines()
    return [line.split(":")[9] for line in lines if line.startswith("fpr:")]


@pytest.fixture
def offline(tmp_path):
    """A certifying primary key with a signing subkey; returns a function that makes them."""
    home = tmp_path / "g n u"
    home.mkdir(mode=0o700)
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n")  # or it measures for seconds what a passphrase may cost

    def make(subkey, *, primary="0", at=None, usage="sign", passphrase=""):
        gpg(home, "--quick-generate-key", "R <r@example.org>", "ed25519", "cert", primary, at=at, passphrase=passphrase)
        kind = "ed25519" if usage == "sign" else "cv25519"
        gpg(home, "--quick-add-key", listed(home)[0], kind, usage, subkey, at=at, passphrase=passphrase)
        return str(home), *listed(home)

    yield make
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def follow(advice):
    """Do literally what it says, as a person would who answers what gpg asks."""
    command = advice.partition("`")[2].partition("`")[0]
    answers = "gpg --batch --quiet --pinentry-mode loopback --passphrase '' "
    subprocess.run(command.replace("gpg ", answers), shell=True, check=True, capture_output=True)  # noqa: S602  # as a person does


def check(home, **options):
    return check_signing_key(home, None, **{"warning_days": 30, "now": time.time(), **options})


@pytest.mark.parametrize(("primary", "what"), [("0", "subkey"), ("10d", "key"), ("25d", "subkey")])
def test_the_advice_for_what_expires_soon_helps(offline, primary, what):
    home, fingerprint, subkey = offline("20d", primary=primary)
    (warning,) = check(home).warnings
    part = fingerprint if what == "key" else f"{subkey} of the key {fingerprint}"
    assert warning.startswith(f"the signing {what} {part} expires on ")
    follow(warning)
    assert check(home) == Report()


def test_the_advice_for_an_expired_subkey_helps(offline):
    home, _, subkey = offline("20d", at=time.time() - 40 * DAY)
    (finding,) = check(home).findings
    assert "its signing subkey expired on " in finding
    assert subkey in finding
    follow(finding)
    assert check(home) == Report()


def test_an_offline_primary_key_is_said_to_be_elsewhere(offline):
    home, fingerprint, subkey = offline("20d")
    lines = gpg(home, "--with-colons", "--with-keygrip", "--list-keys").splitlines()
    grips = [line.split(":")[9] for line in lines if line.startswith("grp:")]
    Path(home, "private-keys-v1.d", f"{grips[0]}.key").unlink()
    (warning,) = check(home).warnings
    assert f"--quick-set-expire {fingerprint} 2y {subkey}`, where the secret part of the primary key is" in warning


def test_a_key_that_asks_for_a_passphrase_is_a_finding(offline):
    home, fingerprint, _ = offline("1y", passphrase="secret")  # noqa: S106  # a test's
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
    (finding,) = check(home).findings
    assert f"with the key {fingerprint}" in finding
    assert "If the key has a passphrase, sign something by hand once for the agent to know it" in finding


def test_a_key_that_its_agent_has_the_passphrase_of_is_no_finding(offline):
    home, _, subkey = offline("1y", passphrase="secret")  # noqa: S106  # a test's
    agent = subprocess.Popen(["gpg-agent", "--homedir", home, "--daemon", "sleep", "60"], stderr=subprocess.DEVNULL)
    try:
        gpg(home, "--armor", "--local-user", subkey, "--sign", passphrase="secret", input="x")  # noqa: S106  # a test's
        assert check(home) == Report()
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        agent.kill()
        agent.wait()


def test_a_key_for_another_use_is_a_finding(offline):
    home, fingerprint, _ = offline("1y", usage="encr")
    (finding,) = check(home).findings
    assert f"{fingerprint}: it is not made for signing" in finding
    assert "quick-set-expire" not in finding


def test_a_revoked_subkey_is_a_finding(offline):
    home, _, _ = offline("1y")
    edit = ["--command-fd", "0", "--edit-key", "r@example.org"]
    gpg(home, *edit, input="key 1\nrevkey\ny\n0\n\ny\nsave\n")
    (finding,) = check(home).findings
    assert "its signing subkey is revoked or not valid" in finding
    assert "quick-set-expire" not in finding


def test_trying_a_key_leaves_its_home_as_it_was(key):
    home, _ = key

    def state():
        places = [Path(home), *Path(home).rglob("*")]
        return {path: (path.stat().st_mtime_ns, path.stat().st_mode, path.stat().st_size) for path in places}

    before = state()
    assert check(home) == Report()
    assert state() == before


def test_a_missing_key_is_a_finding(tmp_path):
    (finding,) = check_signing_key(str(tmp_path / "none"), None, warning_days=30, now=time.time()).findings
    assert finding.startswith(f"Could not sign with a key in {tmp_path / 'none'}: there are no keys.")


def test_a_repository_that_git_cannot_read_is_a_finding(tmp_path):
    there = tmp_path / "wiki.git"
    subprocess.run(["git", "init", "--quiet", "--bare", there], check=True)
    gone = tmp_path / "gone.git"
    repositories = [{"name": "wiki", "url": str(there)}, {"name": "wiki", "url": str(gone)}]
    assert find_unreachable(repositories, timeout=10) == [
        f"the wiki {gone} is not there: "
        "provision the coordinator, which makes it (playbooks/provision.yml), or set another one"
    ]
    (finding,) = find_unreachable([{"name": "wiki", "url": f"file://{gone}"}], timeout=10)
    assert "does not appear to be a git repository. Check its address" in finding


@pytest.mark.parametrize("there", [None, COMMIT])
def test_names_that_are_free_or_identical_are_no_finding(there, tmp_path):
    assert check_names(plan(branch=there, tag=there), ["tag"], public_directory=str(tmp_path)) == Report()


def test_names_that_are_taken_by_something_else_are_findings():
    assert check_names(plan(branch=OTHER, tag=OTHER), []).findings == [
        f"the branch baserock/release/baserock-26.47 exists on {OTHER}, not on {COMMIT}: release another version",
        f"the tag baserock-26.47 exists on {OTHER}, not on {COMMIT}: release another version",
    ]


def test_a_tag_that_nobody_here_made_is_a_warning():
    found = check_names(plan(tag=COMMIT), [])
    assert found.findings == []
    assert found.warnings == [
        "the tag baserock-26.47 exists already on the right commit, but there is no record of it here: "
        "this version may have been released from another machine"
    ]


@pytest.mark.parametrize("name", ["baserock-26.47", "baserock-26.47-minimal.tar"])
def test_public_files_that_no_record_explains_are_a_warning(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / "baserock-26.4").mkdir()
    found = check_names(plan(), [], public_directory=str(tmp_path))
    assert found.findings == []
    assert found.warnings == [
        f"{tmp_path / name} is public already, but there is no record here of its publication: "
        "publishing accepts it only if every byte is the same"
    ]
    assert check_names(plan(), ["publication"], public_directory=str(tmp_path)) == Report()
    files = {**plan(), "definitions": None, "remote": {}}
    assert check_names(files, [], public_directory=str(tmp_path)) == found


def test_a_newer_release_is_told():
    assert list_newer(plan()) == []
    (told,) = list_newer({**plan(), "remote": {"newer_tags": ["baserock-26.48", "baserock-26.50"]}})
    assert told.startswith("baserock-26.50 is tagged already and newer than baserock-26.47")


def test_what_is_left_out_is_told():
    skipped = {
        "system": "systems/board.bst",
        "architecture": "armv7lhf",
        "deployments": ["board-tar", "board-disk"],
        "reason": "no build host builds for armv7lhf",
    }
    assert list_left_out(plan(skipped=[skipped])) == [
        "systems/board.bst (armv7lhf) is left out: no build host builds for armv7lhf; "
        "there will be no board-tar, board-disk"
    ]


def test_findings_of_several_hosts_are_gathered_and_none_is_lost():
    results = {
        "": {"changed": False, "findings": ["a", "b"], "msg": "two things"},
        "builder0": {"changed": False},
        "builder1": {"changed": False, "msg": "the module crashed"},
        "builder2": {"changed": False, "msg": "one thing", "findings": ["c"]},
        "builder3": {"changed": False, "failed_when_suppressed_exception": "(traceback unavailable)"},
    }
    broke = "builder3: a check broke off without a word: run again with -vvv to see where"
    assert findings(results) == ["a", "b", "builder1: the module crashed", "builder2: c", broke]


def test_files_that_something_else_made_need_a_key_and_no_commit(key, tmp_path):
    home, _fingerprint = key
    asked = {
        "plan": {
            **plan(),
            "definitions": None,
            "remote": {},
            "project": "baserock",
            "version": "26.47",
            "epoch": 0,
            "deployments": [],
        },
        "gnupghome": home,
        "tag": {"gnupghome": str(tmp_path / "nowhere"), "name": "Anne", "email": "anne@example.org"},
        "masons": ["https://mason.example.org/"],
        "try_access": True,
    }
    assert run_module("release_preflight", asked)["would_try"] == []
    make_key(home, "Ben <ben@example.org>")
    assert "2 keys can sign" in run_module("release_preflight", asked)["msg"]
    assert "msg" not in run_module("release_preflight", {**asked, "records": ["package"]})
