"""A build ends with the ansible-playbook that asked for it, however that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from exports import ROOT
from peers.distbuild_replay import ReplayPeer, scene

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


def start_playbook(tmp_path: Path, peer: ReplayPeer, played) -> subprocess.Popen[str]:
    asked = {
        "controller": "127.0.0.1",
        "port": peer.port,
        **{name: played.request[name] for name in ("repo", "ref", "morphology")},
        "log_directory": str(tmp_path / "logs"),
        "progress": str(tmp_path / "progress"),
    }
    task = {"name": "Build", "slipway.release.distbuild_submit": asked}
    playbook = tmp_path / "build.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    playbook.write_text(json.dumps([play]))
    return subprocess.Popen(
        ["ansible-playbook", str(playbook)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "ANSIBLE_INVENTORY": os.devnull},  # the embedded localhost runs our own Python
        start_new_session=True,
    )


@pytest.mark.parametrize("number", WORDS, ids=lambda number: number.name)
def test_a_build_is_cancelled_when_its_playbook_ends(number, tmp_path):
    played = scene("two-initiators")
    with ReplayPeer([played], stop_after=8) as peer:
        playbook = start_playbook(tmp_path, peer, played)
        log = tmp_path / "logs" / "build-step-slow-chunk.log"
        until(lambda: playbook.poll() is not None or (log.exists() and b"tick 1" in log.read_bytes()))
        assert playbook.poll() is None, playbook.communicate()[0]
        playbook.send_signal(number)
        until(lambda: peer.of_type("build-cancel"))
        said = tmp_path / "logs" / "distbuild.log"
        until(lambda: "cancelled on the controller: InitiatorConnection-1" in said.read_text())
        output = playbook.communicate(timeout=60)[0]
    print(output)
    assert WORDS[number] in said.read_text()
    assert [message["id"] for message in peer.of_type("build-cancel")] == ["InitiatorConnection-1"]
    assert "cancelled on the controller: InitiatorConnection-1" in (tmp_path / "progress").read_text()
