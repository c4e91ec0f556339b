from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.control import (
    cancel_build,
    determine_state,
    insist_cancel,
    list_requests,
    query_build,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.protocol import (
    Controller,
    Handle,
    Request,
    RunningBuild,
    parse_list,
    parse_status,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from peers.distbuild_replay import ReplayPeer, recording, recordings, scene, wire

REF = "49a79b089c0b5f9ed6d5f6fbe9c9c85e0c5c2c7b"
SLOW = "systems/slow-system-x86_64.morph"


def listing(*entries):
    shown = [
        f"Build request ID: {name}\n  Initiator: {initiator}\n  Repo: {repo}\n  Ref: {ref}\n  Component: {component}"
        for name, initiator, repo, ref, component in entries
    ]
    return "\n\n".join([f"{len(shown)} distbuild requests(s) currently in progress", *shown])


OURS = ("InitiatorConnection-1", "192.0.2.1:5000", "test:definitions", REF, SLOW)


class Answering:
    """A controller that gives fixed answers to the questions of each kind, or a fixed line to all."""

    def __init__(self, answers=None, *, line=None, close=False):
        self.answers, self.line, self.close = dict(answers or {}), line, close
        self.asked = []
        self.port = 0

    def __enter__(self):
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.controller = Controller("127.0.0.1", self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.close()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.controller.port), timeout=0.1).close()
        self._thread.join(timeout=5)

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.settimeout(3)
            with connection, contextlib.suppress(OSError):
                if self.close:
                    continue
                for line in connection.makefile("rb"):
                    kind = next(k for k in ("build-status", "build-cancel", "list-requests") if k.encode() in line)
                    self.asked.append(kind)
                    answer = self.answers.get(kind)
                    if isinstance(answer, list):
                        answer = answer.pop(0) if len(answer) > 1 else answer[0]
                    if self.line is not None:
                        connection.sendall(self.line)
                    elif answer is not None:
                        connection.sendall(wire({"type": "request-output", "message": answer}))


def handle(controller, **changes):
    values = {"id": "InitiatorConnection-1", "repo": "test:definitions", "ref": REF, "morphology": SLOW, **changes}
    return Handle(controller, **values)


def recorded_answers():
    for name in recordings():
        asked = []
        for record in recording(name):
            message = record.get("decoded")
            if not isinstance(message, dict) or name == "bad-request":
                continue
            if record["from"] == "initiator" and message.get("protocol_version") == 4:
                asked.append((record["conn"], message["type"]))
            elif message.get("type") == "request-output":
                kinds = [kind for conn, kind in asked if conn == record["conn"] and kind != "build-request"]
                asked.remove((record["conn"], kinds[0]))
                yield kinds[0], message["message"]


def test_every_recorded_answer_to_a_question_is_understood():
    states, counts = set(), set()
    for kind, text in recorded_answers():
        if kind == "list-requests":
            counts.add(len(parse_list(text)))
        elif kind == "build-status":
            status = parse_status(text)
            states.add(status.state if status else None)
    assert counts == {0, 1, 2, 3}
    assert states == {"graphing", "waiting", "building", "failed", "finished", "cancelled", None}


def test_a_recorded_list_names_each_build_with_where_it_came_from():
    text = next(text for kind, text in recorded_answers() if kind == "list-requests" and text.startswith("2 "))
    first, second = parse_list(text)
    assert first == RunningBuild("InitiatorConnection-1", "127.0.0.1:50370", "test:definitions", REF, SLOW)
    assert (second.id, second.morphology) == ("InitiatorConnection-2", "systems/par-system-x86_64.morph")


@pytest.mark.parametrize("text", ["", "Hello", "3 distbuild requests(s) currently in progress", "x distbuild requests"])
def test_a_list_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="list of requests"):
        parse_list(text)


@pytest.mark.parametrize("text", ["", "Hello", "Build request ID: x\n  Build status: Dancing"])
def test_a_status_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="not a status"):
        parse_status(text)


def test_builds_of_a_controller_are_listed():
    with Answering({"list-requests": listing(OURS)}) as peer:
        assert list_requests(peer.controller) == [RunningBuild(*OURS)]


@pytest.mark.parametrize(
    ("status", "entries", "state"),
    [
        ("Building x", [OURS], "running"),
        ("Waiting for a worker to become available", [OURS], "running"),
        ("Computing build graph", [OURS], "running"),
        ("Computing build graph", [], "failed"),
        ("Finished", [], "finished"),
        ("Failed building x", [], "failed"),
        ("Cancelled", [], "cancelled"),
        (None, [], "gone"),
        ("Building x", [(*OURS[:3], "another ref", OURS[4])], "gone"),
    ],
)
def test_the_state_of_a_build_is_told_from_status_and_list(status, entries, state):
    text = "Given build-request ID does not match any recent build IDs (...)."
    if status:
        text = f"\nBuild request ID: InitiatorConnection-1\n  System build: {SLOW}\n  Build status: {status}"
    with Answering({"build-status": text, "list-requests": listing(*entries)}) as peer:
        mine = handle(peer.controller)
        assert determine_state(mine, *query_build(mine)) == state


def test_an_id_that_now_names_another_build_is_gone():
    text = "\nBuild request ID: InitiatorConnection-1\n  System build: systems/other.morph\n  Build status: Finished"
    with Answering({"build-status": text, "list-requests": listing()}) as peer:
        mine = handle(peer.controller)
        assert determine_state(mine, *query_build(mine)) == "gone"


def test_a_running_build_is_cancelled_once():
    answers = {
        "list-requests": [listing(OURS), listing(OURS), listing()],
        "build-cancel": "Cancelling build request with ID InitiatorConnection-1",
    }
    with Answering(answers) as peer:
        assert cancel_build(handle(peer.controller)) is True
        assert cancel_build(handle(peer.controller)) is False
    assert peer.asked.count("build-cancel") == 1


def test_check_mode_only_looks():
    with Answering({"list-requests": listing(OURS)}) as peer:
        assert cancel_build(handle(peer.controller), write=False) is True
    assert peer.asked == ["list-requests"]


@pytest.mark.parametrize(
    "changes",
    [{"morphology": "systems/x.morph"}, {"ref": "0" * 40}, {"repo": "test:other"}, {"initiator": "192.0.2.9:1"}],
)
def test_another_persons_build_under_the_same_id_is_never_cancelled(changes):
    with Answering({"list-requests": listing(OURS)}) as peer:
        with pytest.raises(SlipwayError, match="Nothing was cancelled") as caught:
            cancel_build(handle(peer.controller, **changes))
        assert "192.0.2.1:5000" in str(caught.value)
    assert "build-cancel" not in peer.asked


def test_a_build_that_ends_at_that_moment_needs_no_cancel():
    answers = {
        "list-requests": listing(OURS),
        "build-cancel": "Given build-request ID does not match any running build IDs.",
    }
    with Answering(answers) as peer:
        assert cancel_build(handle(peer.controller)) is False


def test_a_cancel_that_has_no_effect_is_a_failure():
    answers = {"list-requests": listing(OURS), "build-cancel": "Cancelling build request with ID InitiatorConnection-1"}
    with Answering(answers) as peer, pytest.raises(SlipwayError, match="the last state was listed"):
        cancel_build(handle(peer.controller), timeout=0.5)


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (Answering({}), "no answer within 0.5 s"),
        (Answering(close=True), "closed the connection without an answer|reset by peer"),
        (Answering(line=b"HTTP/1.0 400 Bad Request\r\n"), "it is not JSON"),
        (
            Answering(
                line=wire({"type": "build-failed", "id": "x", "reason": "Bad request\nProtocol version mismatch"})
            ),
            "it refuses the question: Bad request Protocol version mismatch",
        ),
        (Answering({"list-requests": "Hello"}), "this is not a list of requests"),
    ],
)
def test_a_controller_that_does_not_answer_as_one_is_named(peer, words):
    began = time.monotonic()
    with peer, pytest.raises(SlipwayError, match=words) as caught:
        list_requests(peer.controller, timeout=0.5)
    assert str(peer.controller) in str(caught.value)
    assert time.monotonic() - began < 15


def test_a_controller_that_is_not_there_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        controller = Controller("127.0.0.1", server.getsockname()[1])
    with pytest.raises(SlipwayError, match="Connection refused"):
        list_requests(controller)
    with pytest.raises(SlipwayError, match="nowhere.invalid"):
        list_requests(Controller("nowhere.invalid"))


def test_a_controller_that_drips_bytes_is_not_waited_for_longer():
    class Dripping(Answering):
        def _serve(self):
            connection, _ = self._server.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.02)

    with Dripping() as peer, pytest.raises(SlipwayError, match="no answer within 0.4 s"):
        list_requests(peer.controller, timeout=0.4)


def away_then(answers, times):
    """A controller that refuses connections until it was asked ``times`` times; and a sleep that counts that."""
    peer, asked = Answering(answers), []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    def sleep(_seconds):
        asked.append(_seconds)
        if len(asked) == times:
            peer.port = port
            peer.__enter__()

    return Controller("127.0.0.1", port), peer, sleep, asked


def test_a_cancel_is_repeated_until_a_controller_is_back():
    answers = {
        "list-requests": [listing(OURS), listing()],
        "build-cancel": "Cancelling build request with ID InitiatorConnection-1",
    }
    controller, peer, sleep, asked = away_then(answers, 4)
    try:
        assert insist_cancel(handle(controller, initiator=OURS[1]), away=60, sleep=sleep) is True
        assert peer.asked.count("build-cancel") == 1
        assert asked == [5.0, 7.5, 11.25, 16.875]
    finally:
        peer.__exit__()


def test_a_cancel_is_not_repeated_for_ever_nor_where_an_id_may_become_somebody_elses():
    with socket.create_server(("127.0.0.1", 0)) as server:
        controller = Controller("127.0.0.1", server.getsockname()[1])
    asked = []
    with pytest.raises(SlipwayError, match="Connection refused"):
        insist_cancel(handle(controller), away=60, sleep=asked.append)
    assert asked == []
    with pytest.raises(SlipwayError, match="Connection refused"):
        insist_cancel(handle(controller, initiator=OURS[1]), away=0.2, sleep=lambda _: time.sleep(0.05))


def test_a_handle_survives_a_trip_through_plain_values():
    mine = handle(Controller("controller.example.org", 7878), initiator="192.0.2.1:5000")
    assert Handle.from_dict(mine.as_dict()) == mine
    assert str(mine) == f"InitiatorConnection-1 ({SLOW} at {REF}) on the controller controller.example.org:7878"


def test_what_a_replayed_controller_lists_is_what_was_asked_of_it(tmp_path):
    played = scene("two-initiators")
    with ReplayPeer([played], stop_after=6) as peer, socket.create_connection(("127.0.0.1", peer.port)) as connection:
        connection.sendall(played.request_line)
        connection.recv(100)
        controller = Controller("127.0.0.1", peer.port)
        (found,) = list_requests(controller)
        assert (found.repo, found.ref, found.morphology) == ("test:definitions", REF, SLOW)
        assert cancel_build(Handle(controller, *OURS[:1], *OURS[2:])) is True
        assert list_requests(controller) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"repo": ""}, "repo is empty"),
        ({"ref": "  "}, "ref is empty"),
        ({"ref": 1234567}, "which is not text"),
        ({"ref": None}, "which is not text"),
        ({"original_ref": "br\xe4nch"}, "only printable ASCII"),
        ({"morphology": "a\nb"}, "only printable ASCII"),
        ({"morphology": "--help"}, "leading hyphen"),
        ({"ref": "master "}, "begins or ends with a space"),
        ({"components": ["a", ""]}, "a component is empty"),
        ({"components": ["a", "a"]}, "the same component twice"),
    ],
)
def test_a_request_that_could_harm_a_network_is_not_made(changes, fault):
    values = {"repo": "test:definitions", "ref": REF, "morphology": SLOW, **changes}
    with pytest.raises(SlipwayError, match="nothing was sent") as caught:
        Request.create(**values)
    assert any(fault in finding for finding in caught.value.findings)


def test_a_request_always_carries_original_ref_and_component_names():
    request = Request.create(repo="test:definitions", ref="1.0", morphology=SLOW)
    line = request.encode_line("own", detach=False)
    assert b'\\"original_ref\\": \\"1.0\\"' in line
    assert b'\\"component_names\\": []' in line
    assert b'\\"protocol_version\\": 4,' in line
