"""Whether a product is due follows from its schedule, its last public release and what changed since."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.due import Changes, Due, Last, find_due
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.schedule import read_schedule


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def judged(schedule: object, today: str, last: str = "", **options: object) -> Due:
    read, faults = read_schedule(schedule, "schedule")
    assert not faults
    return find_due(read, Last("26.40", day(last)) if last else None, today=day(today), **options)


SIX = {"every": "6 weeks", "from": "2026-11-02"}


@pytest.mark.parametrize(
    ("schedule", "today", "last", "due", "following"),
    [
        (SIX, "2026-11-01", "", False, "2026-11-02"),
        (SIX, "2026-11-02", "", True, "2026-12-14"),
        (SIX, "2026-11-02", "2026-11-02", False, "2026-12-14"),
        (SIX, "2026-12-13", "2026-11-02", False, "2026-12-14"),
        (SIX, "2026-12-14", "2026-11-02", True, "2027-01-25"),
        (SIX, "2026-12-20", "2026-12-13", True, "2027-01-25"),  # late, and the days stay as they are
        (SIX, "2026-12-20", "2026-12-20", False, "2027-01-25"),
        ({"every": "week"}, "2026-12-14", "", True, "2026-12-21"),
        ({"every": "week"}, "2026-12-14", "2026-12-08", False, "2026-12-15"),
        ({"every": "week"}, "2026-12-15", "2026-12-08", True, "2026-12-22"),
        ({**SIX, "until": "2026-12-31"}, "2026-12-14", "2026-11-02", True, None),
        ({**SIX, "until": "2026-12-31"}, "2027-02-01", "2026-11-02", True, None),  # what was missed is still due
        ({**SIX, "until": "2026-12-31"}, "2027-02-01", "2026-12-14", False, None),
    ],
)
def test_days_are_counted_from_the_first_one_or_from_the_last_release(schedule, today, last, due, following) -> None:
    found = judged(schedule, today, last)
    assert (found.due, found.next_day) == (due, following and day(following)), found.reason


def test_a_schedule_that_ended_says_so() -> None:
    assert judged({**SIX, "until": "2026-12-31"}, "2027-02-01", "2026-12-14").reason == (
        "its schedule ended on 2026-12-31"
    )


def test_manual_is_never_due() -> None:
    assert judged("manual", "2026-12-14") == Due(False, "it is released by hand")


def test_always_is_due_once_for_each_version() -> None:
    assert judged("always", "2026-12-16").due
    found = judged("always", "2026-12-16", "2026-12-14", version_is_public=True)
    assert (found.due, found.next_day) == (False, day("2026-12-21"))


def test_enough_must_have_changed() -> None:
    schedule = {"on_change": {"components": 2, "systems": 1}}
    few = judged(schedule, "2026-12-16", "2026-12-14", changes=Changes(systems=[], components=["zlib"]))
    assert (few.due, few.reason) == (
        False,
        "1 component changed since 26.40 (zlib), 2 would be enough; 0 systems changed since 26.40, 1 would be enough",
    )
    two = judged(schedule, "2026-12-16", "2026-12-14", changes=Changes(systems=[], components=["zlib", "bash"]))
    assert (two.due, two.reason) == (True, "2 components changed since 26.40 (bash, zlib)")
    system = judged(schedule, "2026-12-16", "2026-12-14", changes=Changes(systems=["base"], components=[]))
    assert (system.due, system.reason) == (True, "1 system changed since 26.40 (base)")
    many = judged(schedule, "2026-12-16", "2026-12-14", changes=Changes(systems=[], components=list("abcdefg")))
    assert many.reason == "7 components changed since 26.40 (a, b, c, d, e and 2 more)"


def test_what_was_judged_without_keys_is_told() -> None:
    changes = Changes(["a"], [], without_keys=("a", "b"))
    few = judged({"on_change": {"systems": 2}}, "2026-12-16", "2026-12-14", changes=changes)
    judgement = ", as far as the definitions tell: there is no key of a, b"
    assert (few.due, few.reason) == (False, f"1 system changed since 26.40 (a), 2 would be enough{judgement}")
    enough = judged({"on_change": {"systems": 1}}, "2026-12-16", "2026-12-14", changes=changes)
    assert (enough.due, enough.reason) == (True, f"1 system changed since 26.40 (a){judgement}")


def test_what_cannot_be_compared_or_has_no_release_is_due() -> None:
    assert judged({"on_change": {"systems": 1}}, "2026-12-16").due
    found = judged({"on_change": {"systems": 1}}, "2026-12-16", "2026-12-14", changes=Changes(components=[]))
    assert (found.due, found.reason) == (
        True, "what 26.40 was made of is not known, so its systems cannot be compared",
    )  # fmt: skip
