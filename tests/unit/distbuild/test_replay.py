"""Every build that was recorded on a real network is carried out again against its recording."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.control import (
    determine_state,
    query_build,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.initiator import Build, Limits
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.log import BuildLog
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.network import run_builds
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.protocol import Controller, Request
from peers.distbuild_replay import ReplayPeer, all_scenes, in_pieces, recording, recordings, scene, scenes, wire

#: What the module keeps itself: no test waits longer, and a busy machine does not matter.
LIMITS = Limits(total=60, answer=20, graph=20, silence=20, cancel=5, pause=0.05, tries=0, away=0)
#: For those in which the network falls silent.
SILENT = Limits(total=60, answer=20, graph=0.6, silence=0.6, question=0.2, cancel=5, pause=0.05, tries=0, away=0)
#: How each build of each recording ended for the one who asked for it.
ENDS = {
    "bad-request": "failed failed failed",
    "bad-request-fatal": "lost lost finished failed",
    "binary-nul-astral": "finished",
    "build-failed": "failed",
    "build-failed-parallel": "finished failed",
    "cache-server-down": "failed",
    "cancelled": "cancelled cancelled",
    "cancelled-cli": "cancelled",
    "cancelled-same-connection": "cancelled",
    "cancelled-worker-free": "cancelled finished",
    "controller-killed": "lost finished",
    "controller-terminated": "lost",
    "detach-controller-restarted-resumed": "detached finished",
    "detach-resumed-twice": "detached finished finished",
    "detached": "silent",
    "detached-raw": "detached",
    "graph-failed": "failed " * 13 + "finished finished failed",
    "graph-stderr-warning": "failed",
    "half-close": "lost",
    "initiator-disconnect": "silent",
    "initiator-disconnect-reset": "silent",
    "initiator-sigint": "finished",
    "interrupted-while-graphing": "cancelled",
    "joined-then-first-cancelled": "cancelled finished",
    "json-as-yaml": "finished finished",
    "killed-guard-cancels": "silent",
    "list-requests": "finished finished",
    "no-controller-helper": "failed",
    "no-workers": "cancelled",
    "odd-step-name": "finished",
    "partial": "finished finished finished finished finished",
    "partial-cli": "finished",
    "partial-stratum-and-chunk": "finished",
    "poison-request": "silent failed silent failed",
    "protocol-version-mismatch": "failed failed failed finished",
    "shared-cache-away-polled": "failed",
    "silent-step-polled": "finished",
    "status-on-build-connection": "cancelled",
    "success-all-cached": "finished",
    "success-fresh": "finished",
    "success-noisy-output": "finished",
    "success-one-worker": "finished",
    "success-parallel": "finished",
    "success-utf8-split": "finished",
    "three-systems-one-fails": "finished finished failed",
    "two-builds-one-connection": "finished finished",
    "two-initiators": "finished finished",
    "two-initiators-cancel-one": "cancelled finished",
    "two-initiators-fail": "failed failed",
    "worker-helper-killed-polled": "cancelled",
    "worker-killed": "lost",
    "worker-killed-idle": "lost",
    "worker-killed-network-restarted": "lost failed finished",
    "worker-killed-network-restarted-late": "lost",
    "worker-killed-nobody-restarts": "lost",
    "yaml-like-refs": "finished finished finished finished finished",
}
#: Recordings without a build that a controller took: the test that replays each.
ELSEWHERE = {
    "cache-server": "morph/test_cache.py",
    "connection-refused-cli": "test_what_was_refused_at_first_is_told",
}
WORDS = {
    "build-finished": "finished", "build-failed": "failed", "build-cancelled": "cancelled", "eof": "lost",
    "silence": "silent",
}  # fmt: skip
DATED = rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "


def request_of(played):
    asked = played.request
    original_ref = asked.get("original_ref") or str(asked["ref"])
    components = tuple(asked.get("component_names") or ())
    return Request(asked["repo"], str(asked["ref"]), asked["morphology"], original_ref, components)


def end_of(played):
    """How a recorded build ended; one whose initiator left it to the network was detached.

    Morph's own client leaves before it knows whether all is cached, so that its recording falls silent.
    """
    known = any(message["type"] == "cache-state" for message in played.messages)
    detached = played.end == "silence" and played.request.get("allow_detach") and known
    return "detached" if detached else WORDS[played.end]


def carry_out(played, peer, tmp_path, limits=None, own_id=None, on_report=lambda _text: None, **options):
    said = []

    def report(text):
        said.append(text)
        on_report(text)

    limits = limits or (SILENT if played.end == "silence" else LIMITS)
    build = Build(
        request_of(played),
        Controller("127.0.0.1", peer.port),
        log=BuildLog(tmp_path / "logs"),
        now=time.monotonic(),
        limits=limits,
        report=report,
        **({} if own_id is None else {"own_ids": lambda: own_id}),
        **options,
    )
    run_builds([build])
    build.said = said
    return build


def check_end(build, played):
    """The build ended as the recorded one did, and says so."""
    last = played.messages[-1] if played.messages else {}
    if end_of(played) == "detached":
        assert (build.outcome, build.error, build.changed) == ("detached", None, True)
        assert build.handle.id == build.id
    elif played.end == "build-finished":
        assert (build.outcome, build.error) == ("finished", None)
        assert build.urls == last["urls"]
        assert build.changed is any(message["type"].startswith("step-") for message in played.messages)
    elif played.end == "build-failed":
        assert build.outcome == "failed"
        assert " ".join(last["reason"].split()) in " ".join(str(build.error).split())
    elif played.end == "build-cancelled":
        assert build.outcome == "cancelled"
        assert "it was cancelled on the controller" in str(build.error)
    elif played.end == "eof":
        assert "the controller closed the connection" in str(build.error)
    else:
        assert build.outcome == "failed"
        assert "no news" in str(build.error) or "build graph was not computed" in str(build.error)
    if build.error is not None:
        assert str(build.controller) in str(build.error)
        assert played.request["morphology"] in str(build.error)
        assert build.error.log is not None


def check_logs(build, played):
    """Each step's file holds what the step wrote, as bytes, between dated lines."""
    for name, output in played.output().items():
        content = build.log.path(name).read_bytes()
        start = content.index(output)
        assert re.fullmatch(DATED + rb".* building .*on .*\n", content[:start])
        assert re.fullmatch(rb"(" + DATED + rb".*\n)?", content[start + len(output) :])
    for step in build.steps.values():
        assert step.log.endswith(f"/logs/build-step-{step.name}.log")
        assert step.worker


def test_every_recording_is_replayed_to_the_ends_that_it_had():
    found = {name: [end_of(played) for played in scenes(name)] for name in recordings() if name not in ELSEWHERE}
    assert found == {name: ends.split() for name, ends in ENDS.items()}
    assert len(recordings()) == len(ENDS) + len(ELSEWHERE) == 58


@pytest.mark.parametrize("played", all_scenes(), ids=lambda played: played.name)
def test_a_recorded_build_ends_as_it_was_recorded(played, tmp_path):
    with ReplayPeer([played]) as peer:
        build = carry_out(played, peer, tmp_path, own_id=played.own_id, detach=end_of(played) == "detached")
    assert peer.of_type("build-request")[0]["id"] == played.own_id
    check_end(build, played)
    check_logs(build, played)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "name", ["success-fresh", "success-parallel", "success-utf8-split", "success-noisy-output", "build-failed"]
)
def test_nothing_changes_when_tcp_cuts_the_stream_anywhere(name, seed, tmp_path):
    played = scene(name)
    with ReplayPeer([played], cut=in_pieces(seed, longest=20_000)) as peer:
        build = carry_out(played, peer, tmp_path)
    check_end(build, played)
    check_logs(build, played)


def test_a_slow_network_is_waited_for(tmp_path):
    played = scene("success-all-cached")
    with ReplayPeer([played], cut=in_pieces(1, longest=8), pause=0.003) as peer:
        build = carry_out(played, peer, tmp_path, limits=LIMITS)
    check_end(build, played)


ODDITIES = {
    "unknown types": wire({"type": "step-sleeping", "id": "InitiatorConnection-1", "dreams": ["a", "b"]})
    + wire({"type": "weather", "text": "rain"}),
    "no type": wire({"id": "InitiatorConnection-1"}),
    "others' messages": wire({"type": "build-failed", "id": "somebody else", "reason": "not for you"})
    + wire({"type": "build-finished", "id": "InitiatorConnection-77", "urls": ["http://elsewhere"]}),
    "no JSON": b"this is not JSON\n",
    "no string": b'{"type": "build-failed"}\n',
    "no YAML": b'"{unclosed: ["\n',
    "no mapping": b'"42"\n' + b'"- a\\n- b\\n"\n' + b'"hello"\n' + b'""\n',
    "nested": wire({"type": "build-failed", "id": "InitiatorConnection-1", "reason": {"a": {"b": ["c"]}}}),
    "no UTF-8": b'"type: build-f\xff\xfe\xfa"\n' + b"\xe9\xe8\n",
    "empty lines": b"\n\r\n\n",
    "deep": b"[" * 20_000 + b"\n" + b'"' + b"[" * 20_000 + b'"\n',
    "control characters": b"\x00\x01\x02\x1b[31m\n",
    "a request-output that nobody asked for": wire({"type": "request-output", "message": "Hello!"}),
}


@pytest.mark.parametrize("extra", ODDITIES.values(), ids=ODDITIES.keys())
@pytest.mark.parametrize("name", ["success-fresh", "build-failed"])
def test_what_is_not_understood_is_passed_over(name, extra, tmp_path):
    played = scene(name)
    with ReplayPeer([played], extra=extra) as peer:
        build = carry_out(played, peer, tmp_path)
    check_end(build, played)
    check_logs(build, played)


def test_output_lines_of_a_megabyte_and_bytes_that_are_not_utf8_arrive_whole(tmp_path):
    played = scene("success-one-worker")
    step = next(m["step_name"] for m in played.messages if m["type"] == "step-started")
    pieces = [b"x" * (1 << 20) + b"\n", b"\xff\xfe\x00\xe2\x82", b"\xac\n", "tail \U0001f680\r\n".encode()]
    for piece in pieces:
        try:
            shown = piece.decode()
        except UnicodeDecodeError:
            shown = piece
        message = {"id": played.own_id, "step_name": step, "type": "step-output", "stdout": shown, "stderr": ""}
        at = next(n for n, m in enumerate(played.messages) if m["type"] == "step-started") + 1
        at += pieces.index(piece)
        played.script.insert(at, wire(message))
        played.messages.insert(at, {**message, "stdout": {"!!binary": piece.decode("latin-1")}})
    with ReplayPeer([played], cut=in_pieces(5, longest=100_000)) as peer:
        build = carry_out(played, peer, tmp_path)
    check_end(build, played)
    check_logs(build, played)
    assert b"".join(pieces) in build.log.path(step).read_bytes()


@pytest.mark.parametrize("stop", ["eof", "reset", "half-line"])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 10, 30])
def test_a_connection_that_ends_anywhere_is_a_failure_that_says_so(stop, after, tmp_path):
    played = scene("success-fresh")
    with ReplayPeer([played], stop_after=after, stop=stop) as peer:
        build = carry_out(played, peer, tmp_path)
    assert build.outcome == "failed"
    assert re.search("closed the connection|connection broke", str(build.error))
    assert ("within a line" in str(build.error)) is (stop == "half-line")


@pytest.mark.parametrize("after", [0, 1, 2, 4, 10, 30])
def test_silence_is_never_waited_for_longer_than_the_limits(after, tmp_path):
    played = scene("success-fresh")
    limits = Limits(total=20, answer=0.3, graph=3, silence=3, question=0.1, cancel=0.3, tries=0, away=0)
    began = time.monotonic()
    with ReplayPeer([played], stop_after=after, silent=True) as peer:
        build = carry_out(played, peer, tmp_path, limits=limits)
    assert time.monotonic() - began < 10
    assert build.outcome == "failed"
    assert re.search("sent nothing|did not answer", str(build.error))


def test_a_lost_build_is_asked_for_again_and_joined(tmp_path):
    first, second = scene("worker-killed"), scene("two-initiators", 1)
    with ReplayPeer([first, second]) as peer:
        limits = Limits(total=60, answer=20, pause=0.05, tries=2)
        build = carry_out(first, peer, tmp_path, limits=limits)
    check_end(build, second)
    assert len({message["id"] for message in peer.of_type("build-request")}) == 2
    assert build.steps["slow-chunk"].joined
    assert build.steps["slow-chunk"].outcome == "built"
    log = build.log.path("slow-chunk").read_bytes()
    assert log.count(b"Started building slow-chunk") == 1
    assert log.count(b"slow-chunk is already building on") == 1
    assert first.output()["slow-chunk"] in log
    assert second.output()["slow-chunk"] in log


def cancels(peer):
    return [message["id"] for message in peer.of_type("build-cancel")]


def test_an_earlier_request_that_the_controller_still_has_is_joined_and_then_taken_back(tmp_path):
    """The connection broke and the controller lives: it builds for a connection that nobody has any more."""
    first, second = scene("two-initiators"), scene("two-initiators", 1)
    # All at once, the build would be finished before anything could be taken back.
    with ReplayPeer([first, second], stop_after=6, stop="eof", pause=0.01) as peer:

        def on_report(text):
            if "closed the connection" in text:
                peer.stop_after = None

        limits = Limits(total=60, answer=20, pause=0.05, tries=2)
        build = carry_out(first, peer, tmp_path, limits=limits, on_report=on_report)
    check_end(build, second)
    assert len(peer.of_type("build-request")) == 2
    assert cancels(peer) == ["InitiatorConnection-1"]
    assert build.steps["slow-chunk"].joined
    told = [line for line in build.said if "InitiatorConnection-1 of this run, which is joined" in line]
    assert len(told) == 1


def test_the_network_that_was_started_again_builds_what_was_lost(tmp_path):
    """The controller ends, comes back without its helper, and builds at the third request."""
    played = scenes("worker-killed-network-restarted")
    with ReplayPeer(played) as peer:
        limits = Limits(total=60, answer=20, pause=0.05, tries=1)
        build = carry_out(played[0], peer, tmp_path, limits=limits)
    check_end(build, played[2])
    assert len(peer.of_type("build-request")) == 3
    assert cancels(peer) == []


def test_a_controller_that_is_away_is_asked_until_it_is_back(tmp_path):
    """In the recording, three tries were made, and it listened again a moment after the last."""
    played = scene("worker-killed-network-restarted-late")
    refused = []
    with ReplayPeer([played, scenes("worker-killed-network-restarted")[2]]) as peer:

        def on_report(text):
            if "the controller closed the connection" in text:
                peer.go_away()
            elif "Connection refused" in text:
                refused.append(text)
                if len(refused) == 5:
                    peer.come_back()

        limits = Limits(total=60, answer=20, pause=0.02, tries=1)
        build = carry_out(played, peer, tmp_path, limits=limits, on_report=on_report)
    assert build.outcome == "finished"
    assert len(refused) == 5
    assert "asking again in" in refused[0]
    assert "may be away for 600 s" in refused[0]


def test_a_controller_that_nobody_restarts_is_told_with_what_was_seen_first(tmp_path):
    played = scene("worker-killed-nobody-restarts")
    with ReplayPeer([played]) as peer:

        def on_report(text):
            if "the controller closed the connection" in text:
                peer.go_away()

        limits = Limits(total=60, answer=20, pause=0.05, away=0.4)
        build = carry_out(played, peer, tmp_path, limits=limits, on_report=on_report)
    check_end(build, played)
    words = str(build.error)
    assert "the controller closed the connection; then the connection was refused (Connection refused)" in words
    assert re.search(r"tried [4-9] times in 0 s", words)
    assert "a step that still runs is joined" in words


def test_what_was_refused_at_first_is_told(tmp_path):
    assert recording("connection-refused-cli")[0]["note"] == "real initiator, nothing listens on the port"
    with ReplayPeer([]) as peer:
        peer.go_away()
        build = carry_out(scene("success-fresh"), peer, tmp_path)
    assert build.outcome == "failed"
    assert "the connection was refused (Connection refused) (tried once)" in str(build.error)


@pytest.mark.parametrize("name", ["detach-controller-restarted-resumed", "detach-resumed-twice"])
def test_a_detached_build_is_found_and_asked_for_again(name, tmp_path):
    played = scenes(name)
    with ReplayPeer(played) as peer:
        handle = carry_out(played[0], peer, tmp_path, detach=True).handle
        if name == "detach-controller-restarted-resumed":
            peer.go_away()
            peer.come_back()
        state = determine_state(handle, *query_build(handle))
        again = [carry_out(one, peer, tmp_path / one.own_id) for one in played[1:]]
    assert state == ("running" if name == "detach-resumed-twice" else "gone")
    assert [build.outcome for build in again] == ["finished"] * len(again)
    assert [build.steps["slow"].joined for build in again if build.steps] == [state == "running"]


def test_a_build_that_is_interrupted_while_its_graph_is_computed_is_cancelled_and_that_is_told(tmp_path):
    played = scene("interrupted-while-graphing")
    asked = [one["decoded"] for one in recording(played.recording) if one.get("from") == "initiator" and "line" in one]
    with ReplayPeer([played], stop_after=1) as peer:
        build = Build(
            request_of(played),
            Controller("127.0.0.1", peer.port),
            log=BuildLog(tmp_path),
            now=time.monotonic(),
            limits=LIMITS,
        )

        def clock():
            now = time.monotonic()
            if build.phase == "graphing":
                build.interrupt("SIGINT", now)
            return now

        run_builds([build], clock=clock)
    assert [message["type"] for message in asked] == ["build-request", "build-cancel"]
    assert cancels(peer) == [asked[1]["id"]] == ["InitiatorConnection-2"]
    assert "this run was interrupted (SIGINT); the build was cancelled on the controller" in str(build.error)
    assert "cancelled on the controller: InitiatorConnection-2" in build.log.summary.read_text()


def test_a_build_whose_cancel_nobody_confirms_is_named_with_how_to_cancel_it(tmp_path):
    played = scene("two-initiators")
    limits = Limits(total=60, answer=20, cancel=0.2)
    with ReplayPeer([played], stop_after=6, silent=True) as peer:
        build = Build(
            request_of(played),
            Controller("127.0.0.1", peer.port),
            log=BuildLog(tmp_path),
            now=time.monotonic(),
            limits=limits,
        )

        def clock():
            now = time.monotonic()
            if build.phase == "building":
                build.interrupt("SIGINT", now)
            return now

        run_builds([build], clock=clock)
    assert "the controller did not confirm that InitiatorConnection-1 is cancelled" in str(build.error)
    assert "distbuild_cancel" in str(build.error)
    assert build.uncancelled


def failing(transfer, finished=()):
    """The recorded failure of a chunk, after ``transfer`` was said, and before that more messages."""
    played = scene("build-failed")
    at = next(n for n, m in enumerate(played.messages) if m["type"] == "step-failed")
    for message in reversed([*finished, transfer]):
        played.script.insert(at, wire({**message, "id": played.own_id}))
        played.messages.insert(at, {**message, "id": played.own_id})
    return played


SAYING = "Transferring fail-chunk-devel to shared artifact cache"


@pytest.mark.parametrize(
    "transfer",
    [
        {"type": "build-progress", "message": SAYING},
        {"type": "step-output", "step_name": "fail-chunk", "stdout": f"{SAYING}\n", "stderr": ""},
    ],
    ids=["progress", "output"],
)
def test_an_artifact_that_could_not_be_stored_is_no_fault_of_its_source(transfer, tmp_path):
    played = failing(transfer)
    with ReplayPeer([played]) as peer:
        build = carry_out(played, peer, tmp_path)
    words = str(build.error)
    assert "was built on localhost:3434, but fail-chunk-devel could not be stored in the shared artifact cache" in words
    assert "Nothing is wrong with its source" in words
    assert "exit_code=3" not in words
    assert b"Transfer of fail-chunk-devel to shared artifact cache failed." in build.log.path("fail-chunk").read_bytes()


@pytest.mark.parametrize(
    "finished",
    [
        [
            {"type": "step-started", "step_name": "other", "worker_name": "w:1"},
            {"type": "build-progress", "message": "Transferring other-runtime to shared artifact cache"},
        ],
        [
            {"type": "step-started", "step_name": "fail", "worker_name": "w:1"},
            {"type": "step-output", "step_name": "fail", "stdout": SAYING, "stderr": ""},
            {"type": "step-finished", "step_name": "fail", "worker_name": "w:1"},
        ],
    ],
    ids=["of another step", "of the same name, that was stored"],
)
def test_a_failed_build_beside_other_artifacts_on_their_way_stays_one(finished, tmp_path):
    *before, last = finished
    played = failing(last, before)
    with ReplayPeer([played]) as peer:
        build = carry_out(played, peer, tmp_path)
    assert "the step fail-chunk failed on localhost:3434" in str(build.error)
    assert "Correct the definition or its source" in str(build.error)


def test_a_cache_that_is_away_from_the_beginning_is_no_fault_of_the_definitions(tmp_path):
    for name in ("shared-cache-away-polled", "cache-server-down"):
        played = scene(name)
        with ReplayPeer([played]) as peer:
            build = carry_out(played, peer, tmp_path)
        assert "Check that the network's artifact cache runs and that the controller reaches it" in str(build.error)


def test_a_controller_that_just_started_is_asked_again(tmp_path):
    with ReplayPeer([scene("no-controller-helper"), scene("success-all-cached")]) as peer:
        limits = Limits(total=60, answer=20, pause=0.05, tries=1)
        build = carry_out(scene("no-controller-helper"), peer, tmp_path, limits=limits)
    assert build.outcome == "finished"


def test_a_helper_that_stays_away_is_named(tmp_path):
    with ReplayPeer([scene("no-controller-helper")]) as peer:
        limits = Limits(total=60, answer=20, pause=0.05, away=0.3)
        build = carry_out(scene("no-controller-helper"), peer, tmp_path, limits=limits)
    assert len(peer.of_type("build-request")) > 2
    assert "Start the distbuild-helper" in str(build.error)


@pytest.mark.parametrize("name", ["build-failed", "cache-server-down", "graph-failed"])
def test_a_failed_build_is_cancelled_too_because_the_controller_may_go_on_with_it(name, tmp_path):
    played = scene(name)
    with ReplayPeer([played]) as peer:
        build = carry_out(played, peer, tmp_path)
    assert [message["id"] for message in peer.of_type("build-cancel")] == [build.id]


def test_a_failure_names_the_step_its_worker_its_last_words_and_its_log(tmp_path):
    played = scene("build-failed")
    with ReplayPeer([played]) as peer:
        build = carry_out(played, peer, tmp_path)
    words = str(build.error)
    for part in (
        f"127.0.0.1:{peer.port}",
        "request InitiatorConnection-1",
        "the step fail-chunk failed on localhost:3434",
        "build failed (exit_code=3)",
        "Building failed for fail-chunk-devel",
        "build-step-fail-chunk.log",
    ):
        assert part in words
    assert b"Build of fail-chunk failed." in build.log.path("fail-chunk").read_bytes()
    assert [(step.name, step.outcome) for step in build.steps.values()] == [("fail-chunk", "failed")]


def test_a_silent_build_is_asked_about_and_goes_on(tmp_path):
    """A compiler may be silent; the controller's answers show that somebody still works."""
    played = scene("success-fresh")
    limits = Limits(total=60, answer=20, silence=30, question=0.1, tries=0, away=0)
    with ReplayPeer([played], stop_after=10) as peer:
        build = Build(
            request_of(played),
            Controller("127.0.0.1", peer.port),
            log=BuildLog(tmp_path),
            now=time.monotonic(),
            limits=limits,
        )

        def clock():
            now = time.monotonic()
            if len(peer.of_type("list-requests")) >= 3:
                build.interrupt("the test is done", now)
            return now

        run_builds([build], clock=clock)
    assert len(peer.of_type("build-status")) >= 2
    assert "the controller says: Building it" in build.log.summary.read_text()
    assert "the test is done" in str(build.error)
    assert [message["id"] for message in peer.of_type("build-cancel")] == [build.id]


@pytest.mark.parametrize("status", ["Finished", "Failed building x", "Cancelled"])
def test_an_end_that_was_told_to_nobody_is_asked_for_again(status, tmp_path):
    played = scene("success-fresh")
    limits = Limits(total=60, answer=20, silence=20, question=0.1, pause=0.05, tries=1)
    with ReplayPeer([played, scene("success-all-cached")]) as peer:
        peer.status = status
        cut_short = scene("success-fresh")
        del cut_short.script[10:], cut_short.messages[10:]
        peer.scenes[0] = cut_short
        build = carry_out(played, peer, tmp_path, limits=limits)
    assert build.outcome == "finished"
    assert f"the controller says '{status}' and did not tell this run" in build.log.summary.read_text()


def test_a_build_that_left_the_controllers_list_is_asked_for_again(tmp_path):
    played = scene("success-fresh")
    limits = Limits(total=60, answer=20, silence=20, question=0.1, pause=0.05, tries=1)
    with ReplayPeer([played, scene("success-all-cached")]) as peer:
        cut_short = scene("success-fresh")
        del cut_short.script[10:], cut_short.messages[10:]
        peer.scenes[0] = cut_short
        peer.listed = []
        build = carry_out(played, peer, tmp_path, limits=limits)
    assert build.outcome == "finished", build.log.summary.read_text()


def test_a_detached_build_is_left_to_the_network_with_a_handle(tmp_path):
    played = scene("two-initiators")
    with ReplayPeer([played], stop_after=6) as peer:
        build = carry_out(played, peer, tmp_path, detach=True)
        assert peer.of_type("build-request")[0]["allow_detach"] is True
    assert (build.outcome, build.error, build.changed) == ("detached", None, True)
    handle = build.handle
    assert handle.id == "InitiatorConnection-1"
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]+", handle.initiator)
    assert peer.of_type("build-cancel") == []


def test_a_detached_build_that_is_cached_whole_is_finished_at_once(tmp_path):
    played = scene("success-all-cached")
    with ReplayPeer([played]) as peer:
        build = carry_out(played, peer, tmp_path, detach=True)
    assert (build.outcome, build.changed) == ("finished", False)


def test_a_detached_build_that_fails_to_begin_is_a_failure(tmp_path):
    for name in ("graph-failed", "cache-server-down", "protocol-version-mismatch"):
        played = scene(name)
        with ReplayPeer([played]) as peer:
            build = carry_out(played, peer, tmp_path, detach=True)
        check_end(build, played)


def test_the_result_tells_request_cache_state_steps_and_logs(tmp_path):
    played = scene("success-parallel")
    with ReplayPeer([played]) as peer:
        result = carry_out(played, peer, tmp_path).result()
    assert result["request_id"] == "InitiatorConnection-1"
    assert (result["unbuilt"], result["total"], result["cached"], result["changed"]) == (6, 10, False, True)
    assert result["artifacts"] == [
        "f704b468ba9022355261befddf9151f0d796b171a1c2775010110252f091ac84.system.par-system-x86_64-rootfs"
    ]
    assert [step["name"] for step in result["steps"]] == [
        "par-a", "par-b", "par-c", "par-devel", "par-runtime", "par-system-x86_64",
    ]  # fmt: skip
    assert {step["outcome"] for step in result["steps"]} == {"built"}
    assert {step["worker"] for step in result["steps"]} == {"localhost:3434", "localhost:3435"}


def test_a_system_in_the_cache_is_unchanged(tmp_path):
    played = scene("success-all-cached")
    with ReplayPeer([played]) as peer:
        result = carry_out(played, peer, tmp_path).result()
    assert (result["changed"], result["cached"], result["unbuilt"], result["steps"]) == (False, True, 0, [])


def test_fifty_builds_at_once_end_as_recorded(tmp_path):
    played = [scene("success-fresh"), scene("build-failed"), scene("success-all-cached"), scene("worker-killed")] * 13
    with ReplayPeer(played) as peer:
        builds = [
            Build(
                request_of(one),
                Controller("127.0.0.1", peer.port),
                log=BuildLog(tmp_path / str(number)),
                now=time.monotonic(),
                limits=LIMITS,
            )
            for number, one in enumerate(played)
        ]
        run_builds(builds)
    assert len(peer.of_type("build-request")) == 52
    outcomes = sorted(build.outcome for build in builds)
    assert outcomes == ["failed"] * 26 + ["finished"] * 26


def test_what_is_sent_is_what_the_real_client_sent(tmp_path):
    """The same mapping as the recorded initiator's, in a form that leaves nothing to YAML's guesses."""
    played = scene("success-fresh")
    with ReplayPeer([played]) as peer:
        carry_out(played, peer, tmp_path, own_id=played.own_id)
    assert peer.received[0] == played.request


def test_every_message_type_of_a_controller_was_replayed():
    kinds = {message["type"] for played in all_scenes() for message in played.messages}
    assert kinds == {
        "graphing-started", "graphing-finished", "build-started", "cache-state", "build-progress", "step-started",
        "step-already-started", "step-output", "step-finished", "step-failed", "build-finished", "build-failed",
        "build-cancelled", "request-output",
    }  # fmt: skip
