"""What a release VM is told is judged as a whole before anything of it is used."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm.seed import (
    find_key_fault,
    read_seed,
    summarise_seed,
)

KIND = b"ssh-ed25519"
KEY = base64.b64encode(struct.pack(">I", len(KIND)) + KIND + struct.pack(">I", 32) + bytes(32)).decode()
LINE = f"ssh-ed25519 {KEY} alice@example.org"
ALICE = {"name": "alice", "groups": ["releasers"], "ssh_authorized_keys": [LINE]}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "inventory/group_vars").mkdir(parents=True)
    (tmp_path / "inventory/hosts.yml").write_text("all: {}\n")
    (tmp_path / "inventory/group_vars/all.yml").write_text("token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3031\n")
    return tmp_path


def write(directory: Path, data: Any, *, first: str = "#cloud-config") -> Path:
    (directory / "user-data").write_text(f"{first}\n{yaml.safe_dump(data)}")
    return directory


def refusal(directory: Path) -> str:
    with pytest.raises(SlipwayError) as caught:
        read_seed(directory)
    return str(caught.value)


def test_people_inventory_and_secrets_are_read_from_the_directory(directory: Path):
    (directory / "meta-data").write_text("instance-id: one\nlocal-hostname: release-7\n")
    (directory / "secrets").mkdir()
    (directory / "secrets/vault-password").write_text("open\n")
    bob = {"name": "bob", "groups": "sudo, releasers", "ssh_authorized_keys": [LINE], "gecos": "Bob: the builder"}
    seed = read_seed(write(directory, {"users": ["default", ALICE, bob]}))
    assert seed.hostname == "release-7"
    assert [(one.name, one.groups, one.gecos) for one in seed.people] == [
        ("alice", ("releasers",), ""),
        ("bob", ("sudo", "releasers"), "Bob the builder"),
    ]
    assert sorted(seed.inventory) == ["group_vars/all.yml", "hosts.yml"]
    assert seed.secrets == {"vault-password": b"open\n"}
    assert summarise_seed(seed) == "2 files of inventory, alice (releasers), bob (sudo, releasers)"


def test_a_cloud_that_gives_nothing_but_user_data_gives_all(tmp_path: Path):
    site = {"inventory": {"hosts.yml": "all: {}\n"}, "secrets": {"vault-password": "open"}}
    seed = read_seed(write(tmp_path, {"hostname": "vm", "users": [ALICE], "slipway": site}))
    assert (seed.hostname, seed.inventory, seed.secrets) == (
        "vm",
        {"hosts.yml": b"all: {}\n"},
        {"vault-password": b"open"},
    )


def changed(**more: Any) -> dict[str, Any]:
    return {"users": [{**ALICE, **more}]}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"users": []}, "users has nobody, so that nobody could log in"),
        ({"users": "alice"}, "users is text, not a list"),
        ({"users": [ALICE], "hostnam": "x"}, "hostnam, which a release VM does not know, perhaps hostname is meant"),
        ({"users": [ALICE], "runcmd": ["rm"]}, "runcmd, which a release VM does not know; known are hostname"),
        ({"users": [ALICE], "hostname": "a.b"}, "hostname is 'a.b'"),
        ({"users": [ALICE, ALICE]}, "the user alice is there twice"),
        (changed(ssh_authorized_keys=[]), "user alice has no ssh_authorized_keys"),
        (changed(ssh_authorized_keys=[f"{KEY} alice"]), "not with a type such as ssh-ed25519"),
        (changed(ssh_authorized_keys=["ssh-ed25519"]), "key 1 of user alice is none: what follows its type is no key"),
        (changed(name="root"), "'root' is no name for an account of a person"),
        (changed(name="Alice B"), "'Alice B' is no name"),
        (changed(groups=["wheel"]), "alice is in the group wheel; groups are releasers and sudo"),
        (changed(sudo="ALL"), "user alice has sudo, which a release VM does not know"),
        ({"users": [ALICE], "ssh_keys": {"ed25519_private": "x"}}, "ed25519_private without ed25519_public"),
        ({"users": [ALICE], "slipway": {"secret": {}}}, "secret, which a release VM does not know, perhaps secrets"),
        ({"users": [ALICE], "slipway": {"secrets": {"signing-key.asc": "x"}}}, "does not begin with -----BEGIN PGP"),
        ({"users": [ALICE], "slipway": {"inventory": {"../x": "y"}}}, "'../x' is no path below a directory"),
    ],
)
def test_each_fault_is_one_sentence(directory: Path, data: Any, fault: str):
    assert fault in refusal(write(directory, data))


def test_all_faults_are_told_at_once(directory: Path):
    message = refusal(write(directory, {"users": [{"name": "alice", "ssh_authorized_keys": ["x"]}], "nonsense": 1}))
    assert "2 faults in it" in message
    assert message.count("\n  - ") == 2


def test_data_that_is_not_there_or_malformed_is_named(directory: Path):
    assert "there is no file user-data" in refusal(directory)
    assert "does not begin with the line #cloud-config" in refusal(write(directory, {}, first="#!/bin/sh"))
    (directory / "user-data").write_text("#cloud-config\nusers: [\n")
    assert "user-data: it is not YAML: line 3" in refusal(directory)
    (directory / "inventory/group_vars/all.yml").write_text("a: [1\nb: 2\n")
    assert "inventory/group_vars/all.yml is no YAML: line 2" in refusal(write(directory, {"users": [ALICE]}))


def test_an_inventory_is_needed(tmp_path: Path):
    assert "there is no inventory" in refusal(write(tmp_path, {"users": [ALICE]}))


def test_a_link_among_the_files_is_refused(directory: Path):
    (directory / "inventory/all.yml").symlink_to("/etc/shadow")
    assert "inventory/all.yml is neither a file nor a directory" in refusal(write(directory, {"users": [ALICE]}))


@pytest.mark.parametrize("line", [LINE, f"ssh-ed25519 {KEY}"])
def test_a_key_with_its_type_is_one(line: str):
    assert find_key_fault(line) == ""


@pytest.mark.parametrize(
    "line",
    ["", f'command="x" {LINE}', f"ssh-rsa {KEY}", "ssh-ed25519 AAAA", f"ssh-ed25519 {KEY[:40]}", f"{LINE}\n{LINE}"],
)
def test_what_only_looks_like_a_key_is_none(line: str):
    assert find_key_fault(line)
