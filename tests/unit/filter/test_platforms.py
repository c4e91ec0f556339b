"""The platforms of a site, through the filters that group variables use."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.release.plugins.filter import excluded_places as excluded
from ansible_collections.slipway.release.plugins.filter.excluded_places import excluded_places
from ansible_collections.slipway.release.plugins.filter.target_platforms import target_platforms

ROOT = Path(__file__).parents[3]
ROS = yaml.safe_load((ROOT / "inventory/example/ros/group_vars/all.yml").read_text())


def platform(name: str, /, **changes: object) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "name": name,
        "version": "12",
        "distribution": "Debian",
        "mirror": "machine",
        "components": ["main"],
        "architectures": ["amd64", "i386"],
        "base": [f"deb machine {name} main"],
    }
    return {key: value for key, value in {**whole, **changes}.items() if value != "gone"}


SITE = [platform("bookworm"), platform("trixie", version="13"), platform("noble", architectures=["amd64", "arm64"])]


def names(platforms: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in platforms]


def test_a_distribution_has_its_platforms_in_the_order_of_its_targets() -> None:
    targets = {"cturtle": ["trixie", "bookworm"], "other": ["noble"]}
    assert target_platforms(SITE, targets, "cturtle") == [SITE[1], SITE[0]]
    assert target_platforms(SITE, targets, "other") == [SITE[2]]


def test_an_archive_has_the_platforms_of_all_distributions_in_the_sites_order() -> None:
    assert names(target_platforms(SITE, {"a": ["noble", "bookworm"], "b": ["noble-amd64"]})) == ["bookworm", "noble"]
    assert target_platforms(SITE, {"a": ["noble-arm64"], "b": ["noble"]})[0]["architectures"] == ["amd64", "arm64"]


def test_a_target_can_be_one_architecture_of_a_platform() -> None:
    (found,) = target_platforms(SITE, {"a": ["noble-arm64"]}, "a")
    assert found == {**SITE[2], "architectures": ["arm64"]}
    assert SITE[2]["architectures"] == ["amd64", "arm64"]


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        ({"b": ["noble"]}, "there are no targets of a; there are those of b. Correct the variables debs_platforms,"),
        ({}, "there are no targets of a; there are those of none"),
        ({"a": ["sid"]}, "'sid', a target of a, is on no platform; there are bookworm, trixie, noble"),
        ({"a": ["noble-i386"]}, "'noble-i386', a target of a, is no place; there are noble-amd64, noble-arm64"),
        ({"a": ["noble"], "b": ["sid-amd64"]}, "'sid-amd64', a target of b, is on no platform"),
        ({"a": [1]}, "1, a target of a, is on no platform"),
        ({"a": ["noble", "noble"]}, "'noble' is twice among the targets of a"),
        ({"a": []}, "the targets of a are no list of platforms"),
        ({"a": "noble"}, "the targets of a are no list of platforms"),
        (["noble"], "the targets are no mapping of distributions to platforms"),
    ],
)
def test_targets_that_are_none_are_refused_in_a_sentence(targets: Any, sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        target_platforms(SITE, targets, "a")
    assert f"Could not use the site's platforms: {sentence}" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 12.10}, "the platform x: its version is 12.1, not text: write it in quotes, since 12.10 would be"),
        ({"version": "gone"}, "the platform x: it has no version"),
        ({"version": "a b"}, "the platform x: its version cannot be 'a b'"),
        ({"name": "gone"}, "number 2: it has no name"),
        ({"name": "../x"}, "the platform ../x: its name cannot be '../x'"),
        ({"name": "a-b"}, "the platform a-b: its name cannot be 'a-b'"),
        ({"name": "bookworm"}, "the platform bookworm is there twice"),
        ({"distribution": "\x1b"}, "the platform x: its distribution cannot be"),
        ({"mirror": "mirror.example.org"}, "the platform x: its mirror cannot be 'mirror.example.org'"),
        ({"mirror": "http://x y"}, "the platform x: its mirror cannot be"),
        ({"components": []}, "the platform x: it has no list of components"),
        ({"components": "main"}, "the platform x: it has no list of components"),
        ({"architectures": ["amd64", "AMD"]}, "the platform x: its architectures cannot have 'AMD'"),
        ({"architectures": ["amd64", "amd64"]}, "the platform x: its architectures have 'amd64' twice"),
        ({"base": ["http://x"]}, "the platform x: its base cannot have 'http://x'"),
        ({"base": ["deb machine x main\ndeb http://evil x main"]}, "the platform x: its base cannot have"),
        ({"arch": ["amd64"]}, "the platform x: arch is no value of a platform"),
    ],
)
def test_a_fault_of_a_platform_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    site = [platform("bookworm"), platform("x", **changes)]
    with pytest.raises(AnsibleFilterError) as caught:
        target_platforms(site, {"a": ["bookworm"]}, "a")
    assert f"Could not use the site's platforms: {sentence}" in str(caught.value)
    assert "faults" not in str(caught.value)


@pytest.mark.parametrize("platforms", [None, {"bookworm": {}}, "bookworm"])
def test_platforms_are_a_list(platforms: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="the platforms are no list"):
        target_platforms(platforms, {"a": ["bookworm"]}, "a")
    with pytest.raises(AnsibleFilterError, match="number 1 is no mapping with name, version"):
        target_platforms(["bookworm"], {"a": ["bookworm"]}, "a")  # type: ignore[list-item]  # as a site may have it


TODAY = "2026-03-01"


def entry(**changes: object) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "stack": "nav",
        "places": ["bookworm-i386"],
        "reason": "it needs 64 bits",
        "until": "2026-12-31",
    }
    return {key: value for key, value in {**whole, **changes}.items() if value != "gone"}


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shown: list[str] = []
    monkeypatch.setattr(excluded.Display, "warning", lambda _self, text: shown.append(text))
    return shown


def test_excludes_have_places_and_whole_platforms(warnings: list[str]) -> None:
    excludes = {"a": [entry(), entry(places=["trixie", "bookworm-i386"]), entry(stack="vis", places=["noble-arm64"])]}
    assert excluded_places(excludes, "a", TODAY, SITE) == {
        "nav": ["bookworm-i386", "trixie-amd64", "trixie-i386"],
        "vis": ["noble-arm64"],
    }
    assert excluded_places(excludes, "b", TODAY, SITE) == {}
    assert excluded_places({"a": [entry()]}, "a", TODAY) == {"nav": ["bookworm-i386"]}
    assert warnings == []


def test_only_places_on_the_platforms_in_hand_are_listed() -> None:
    excludes = {"a": [entry(places=["trixie", "bookworm-i386"]), entry(stack="vis", places=["trixie"])]}
    assert excluded_places(excludes, "a", TODAY, SITE, within=SITE[:1]) == {"nav": ["bookworm-i386"]}


@pytest.mark.parametrize(
    ("site", "sentence"),
    [("bookworm", "the platforms are no list"), ([platform("x", architectures="gone")], "x: it has no list of arch")],
)
def test_a_fault_of_the_platforms_is_a_sentence_for_excludes_too(site: Any, sentence: str) -> None:
    with pytest.raises(AnsibleFilterError, match=sentence):
        excluded_places({"a": [entry()]}, "a", TODAY, site)


@pytest.mark.parametrize("until", ["2026-03-01", datetime.date(2026, 3, 1), datetime.datetime(2026, 3, 1, 0, 0)])
def test_an_exclude_counts_on_its_last_day_and_then_is_a_warning(until: object, warnings: list[str]) -> None:
    excludes = {"a": [entry(until=until)]}
    assert excluded_places(excludes, "a", datetime.date(2026, 3, 1), SITE) == {"nav": ["bookworm-i386"]}
    assert warnings == []
    assert excluded_places(excludes, "a", "2026-03-02", SITE) == {}
    assert warnings == [
        "nav was excluded of a until 2026-03-01 (it needs 64 bits): build it, or say until when it still is"
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": "gone"}, "the exclude of nav: it has no reason"),
        ({"reason": " "}, "the exclude of nav: it has no reason"),
        ({"until": "gone"}, "the exclude of nav: it has no day 'until', such as 2030-12-31"),
        ({"until": "2026-02-30"}, "the exclude of nav: it has no day 'until'"),
        ({"until": "20260201"}, "the exclude of nav: it has no day 'until'"),
        ({"until": "soon"}, "the exclude of nav: it has no day 'until'"),
        ({"stack": "gone"}, "exclude 1: it names no stack"),
        ({"stack": "navy"}, "the exclude of navy: there is no stack navy"),
        ({"places": "gone"}, "the exclude of nav: it has no list of places"),
        ({"places": []}, "the exclude of nav: it has no list of places"),
        ({"places": ["bookworm-arm64"]}, "the exclude of nav: 'bookworm-arm64' is no place; there are bookworm-amd64"),
        ({"places": ["lucid"]}, "the exclude of nav: 'lucid' is on no platform; there are bookworm, trixie, noble"),
        ({"place": ["lucid"]}, "the exclude of nav: place is no value of an exclude"),
    ],
)
def test_a_fault_of_an_exclude_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        excluded_places({"a": [entry(**changes)]}, "a", TODAY, SITE, stacks=["nav", "vis"])
    assert f"Could not use the site's platforms: {sentence}" in str(caught.value)
    assert "faults" not in str(caught.value)


@pytest.mark.parametrize(
    ("excludes", "today", "sentence"),
    [
        ({"a": ["nav"]}, TODAY, "exclude 1 is no mapping with stack, places, reason, until"),
        ({"a": "nav"}, TODAY, "the excludes of a are no list"),
        (["nav"], TODAY, "the excludes are no mapping of distributions to lists"),
        ({"a": [entry()]}, "today", "today cannot be 'today'"),
        ({"a": [entry(places=["bookworm"])]}, TODAY, "'bookworm' is no place such as bookworm-i386"),
    ],
)
def test_what_is_no_list_of_excludes_is_refused(excludes: Any, today: str, sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        excluded_places(excludes, "a", today)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("distribution", "targets"),
    [
        ("boxturtle", ["hardy", "intrepid", "jaunty", "karmic"]),
        ("cturtle", ["lucid", "maverick", "karmic"]),
        ("diamondback", ["lucid", "maverick", "natty"]),
        ("electric", ["lucid", "maverick", "natty", "oneiric"]),
        ("fuerte", ["lucid", "oneiric", "precise"]),
        ("groovy", ["oneiric", "precise", "quantal"]),
        ("unstable", ["lucid", "karmic", "jaunty"]),
    ],
)
def test_the_example_has_what_each_distribution_of_ros_was_built_for(distribution: str, targets: list[str]) -> None:
    found = target_platforms(ROS["debs_platforms"], ROS["debs_targets"], distribution)
    assert names(found) == targets
    assert {*map(tuple, (each["architectures"] for each in found))} == {("i386", "amd64")}


def test_the_example_has_every_platform_of_ros_by_its_number() -> None:
    whole = target_platforms(ROS["debs_platforms"], ROS["debs_targets"])
    assert {each["version"]: each["name"] for each in whole} == {
        "8.04": "hardy",
        "8.10": "intrepid",
        "9.04": "jaunty",
        "9.10": "karmic",
        "10.04": "lucid",
        "10.10": "maverick",
        "11.04": "natty",
        "11.10": "oneiric",
        "12.04": "precise",
        "12.10": "quantal",
    }


@pytest.mark.parametrize(
    "place",
    [
        "inventory/local/group_vars/all.yml",
        "inventory/lab/group_vars/all/debs.yml",
        "molecule/apt_archive/inventory/group_vars/apt_archives.yml",
    ],
)
def test_every_inventory_has_platforms_that_can_be_used_and_stamps_what_is_a_target(place: str) -> None:
    site = yaml.safe_load((ROOT / place).read_text())
    everywhere = target_platforms(site["debs_platforms"], site["debs_targets"])
    stamped = target_platforms(site["debs_platforms"], site.get("debs_binary_targets", site["debs_targets"]), "cturtle")
    assert {*names(stamped)} <= {*names(everywhere)} <= {*names(site["debs_platforms"])}
    assert stamped[0]["name"] == "bookworm"
    assert excluded_places(site.get("debs_excludes", {}), "cturtle", TODAY, site["debs_platforms"], stamped) == {}
