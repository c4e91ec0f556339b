# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is built, in which order, and why, in small worlds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.edges import Policy
from ansible_collections.slipway.release.plugins.module_utils.slipway.distro.plantext import format_plan
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from worlds import find_blocked, find_reasons, list_waves, package, plan, platform, source

Entries = Sequence[Mapping[str, str]]

#: A chain as of stacks: navigation is built with geometry, which depends on ros; teleop needs ros to run alone.
CHAIN_SOURCES = [
    source("ros", "2"),
    source("geometry", needs="ros"),
    source("navigation", needs="geometry"),
    source("teleop"),
    source("joystick", needs="teleop"),
    source("other"),
]
CHAIN_SHADOW = [
    package("ros"),
    package("geometry", depends="ros"),
    package("navigation"),
    package("teleop", depends="ros (>= 1)"),
    package("joystick"),
    package("other"),
]


# --- seeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shadow", "expected"),
    [
        ([], "missing: the archive has nothing of a 2-1"),
        ([package("a", "1-1")], "new version: 2-1 is new; the archive has 1-1"),
        ([package("a", "3-1")], "new version: 2-1 is to be there; the archive has 3-1, which is newer"),
        ([package("a", "2-1")], None),
        ([package("a", "2-1+b3", Source="a (2-1)")], None),
        ([package("a", "2-1+b3")], None),
        ([package("a", "9", Source="a (2-1)")], None),
        ([package("a", "2-1", Source="b")], "missing: the archive has nothing of a 2-1"),
        ([package("a", "2-1", Architecture="i386")], "missing: the archive has nothing of a 2-1"),
    ],
)
def test_a_source_is_built_if_its_packages_are_missing_or_of_another_version(
    shadow: Entries, expected: str | None
) -> None:
    (entry,) = plan(platform([source("a", "2-1")], shadow))["entries"]
    told = [f"{reason['kind']}: {reason['text']}" for reason in entry["reasons"]]
    assert told == ([expected] if expected else [])
    assert entry["state"] == ("build" if expected else "current")


def test_a_source_that_lacks_one_of_its_packages_is_built_again() -> None:
    listed = (
        "\n a deb misc optional arch=any\n a-dev deb misc optional arch=linux-any\n a-udeb udeb misc optional arch=any"
    )
    world = platform([source("a", Binary="a, a-dev, a-udeb", Package_List=listed)], [package("a")])
    assert find_reasons(plan(world), "a") == ["the archive lacks a-dev 1"]


def test_packages_of_other_architectures_and_profiles_are_not_missed() -> None:
    listed = (
        "\n a deb misc optional arch=any\n a-x deb misc optional arch=i386,hurd-any"
        "\n a-doc deb misc optional arch=any profile=!nodoc\n a-stage1 deb misc optional arch=any profile=stage1"
    )
    world = platform([source("a", Binary="a, a-x, a-doc, a-stage1", Package_List=listed)], [package("a")])
    assert find_reasons(plan(world), "a") == ["the archive lacks a-doc 1"]
    assert list_waves(plan(world, profiles=["nodoc"])) == []


def test_forced_and_rebuilt_sources_are_built_though_they_are_there() -> None:
    world = platform([source("a"), source("b")], [package("a"), package("b", "1+b2", Source="b (1)")])
    made = plan(world, force=["a"], rebuild=["b"])
    assert {entry["source"]: entry["binary_version"] for entry in made["entries"]} == {"a": None, "b": "1+b3"}
    assert [entry["reasons"][0]["kind"] for entry in made["entries"]] == ["forced", "rebuild"]


def test_names_of_no_source_are_refused_together() -> None:
    with pytest.raises(SlipwayError) as caught:
        plan(platform([source("a")]), force=["b"], hold={"c": "broken"})
    assert caught.value.findings == ["force names b", "hold names c"]
    with pytest.raises(SlipwayError, match="force names b, and no platform has a source of that name"):
        plan(platform([source("a")]), force=["b"])


# --- what is invalidated ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "waves"),
    [
        ("transitive", [["ros"], ["geometry", "teleop"], ["joystick", "navigation"]]),
        ("direct", [["ros"], ["geometry", "teleop"]]),
        ("abi", [["ros"]]),
        (Policy("abi", abi_changed=["ros"]), [["ros"], ["geometry", "teleop"]]),
        ("build", [["ros"], ["geometry", "joystick"], ["navigation"]]),
        ("none", [["ros"]]),
        (Policy("none", {"ros": "direct"}), [["ros"], ["geometry", "teleop"]]),
        (Policy("transitive", {"geometry": "none"}), [["ros"], ["geometry", "teleop"], ["joystick"]]),
        (Policy("direct", {"geometry": "transitive"}), [["ros"], ["geometry", "teleop"], ["navigation"]]),
    ],
)
def test_a_policy_decides_what_a_new_version_invalidates(policy: str | Policy, waves: list[list[str]]) -> None:
    made = plan(platform(CHAIN_SOURCES, CHAIN_SHADOW), policy=policy)
    assert list_waves(made) == waves
    (seed,) = [entry for entry in made["entries"] if entry["source"] == "ros"]
    assert sorted(seed["invalidates"]) == sorted(name for wave in waves[1:] for name in wave)


def test_the_number_of_builds_under_each_policy_is_told() -> None:
    made = plan(platform(CHAIN_SOURCES, CHAIN_SHADOW))
    assert made["policies"] == {"transitive": 5, "direct": 3, "abi": 1, "build": 4, "none": 1}


def test_other_names_of_libraries_are_a_change_of_the_abi() -> None:
    sources = [source("ros", "2", Binary="libros2, libros-dev"), source("user", needs="libros-dev")]
    shadow = [package("libros1", Source="ros"), package("libros-dev", Source="ros"), package("user", depends="libros1")]
    made = plan(platform(sources, shadow), policy="abi")
    assert list_waves(made) == [["ros"], ["user"]]
    sources[0]["Binary"] = "libros1, libros-dev, libros-tools"
    assert list_waves(plan(platform(sources, shadow), policy="abi")) == [["ros"]]


def test_a_reason_names_the_seed_the_edge_and_the_packages_on_the_way() -> None:
    made = plan(platform(CHAIN_SOURCES, CHAIN_SHADOW))
    reasons = {entry["source"]: entry["reasons"][0] for entry in made["entries"] if entry["reasons"]}
    assert reasons["navigation"] == {
        "kind": "invalidated",
        "by": "ros",
        "edge": "build",
        "through": ["ros", "geometry"],
        "text": "invalidated by ros: it is built with geometry (ros < geometry)",
    }
    assert (reasons["teleop"]["edge"], reasons["teleop"]["through"]) == ("run", ["ros"])


def test_what_only_the_platform_stands_between_is_invalidated_through_it() -> None:
    sources = [source("zlib", "2"), source("user", needs="tool")]
    shadow = [package("zlib"), package("user")]
    base = [package("tool", depends="zlib")]
    made = plan(platform(sources, shadow, base))
    assert find_reasons(made, "user") == ["invalidated by zlib: it is built with tool"]
    assert made["entries"][1]["reasons"][0]["through"] == ["zlib", "tool"]


def test_dependents_of_a_library_that_is_no_longer_made_are_invalidated() -> None:
    sources = [source("ros", "2", Binary="libros2"), source("user")]
    shadow = [package("libros1", Source="ros"), package("user", depends="libros1 (>= 1)")]
    made = plan(platform(sources, shadow))
    assert list_waves(made) == [["ros"], ["user"]]
    assert find_reasons(made, "user") == ["invalidated by ros: it depends on libros1"]


def test_a_blocked_seed_invalidates_nothing() -> None:
    sources = [source("ros", "2", needs="nothing-has-this"), *CHAIN_SOURCES[1:]]
    made = plan(platform(sources, CHAIN_SHADOW))
    assert list_waves(made) == []
    assert find_blocked(made) == {"ros": "nothing-has-this: nobody provides it"}
    assert made["counts"]["current"] == 5


def test_others_go_on_with_the_last_version_of_a_blocked_seed() -> None:
    sources = [
        source("ros", "2", needs="nothing-has-this"),
        source("user", "2", needs="ros"),
        source("new", needs="ros (>= 2)"),
    ]
    made = plan(platform(sources, [package("ros"), package("user")]))
    assert list_waves(made) == [["user"]]
    assert (
        find_blocked(made)["new"]
        == "ros (>= 2): nobody provides it; ros would make 2, and is blocked, the archive has 1"
    )


def test_what_cannot_be_built_again_blocks_what_needs_it() -> None:
    sources = [source("ros", "2"), source("mid", needs="ros, gone"), source("top", needs="mid")]
    made = plan(platform(sources, [package("ros"), package("mid"), package("top")]))
    assert list_waves(made) == [["ros"]]
    assert find_blocked(made) == {"mid": "gone: nobody provides it", "top": "mid: the build of mid is blocked"}


# --- what a build waits for ------------------------------------------------------------------------------------------


def test_a_build_waits_for_what_its_build_dependencies_depend_on() -> None:
    # b is there and built again only because c is; a is built with b, whose packages need c to be installed.
    sources = [source("a", "2", needs="b"), source("b"), source("c", "2")]
    shadow = [package("a"), package("b", depends="c"), package("c")]
    assert list_waves(plan(platform(sources, shadow), policy="none")) == [["c"], ["a"]]


def test_packages_that_depend_on_each_other_are_no_cycle_of_builds() -> None:
    sources = [source("a", "2"), source("b", "2"), source("user", needs="a")]
    shadow = [package("a", depends="b"), package("b", depends="a")]
    made = plan(platform(sources, shadow), policy="none")
    assert list_waves(made) == [["a", "b"], ["user"]]
    assert made["cycles"] == []


@pytest.mark.parametrize(
    ("needs", "base", "why"),
    [
        ("libfoo-dev (>= 2)", [package("libfoo-dev", "1.9")], "libfoo-dev (>= 2): nobody provides it; base has 1.9"),
        ("libfoo-dev (<< 2) | x", [package("libfoo-dev", "1.9")], None),
        ("x | libfoo-dev", [package("libfoo-dev")], None),
        ("x | y [i386]", [], "x | y [i386]: nobody provides it"),
        ("x [i386], y <!nocheck>, z [!amd64]", [], "y <!nocheck>: nobody provides it"),
        ("x [linux-any]", [], "x [linux-any]: nobody provides it"),
        ("x [kfreebsd-any]", [], None),
        ("y <stage1>", [], None),
        ("python3:any", [package("python3", Multi_Arch="allowed")], None),
        ("python3:any", [package("python3")], "python3:any: nobody provides it; base has 1"),
        ("gcc:native", [package("gcc")], None),
        ("gcc:i386", [package("gcc")], "gcc:i386: nobody provides it; base has 1"),
        ("mta", [package("postfix", Provides="mta")], None),
        ("mta (>= 1)", [package("postfix", Provides="mta")], "mta (>= 1): nobody provides it"),
        ("mta (>= 1)", [package("postfix", Provides="mta (= 1.5), x")], None),
        ("mta (>= 2)", [package("postfix", Provides="mta (= 1.5)")], "mta (>= 2): nobody provides it"),
        ("tool", [package("tool", depends="lib")], "tool: tool needs lib: nobody provides it"),
        ("tool", [package("tool", depends="lib"), package("lib", depends="tool")], None),
        (
            "tool",
            [package("tool", Pre_Depends="lib (= 2)"), package("lib")],
            "tool: tool needs lib (= 2): nobody provides it; base has 1",
        ),
        ("tool | other", [package("tool", depends="lib"), package("other")], None),
        (
            "tool (= 1)",
            [package("tool", "1"), package("tool", "2")],
            "tool (= 1): nobody provides it; base has 2, base has 1",
        ),
        ("doc", [package("doc", Architecture="all")], None),
        ("doc", [package("doc", Architecture="i386")], "doc: nobody provides it"),
    ],
)
def test_a_demand_that_nothing_meets_is_named(needs: str, base: Entries, why: str | None) -> None:
    made = plan(platform([source("a", needs=needs)], [], base))
    assert find_blocked(made) == ({"a": why} if why else {})


def test_parts_of_a_source_need_what_is_for_them() -> None:
    fields = {
        "Build_Depends_Indep": "sphinx",
        "Build_Depends_Arch": "gcc",
        "Architecture": "any all",
        "Binary": "a, a-doc",
    }
    listed = "\n a deb misc optional arch=any\n a-doc deb doc optional arch=all"
    world = platform([source("a", Package_List=listed, **fields)], architectures=("amd64", "i386"))
    made = plan(world)
    assert [(one["architecture"], one["needs"]) for one in made["blocked"]] == [
        ("amd64", ["gcc", "sphinx"]),
        ("i386", ["gcc"]),
    ]


def test_only_the_first_alternative_counts_if_that_is_wanted() -> None:
    base = [package("b"), package("a", "1")]
    for needs, is_blocked in (("x | b", True), ("x [i386] | b", False), ("a (>= 2) | a (<< 2) | b", False)):
        made = plan(platform([source("s", needs=needs)], [], base), first_alternative=True)
        assert bool(made["blocked"]) is is_blocked, needs


def test_conflicts_with_what_a_build_needs_block_it() -> None:
    base = [package("tool", depends="old-lib"), package("old-lib"), package("x"), package("y")]
    entries = [source("a", needs="tool, x | y", Build_Conflicts="old-lib (<< 2), x")]
    assert find_blocked(plan(platform(entries, [], base))) == {
        "a": "it conflicts with old-lib (<< 2), and its build needs old-lib"
    }
    entries[0]["Build_Conflicts"] = "x, old-lib (>= 2)"
    assert find_blocked(plan(platform(entries, [], base))) == {}


def test_what_another_build_needs_conflicts_with_none() -> None:
    sources = [source("a", needs="lib", Build_Conflicts="tool"), source("lib", needs="tool")]
    assert list_waves(plan(platform(sources, [], [package("tool")]))) == [["lib"], ["a"]]


def test_what_is_for_all_architectures_is_built_once_and_waited_for_everywhere() -> None:
    sources = [source("data", Architecture="all"), source("user", needs="data")]
    made = plan(platform(sources, architectures=("amd64", "i386")))
    assert list_waves(made) == [["data/amd64"], ["user/amd64", "user/i386"]]
    assert made["entries"][0]["builds"] == ["all"]


def test_packages_for_all_architectures_invalidate_on_each() -> None:
    sources = [source("data", "2", Architecture="all"), source("user", needs="data")]
    shadow = [
        package("data", Architecture="all"),
        package("user"),
        package("user", Architecture="i386"),
    ]
    made = plan(platform(sources, shadow, architectures=("amd64", "i386")))
    assert list_waves(made) == [["data/amd64"], ["user/amd64", "user/i386"]]


def test_a_package_with_a_version_of_its_own_meets_any_bound_until_it_is_built() -> None:
    sources = [source("defaults", "2", Binary="gcc"), source("user", needs="gcc (>= 12)")]
    made = plan(platform(sources, [package("gcc", "12.1", Source="defaults (1)")]))
    assert list_waves(made) == [["defaults"], ["user"]]


# --- cycles, holds, exclusions ---------------------------------------------------------------------------------------


def test_a_cycle_that_nothing_breaks_is_named_and_blocks_what_waits_for_it() -> None:
    sources = [
        source("a", needs="b"),
        source("b", needs="c-dev"),
        source("c", Binary="c-dev", needs="tool"),
        source("d", needs="a"),
    ]
    base = [package("tool", depends="a")]
    made = plan(platform(sources, [], base))
    assert list_waves(made) == []
    assert made["cycles"] == [["a", "b", "c"]]
    told = (
        "its build waits for itself (a needs b needs c needs a), and the archive has no package that breaks this cycle"
    )
    assert find_blocked(made) == {
        "a": told,
        "b": told,
        "c": told,
        "d": "a: nobody provides it; a would make 1, and is blocked",
    }
    assert [(edge["source"], edge["needs"], edge["through"]) for edge in made["cycle_details"][0]["edges"]] == [
        ("a", "b", ["b"]),
        ("b", "c", ["c-dev"]),
        ("c", "a", ["tool", "a"]),
    ]


def test_a_package_in_the_archive_breaks_a_cycle() -> None:
    sources = [source("a", "2", needs="b"), source("b", "2", needs="a (>= 2)")]
    made = plan(platform(sources, [package("a"), package("b")]))
    assert list_waves(made) == [["a"], ["b"]]
    assert made["cycles"] == [["a", "b"]]
    assert made["cycle_details"][0]["remark"] == "a is built first, with what the archive has of b"
    assert not made["blocked"]


def test_a_seed_is_built_before_what_it_invalidates_though_it_needs_it() -> None:
    sources = [source("lib", "2", needs="tool"), source("tool")]
    made = plan(platform(sources, [package("lib"), package("tool", depends="lib")]))
    assert list_waves(made) == [["lib"], ["tool"]]
    assert made["cycle_details"][0]["edges"][0]["through"] == ["tool", "lib"]
    (seed,) = [entry for entry in made["entries"] if entry["source"] == "lib"]
    assert seed["invalidates"] == [], "the tool must stay until lib is built"


@pytest.mark.parametrize(("shadow", "is_blocked"), [([], True), ([package("ghc", "1")], False)])
def test_a_source_that_needs_itself_needs_its_last_version(shadow: Entries, is_blocked: bool) -> None:
    made = plan(platform([source("ghc", "2", needs="ghc (>= 1)")], shadow))
    assert bool(made["blocked"]) is is_blocked
    assert made["cycles"] == [["ghc"]]


def test_what_is_held_is_not_built_and_not_invalidated() -> None:
    made = plan(platform(CHAIN_SOURCES, CHAIN_SHADOW), hold={"geometry": "until Monday"})
    assert list_waves(made) == [["ros"], ["navigation", "teleop"], ["joystick"]]
    made = plan(platform(CHAIN_SOURCES, CHAIN_SHADOW), hold={"ros": "until Monday"})
    assert list_waves(made) == []
    assert find_blocked(made) == {"ros": "it is held: until Monday"}


def test_excluded_places_are_left_out_by_name() -> None:
    world = platform(CHAIN_SOURCES, [], architectures=("amd64", "i386"))
    made = plan(world, excluded=["geometry/lucid/i386", "ros/karmic/amd64"])
    assert made["excluded"] == [{"source": "geometry", "platform": "lucid", "architecture": "i386"}]
    assert [(one["source"], one["architecture"]) for one in made["blocked"]] == [("navigation", "i386")]


# --- as a whole ------------------------------------------------------------------------------------------------------


def test_the_same_world_in_another_order_gives_the_same_bytes() -> None:
    sources, shadow = list(CHAIN_SOURCES), [*CHAIN_SHADOW, package("data", Architecture="all", Provides="x (= 1), y")]
    sources += [source("a", "2", needs="b, x"), source("b", "2", needs="a | y")]
    expected: set[str] = set()
    for number in range(8):
        random.Random(number).shuffle(sources)  # noqa: S311
        random.Random(number).shuffle(shadow)  # noqa: S311
        made = plan(platform(sources, shadow, architectures=("amd64", "i386")), force=["other"])
        expected.add(json.dumps([made, format_plan(made)]))
    assert len(expected) == 1


def test_platforms_are_planned_each_for_itself() -> None:
    made = plan(platform(CHAIN_SOURCES, CHAIN_SHADOW), platform(CHAIN_SOURCES, CHAIN_SHADOW[1:], name="karmic"))
    assert {entry["platform"] for entry in made["entries"]} == {"lucid", "karmic"}
    assert made["counts"]["reasons"] == {"invalidated": 8, "missing": 1, "new version": 1}


def test_the_plan_for_people_says_what_in_which_order_and_why() -> None:
    sources = [*CHAIN_SOURCES, source("bad", needs="gone")]
    text = format_plan(plan(platform(sources, CHAIN_SHADOW)), most=1)
    assert text == [
        "cturtle: 5 builds in 3 waves, 1 blocked, 1 current, 0 excluded (policy transitive)",
        "builds under each policy: transitive 5, direct 3, abi 1, build 4, none 1",
        "lucid, wave 1: 1 build",
        "  ros 2 [amd64] 2 is new; the archive has 1; its success invalidates 4",
        "lucid, wave 2: 2 builds",
        "  geometry 1 [amd64] invalidated by ros: it is built with ros",
        "  and 1 more",
        "lucid, wave 3: 2 builds",
        "  joystick 1 [amd64] invalidated by ros: it is built with teleop (ros < teleop)",
        "  and 1 more",
        "blocked: 1",
        "  bad [lucid/amd64] gone: nobody provides it",
    ]


def test_a_long_chain_is_planned(tmp_path: Any) -> None:
    count = 3000
    sources = [source("s0", "2"), *(source(f"s{number}", needs=f"s{number - 1}") for number in range(1, count))]
    made = plan(platform(sources, [package(f"s{number}") for number in range(count)]))
    assert made["counts"]["waves"] == count
    assert len(made["entries"][0]["invalidates"]) == count - 1
