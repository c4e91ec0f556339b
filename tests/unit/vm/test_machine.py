"""What a release VM does with what it is told, below a directory, with programs that only write down their words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vm.machine import Machine, find_failure
from unit.vm.test_seed import ALICE, LINE, write

FAILED = """\
1/3  coordinator     Assert that there is room for releases           0:02
FAILED on release-1: Assert that there is room for releases
  Could not begin: only 2.0 GiB are free in /srv/slipway, and a release
  needs 30 GiB: make room.
1/3  coordinator     FAILED                                           0:03
"""


class Started:
    """A machine on which a disk is attached, or not."""

    def __init__(self, root: Path, seed: Path | None) -> None:
        self.ran: list[list[str]] = []
        self.said: list[str] = []
        for name in ("etc/ssh", "dev/disk/by-label"):
            (root / name).mkdir(parents=True)
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        if seed is not None:
            (root / "dev/disk/by-label/cidata").touch()
        self.seed = seed
        self.root = root
        self.machine = Machine(root, run=self.run, report=self.said.append)

    def run(self, words: Sequence[str]) -> None:
        self.ran.append(list(words))
        if words[0] == "mount" and self.seed is not None and words[-1].endswith("seed"):
            Path(words[-1]).rmdir()
            Path(words[-1]).symlink_to(self.seed)
        if words[0] == "umount":
            Path(words[-1]).unlink()

    def list_runs(self, program: str) -> list[str]:
        return [" ".join(words) for words in self.ran if words[0] == program]


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    (tmp_path / "seed/inventory").mkdir(parents=True)
    (tmp_path / "seed/inventory/hosts.yml").write_text("all: {}\n")
    return write(tmp_path / "seed", {"hostname": "release-1", "users": [ALICE]})


def test_accounts_name_and_inventory_are_taken_over_and_the_disk_is_let_go(tmp_path: Path, seed: Path):
    started = Started(tmp_path / "root", seed)
    started.machine.take_seed()
    root = started.root
    assert (root / "etc/hostname").read_text() == "release-1\n"
    assert (root / "etc/ssh/authorized_keys.d/alice").read_text() == f"{LINE}\n"
    assert (root / "etc/slipway/inventory/hosts.yml").read_text() == "all: {}\n"
    assert (root / "etc/slipway/inventory/hosts.yml").stat().st_mode & 0o777 == 0o640
    assert [words.split()[-1] for words in started.list_runs("useradd")] == ["slipway", "alice"]
    assert "--groups releasers" in started.list_runs("useradd")[1]
    assert len(started.list_runs("mount")) == len(started.list_runs("umount")) == 1
    assert "releases are thrown away with this machine" in started.said[0]


def test_who_is_no_longer_named_has_no_key_at_the_next_start(tmp_path: Path, seed: Path):
    started = Started(tmp_path / "root", seed)
    started.machine.take_seed()
    (tmp_path / "other/inventory").mkdir(parents=True)
    (tmp_path / "other/inventory/hosts.yml").write_text("all: {}\n")
    started.seed = write(tmp_path / "other", {"users": [{**ALICE, "name": "bob"}]})
    started.machine.take_seed()
    assert [path.name for path in (started.root / "etc/ssh/authorized_keys.d").iterdir()] == ["bob"]


def test_the_signing_key_is_roots_alone_and_does_not_come_onto_the_disk_that_is_kept(tmp_path: Path, seed: Path):
    (seed / "secrets").mkdir()
    (seed / "secrets/signing-key.asc").write_text("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
    (seed / "secrets/vault-password").write_text("open\n")
    started = Started(tmp_path / "root", seed)
    started.machine.take_seed()
    secrets = started.root / "etc/slipway/secrets"
    assert (secrets / "signing-key.asc").stat().st_mode & 0o777 == 0o600
    assert (secrets / "vault-password").stat().st_mode & 0o777 == 0o640
    bound = f"mount --bind {started.root}/var/lib/slipway/gnupg {started.root}/srv/slipway/gnupg"
    assert bound in started.list_runs("mount")


def test_without_a_disk_with_data_it_says_so_and_does_not_wait(tmp_path: Path):
    started = Started(tmp_path / "root", None)
    with pytest.raises(SlipwayError, match="no disk with the label cidata is attached, so that nobody may log in"):
        started.machine.take_seed(timeout=0)
    assert started.list_runs("useradd") == []


def test_nothing_is_taken_over_of_data_with_a_fault(tmp_path: Path, seed: Path):
    started = Started(tmp_path / "root", write(seed, {"users": [{**ALICE, "ssh_authorized_keys": ["x"]}]}))
    with pytest.raises(SlipwayError, match="key 1 of user alice is none"):
        started.machine.take_seed()
    assert started.list_runs("useradd") == []
    assert len(started.list_runs("umount")) == 1


def test_what_failed_in_ansible_is_one_line():
    assert find_failure(FAILED) == (
        "release-1: Assert that there is room for releases: Could not begin: only 2.0 GiB are free in /srv/slipway, "
        "and a release needs 30 GiB: make room."
    )
    assert find_failure("ERROR! the playbook could not be found\n") == "ERROR! the playbook could not be found"
    assert find_failure("all is well\n") == ""
