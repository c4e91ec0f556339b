# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The excuses as the module writes them: once, again, in check mode, and from what archives serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from excuses import DAY, NOW
from publishing import run_module, tree

FILES = ["excuses.json", "excuses.html", "excuses.atom"]
SHADOW = {"bookworm": {"amd64": {"ros-d-a": "1.0-0~bookworm"}}}


def options(tmp_path: Path, **more: Any) -> dict[str, Any]:
    given = {
        "directory": str(tmp_path / "public/excuses"),
        "distribution": "d",
        "package_name": "ros-{distribution}-{stack}",
        "stacks": {"a": {"version": "1.0", "kind": "git"}, "b": {"version": "1.1"}},
        "platforms": [{"name": "bookworm", "architectures": ["amd64"], "mirror": "m"}],
        "shadow": SHADOW,
        "depends": {"b": ["a"]},
        "now": NOW,
        **more,
    }
    return {name: value for name, value in given.items() if value is not ...}


def write_archive(public: Path, package: str, version: str) -> str:
    directory = public / "dists/bookworm/main/binary-amd64"
    directory.mkdir(parents=True)
    (directory / "Packages").write_text(f"Package: {package}\nVersion: {version}\nArchitecture: amd64\n")
    return str(public)


def test_the_excuses_are_written_once_and_only_when_facts_change(tmp_path: Path) -> None:
    given = options(tmp_path)
    looked = run_module("deb_excuses", given, check=True)
    assert looked["changed"] is True
    assert not (tmp_path / "public").exists()
    done = run_module("deb_excuses", given)
    assert (done["changed"], done["files"], done["diff"]) == (True, FILES, looked["diff"])
    assert "b 1.1: blocked\n" in done["diff"]["after"]
    assert done["counts"]["blocked"] == 1
    assert [entry["stack"] for entry in done["first"]] == ["b"]

    before = tree(tmp_path)
    later = {**given, "now": NOW + 30 * DAY}
    again = run_module("deb_excuses", later)
    assert (again["changed"], again["files"]) == (False, [])
    assert "diff" not in again
    assert tree(tmp_path) == before

    released = {
        **later,
        "shadow": {"bookworm": {"amd64": {**SHADOW["bookworm"]["amd64"], "ros-d-b": "1.1-0~bookworm"}}},
    }
    looked = run_module("deb_excuses", released, check=True)
    assert "-b 1.1: blocked" not in looked["diff"]["after"]
    assert tree(tmp_path) == before
    assert run_module("deb_excuses", released)["diff"] == looked["diff"]
    assert run_module("deb_excuses", released)["changed"] is False


def test_the_files_are_whole_for_everybody_and_keep_the_dates(tmp_path: Path) -> None:
    given = options(tmp_path)
    run_module("deb_excuses", given)
    directory = tmp_path / "public/excuses"
    assert sorted(path.name for path in directory.iterdir()) == sorted(FILES)
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o644}
    assert directory.stat().st_mode & 0o777 == 0o755
    run_module("deb_excuses", {**given, "now": NOW + DAY, "holds": {"b": "for a"}})
    found = json.loads((directory / "excuses.json").read_text())
    assert {reason["code"]: reason["since"] for reason in found["stacks"]["b"]["reasons"]} == {"held": "2026-03-02"}
    assert found["format"] == 1


def test_a_page_that_somebody_changed_is_written_again(tmp_path: Path) -> None:
    given = options(tmp_path)
    run_module("deb_excuses", given)
    page = tmp_path / "public/excuses/excuses.html"
    text = page.read_text()
    page.write_text("")
    done = run_module("deb_excuses", given)
    assert (done["files"], done["diff"]) == (["excuses.html"], {"before": "", "after": "excuses.html\n"})
    assert page.read_text() == text


def test_what_archives_serve_is_read(tmp_path: Path) -> None:
    given = options(
        tmp_path,
        shadow=...,
        shadow_public=write_archive(tmp_path / "shadow", "ros-d-a", "1.0-0~bookworm"),
        fixed_public=write_archive(tmp_path / "fixed", "ros-d-a", "1.0-r3~bookworm"),
    )
    run_module("deb_excuses", given)
    found = json.loads((tmp_path / "public/excuses/excuses.json").read_text())
    assert found["stacks"]["a"]["places"]["bookworm-amd64"] == {
        "wanted": "1.0-0~bookworm",
        "shadow": "1.0-0~bookworm",
        "fixed": "1.0-r3~bookworm",
        "state": "released",
        "coverage": "current",
        "codes": [],
        "category": None,
        "waits": [],
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"stacks": {"a": {"version": 1.0}}},
            "Could not explain what holds up d: the stack 'a' has no version that is",
        ),
        ({"shadow": ...}, "one of the following is required: shadow, shadow_public"),
        ({"shadow": None}, "nothing tells what the shadow archive has. Correct it and run again."),
        ({"shadow_public": "/x"}, "parameters are mutually exclusive: shadow|shadow_public"),
        ({"fixed": {"bookworm": 1}}, "Could not read the packages of the fixed archive, bookworm: it is no mapping."),
        ({"fixed_public": "/nowhere"}, "Could not read the archive /nowhere: it is not there. Name the directory"),
        ({"package_name": "x"}, "Could not use the template 'x': it lacks {stack}."),
        ({"directory": "/dev/null/x"}, "/dev/null/x"),
    ],
)
def test_bad_input_is_refused_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    answer = run_module("deb_excuses", options(tmp_path, **more))
    assert answer["failed"] is True
    assert words in answer["msg"]
    assert "Traceback" not in answer["msg"]
    assert tree(tmp_path) == {}


def test_the_excuses_of_another_distribution_are_kept(tmp_path: Path) -> None:
    run_module("deb_excuses", options(tmp_path))
    before = tree(tmp_path)
    answer = run_module("deb_excuses", options(tmp_path, distribution="e"))
    assert "excuses.json: it is of the distribution d. Name another directory, or move the file away" in answer["msg"]
    assert tree(tmp_path) == before


def put_result(builds: Path, version: str, log: bytes | None, **more: Any) -> Path:
    """What a build left, as the module deb_builds keeps it."""
    directory = builds / f"bookworm-amd64/ros-d-b_{version.replace(':', '%3a')}"
    directory.mkdir(parents=True)
    row = {
        **{"platform": "bookworm", "architecture": "amd64", "source": "ros-d-b", "version": version, "stack": "b"},
        **{"state": "failed", "stage": "test", "reason": "Its tests failed: smoke.", "host": "build-1", "at": NOW},
        **{"log": "/elsewhere/ros-d-b.log", "seconds": {"build": 61.4, "test": 3}, "tests": {}, "why": "", **more},
    }
    (directory / "result.json").write_text(json.dumps(row))
    if log is not None:
        (directory / "ros-d-b.log").write_bytes(log)
    return directory


def test_results_of_builds_are_told_and_their_logs_published_until_the_page_names_them_no_more(tmp_path: Path) -> None:
    builds, excuses = tmp_path / "builds", tmp_path / "public/excuses"
    put_result(builds, "1.0-0~bookworm", b"of another version")
    given = options(tmp_path, builds_directory=str(builds))
    run_module("deb_excuses", given)
    assert not (excuses / "logs").exists()

    whole = b"begin\n" + b"x" * (2 << 20) + b"<b>\nend\n"
    put_result(builds, "1.1-0~bookworm", whole)
    name = "logs/bookworm-amd64/ros-d-b_1.1-0~bookworm.txt"
    looked = run_module("deb_excuses", given, check=True)
    assert looked["logs"] == [name]
    assert not (excuses / "logs").exists()
    done = run_module("deb_excuses", given)
    assert (done["changed"], done["logs"], done["files"]) == (True, [name], FILES)
    published = (excuses / name).read_bytes()
    assert published.startswith(b"begin\n")
    assert published.endswith(b"<b>\nend\n")
    assert b"bytes are left out here" in published
    assert len(published) < 1.1 * (1 << 20)
    found = json.loads((excuses / "excuses.json").read_text())
    (build,) = found["builds"]
    assert {name: build[name] for name in ("stack", "place", "state", "stage", "host", "link", "ended")} == {
        **{"stack": "b", "place": "bookworm-amd64", "state": "failed", "stage": "test", "host": "build-1"},
        **{"link": name, "ended": NOW},
    }
    assert found["stacks"]["b"]["places"]["bookworm-amd64"]["coverage"] == "missing"
    (reason,) = found["stacks"]["b"]["reasons"]
    assert (reason["code"], reason["logs"][0]["link"]) == ("build-failed", name)
    assert "Its tests failed: smoke." in reason["why"]
    assert f'href="{name}">failed at test</a>' in (excuses / "excuses.html").read_text()
    assert run_module("deb_excuses", given)["changed"] is False

    newer = {**given, "stacks": {**given["stacks"], "b": {"version": "1.2"}}}
    assert run_module("deb_excuses", newer)["logs"] == [name]
    assert not (excuses / name).exists()


def test_a_result_that_is_none_and_a_log_that_is_a_link_are_left_alone(tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    (tmp_path / "secret").write_text("secret")
    log = put_result(builds, "1.1-0~bookworm", None) / "ros-d-b.log"
    log.symlink_to(tmp_path / "secret")
    for number, text in enumerate(("{", "[]", '{"state": "failed"}', "[" * 100000)):
        (builds / f"x-y/z_{number}").mkdir(parents=True)
        (builds / f"x-y/z_{number}/result.json").write_text(text)
    done = run_module("deb_excuses", options(tmp_path, builds_directory=str(builds)))
    assert (done["changed"], done["logs"]) == (True, [])
    assert not (tmp_path / "public/excuses/logs").exists()
    assert len(json.loads((tmp_path / "public/excuses/excuses.json").read_text())["builds"]) == 1
    assert run_module("deb_excuses", options(tmp_path, builds_directory=str(tmp_path / "none")))["logs"] == []
