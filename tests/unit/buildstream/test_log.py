"""What BuildStream writes is understood, whatever it writes."""

from __future__ import annotations

from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.log import Event, Log
from bstlogs import BAD, FULL, GOOD, HEADING, KEYS, STUMBLED, UNKNOWN
from hypothesis import given
from hypothesis import strategies as st


def events(text: str) -> tuple[Log, list[Event]]:
    log = Log()
    found = [log.read(line) for line in text.splitlines()]
    return log, [event for event in found if event is not None]


def test_the_log_tells_what_begins_and_ends_with_whole_paths() -> None:
    log, found = events((HEADING + GOOD).replace("LOGS", "/srv/logs"))
    fetch, build = (f"/srv/logs/mini/one/81c9dfa1-{action}.20261121-032257.log" for action in ("fetch", "build"))
    system = "/srv/logs/mini/systems-good/9f6d8a1c-build.20261121-032258.log"
    assert found == [
        Event("one.bst", "fetch", "started", fetch),
        Event("one.bst", "fetch", "done", fetch),
        Event("one.bst", "build", "started", build),
        Event("one.bst", "build", "done", build),
        Event("systems/good.bst", "build", "started", system),
        Event("systems/good.bst", "build", "done", system),
    ]
    assert log.version == "2.8.1"
    assert {name: node.key for name, node in log.listed.items()} == KEYS
    assert [node.state for node in log.listed.values()] == ["cached", "buildable", "fetch needed", "waiting", "waiting"]


def test_a_failure_is_told_once_with_its_log() -> None:
    log, found = events((HEADING + BAD).replace("LOGS", "/srv/logs"))
    path = "/srv/logs/mini/bad/da4571f6-build.20261121-032257.log"
    failed = Event("bad.bst", "build", "failed", path, "Command failed")
    assert found == [Event("bad.bst", "build", "started", path), failed]
    assert [(failure.element, failure.action, failure.reason, failure.log) for failure in log.failures.values()] == [
        ("bad.bst", "build", "Command failed", path)
    ]


def test_a_later_try_that_goes_well_is_no_failure() -> None:
    log, _ = events(
        (HEADING + BAD).replace("LOGS", "/srv/logs")
        + "[00:00:01][da4571f6][   build:bad.bst ] SUCCESS mini/bad/da4571f6-build.20261121-032299.log\n"
    )
    assert log.failures == {}


def test_a_failed_build_that_is_pushed_stays_a_failure() -> None:
    pushed = "[00:00:00][da4571f6][    push:bad.bst] SUCCESS mini/bad/da4571f6-push.20261121-032257.log\n"
    log, _seen = events(HEADING + BAD + pushed)
    assert list(log.failures) == ["bad.bst"]


def test_an_element_of_a_junction_keeps_its_whole_name() -> None:
    _, found = events("[--:--:--][81c9dfa1][   build:sub.bst:a/one.bst ] START   sub/a-one/81c9dfa1-build.1-2.log\n")
    assert found[0].element == "sub.bst:a/one.bst"


def test_a_complaint_before_the_beginning_is_kept() -> None:
    assert events(UNKNOWN)[0].explain_end() == (
        "Could not find element 'systems/nope.bst' in elements directory '/srv/mini/elements'"
    )


def test_of_a_traceback_only_the_end_is_told() -> None:
    assert events(STUMBLED)[0].explain_end().startswith("FileNotFoundError: ")


@given(st.lists(st.text() | st.sampled_from((HEADING + GOOD + BAD + UNKNOWN + STUMBLED).splitlines())))
def test_no_output_is_too_strange_to_read(lines: list[str]) -> None:
    log = Log()
    for line in lines:
        log.read(line)


def test_the_end_of_a_session_is_known_with_its_cause() -> None:
    assert (events(HEADING + GOOD)[0].outcome, events(HEADING + BAD)[0].outcome) == ("", "FAILURE")
    log, _ = events(FULL)
    assert (log.outcome, log.explain_end()) == ("FAILURE", "Cache too full")
    log, _ = events(HEADING + BAD + "\nCache too full\n")
    assert log.explain_end() == "Cache too full"
    assert events(HEADING + BAD)[0].explain_end() == ""


def test_what_may_be_silent_for_hours_is_told_from_what_may_not() -> None:
    begun = HEADING + GOOD.partition("[00:00:01]")[0]
    assert events(begun)[0].is_busy
    assert not events(HEADING + GOOD)[0].is_busy
    assert not events(HEADING + BAD)[0].is_busy
    assert events(HEADING + GOOD.partition("\n")[0])[0].is_busy
    caching = "[--:--:--][81c9dfa1][   build:one.bst ] START   Caching artifact\n"
    assert not events(begun + "[00:00:01][81c9dfa1][   build:one.bst ] SUCCESS Running commands\n" + caching)[0].is_busy
