"""The protocol without sockets: whatever comes, a build ends within its limits and never spins."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.initiator import Build, Limits
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.log import BuildLog
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild.protocol import Controller, Request
from hypothesis import example, given, settings
from hypothesis import strategies as st
from peers.distbuild_replay import wire

REQUEST = Request("test:definitions", "0" * 40, "systems/x.morph", "master")
OWN, ID = "own", "InitiatorConnection-3"
LIMITS = Limits(
    total=1000, answer=10, graph=100, silence=200, question=30, cancel=5, pause=2, away=300, tries=2, settle=1
)  # fmt: skip

IDS = st.sampled_from([OWN, ID, "000", "somebody", ""])
FIELDS = {
    "step_name": st.sampled_from(["chunk", "stratum", "../../etc/passwd", ""]),
    "worker_name": st.sampled_from(["worker:1", ""]),
    "reason": st.sampled_from(["Building failed", "Bad request", "No distbuild-helper process running on controller!"]),
    "message": st.sampled_from(
        [
            "0 distbuild requests(s) currently in progress",
            f"1 distbuild requests(s) currently in progress\n\nBuild request ID: {ID}\n  Initiator: a:1\n  Repo: r",
            f"Build request ID: {ID}\n  System build: s\n  Build status: Finished",
            f"Build request ID: {ID}\n  System build: s\n  Build status: Building x",
            "Given build-request ID does not match any recent build IDs",
            f"Cancelling build request with ID {ID}",
            "nonsense",
        ]
    ),
    "urls": st.lists(st.just("http://cache/1.0/artifacts?filename=x"), max_size=2),
    "stdout": st.one_of(st.text(max_size=20), st.binary(max_size=20)),
    "stderr": st.text(max_size=5),
    "unbuilt": st.integers(-1, 9),
    "total": st.integers(-1, 9),
}
TYPES = st.sampled_from(
    [
        "graphing-started", "graphing-finished", "build-started", "cache-state", "build-progress", "step-started",
        "step-already-started", "step-output", "step-finished", "step-failed", "build-finished", "build-failed",
        "build-cancelled", "request-output", "unknown",
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda kind, own, fields: wire({"type": kind, "id": own, **fields}),
    TYPES,
    IDS,
    st.fixed_dictionaries({}, optional=FIELDS),
)
EVENTS = st.lists(
    st.one_of(MESSAGES, st.just("lost"), st.just("time"), st.just("interrupt"), st.binary(max_size=30)), max_size=40
)


def new(directory, **options):
    return Build(
        REQUEST,
        Controller("controller"),
        log=BuildLog(Path(directory)),
        now=0.0,
        limits=LIMITS,
        own_ids=lambda: OWN,
        **options,
    )


def listing(*ids, initiator="192.0.2.1:5000"):
    """The answer to list-requests, with builds of our request."""
    entry = f"  Initiator: {initiator}\n  Repo: test:definitions\n  Ref: {'0' * 40}\n  Component: systems/x.morph"
    shown = [f"Build request ID: {name}\n{entry}" for name in ids]
    text = "\n\n".join([f"{len(shown)} distbuild requests(s) currently in progress", *shown])
    return wire({"type": "request-output", "message": text})


def advance(build, now):
    """Let the time pass to the moment that the build waits for, as the loop over sockets does."""
    later = max(now, build.next_deadline())
    if build.phase == "wanted" and later >= build.connect_at:
        build.connection_begun(later)
    build.tick(later)
    assert build.phase in ("ended", "wanted") or build.next_deadline() > later, f"it spins in {build.phase}"
    return later


@settings(max_examples=600, deadline=None)
@given(EVENTS, st.booleans())
@example(events=[wire({"type": "cache-state", "id": OWN}), "interrupt"], detach=True)
def test_whatever_comes_a_build_ends_within_its_limits(events, detach):
    with tempfile.TemporaryDirectory() as directory:
        build = new(directory, detach=detach)
        now = 0.0
        for event in events:
            if build.phase == "wanted":
                now = max(now, build.connect_at)
                build.connection_begun(now)
            if build.phase == "connecting":
                build.connection_made(now)
            if event == "lost":
                build.connection_lost("the controller closed the connection", now)
            elif event == "interrupt":
                build.interrupt("SIGTERM", now)
            elif event == "time" and build.phase != "ended":
                now = advance(build, now)
            elif isinstance(event, bytes):
                build.receive(event, now)
            now += 0.001
        for _ in range(500):
            if build.phase == "ended":
                break
            now = advance(build, now)
            if build.phase == "connecting":
                build.connection_made(now)
        assert build.phase == "ended"
        assert now <= LIMITS.total + LIMITS.cancel + 1
        assert build.outcome in ("finished", "detached", "cancelled", "failed")
        assert (build.error is None) is (build.outcome in ("finished", "detached"))
        assert build.result()["outcome"] == build.outcome
        assert {path.parent for path in Path(directory).rglob("*")} <= {Path(directory)}


@given(st.text(max_size=400))
def test_a_step_of_any_name_has_a_file_in_the_logs_directory(name):
    log = BuildLog(Path("/logs"))
    path = log.path(name)
    assert path.parent == Path("/logs")
    assert len(path.name.encode()) < 255
    assert "\0" not in path.name


@given(st.text(max_size=300), st.text(max_size=300))
def test_two_steps_never_share_a_file(one, other):
    log = BuildLog(Path("/logs"))
    assert (log.path(one) == log.path(other)) is (one == other)


def test_a_step_of_an_ordinary_name_has_the_file_that_morph_gave_it():
    assert BuildLog(Path("/logs")).path("stage2-gcc-c++").name == "build-step-stage2-gcc-c++.log"


def test_a_log_keeps_few_files_open_whatever_the_number_of_steps(tmp_path):
    log = BuildLog(tmp_path)
    for number in range(300):
        log.write_output(f"step-{number}", b"x\n")
    assert len(log._open) <= 64
    log.write_output("step-0", b"again\n")
    log.close_all()
    assert log.path("step-0").read_text() == "x\nagain\n"


def running(directory, **options):
    build = new(directory, **options)
    build.connection_begun(0.0)
    build.connection_made(0.0)
    build.outgoing().clear()
    build.receive(wire({"type": "graphing-started", "id": ID}), 1.0)
    build.receive(listing(ID), 1.0)
    build.outgoing().clear()
    build.receive(wire({"type": "build-started", "id": ID}), 2.0)
    build.receive(wire({"type": "cache-state", "id": ID, "unbuilt": 2, "total": 5}), 3.0)
    return build


def test_each_phase_has_a_limit_of_its_own(tmp_path):
    build = new(tmp_path)
    build.connection_begun(0.0)
    assert build.next_deadline() == LIMITS.answer
    build.connection_made(5.0)
    assert build.next_deadline() == 5.0 + LIMITS.answer
    build.receive(wire({"type": "graphing-started", "id": ID}), 6.0)
    assert build.next_deadline() == 6.0 + LIMITS.answer
    build.receive(listing(ID), 6.5)
    assert build.next_deadline() == 6.0 + LIMITS.question
    build.receive(wire({"type": "graphing-finished", "id": ID}), 7.0)
    assert build.next_deadline() == 7.0 + LIMITS.question


def test_the_whole_build_has_a_limit_and_is_cancelled_at_it(tmp_path):
    build = running(tmp_path)
    build.tick(LIMITS.total)
    assert build.phase == "ending"
    assert b"build-cancel" in build.outgoing()
    build.receive(wire({"type": "build-cancelled", "id": OWN}), LIMITS.total + 1)
    assert build.outcome == "failed"
    assert "it is not done after 1000 s" in str(build.error)


def test_a_build_that_finishes_at_the_last_moment_is_finished(tmp_path):
    build = running(tmp_path)
    build.tick(LIMITS.total)
    build.receive(wire({"type": "build-finished", "id": OWN, "urls": ["u"]}), LIMITS.total + 1)
    assert (build.outcome, build.error) == ("finished", None)


def test_a_cancel_that_nobody_confirms_is_not_waited_for_longer(tmp_path):
    build = running(tmp_path)
    build.interrupt("SIGTERM", 10.0)
    assert build.next_deadline() == 10.0 + LIMITS.cancel
    build.tick(build.next_deadline())
    assert build.phase == "ended"


def test_an_interruption_before_the_controller_gave_an_id_cancels_as_soon_as_it_does(tmp_path):
    build = new(tmp_path)
    build.connection_begun(0.0)
    build.connection_made(0.0)
    build.interrupt("SIGINT", 0.1)
    build.outgoing().clear()
    build.receive(wire({"type": "graphing-started", "id": ID}), 0.2)
    assert ID.encode() in build.outgoing()
    assert b"build-cancel" in build.outgoing()


def test_silence_with_answers_is_borne_up_to_its_limit_and_names_what_runs(tmp_path):
    build = running(tmp_path)
    build.receive(wire({"type": "step-started", "id": OWN, "step_name": "gcc", "worker_name": "w:1"}), 4.0)
    now = 4.0
    while build.phase == "building":
        now = advance(build, now)
        if b"build-status" in build.outgoing():
            build.outgoing().clear()
            text = f"Build request ID: {ID}\n  System build: systems/x.morph\n  Build status: Building gcc"
            build.receive(wire({"type": "request-output", "message": text}), now)
            listed = f"1 distbuild requests(s)\n\nBuild request ID: {ID}\n  Initiator: a:1"
            build.receive(wire({"type": "request-output", "message": listed}), now)
    assert now == 4.0 + LIMITS.silence
    build.tick(now + LIMITS.cancel)
    assert "no news on gcc (w:1) for 200 s, although the controller answers" in str(build.error)
    assert build.steps["gcc"].outcome == "unknown"


def test_a_finished_step_gives_a_long_build_its_tries_back(tmp_path):
    build = running(tmp_path)
    build.connection_lost("the controller closed the connection", 5.0)
    assert build.tries == 1
    build.connection_begun(7.0)
    build.connection_made(7.0)
    build.receive(wire({"type": "graphing-started", "id": ID}), 7.0)
    build.receive(wire({"type": "step-finished", "id": OWN, "step_name": "a", "worker_name": "w"}), 8.0)
    assert build.tries == 0


def refuse(build, *, until):
    """Refuse every connection from when it was lost; the moments of the tries."""
    tried = []
    while build.phase == "wanted" and build.connect_at < until:
        tried.append(build.connect_at)
        build.connection_begun(build.connect_at)
        build.connection_lost("the connection was refused", build.connect_at)
    return tried


def test_a_controller_is_asked_again_over_a_span_of_time_with_growing_pauses(tmp_path):
    said = []
    build = running(tmp_path, report=said.append)
    build.connection_lost("the controller closed the connection", 100.0)
    tried = refuse(build, until=1000.0)
    pauses = [after - before for before, after in zip([100.0, *tried], tried, strict=False)]
    assert pauses[:3] == [2.0, 3.0, 4.5]
    assert max(pauses) == LIMITS.longest_pause
    assert tried[-1] == 100.0 + LIMITS.away
    assert build.outcome == "failed"
    words = str(build.error)
    assert "the controller closed the connection; then the connection was refused (tried" in words
    assert "times in 300 s" in words
    assert len([text for text in said if "asking again in" in text]) == len(tried)


def test_a_controller_that_is_back_has_the_whole_span_again(tmp_path):
    build = running(tmp_path)
    for lost in (100.0, 500.0, 900.0):
        build.connection_lost("the controller closed the connection", lost)
        now = refuse(build, until=lost + 250.0)[-1]
        build.connection_begun(now)
        build.connection_made(now)
        build.receive(wire({"type": "graphing-started", "id": ID}), now)
        build.receive(wire({"type": "step-already-started", "id": OWN, "step_name": "a", "worker_name": "w"}), now)
    assert build.phase == "graphing"
    assert build.tries == 0


def test_a_controller_that_a_build_ends_again_and_again_is_not_asked_for_ever(tmp_path):
    build = running(tmp_path)
    for lost in range(1, 4):
        build.connection_lost("the controller closed the connection", lost * 100.0)
        if build.phase == "wanted":
            build.connection_begun(lost * 100.0 + 10)
            build.connection_made(lost * 100.0 + 10)
            build.receive(wire({"type": "graphing-started", "id": ID}), lost * 100.0 + 10)
    assert build.outcome == "failed"
    assert "it was lost 3 times before a step was finished" in str(build.error)


def test_the_limit_on_the_whole_counts_while_the_controller_is_away(tmp_path):
    build = running(tmp_path)
    build.connection_lost("the controller closed the connection", LIMITS.total - 10)
    build.tick(LIMITS.total)
    assert build.outcome == "failed"
    assert "it is not done after 1000 s; the controller did not confirm" in str(build.error)
    assert build.uncancelled


def test_a_finish_without_artifacts_is_a_failure(tmp_path):
    build = running(tmp_path)
    build.receive(wire({"type": "build-finished", "id": OWN, "urls": []}), 5.0)
    assert "without an artifact" in str(build.error)


@pytest.mark.parametrize("detach", [True, False])
def test_the_handle_is_there_before_the_wait(tmp_path, detach):
    said = []
    build = running(tmp_path, detach=detach, report=said.append)
    assert f"the controller calls this build {ID}" in said
    assert build.handle.as_dict() == {
        "controller": "controller", "port": 7878, "id": ID, "repo": "test:definitions", "ref": "0" * 40,
        "morphology": "systems/x.morph", "initiator": "" if detach else "192.0.2.1:5000",
    }  # fmt: skip


def test_progress_counts_what_is_there(tmp_path):
    build = running(tmp_path)
    assert (build.done, build.total) == (3, 5)
    build.receive(wire({"type": "step-finished", "id": OWN, "step_name": "a", "worker_name": "w"}), 8.0)
    assert build.done == 4
