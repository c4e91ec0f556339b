"""The disk of a release VM boots under qemu, lets in who is named, and says what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from releasevm import ReleaseVM, ensure_image, make_inventory, release_vm


@pytest.fixture(scope="module")
def image(cache: Path) -> Path:
    return ensure_image(cache)


@pytest.fixture(scope="module")
def refused(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ReleaseVM, str]]:
    """A machine whose disk is too small for its site, and what the command says that starts it."""
    inventory = make_inventory(coordinator_min_free_gib=1000)
    with release_vm(tmp_path_factory.mktemp("vm") / "machine", image, inventory) as vm:
        done = vm.start("--disk", "6G")
        assert done.returncode == 1, done.stdout
        yield vm, done.stderr


def test_a_disk_that_is_too_small_is_told_in_a_sentence(refused: tuple[ReleaseVM, str]):
    vm, message = refused
    assert "Assert that there is room for releases" in message
    assert "needs 1000 GiB" in message
    assert "Traceback" not in message
    status = vm.ssh("carol", "sudo systemctl --full status slipway-site; cat /etc/motd").stdout
    assert status.count("needs 1000 GiB") >= 2  # one is for whoever logs in


def test_the_disk_grows_to_its_device(refused: tuple[ReleaseVM, str]):
    size = int(refused[0].ssh("alice", "df --output=size -B1M / | tail -1").stdout)
    assert 5000 < size < 6144


def test_who_releases_can_start_nothing_else_and_read_no_setting(refused: tuple[ReleaseVM, str]):
    vm = refused[0]
    assert "this machine is not prepared" in vm.ssh("alice", "release 26.47").stderr
    for command in ("sudo -n -u slipway id", "sudo -n cat /etc/shadow", "cat /etc/slipway/inventory/hosts.yml"):
        done = vm.ssh("alice", command)
        assert done.returncode != 0, command
        assert done.stdout == ""
    assert vm.ssh("carol", "sudo -n id -u").stdout == "0\n"


def test_nobody_else_is_let_in(refused: tuple[ReleaseVM, str]):
    for person in ("root", "slipway", "mallory"):
        assert "Permission denied (publickey)" in refused[0].ssh(person, "id").stderr


def test_what_stops_it_leaves_nothing_of_its_disk(refused: tuple[ReleaseVM, str]):
    vm = refused[0]
    began = time.monotonic()
    assert vm.command("stop").returncode == 0
    assert time.monotonic() - began < 150  # it switched itself off: its limit is longer
    assert sorted(path.name for path in (vm.place / "run").iterdir()) == ["console.log", "machine.log"]
    assert vm.command("status").stdout.startswith("None runs.")


def test_data_with_a_fault_starts_no_machine(image: Path, tmp_path: Path):
    with release_vm(tmp_path / "machine", image, make_inventory()) as vm:
        (vm.place / "seed/inventory/hosts.yml").write_text("all: [\n")
        done = vm.start()
        assert done.returncode == 1
        assert "inventory/hosts.yml is no YAML: line 2" in done.stderr
        assert not (vm.place / "run/machine.json").exists()
