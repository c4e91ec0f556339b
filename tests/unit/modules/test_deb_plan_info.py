# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module that plans builds: its options, its indexes, and plans of real ROS distributions."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.modules import deb_plan_info
from aptclient import served
from worlds import package, source, write_index

ROS = Path(__file__).parents[2] / "data/ros"


def ask(platforms: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {"distribution": "cturtle", "stacks": None, "policy": "transitive", "alternatives": "any"}
    wanted |= {name: {} for name in ("policies", "new", "hold", "excludes")}
    wanted |= {name: [] for name in ("abi_changed", "force", "rebuild", "profiles")}
    wanted |= {"package_name": "ros-{distribution}-{stack}", "source_version": "{version}-0~{platform}"}
    return deb_plan_info.act({**wanted, "most": 12, "timeout": 10.0, "platforms": platforms, **options}, write=False)


@pytest.fixture
def archive(tmp_path: Path) -> list[dict[str, Any]]:
    """A platform with two architectures, whose indexes are compressed each in another form."""
    sources = [
        source("ros-cturtle-ros", "1.2-0~lucid"),
        source("ros-cturtle-common-msgs", "1.0-0~lucid", needs="ros-cturtle-ros"),
        source("ros-cturtle-common-msgs", "0.9-0~lucid"),
    ]
    (tmp_path / "source").mkdir()
    (tmp_path / "source/Sources.gz").write_bytes(gzip.compress(write_index(sources)))
    for architecture in ("amd64", "i386"):
        directory = tmp_path / f"binary-{architecture}"
        directory.mkdir()
        there = [package("ros-cturtle-ros", "1.1-0~lucid", Architecture=architecture)]
        (directory / "Packages.xz").write_bytes(lzma.compress(write_index(there)))
    return [
        {
            "name": "lucid",
            "architectures": ["amd64", "i386"],
            "sources": [str(tmp_path / "source")],
            "shadow": [str(tmp_path / "binary-{architecture}")],
            "base": [],
        }
    ]


def list_rows(answer: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    return [
        (entry["stack"] or entry["source"], entry["architecture"], entry["order"], entry["state"])
        for entry in answer["plan"]["entries"]
    ]


def test_the_stacks_of_a_distro_file_are_planned_in_their_versions(archive: list[dict[str, Any]]) -> None:
    answer = ask(archive, stacks={"ros": "1.2", "common_msgs": "1.0", "unreleased": None})
    assert list_rows(answer) == [
        ("ros", "amd64", 1, "build"),
        ("ros", "i386", 1, "build"),
        ("common_msgs", "amd64", 2, "build"),
        ("common_msgs", "i386", 2, "build"),
    ]
    assert answer["text"][0] == ("cturtle: 4 builds in 2 waves, 0 blocked, 0 current, 0 excluded (policy transitive)")
    assert answer["changed"] is False
    whole = {name: {"version": version, "kind": "git"} for name, version in (("ros", "1.2"), ("common_msgs", "1.0"))}
    assert ask(archive, stacks={**whole, "unreleased": {"version": None}}) == answer


def test_without_stacks_every_source_is_planned_in_its_highest_version(archive: list[dict[str, Any]]) -> None:
    versions = {entry["source"]: entry["version"] for entry in ask(archive)["plan"]["entries"]}
    assert versions == {"ros-cturtle-common-msgs": "1.0-0~lucid", "ros-cturtle-ros": "1.2-0~lucid"}


def test_stacks_are_excluded_held_and_forced_by_their_names(archive: list[dict[str, Any]]) -> None:
    stacks = {"ros": "1.2", "common_msgs": "1.0"}
    answer = ask(archive, stacks=stacks, excludes={"common_msgs": ["lucid-i386"]}, hold={"ros": "until Monday"})
    assert [(one["source"], one["architecture"]) for one in answer["plan"]["excluded"]] == [
        ("ros-cturtle-common-msgs", "i386")
    ]
    assert [row for row in list_rows(answer) if row[3] == "build"] == [("common_msgs", "amd64", 1, "build")]
    assert {one["why"] for one in answer["plan"]["blocked"]} == {"it is held: until Monday"}


def test_a_stack_that_is_excluded_everywhere_needs_no_source(archive: list[dict[str, Any]]) -> None:
    stacks = {"ros": "1.2", "missing": "1.0"}
    assert len(ask(archive, stacks=stacks, excludes={"missing": []})["plan"]["entries"]) == 2
    assert len(ask(archive, stacks=stacks, excludes={"missing": ["lucid"]})["plan"]["entries"]) == 2
    everywhere = [f"lucid-{architecture}" for architecture in archive[0]["architectures"]]
    assert len(ask(archive, stacks=stacks, excludes={"missing": everywhere})["plan"]["entries"]) == 2
    assert len(ask(archive, stacks=stacks, excludes={"ros-cturtle-missing": []})["plan"]["entries"]) == 2


def test_a_new_version_is_planned_though_there_is_no_source_of_it(archive: list[dict[str, Any]]) -> None:
    answer = ask(archive, stacks={"ros": "1.2"}, new={"ros": "2.0-0~lucid"})
    assert [entry["reasons"][0]["text"] for entry in answer["plan"]["entries"]] == [
        "2.0-0~lucid is new; the archive has 1.1-0~lucid"
    ] * 2


@pytest.mark.parametrize(
    ("options", "findings"),
    [
        (
            {"stacks": {"ros": "9", "nav": "1"}},
            [
                "lucid: there is no source ros-cturtle-nav 1-0~lucid of nav; the index has none",
                "lucid: there is no source ros-cturtle-ros 9-0~lucid of ros; the index has 1.2-0~lucid",
            ],
        ),
        (
            {"policies": {"ros": "all"}},
            ["the policy of ros is 'all', which is none of transitive, direct, abi, build, none"],
        ),
        ({"new": {"ros": "x_y"}}, ["the version 'x_y' of ros in new does not begin with a digit"]),
        (
            {"stacks": {"ros": 1.2, "common_msgs": {"version": 1}}, "new": {"ros": 1.3}},
            [
                "the version 1 of common_msgs in stacks is no text: quote it, since 1.10 would be 1.1",
                "the version 1.2 of ros in stacks is no text: quote it, since 1.10 would be 1.1",
                "the version 1.3 of ros in new is no text: quote it, since 1.10 would be 1.1",
            ],
        ),
        ({"new": {"nothing": "1"}}, ["new names nothing"]),
        ({"excludes": {"ros": ["karmic-i386"]}}, ["ros is excluded for karmic-i386, which is not a platform"]),
        ({"excludes": {"ros": "lucid"}}, ["ros is excluded for 'lucid', which is no list of places"]),
        ({"excludes": {"ros": True}}, ["ros is excluded for True, which is no list of places"]),
        ({"force": ["a", "b"]}, ["force names a", "force names b"]),
    ],
)
def test_wrong_options_are_refused_in_sentences(
    archive: list[dict[str, Any]], options: dict[str, Any], findings: list[str]
) -> None:
    with pytest.raises(SlipwayError) as caught:
        ask(archive, **options)
    assert caught.value.findings == findings


def test_platforms_must_have_the_architectures_that_are_named(archive: list[dict[str, Any]]) -> None:
    with pytest.raises(SlipwayError, match="armhf is no architecture of lucid"):
        ask([{**archive[0], "all_architecture": "armhf"}])
    with pytest.raises(SlipwayError, match="the platform lucid has no architectures"):
        ask([{**archive[0], "architectures": []}])
    with pytest.raises(SlipwayError, match="a platform is there twice"):
        ask([*archive, *archive])


def test_an_index_that_is_not_there_is_named(archive: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "binary-i386/Packages.xz").unlink()
    with pytest.raises(SlipwayError) as caught:
        ask(archive)
    assert str(caught.value) == (
        f"Could not read the index {tmp_path}/binary-i386/Packages: No such file or directory. "
        "Check whether the archive has this platform and architecture, and run again."
    )


def test_a_relation_that_is_none_is_refused_with_its_text(archive: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "binary-i386/Packages.xz").write_bytes(
        write_index(
            [package("a", depends="b (1"), package("ros-cturtle-ros", depends="a", Architecture="i386")]
        ).replace(b"amd64", b"i386")
    )
    with pytest.raises(SlipwayError, match=r"has 'b \(1', which is not a relation"):
        ask(archive)


def test_indexes_are_fetched_by_their_addresses(archive: list[dict[str, Any]], tmp_path: Path) -> None:
    expected = ask(archive)
    with served(tmp_path) as url:
        archive[0]["sources"] = [f"{url}/source/Sources.gz"]
        archive[0]["shadow"] = [f"{url}/binary-{{architecture}}/Packages.xz"]
        assert ask(archive) == expected
        archive[0]["base"] = [f"{url}/none/{{platform}}"]
        with pytest.raises(SlipwayError, match=rf"Could not fetch the index {url}/none/lucid: it answers 404"):
            ask(archive)


@pytest.mark.parametrize(
    ("distribution", "core", "expected"),
    [
        ("melodic", "roscpp", {"transitive": 1764, "direct": 821, "abi": 1, "build": 1318, "none": 1}),
        ("jazzy", "rclcpp", {"transitive": 1140, "direct": 720, "abi": 1, "build": 923, "none": 1}),
    ],
)
def test_a_new_core_of_a_real_distribution_is_planned(distribution: str, core: str, expected: dict[str, int]) -> None:
    directory = ROS / distribution
    platforms = [
        {
            "name": "ubuntu",
            "architectures": ["amd64"],
            "sources": [str(directory / "Sources.xz")],
            "shadow": [str(directory / "Packages.xz")],
            "base": [str(directory / "base.xz")],
        }
    ]
    name = f"ros-{distribution}-{core}"
    answer = ask(platforms, new={name: "99-1ubuntu"})
    plan = answer["plan"]
    assert plan["policies"] == expected
    assert plan["counts"]["build"] == expected["transitive"]
    assert (plan["blocked"], plan["cycles"]) == ([], [])
    built = [entry for entry in plan["entries"] if entry["state"] == "build"]
    assert all(entry["reasons"] for entry in built)
    assert_order(built, directory)
    assert json.dumps(ask(platforms, new={name: "99-1ubuntu"})) == json.dumps(answer)


def assert_order(built: list[dict[str, Any]], directory: Path) -> None:
    """Every build comes after those of the packages that it names."""
    waves = {entry["source"]: entry["order"] for entry in built}
    text = lzma.decompress((directory / "Sources.xz").read_bytes()).decode()
    compared = 0
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        for relation in fields["Build-Depends"].split(", "):
            needed = relation.split(" ")[0]
            if fields["Package"] in waves and needed in waves:
                assert waves[needed] < waves[fields["Package"]]
                compared += 1
    assert compared > 1000
