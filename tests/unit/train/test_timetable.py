"""Which products are due on a day, under which version, and that a version which has begun is finished first."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.due import Changes, Last
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.schema import read_policy
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record
from ansible_collections.slipway.release.plugins.module_utils.slipway.train.timetable import (
    Timetable,
    Unfinished,
    find_unfinished,
    make_timetable,
    name_version,
    read_day,
)

POLICY = {
    "products": {
        "base": {"systems": ["base*"], "schedule": {"every": "1 week", "from": "2026-11-02"}},
        "genivi": {"systems": ["genivi*"], "schedule": {"every": "6 weeks", "from": "2026-11-02"}},
        "tools": {"systems": ["tools*"], "schedule": {"on_change": {"components": 1}}},
        "acme": {"schedule": "manual"},
    }
}
BEFORE = dict.fromkeys(("base", "genivi", "tools"), "2026-11-02")


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def judge(today: str, last: dict[str, str], *, policy: object = POLICY, components=(), **options) -> Timetable:
    read, faults = read_policy(policy, project="acme")
    assert not faults
    settings = {
        "day": day(today),
        "version": "",
        "public": {"26.45"} if last else set(),
        "find_changes": lambda _product: Changes(components=components),
    }
    return make_timetable(
        read, {name: Last("26.45", day(when)) for name, when in last.items()}, **{**settings, **options}
    )


def test_the_table_says_what_is_due_and_why() -> None:
    table = judge("2026-11-09", BEFORE, components=("zlib",))
    assert (table.due, table.version, table.next_day) == (["base", "tools"], "26.46", day("2026-11-16"))
    assert table.format() == [
        "product  last   of          due  next        why",
        "base     26.45  2026-11-02  yes  2026-11-16  every 1 week: it is due",
        "genivi   26.45  2026-11-02  no   2026-12-14  26.45 of 2026-11-02 is of the period since 2026-11-02",
        "tools    26.45  2026-11-02  yes  -           1 component changed since 26.45 (zlib)",
        "acme     -      -           no   -           it is released by hand",
        "On 2026-11-09, base and tools are due, as 26.46.",
    ]


def test_when_nothing_is_due_it_says_when_something_is() -> None:
    table = judge("2026-11-05", BEFORE)
    assert table.due == []
    assert table.format()[-1] == "On 2026-11-05, nothing is due; next on 2026-11-09."
    assert (table.describe()["version"], table.describe()["products"]) == ("", [])


def test_what_is_a_part_of_every_release_goes_with_what_is_due() -> None:
    policy = {"products": {**POLICY["products"], "acme": {"schedule": "always"}}}
    table = judge("2026-11-05", {**BEFORE, "acme": "2026-11-02", "base": "2026-10-26"}, policy=policy)
    assert (table.due, table.version) == (["base", "acme"], "26.45.1")


@pytest.mark.parametrize(
    ("today", "public", "version"),
    [
        ("2026-11-02", (), "26.45"),
        ("2026-11-02", ("26.45",), "26.45.1"),
        ("2026-11-02", ("26.45", "26.45.1"), "26.45.2"),
        ("2027-01-03", (), "26.53"),  # the week belongs to the year before
        ("2027-01-04", (), "27.01"),
    ],
)
def test_a_version_is_year_and_week(today: str, public: tuple[str, ...], version: str) -> None:
    assert name_version(day(today), public) == version


def test_a_version_that_is_lower_than_the_last_one_is_not_released() -> None:
    says = r"release what is due as 26\.44: 26\.45 is public already, which is higher\. Nothing was changed"
    with pytest.raises(SlipwayError, match=says):
        judge("2026-11-09", BEFORE, version="26.44")
    assert judge("2026-11-03", BEFORE, version="26.44").due == []


def test_what_is_due_is_listed_as_people_do() -> None:
    table = judge("2026-12-14", BEFORE, components=("zlib",)).format()
    assert table[-1] == "On 2026-12-14, base, genivi and tools are due, as 26.51."


def test_a_version_that_was_public_is_not_released_again() -> None:
    with pytest.raises(SlipwayError, match=r"release what is due as 26.45: this version was public already"):
        judge("2026-11-09", {"base": "2026-11-02"}, version="26.45")
    assert judge("2026-11-09", {"base": "2026-11-02"}, version="26.46rc9").version == "26.46rc9"


def test_a_version_that_has_begun_is_gone_on_with() -> None:
    table = judge("2026-11-16", BEFORE, unfinished=Unfinished("26.46", ("base", "tools")))
    assert (table.version, table.due, table.unfinished) == ("26.46", ["base", "tools"], True)
    assert table.describe()["products"] == []
    assert table.format()[-1] == "On 2026-11-16, 26.46 has begun and is not finished: it is gone on with."
    assert judge("2026-11-16", BEFORE, unfinished=Unfinished("26.46", ()), version="27.1").version == "27.1"


def test_what_has_begun_is_known_by_its_records(tmp_path: Path) -> None:
    def begin(version: str, *stages: str, project: str = "acme") -> None:
        for stage in ("preflight", *stages):
            inputs = {"products": [{"name": "base"}]} if stage == "preflight" else {}
            record = {"stage": stage, "project": project, "version": version, "inputs": inputs, "outputs": {}}
            keep_record(tmp_path / version / "records", record)

    def find(*public: str, withdrawn: tuple[str, ...] = ()) -> Unfinished | None:
        return find_unfinished(tmp_path, public=public, withdrawn=withdrawn, project="acme")

    begin("26.44", "branch")
    begin("26.45", "branch", "publication", "announcement")
    begin("26.46", "branch", "publication")
    begin("26.47")
    begin("26.48", "branch", project="other")
    assert find("26.45", "26.46") == Unfinished("26.46", ("base",))
    assert find("26.45", "26.46", withdrawn=("26.46",)) is None
    assert find("26.45", "26.46", "26.47") is None


def test_a_day_is_a_day() -> None:
    assert read_day("2026-11-02") == day("2026-11-02")
    assert read_day("") == datetime.datetime.now(datetime.UTC).date()
    with pytest.raises(SlipwayError, match="'tomorrow' is no date; write it as 2026-11-02"):
        read_day("tomorrow")
