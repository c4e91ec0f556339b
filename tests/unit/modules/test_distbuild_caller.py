"""A build ends with the ansible-playbook that asked for it, however that ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exports import ROOT
from peers.distbuild_replay import ReplayPeer, scene
from sshd import sshd

WORDS = {
    signal.SIGKILL: "the ansible-playbook that started it is gone",
    signal.SIGHUP: "the ansible-playbook that started it is gone",
    signal.SIGINT: "SIGINT",
    signal.SIGTERM: "SIGTERM",
}


def until(what, timeout=60.0):
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def start_playbook(
    tmp_path: Path, peer: ReplayPeer, played, *, inventory: str = os.devnull, stderr: int = subprocess.STDOUT
) -> subprocess.Popen[str]:
    asked = {
        "controller": "127.0.0.1",
        "port": peer.port,
        **{name: played.request[name] for name in ("repo", "ref", "morphology")},
        "log_directory": str(tmp_path / "logs"),
        "progress": str(tmp_path / "progress"),
    }
    task = {"name": "Build", "slipway.release.distbuild_submit": asked}
    hosts = "localhost" if inventory == os.devnull else "all"
    playbook = tmp_path / "build.yml"
    playbook.write_text(json.dumps([{"hosts": hosts, "gather_facts": False, "tasks": [task]}]))
    return subprocess.Popen(
        ["ansible-playbook", str(playbook)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        # Without an inventory, the embedded localhost runs our own Python.
        env={**os.environ, "ANSIBLE_INVENTORY": inventory, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"},
        start_new_session=True,
    )


def carry_out(playbook, tmp_path, peer, number):
    """End the playbook while it builds, and see that the build is cancelled; what the log says of it."""
    log = tmp_path / "logs" / "build-step-slow-chunk.log"
    until(lambda: playbook.poll() is not None or (log.exists() and b"tick 1" in log.read_bytes()))
    assert playbook.poll() is None, playbook.communicate()[0]
    # Now and then ansible-playbook ends on a first SIGINT without telling its workers, and waits for them.
    for _unused in range(5):
        playbook.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            playbook.wait(timeout=4)
            break
    said = tmp_path / "logs" / "distbuild.log"
    until(lambda: "cancelled on the controller: InitiatorConnection-1" in said.read_text())
    playbook.communicate(timeout=60)
    assert [message["id"] for message in peer.of_type("build-cancel")] == ["InitiatorConnection-1"]
    assert "cancelled on the controller: InitiatorConnection-1" in (tmp_path / "progress").read_text()
    return said.read_text()


@pytest.mark.parametrize("number", WORDS, ids=lambda number: number.name)
def test_a_build_is_cancelled_when_its_playbook_ends(number, tmp_path):
    played = scene("two-initiators")
    with ReplayPeer([played], stop_after=8) as peer:
        playbook = start_playbook(tmp_path, peer, played)
        log = carry_out(playbook, tmp_path, peer, number)
    assert WORDS[number] in log or WORDS[signal.SIGKILL] in log


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP], ids=lambda number: number.name)
def test_a_build_of_another_host_is_cancelled_when_its_playbook_ends(number, tmp_path):
    """The module's own ancestors are those of ssh; Ansible's worker, which lives on, ends the ssh."""
    played = scene("two-initiators")
    with ReplayPeer([played], stop_after=8) as peer, sshd(tmp_path / "sshd") as server:
        inventory = tmp_path / "hosts"
        options = " ".join(f"-o {option}" for option in server.options)
        inventory.write_text(
            f"other ansible_host={server.host} ansible_port={server.port} ansible_user={server.user} "
            f"ansible_python_interpreter={sys.executable} ansible_ssh_common_args='{options}'\n"
        )
        playbook = start_playbook(tmp_path, peer, played, inventory=str(inventory))
        assert "the reader of the result is gone" in carry_out(playbook, tmp_path, peer, number)


def test_after_an_interrupt_the_terminal_says_that_the_build_was_cancelled(tmp_path):
    """Ansible shows only that it was interrupted, and ends at once."""
    played = scene("two-initiators")
    ours, terminal = os.openpty()
    with ReplayPeer([played], stop_after=8) as peer, open(ours, "rb", buffering=0) as screen:
        playbook = start_playbook(tmp_path, peer, played, stderr=terminal)
        os.close(terminal)
        carry_out(playbook, tmp_path, peer, signal.SIGINT)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := screen.read(4096):
                shown += data
    text = shown.decode().replace("\r\n", "\n")
    name = played.request["morphology"]
    assert re.search(rf"{name}: this run was interrupted \(.+\); the build was cancelled on the controller\n", text)
