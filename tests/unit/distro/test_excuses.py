# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import gzip
import json
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.solver import BrokenPackage, format_reasons
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses import (
    MOST_NAMES,
    ORDER,
    STATES,
    find_groups,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_facts import (
    Commands,
    Facts,
    Wanted,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_files import (
    read_archive,
    read_previous,
    read_versions,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_input import list_places
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.excuses_words import (
    LEGEND,
    fill_command,
    find_address,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.release import Names
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from excuses import AMD64, COMMAND, DAY, I386, NOW, archive, explain, stacks
from hypothesis import given
from hypothesis import strategies as st

PLACE = {"stack": "a", "platform": "bookworm", "architecture": "i386"}
EXCLUDE = {"stack": "a", "places": [I386], "reason": "no driver", "until": "2026-03-01"}
HERE = {"platform": "bookworm", "architecture": "i386"}

#: What is known of the stack a, which is there for amd64, and what is told of i386: state, codes, category, words.
SITUATIONS: dict[str, tuple[dict[str, Any], str, list[str], str | None, str]] = {
    "missing": (
        {},
        "blocked",
        ["missing"],
        "primary",
        "bookworm (i386): a 1.0 is missing. It was built for another architecture of the platform only. Build it.",
    ),
    "not built": (
        {"shadow": archive({})},
        "blocked",
        ["not-built"],
        "primary",
        "Everywhere: a 1.0 is not built. No build of it is known there. Build it.",
    ),
    "outdated": (
        {"shadow": archive({"a": "1.0"}, {"a": "0.9"})},
        "blocked",
        ["outdated"],
        "primary",
        "bookworm (i386): a 1.0 is missing; 0.9-0~bookworm is there instead. The distro file asks for another version",
    ),
    "there": ({"shadow": archive({"a": "1.0"})}, "built", [], None, ""),
    "rebuilt": ({"shadow": archive({"a": "1.0"}, form="{}-0~bookworm+b2")}, "built", [], None, ""),
    "released": (
        {"shadow": archive({"a": "1.0"}), "fixed": archive({"a": "1.0"}, form="{}-r7~bookworm")},
        "released",
        [],
        None,
        "",
    ),
    "another version released": (
        {"shadow": archive({"a": "1.0"}), "fixed": archive({"a": "0.9"}, form="{}-r7~bookworm")},
        "built",
        [],
        None,
        "",
    ),
    "a version released that only begins like it": (
        {"shadow": archive({"a": "1.0"}), "fixed": archive({"a": "1.0.1"}, form="{}-r7~bookworm")},
        "built",
        [],
        None,
        "",
    ),
    "build failed": (
        {"builds": [{**PLACE, "state": "ok", "at": 10}, {**PLACE, "state": "failed", "at": 20}]},
        "blocked",
        ["build-failed"],
        "primary",
        "bookworm (i386): the build of a 1.0 failed. The last attempt ended with an error. Read the end of the log",
    ),
    "build failed before one that went well": (
        {"builds": [{**PLACE, "state": "failed", "at": "2026-02-27T10:00:00Z"}, {**PLACE, "state": "ok", "at": NOW}]},
        "blocked",
        ["missing"],
        "primary",
        "Its last build ended well on 2026-03-01 08:00 UTC, but the shadow archive does not have what it made.",
    ),
    "build of another version failed": (
        {"builds": [{**PLACE, "state": "failed", "version": "0.9"}]},
        "blocked",
        ["missing"],
        "primary",
        "",
    ),
    "build failed, and it is there": (
        {"shadow": archive({"a": "1.0"}), "builds": [{**PLACE, "state": "failed"}]},
        "built",
        [],
        None,
        "",
    ),
    "building": (
        {"builds": [{**PLACE, "state": "running", "at": NOW}]},
        "building",
        ["missing"],
        "primary",
        "Its build began on 2026-03-01 08:00 UTC. Wait for the end of the build.",
    ),
    "held": (
        {"holds": {"a": "waits for b"}},
        "blocked",
        ["held"],
        "primary",
        "a 1.0 is missing, and is held back by its name. The reason that was given: waits for b. When the",
    ),
    "held, and it is there": ({"shadow": archive({"a": "1.0"}), "holds": {"a": ""}}, "built", [], None, ""),
    "excluded today for the last time": (
        {"excludes": [EXCLUDE]},
        "excluded",
        ["excluded"],
        "excluded",
        "bookworm (i386): a 1.0 is excluded until the end of 2026-03-01. The reason that was given: no driver. Nothing "
        "has to be done until then: releases are made without it.",
    ),
    "excluded without an end, for a platform": (
        {"excludes": [{"stack": "ros-d-a", "places": ["bookworm"], "reason": ""}]},
        "excluded",
        ["excluded"],
        "excluded",
        "a 1.0 is excluded without an end. Nobody gave a reason. Nothing has to be done: releases are made without it.",
    ),
    "excluded everywhere": ({"excludes": [{"stack": "a"}]}, "excluded", ["excluded"], "excluded", ""),
    "excluded, and it is there": (
        {"shadow": archive({"a": "1.0"}), "excludes": [EXCLUDE]},
        "built",
        ["excluded"],
        None,
        "It is there by now, so its line in debs_excludes can go.",
    ),
    "excluded, and its build failed": (
        {"excludes": [EXCLUDE], "builds": [{**PLACE, "state": "failed"}]},
        "excluded",
        ["excluded"],
        "excluded",
        "",
    ),
    "an exclude ended": (
        {"excludes": [EXCLUDE], "now": NOW + DAY},
        "blocked",
        ["excluded-ended"],
        "primary",
        "a 1.0 was allowed to be missing until 2026-03-01, and still is. The reason that was given: no driver. Build",
    ),
    "an exclude ended, and another goes on": (
        {"excludes": [EXCLUDE, {**EXCLUDE, "until": "2026-04-01"}], "now": NOW + DAY},
        "excluded",
        ["excluded"],
        "excluded",
        "until the end of 2026-04-01",
    ),
    "an exclude ended, and it is there": (
        {"shadow": archive({"a": "1.0"}), "excludes": [EXCLUDE], "now": NOW + DAY},
        "built",
        ["excluded-ended"],
        None,
        "a 1.0 is there. It was allowed to be missing until 2026-03-01. The reason that was given: no driver. Delete",
    ),
    "no source package": (
        {"sources": [{**PLACE, "state": "refused", "reason": "its version is no version."}]},
        "blocked",
        ["source-failed"],
        "primary",
        "the source package of a 1.0 was refused. The reason that was given: its version is no version. Correct what",
    ),
    "not for the platform": (
        {"sources": [{**PLACE, "state": "unsupported", "reason": "no packages for the key pcl"}]},
        "blocked",
        ["source-failed"],
        "primary",
        "a 1.0 is not made for this platform. The reason that was given: no packages for the key pcl. Say in the",
    ),
    "a source package in the end": (
        {"sources": [{**PLACE, "state": "failed"}, {**PLACE, "state": "ok"}]},
        "blocked",
        ["missing"],
        "primary",
        "",
    ),
    "uninstallable": (
        {
            "shadow": archive({"a": "1.0"}),
            "uninstallable": [{**HERE, "package": "ros-d-a", "reason": "x 1 needs y, which is not available"}],
        },
        "blocked",
        ["uninstallable"],
        "primary",
        "a 1.0 is built, but cannot be installed. The solver says: x 1 needs y, which is not available. Release what",
    ),
    "uninstallable in the solver's words": (
        {
            "shadow": archive({"a": "1.0"}),
            "uninstallable": [
                {
                    **HERE,
                    "reason": "x 1 needs y (>= 2), which is not available; so z 3, ros-d-a 1.0-0~bookworm cannot be",
                }
            ],
        },
        "blocked",
        ["uninstallable"],
        "primary",
        "",
    ),
    "said to be uninstallable, and not there": (
        {"uninstallable": [{**HERE, "package": "ros-d-a", "reason": "old"}]},
        "blocked",
        ["missing"],
        "primary",
        "",
    ),
    "needs what nobody knows": (
        {"depends": {"a": ["gone"]}},
        "blocked",
        ["dependency-unreleased"],
        "dep",
        "a 1.0 needs stacks that nobody released. The distro file does not name gone. Add them to the distro file",
    ),
    "refused by the plan": (
        {
            "plan": {
                "blocked": [{**HERE, "source": "ros-d-a", "why": "it needs pcl, which is nowhere", "needs": ["pcl"]}]
            }
        },
        "blocked",
        ["dependency-unreleased"],
        "dep",
        "a 1.0 cannot be built. The plan says: it needs pcl, which is nowhere. Provide what is missing there",
    ),
    "planned": (
        {"plan": {"entries": [{**HERE, "source": "ros-d-a", "order": 3, "state": "build", "reasons": []}]}},
        "blocked",
        ["missing"],
        "primary",
        "The next run builds it, in wave 3. Build it.",
    ),
    "several causes": (
        {"holds": {"a": "r"}, "builds": [{**PLACE, "state": "failed"}]},
        "blocked",
        ["held", "build-failed"],
        "primary",
        "",
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_is_told_with_its_words(name: str) -> None:
    options, state, codes, category, words = SITUATIONS[name]
    options = {"stacks": stacks(a="1.0"), "shadow": archive({"a": "1.0"}, {}), **options}
    row = explain(**options)["stacks"]["a"]
    place = row["places"][I386]
    assert (place["state"], place["codes"], place["category"]) == (state, codes, category)
    reasons = [reason for reason in row["reasons"] if I386 in reason["places"]]
    assert [reason["code"] for reason in reasons] == codes
    assert words in " ".join(reason["text"] for reason in reasons)
    assert all(reason["blocking"] is (state == "blocked") for reason in reasons)


def test_every_code_and_state_is_in_a_situation_and_in_the_legend() -> None:
    told = {code for _options, _state, codes, _category, _words in SITUATIONS.values() for code in codes}
    assert told | {"cycle", "no-version"} == set(ORDER)
    assert {state for _options, state, *_more in SITUATIONS.values()} | {"unreleased"} == set(STATES)
    assert set(LEGEND["states"]) == set(STATES)


def test_a_stack_is_released_where_both_archives_have_it_and_both_versions_are_told() -> None:
    found = explain(
        stacks=stacks(common_msgs="1.4"),
        shadow=archive({"common_msgs": "1.4"}),
        fixed=archive({"common_msgs": "1.4"}, {}, form="{}-r1~bookworm"),
    )
    row = found["stacks"]["common_msgs"]
    assert row["package"] == "ros-d-common-msgs"
    assert {name: (place["wanted"], place["shadow"], place["fixed"]) for name, place in row["places"].items()} == {
        AMD64: ("1.4-0~bookworm", "1.4-0~bookworm", "1.4-r1~bookworm"),
        I386: ("1.4-0~bookworm", "1.4-0~bookworm", None),
    }
    assert (row["state"], row["places"][AMD64]["state"], row["since"]) == ("built", "released", None)
    assert found["counts"] == {**dict.fromkeys(STATES, 0), "built": 1, "stacks": 1}


CHAIN = {"b": ["a"], "c": ["b"], "d": ["c"], "e": []}


def test_who_waits_is_led_to_where_to_begin_and_what_blocks_the_most_comes_first() -> None:
    found = explain(
        stacks=stacks(a="1.0", b="1.0", c="1.0", d="1.0", e="1.0"),
        depends=CHAIN,
        builds=[
            {**PLACE, "stack": name, "architecture": architecture, "state": "failed"}
            for name in "ae"
            for architecture in ("amd64", "i386")
        ],
    )
    assert [(entry["stack"], entry["blocks"]) for entry in found["first"]] == [("a", 3), ("e", 0)]
    assert found["stacks"]["a"]["blocks"] == {"count": 3, "direct": ["b"], "names": ["b", "c", "d"]}
    (reason,) = found["stacks"]["c"]["reasons"]
    assert (reason["code"], reason["category"]) == ("dependency-unreleased", "dep")
    assert (reason["needs"], reason["roots"]) == (["b"], ["a"])
    assert reason["text"] == (
        "Everywhere: c 1.0 waits for stacks that it needs. It needs b, which lacks something that it needs. Begin with "
        f"a; this one follows when it is there. {COMMAND.format('a')}"
    )


def test_a_stack_blocks_only_where_it_is_missing_itself() -> None:
    there = {"a": "1.0", "b": "1.0"}
    found = explain(stacks=stacks(a="1.0", b="1.0"), depends={"b": ["a"]}, shadow=archive(there, {"b": "1.0"}))
    row = found["stacks"]["b"]
    assert (row["places"][AMD64]["state"], row["places"][I386]["state"]) == ("built", "blocked")
    assert (
        row["reasons"][0]["what"] == "bookworm (i386): b 1.0 is built, but cannot be used without stacks that it needs."
    )
    assert row["places"][I386]["waits"] == ["a"]


def test_an_older_version_holds_up_what_is_not_built_yet_and_nothing_else() -> None:
    found = explain(
        stacks=stacks(a="2.0", b="1.0", c="1.0"),
        depends={"b": ["a"], "c": ["a"]},
        shadow=archive({"a": "1.0", "b": "1.0"}),
    )
    states = {name: row["state"] for name, row in found["stacks"].items()}
    assert states == {"a": "blocked", "b": "built", "c": "blocked"}
    assert found["stacks"]["a"]["blocks"]["names"] == ["c"]


def test_who_waits_only_for_excluded_stacks_is_of_a_category_of_its_own() -> None:
    options = {"stacks": stacks(a="1.0", b="1.0", c="1.0"), "depends": {"c": ["a", "b"]}, "excludes": [{"stack": "a"}]}
    both = explain(**options, shadow=archive({"b": "1.0"}))
    assert both["stacks"]["c"]["places"][AMD64]["category"] == "excluded-dep"
    assert [entry["stack"] for entry in both["first"]] == ["a"]
    assert explain(**options)["stacks"]["c"]["places"][AMD64]["category"] == "dep"


def test_a_stack_without_a_version_is_to_be_released_first_if_others_need_it() -> None:
    alone = explain(stacks=stacks(a=None, b="1.0"), shadow=archive({"b": "1.0"}))
    assert alone["first"] == []
    assert alone["counts"] == {**dict.fromkeys(STATES, 0), "unreleased": 1, "built": 1, "stacks": 2}
    needed = explain(stacks=stacks(a=None, b="1.0"), depends={"b": ["a"]})
    assert [(entry["stack"], entry["blocks"]) for entry in needed["first"]] == [("a", 1)]
    assert needed["first"][0]["command"] == "release d a X.Y.Z"
    assert needed["stacks"]["b"]["reasons"][0]["why"] == "It needs a, which has no version yet."


def test_stacks_in_a_circle_are_told_so_and_block_each_other() -> None:
    circle = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["b"]}
    found = explain(stacks=stacks(a="1.0", b="1.0", c="1.0", d="1.0"), depends=circle)
    for name in "abc":
        (reason,) = found["stacks"][name]["reasons"]
        assert (reason["code"], reason["command"]) == ("cycle", None)
        assert reason["why"] == "Of a, b and c none can be built before the others."
        assert found["stacks"][name]["blocks"]["count"] == 3
    assert found["stacks"]["d"]["places"][AMD64]["codes"] == ["dependency-unreleased"]
    there = explain(
        stacks=stacks(a="1.0", b="1.0", c="1.0"), depends=circle, shadow=archive(dict.fromkeys("abc", "1.0"))
    )
    assert there["counts"]["built"] == 3


def test_what_cannot_be_installed_for_what_it_waits_for_is_not_to_blame() -> None:
    found = explain(
        stacks=stacks(a="1.0", b="1.0"),
        depends={"b": ["a"]},
        shadow=archive({"b": "1.0"}),
        uninstallable=[{**HERE, "package": "ros-d-b", "reason": "b needs a"}],
    )
    assert [entry["stack"] for entry in found["first"]] == ["a"]
    assert found["stacks"]["b"]["places"][I386]["codes"] == ["dependency-unreleased", "uninstallable"]


def test_the_plan_tells_what_depends_on_what() -> None:
    names = stacks(a="1.0", b="1.0", c="1.0", x_y="1.0", z="1.0")
    entry = {**HERE, "order": 1, "state": "build"}
    plan = {
        "distribution": "d",
        "entries": [
            {**entry, "source": "src-b", "stack": "b", "reasons": [{"by": "ros-d-c", "through": ["q", "ros-d-a"]}]},
            {**entry, "source": "ros-d-a", "stack": "a", "reasons": [{"by": None}]},
            {**entry, "source": "src-c", "stack": None, "state": "current", "reasons": []},
        ],
        "blocked": [{**HERE, "source": "ros-d-c", "why": "w", "needs": ["ros-d-x-y (>= 1) | other [i386]"]}],
        "cycles": [["ros-d-x-y", "ros-d-z"]],
        "cycle_details": [
            {"edges": [{"source": "ros-d-x-y", "needs": "ros-d-z"}, {"source": "ros-d-z", "needs": "ros-d-x-y"}]}
        ],
    }
    found = explain(stacks=names, plan=plan)
    needs = {name: row["needs"] for name, row in found["stacks"].items()}
    assert needs == {"a": [], "b": ["a", "c"], "c": ["x_y"], "x_y": ["z"], "z": ["x_y"]}
    assert found["stacks"]["z"]["places"][I386]["codes"] == ["cycle"]
    without = explain(stacks=names, plan={"cycles": plan["cycles"]})
    assert without["stacks"]["z"]["needs"] == ["x_y"]


def test_stacks_whose_installed_packages_need_each_other_can_be_built() -> None:
    def plan(edge: str) -> dict[str, Any]:
        pairs = [("ros-d-a", "ros-d-b"), ("ros-d-b", "ros-d-a")]
        entry = {**HERE, "order": 0, "state": "blocked"}
        return {"entries": [{**entry, "source": one, "reasons": [{"by": two, "edge": edge}]} for one, two in pairs]}

    options: dict[str, Any] = {"stacks": stacks(a="1.0", b="1.0")}
    for more, code in (
        ({"plan": plan("run")}, "not-built"),
        ({"plan": plan("build")}, "cycle"),
        ({"plan": plan("run"), "depends": {"a": ["b"]}}, "not-built"),
        ({"plan": plan("run"), "depends": {"a": ["ros-d-b"], "b": ["a"]}}, "cycle"),
    ):
        assert explain(**options, **more)["stacks"]["a"]["places"][I386]["codes"] == [code]


def test_what_the_plan_cannot_have_is_told_beside_what_is_waited_for() -> None:
    row = {**HERE, "source": "ros-d-b", "why": "the plan's words", "needs": ["ros-d-a"]}
    options: dict[str, Any] = {"stacks": stacks(a="1.0", b="1.0")}
    ours = explain(**options, plan={"blocked": [row]})["stacks"]["b"]
    assert [reason["why"] for reason in ours["reasons"]] == ["It needs a, which is not built yet."]
    foreign = explain(**options, plan={"blocked": [{**row, "needs": ["ros-d-a", "libx-dev (>= 2) | liby-dev"]}]})
    reasons = [reason["why"] for reason in foreign["stacks"]["b"]["reasons"] if I386 in reason["places"]]
    assert sorted(reasons) == ["It needs a, which is not built yet.", "The plan says: the plan's words."]
    assert {entry["stack"] for entry in foreign["first"]} == {"a", "b"}
    older = explain(**options, plan={"blocked": [row]}, shadow=archive({"a": "1.0"}))["stacks"]["b"]
    assert [reason["why"] for reason in older["reasons"] if I386 in reason["places"]] == [
        "The plan says: the plan's words."
    ]


def test_a_circle_that_the_plan_opens_is_none() -> None:
    entry = {**HERE, "order": 1, "state": "build", "reasons": []}
    entries = [{**entry, "source": "ros-d-a"}, {**entry, "source": "ros-d-b", "order": 2}]
    circle = [["ros-d-a", "ros-d-b"]]
    for planned, code in ((2, "not-built"), (1, "cycle")):
        found = explain(stacks=stacks(a="1.0", b="1.0"), plan={"cycles": circle, "entries": entries[:planned]})
        assert found["stacks"]["a"]["places"][I386]["codes"] == [code]


def test_the_solvers_sentences_find_the_packages_that_they_are_about() -> None:
    versions = {name: f"1.{name}-0~bookworm" for name in ("1", "11", "2", "3")}
    broken = [
        BrokenPackage(f"ros-d-{name}", version, [{"pkg": {"package": "x", "version": "9", "unsat-dependency": demand}}])
        for (name, version), demand in zip(versions.items(), ("libq (>= 2)", "libr", "libq (>= 2)"), strict=False)
    ]
    sentences = format_reasons(broken)
    assert len(sentences) == 2
    found = explain(
        stacks={name: {"version": f"1.{name}"} for name in versions},
        shadow={"bookworm": {"i386": {f"ros-d-{name}": version for name, version in versions.items()}}},
        uninstallable=[{**HERE, "reason": sentence} for sentence in sentences],
    )
    codes = {name: row["places"][I386]["codes"] for name, row in found["stacks"].items()}
    assert codes == {"1": ["uninstallable"], "11": ["uninstallable"], "2": ["uninstallable"], "3": []}
    assert found["remarks"] == []


def test_a_reason_keeps_its_date_while_it_goes_on() -> None:
    options: dict[str, Any] = {"stacks": stacks(a="1.0", b="1.0"), "depends": {"b": ["a"]}}
    first = explain(**options)
    again = explain(**options, previous=first, now=NOW + 9 * DAY)
    assert again == first
    assert first["stacks"]["a"]["since"] == "2026-03-01"

    failed = {**options, "builds": [{**PLACE, "state": "failed"}]}
    later = explain(**failed, previous=again, now=NOW + 10 * DAY)
    dates = {(reason["code"], *reason["places"]): reason["since"] for reason in later["stacks"]["a"]["reasons"]}
    assert dates == {("build-failed", I386): "2026-03-11", ("not-built", AMD64): "2026-03-01"}
    assert [reason["since"] for reason in later["stacks"]["b"]["reasons"]] == ["2026-03-01"]

    gone = explain(**options, shadow=archive({"a": "1.0", "b": "1.0"}), previous=later, now=NOW + 11 * DAY)
    assert gone["counts"]["built"] == 2
    back = explain(**options, previous=gone, now=NOW + 12 * DAY)
    assert back["stacks"]["a"]["since"] == "2026-03-13"


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh")), max_size=8),
    st.sets(st.sampled_from("abcdefgh")),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_whom_a_stack_blocks_is_what_a_walk_finds(
    wanted: Mapping[str, list[str]], on_amd64: set[str], on_i386: set[str]
) -> None:
    depends = {name: sorted({other for other in others if other < name}) for name, others in wanted.items()}
    found = explain(
        stacks=stacks(**dict.fromkeys("abcdefgh", "1.0")),
        depends=depends,
        shadow=archive(dict.fromkeys(on_amd64, "1.0"), dict.fromkeys(on_i386, "1.0")),
    )

    def walk(name: str) -> set[str]:
        direct = {other for other, needs in depends.items() if name in needs}
        return direct.union(*map(walk, direct))

    for name, row in found["stacks"].items():
        # Who needs what is missing, itself or through others, waits for it, whether it is there or not.
        whole = {needed for needed in "abcdefgh" if name in walk(needed)} | {name}
        bad = [AMD64] if whole - on_amd64 else []
        bad += [I386] if whole - on_i386 else []
        assert [place for place, there in row["places"].items() if there["state"] == "blocked"] == bad
        assert row["blocks"]["names"] == (sorted(walk(name)) if bad else [])
    to_blame = {entry["stack"] for entry in found["first"]}
    assert to_blame == {
        name
        for name in "abcdefgh"
        for there in (on_amd64, on_i386)
        if name not in there and not any(other not in there for other in "abcdefgh" if name in walk(other))
    }


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_groups_are_the_circles_and_stand_behind_what_they_need(needs: Mapping[str, set[str]]) -> None:
    names = {name: Wanted("1", name) for name in "abcdef"}
    groups = find_groups(Facts("d", names, [], Names(), Commands("", ""), "", {}, needs=needs))

    def reach(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            following = needs.get(waiting.pop(), set()) - seen
            seen |= following
            waiting += following
        return seen

    assert sorted(name for group in groups for name in group) == list("abcdef")
    place = {name: number for number, group in enumerate(groups) for name in group}
    for name in names:
        for other in reach(name):
            assert place[other] <= place[name]
            assert (place[other] == place[name]) is (name in reach(other) or name == other)


def test_long_chains_and_long_lists_are_counted_whole_and_named_in_part() -> None:
    names = [f"s{number:04}" for number in range(1500)]
    found = explain(
        stacks=stacks(**dict.fromkeys(names, "1.0")),
        depends={name: [before] for before, name in pairwise(names)},
    )
    assert found["first"][0]["blocks"] == 1499
    assert found["stacks"]["s0000"]["blocks"]["names"] == names[1 : MOST_NAMES + 1]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"stacks": {"a": {"version": 1.1}}}, "the stack 'a' has no version that is text in quotes, or null"),
        ({"stacks": {"a": "1.0"}}, "the stack 'a' has no version that is text in quotes, or null"),
        ({"stacks": stacks(a_b="1", **{"a-b": "1"})}, "the stacks 'a_b' and 'a-b' have the same package"),
        ({"platforms": []}, "there are no platforms"),
        ({"platforms": [{"name": "lucid"}]}, "platform number 1 has no name, or no list of architectures"),
        ({"platforms": [{"name": "b", "architectures": ["x", "x"]}]}, "b-x is there twice"),
        ({"excludes": [{"places": []}]}, "exclude number 1 has no stack"),
        (
            {"excludes": [{"stack": "a", "until": "1.4.2026"}]},
            "'a' is excluded until '1.4.2026', which is not YYYY-MM-DD",
        ),
        ({"builds": [{"stack": "a"}]}, "build number 1 has no platform and no architecture"),
        ({"builds": [{**PLACE, "state": "x"}]}, "a build of 'a' is 'x', which is none of failed, ok, running"),
        ({"builds": [{**PLACE, "state": "ok", "at": "noon"}]}, "a build of 'a' was at 'noon', which is no time"),
        ({"builds": [{**PLACE, "state": "ok", "at": 1e99}]}, "a build of 'a' was at '1e+99', which is no time"),
        ({"sources": [{**PLACE}]}, "a source of 'a' is 'None', which is none of ok, failed, refused, unsupported"),
        ({"depends": {"a": 1}}, "what the stack 'a' depends on is not a list of stacks"),
        ({"depends": {"a": "b"}}, "what the stack 'a' depends on is not a list of stacks"),
        ({"plan": {"distribution": "e"}}, "the plan is of the distribution 'e'"),
        ({"plan": {"entries": [{"source": "a"}]}}, "the plan is not one that deb_plan_info returned"),
        ({"plan": {"blocked": ["a"]}}, "the plan is not one that deb_plan_info returned"),
        ({"plan": {"cycles": [1]}}, "the plan is not one that deb_plan_info returned"),
        ({"plan": {"cycles": [[["a"], "b"]]}}, "the plan is not one that deb_plan_info returned"),
        ({"excludes": [{"stack": "a", "places": "sid"}]}, "'a' is excluded for 'sid', which is no list of places"),
        ({"now": 10**18}, "now is 1000000000000000000, which is no time"),
        ({"distro_command": "make '"}, "'make '' is not a command in one line"),
        ({"distro_command": "a\nb"}, "'a b' is not a command in one line"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        explain(**{"stacks": stacks(a="1.0"), **options})
    assert str(caught.value) == f"Could not explain what holds up d: {fault}. Correct it and run again."


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(SlipwayError, match="2 faults in what was given") as caught:
        explain(stacks={"a": None}, platforms=[])
    assert len(caught.value.findings) == 2


def test_what_is_told_of_others_is_a_remark_or_nothing() -> None:
    found = explain(
        stacks=stacks(a="1.0"),
        shadow=archive({"a": "1.0"}),
        holds={"gone": "r"},
        excludes=[{"stack": "left"}, {"stack": "a", "places": ["sid"]}],
        builds=[{**PLACE, "stack": "gone", "state": "failed"}, {**PLACE, "platform": "sid", "state": "failed"}],
        sources=[{**PLACE, "stack": "gone", "state": "failed"}],
        uninstallable=[{**HERE, "package": "libx", "reason": "it needs y"}, {**HERE, "platform": "sid"}],
    )
    assert found["first"] == []
    assert found["remarks"] == [
        "'left' is excluded, and is no stack of the distribution",
        "'a' is excluded for 'sid', which is no place of the distribution",
        "'gone' is held, and is no stack of the distribution",
        "bookworm-i386: libx: it needs y",
    ]


@pytest.mark.parametrize("name", ["a b", "$(id)", "a;b", "{{ x }}", "-x", "a\nb", "ä", "", "a'b"])
def test_no_command_has_a_name_that_a_shell_or_ansible_would_read_otherwise(name: str) -> None:
    assert fill_command("make {stack}", stack=name) is None
    reason = explain(stacks={name: {"version": "1.0"}})["stacks"][name]["reasons"][0]
    assert reason["command"] is None
    assert reason["helps"].endswith("the name has characters that a shell or Ansible would read otherwise.")


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_+.:@~-]*", fullmatch=True), st.from_regex(r"[a-z]{1,9}", fullmatch=True))
def test_a_shell_reads_in_a_command_what_was_put_into_it(stack: str, distribution: str) -> None:
    command = fill_command("x -e d={distribution} {stack} '{other}'", stack=stack, distribution=distribution)
    assert command is not None
    assert shlex.split(command) == ["x", "-e", f"d={distribution}", stack, "{other}"]


@pytest.mark.parametrize(
    ("log", "is_address"),
    [
        ("https://logs.example.org/a%20b?x=1&y=2#end", True),
        ("http://logs.example.org:8080/a.log", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        (" https://logs.example.org/", False),
        ("https://user:secret@example.org/", False),
        ("https:///a", False),
        ("https://exa mple.org/", False),
        ('https://example.org/"onclick', False),
        ("https://[x", False),
        ("data:text/html,x", False),
        ("//example.org/a", False),
        ("/srv/logs/a.log", False),
        ("", False),
    ],
)
def test_only_what_a_browser_may_open_is_a_link(log: str, is_address: bool) -> None:
    assert find_address(log) == (log if is_address else None)


def test_the_logs_of_all_places_are_with_the_one_reason() -> None:
    builds = [
        {**PLACE, "architecture": name, "state": "failed", "log": f"https://l/{name}"} for name in ("amd64", "i386")
    ]
    (reason,) = explain(stacks=stacks(a="1.0"), builds=[{**builds[0], "at": "2026-02-03T04:05"}, builds[1]])["stacks"][
        "a"
    ]["reasons"]
    assert reason["logs"] == [
        {"place": AMD64, "log": "https://l/amd64", "link": "https://l/amd64", "at": "2026-02-03 04:05 UTC"},
        {"place": I386, "log": "https://l/i386", "link": "https://l/i386", "at": None},
    ]


def write_index(public: Path, architecture: str, text: str, *, packed: bool = False) -> None:
    directory = public / f"dists/bookworm/main/binary-{architecture}"
    directory.mkdir(parents=True)
    if packed:
        (directory / "Packages.gz").write_bytes(gzip.compress(text.encode()))
    else:
        (directory / "Packages").write_text(text)


def test_the_indexes_of_an_archive_tell_the_newest_version_by_package_and_by_source(tmp_path: Path) -> None:
    stanza = "Package: {}\nVersion: {}\nArchitecture: amd64\n{}\n"
    text = (
        stanza.format("a", "1.9-1", "")
        + stanza.format("a", "1.10-1", "")
        + stanza.format("libb1", "3-1", "Source: b\n")
    )
    write_index(tmp_path, "amd64", text, packed=True)
    places = list_places([{"name": "bookworm", "architectures": ["amd64", "i386"]}])
    assert read_archive(tmp_path, places, component="main") == {places[0]: {"a": "1.10-1", "b": "3-1", "libb1": "3-1"}}
    with pytest.raises(SlipwayError, match=r"Could not read the archive .*gone: it is not there\. Name the directory"):
        read_archive(tmp_path / "gone", places, component="main")


@pytest.mark.parametrize(
    ("versions", "fault"),
    [
        ({"bookworm": []}, "the packages of x, bookworm: it is no mapping"),
        ({"bookworm": {"amd64": 1}}, "the packages of x, bookworm/amd64: it is no mapping"),
        ({"bookworm": {"amd64": {"a": 1.1}}}, "bookworm/amd64: the version '1.1' of a is not text"),
        ({"bookworm": {"amd64": {"a": "v1"}}}, "the version 'v1' of a does not begin with a digit"),
    ],
)
def test_versions_in_another_shape_are_refused(versions: dict[str, Any], fault: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        read_versions(versions, what="x")
    assert fault in str(caught.value)
    assert str(caught.value).endswith("Give {platform: {architecture: {package: version}}}.")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "it is not one of format 1"),
        ("\ud800", "it is not one of format 1"),
        ("[]", "it is not one of format 1"),
        ('{"format": 2, "distribution": "d"}', "it is not one of format 1"),
        ('{"format": 1, "distribution": "e"}', "it is of the distribution e"),
        ('{"format": 1, "distribution": "d", "stacks": {"a": {}}}', "it is not one of format 1"),
        ('{"format": 1, "distribution": "d", "stacks": []}', "it is not one of format 1"),
        ("[" * 100_000, "it is not one of format 1"),
        (
            '{"format": 1, "distribution": "d", "stacks": {"a": {"version": null, "state": "blocked", "places": {}, '
            '"reasons": [{"code": "held", "since": null, "text": "", "places": ["bookworm-i386"]}]}}}',
            "it is not one of format 1",
        ),
    ],
)
def test_what_is_not_ours_is_not_overwritten(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "excuses.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SlipwayError) as caught:
        read_previous(tmp_path, "d")
    assert f"{fault}. Name another directory, or move the file away, and run again." in str(caught.value)


def test_the_excuses_are_plain_values() -> None:
    found = explain(stacks=stacks(a="1.0", b=None), depends={"a": ["b"]}, fixed=archive({"a": "0.9"}))
    assert json.loads(json.dumps(found)) == found


def test_a_stack_may_have_versions_of_its_own_form() -> None:
    greet = {"version": "1.2-1", "package": "greet", "source_version": "{version}~{platform}1"}
    there = {"bookworm": {name: {"greet": "1.2-1~bookworm1"} for name in ("amd64", "i386")}}
    assert explain(stacks={"greet": greet}, shadow=there)["stacks"]["greet"]["state"] == "built"
    with pytest.raises(SlipwayError, match=r"the template '\{platform\}': it lacks \{version\}"):
        explain(stacks={"greet": {**greet, "source_version": "{platform}"}}, shadow=there)


def test_coverage_tells_what_the_archive_has_of_each_stack() -> None:
    failed = {"platform": "bookworm", "architecture": "amd64", "state": "failed", "version": "2.0-0~bookworm"}
    found = explain(
        stacks=stacks(a="2.0", b="2.0", c="2.0", d="2.0", e="2.0", f="2.0", g="2.0", h=None),
        shadow=archive({"a": "2.0", "b": "1.0", "c": "1.0"}, {}),
        fixed=archive({"e": "1.0"}, {}, form="{}-r1~bookworm"),
        builds=[{**failed, "stack": stack} for stack in ("c", "e", "g")],
        depends={"f": ["e"]},
        excludes=[{"stack": "d"}],
    )
    words = {name: row["places"][AMD64]["coverage"] for name, row in found["stacks"].items()}
    assert words == {
        **{"a": "current", "b": "old", "c": "regressed", "d": "excluded", "e": "regressed", "f": "blocked"},
        **{"g": "missing", "h": None},
    }
    assert found["coverage"][AMD64] == {
        "current": 1,
        "old": 1,
        "missing": 1,
        "blocked": 1,
        "excluded": 1,
        "regressed": 2,
    }
    assert set(words.values()) - {None} == set(found["legend"]["coverage"])


def test_builds_are_told_newest_first_and_those_of_other_versions_are_not() -> None:
    row = {"platform": "bookworm", "architecture": "amd64", "state": "ok", "seconds": {"build": 3, "x": "y", "z": -1}}
    found = explain(
        stacks=stacks(a="2.0", b="2.0", c="2.0"),
        builds=[
            {**row, "stack": "a", "at": NOW, "version": "2.0-0~bookworm", "reproduced": {"differ": {"a.deb": "times"}}},
            {**row, "stack": "b", "at": NOW + 1, "version": "2.0"},
            {**row, "stack": "c", "at": NOW + 2, "version": "1.0-0~bookworm"},
        ],
    )
    assert [(build["stack"], build["ended"], build["seconds"]) for build in found["builds"]] == [
        ("b", NOW + 1, {"build": 3.0}),
        ("a", NOW, {"build": 3.0}),
    ]
    assert [build["differ"] for build in found["builds"]] == [{}, {"a.deb": "times"}]
