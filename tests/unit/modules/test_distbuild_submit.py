"""The distbuild modules, each as a process of its own, against a controller that replays recordings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from peers.distbuild_replay import ReplayPeer, scene
from publishing import run_module

MODULE = "ansible_collections.slipway.release.plugins.modules.distbuild_submit"


def arguments(peer, tmp_path, played, **changes):
    return {
        "controller": "127.0.0.1",
        "port": peer if isinstance(peer, int) else peer.port,
        "repo": played.request["repo"],
        "ref": played.request["ref"],
        "morphology": played.request["morphology"],
        "log_directory": str(tmp_path / "logs"),
        "progress": str(tmp_path / "progress"),
        "answer_timeout": 20,
        "tries": 0,
        "away_timeout": 0,
        **changes,
    }


def start(arguments):
    """The module as a process that goes on."""
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,
    )
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    process.stdin.close()
    process.stdin = None  # communicate() would flush it
    return process


def until(what, timeout=60.0):
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def stuck():
    """A controller whose build runs and does not end."""
    played = scene("two-initiators")
    del played.script[8:], played.messages[8:]
    with ReplayPeer([played]) as peer:
        peer.played = played
        yield peer


def test_a_system_is_built_and_told_in_full(tmp_path):
    played = scene("success-fresh")
    with ReplayPeer([played]) as peer:
        answer = run_module("distbuild_submit", arguments(peer, tmp_path, played, original_ref="master"))
    assert answer["changed"] is True
    assert answer["request_id"] == "InitiatorConnection-1"
    assert answer["urls"] == played.messages[-1]["urls"]
    assert answer["builds"][0]["steps"] == answer["steps"]
    assert len(answer["steps"]) == 8
    assert peer.received[0]["original_ref"] == "master"
    lines = (tmp_path / "progress").read_text().splitlines()
    told = next(n for n, line in enumerate(lines) if "the controller calls this build InitiatorConnection-1" in line)
    assert told < next(n for n, line in enumerate(lines) if "Started building stage1-chunk on localhost:3434" in line)
    assert any(" 8/8 " in line for line in lines)
    assert "checking for gcc" in (tmp_path / "logs" / "build-step-stage1-chunk.log").read_text()


def test_a_cached_system_is_unchanged(tmp_path):
    played = scene("success-all-cached")
    with ReplayPeer([played]) as peer:
        answer = run_module("distbuild_submit", arguments(peer, tmp_path, played))
    assert (answer["changed"], answer["cached"]) == (False, True)


def test_check_mode_tells_the_request_and_sends_nothing(tmp_path):
    played = scene("success-fresh")
    with ReplayPeer([played]) as peer:
        answer = run_module("distbuild_submit", arguments(peer, tmp_path, played), check=True)
    assert peer.received == []
    assert (answer["changed"], answer["cached"]) == (True, None)
    assert answer["request"]["component_names"] == []
    assert answer["request"]["original_ref"] == played.request["ref"]
    assert list(tmp_path.iterdir()) == []


def test_a_failure_names_controller_request_step_and_log(tmp_path):
    played = scene("build-failed")
    with ReplayPeer([played]) as peer:
        answer = run_module("distbuild_submit", arguments(peer, tmp_path, played))
        words = f"127.0.0.1:{peer.port}"
    assert answer["failed"]
    for part in (words, "InitiatorConnection-1", "fail-chunk", "systems/fail-system-x86_64.morph"):
        assert part in answer["msg"]
    assert answer["log"] == str(tmp_path / "logs" / "build-step-fail-chunk.log")


def test_several_builds_go_at_once_and_every_failing_one_is_named(tmp_path):
    names = ["success-fresh", "build-failed", "graph-failed", "success-all-cached"]
    peers = [ReplayPeer([scene(name)]) for name in names]
    systems = [{"name": n, "file": scene(n).request["morphology"], "architecture": n} for n in names]
    for peer in peers:
        peer.__enter__()
    try:
        asked = {
            "repo": "test:definitions",
            "ref": "0" * 40,
            "systems": systems,
            "controllers": {name: f"127.0.0.1:{peer.port}" for name, peer in zip(names, peers, strict=True)},
            "log_directory": str(tmp_path),
            "tries": 0,
            "away_timeout": 0,
        }
        answer = run_module("distbuild_submit", asked)
        assert answer["failed"]
        assert len(answer["findings"]) == 2
        assert "Could not build 2 of 4 systems" in answer["msg"]
        assert "systems/fail-system-x86_64.morph" in answer["findings"][0]
        assert "systems/nonesuch.morph" in answer["findings"][1]
        asked["systems"] = [systems[0], systems[3]]
        answer = run_module("distbuild_submit", asked)
        assert [build["changed"] for build in answer["builds"]] == [True, False]
        assert [(each["architecture"], each["cached"]) for each in answer["elements"]] == [
            ("success-fresh", False),
            ("success-all-cached", True),
        ]
        assert (tmp_path / "success-fresh/distbuild.log").exists()
    finally:
        for peer in peers:
            peer.__exit__()


def test_a_request_that_could_harm_the_network_is_refused_before_a_connection(tmp_path):
    played = scene("success-fresh")
    with ReplayPeer([played]) as peer:
        answer = run_module("distbuild_submit", arguments(peer, tmp_path, played, ref="r\xe9f"))
    assert answer["failed"]
    assert "only printable ASCII" in answer["msg"]
    assert peer.received == []


def test_nothing_that_listens_is_a_failure_within_the_limits(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = run_module("distbuild_submit", arguments(port, tmp_path, scene("success-fresh")))
    assert "the connection was refused (Connection refused)" in answer["msg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_is_cancelled_on_its_controller(number, tmp_path, stuck):
    process = start(arguments(stuck, tmp_path, stuck.played))
    log = tmp_path / "logs" / "build-step-slow-chunk.log"
    until(lambda: log.exists() and b"tick 1" in log.read_bytes())
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    answer = json.loads(output)
    assert f"this run was interrupted ({signal.Signals(number).name})" in answer["msg"]
    assert [message["id"] for message in stuck.of_type("build-cancel")] == ["InitiatorConnection-1"]
    assert "Initiator cancelled" in log.read_text()


def test_a_build_whose_process_is_killed_is_cancelled_on_its_controller(tmp_path, stuck):
    """Ansible ends an async task with SIGKILL when its time is over."""
    process = start(arguments(stuck, tmp_path, stuck.played))
    log = tmp_path / "logs" / "build-step-slow-chunk.log"
    until(lambda: log.exists() and b"tick 1" in log.read_bytes())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    until(lambda: stuck.of_type("build-cancel"))
    assert [message["id"] for message in stuck.of_type("build-cancel")] == ["InitiatorConnection-1"]


def test_a_build_whose_result_nobody_reads_is_cancelled(tmp_path, stuck):
    """An ssh session that broke leaves the module running, with nobody at the other end of its output."""
    process = start(arguments(stuck, tmp_path, stuck.played))
    log = tmp_path / "logs" / "build-step-slow-chunk.log"
    until(lambda: log.exists() and b"tick 1" in log.read_bytes())
    process.stdout.close()
    assert process.wait(timeout=60) is not None
    process.stderr.close()
    assert [message["id"] for message in stuck.of_type("build-cancel")] == ["InitiatorConnection-1"]
    assert "the reader of the result is gone" in (tmp_path / "logs" / "distbuild.log").read_text()


def test_a_finished_build_leaves_no_process_and_cancels_nothing(tmp_path):
    played = scene("success-fresh")
    with ReplayPeer([played]) as peer:
        process = start(arguments(peer, tmp_path, played))
        process.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
        assert peer.of_type("build-cancel") == []


def test_a_build_is_detached_looked_at_resumed_and_cancelled(tmp_path, stuck):
    asked = arguments(stuck, tmp_path, stuck.played, detach=True)
    submitted = run_module("distbuild_submit", asked)
    assert (submitted["outcome"], submitted["changed"]) == ("detached", True)
    handle = submitted["handle"]
    assert stuck.of_type("build-cancel") == []

    info = run_module("distbuild_info", {"handle": handle})
    assert (info["state"], info["changed"], len(info["requests"])) == ("running", False, 1)

    stuck.scenes.append(scene("two-initiators", 1))
    resumed = run_module("distbuild_submit", arguments(stuck, tmp_path, stuck.played, handle=handle))
    assert (resumed["resumed"], resumed["outcome"]) == ("running", "finished")
    assert resumed["steps"][0]["joined"] is True

    stuck.listed = [
        "Build request ID: InitiatorConnection-1\n  Initiator: 192.0.2.7:1\n  Repo: x\n  Ref: y\n  Component: z"
    ]
    assert run_module("distbuild_info", {"handle": handle})["state"] == "gone"
    assert "Nothing was cancelled" in run_module("distbuild_cancel", {"handle": handle})["msg"]
    stuck.listed = []
    assert run_module("distbuild_cancel", {"handle": handle})["changed"] is False


def test_a_detached_build_is_cancelled_once_and_check_mode_only_looks(tmp_path, stuck):
    handle = run_module("distbuild_submit", arguments(stuck, tmp_path, stuck.played, detach=True))["handle"]
    assert run_module("distbuild_cancel", {"handle": handle}, check=True)["changed"] is True
    assert stuck.of_type("build-cancel") == []
    assert run_module("distbuild_cancel", {"handle": handle})["changed"] is True
    assert run_module("distbuild_cancel", {"handle": handle})["changed"] is False


def test_a_handle_of_another_build_is_refused(tmp_path, stuck):
    handle = run_module("distbuild_submit", arguments(stuck, tmp_path, stuck.played, detach=True))["handle"]
    asked = arguments(stuck, tmp_path, stuck.played, morphology="systems/other.morph", handle=handle)
    assert "Give the handle that this very build was submitted with" in run_module("distbuild_submit", asked)["msg"]
    assert "it has no id" in run_module("distbuild_info", {"handle": {**handle, "id": ""}})["msg"]


def test_a_controllers_builds_are_listed(stuck):
    assert run_module("distbuild_info", {"controller": "127.0.0.1", "port": stuck.port})["requests"] == []
