"""The line of a stage: how far it is, how fast, and when it is probably over."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.stages import (
    Board,
    is_selected,
    name_stage_of_role,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.text import measure
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Step

NAMES = ["plan", "preflight", "build", "publish"]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(NAMES, clock=clock)


def test_a_stage_that_uploads_says_bytes_rate_and_what_is_left(board: Board, clock: Clock) -> None:
    stage = board.begin("publish", number=4)
    stage.begin_task("Upload", now=clock.now)
    clock.now += 10
    stage.take(Step(2, 5, "a.gz is there", 40_000_000, 120_000_000), host="one")
    line = board.format_now(90)
    assert " ".join(line.split()) == "4/4 publish 2/5, 40.0 MB of 120 MB, 4.0 MB/s, a.gz is there 0:10, 0:20 left"
    assert measure(line) == 90


def test_a_few_bytes_are_no_rate(board: Board, clock: Clock) -> None:
    stage = board.begin("publish", number=4)
    clock.now += 10
    stage.take(Step(3, 15, "SHA256SUMS is there", 1100, 126_000_000), host="one")
    assert board.format_now(90).endswith(" 0:10")
    assert "/s" not in board.format_now(90)


def test_the_estimate_is_what_the_last_release_took(board: Board, clock: Clock) -> None:
    board.expect({"build": 95.0})
    board.begin("build", number=3)
    clock.now += 30
    assert board.format_now(60).endswith(" 0:30, 1:05 left")
    clock.now += 100
    assert board.format_now(60).endswith(" 2:10")


@pytest.mark.parametrize("width", [20, 30, 40, 80, 200])
def test_a_line_is_never_wider_than_it_may_be(width: int, board: Board, clock: Clock) -> None:
    board.expect({"publish": 4000.0})
    stage = board.begin("publish", number=4)
    clock.now += 10
    stage.take(Step(12, 15, "hashed baserock-26.47-minimal-system-x86_64.tar.gz", 10**9, 10**10), host="one")
    assert measure(board.format_now(width)) <= width
    ended = board.end()
    assert ended is not None
    assert measure(board.format_ended(ended, width)) <= width


def test_what_several_hosts_do_is_added_up(board: Board) -> None:
    stage = board.begin("build", number=3)
    stage.take(Step(1, 4, "lua is built"), host="one")
    stage.take(Step(2, 5, "tree is built"), host="two")
    assert board.format_now(60).startswith("3/4  build     3/9, two: tree is built")


def test_a_task_says_nothing_of_the_one_before(board: Board, clock: Clock) -> None:
    stage = board.begin("build", number=3)
    stage.take(Step(4, 4, "lua is built"), host="one")
    stage.begin_task("Write the build records", now=clock.now)
    assert board.format_news() == "Write the build records"
    stage.changed = 2
    ended = board.end()
    assert ended is not None
    assert board.format_ended(ended, 60).startswith("3/4  build     2 changed, 4 steps ")
    assert board.format_ended(ended, 60, check=True).startswith("3/4  build     would change 2,")


def test_the_hosts_are_said_where_there_are_several(clock: Clock) -> None:
    board = Board(NAMES, clock=clock, several_hosts=True)
    stage = board.begin("build", number=3)
    stage.hosts = {"one"}
    assert "unchanged, on one " in board.format_ended(stage, 60)
    stage.hosts.add("two")
    assert "unchanged, 2 hosts " in board.format_ended(stage, 60)


@pytest.mark.parametrize(
    ("role", "tags", "name"),
    [
        ("slipway.release.release_build", ["build"], "build"),
        ("slipway.release.release_publish_artifacts", ["publish"], "publish"),
        ("slipway.release.release", ["always"], "plan"),
        ("slipway.release.debs_source", ["source"], "source"),
        ("slipway.release.apt_archive", ["apt_archive"], "apt archive"),
        ("mine", [], "mine"),
    ],
)
def test_a_role_is_called_as_the_stage_that_it_is(role: str, tags: Sequence[str], name: str) -> None:
    assert name_stage_of_role(role, tags) == name


@pytest.mark.parametrize(
    ("tags", "only", "skipped", "selected"),
    [
        (["build"], ["all"], [], True),
        (["build"], ["publish"], [], False),
        (["always"], ["publish"], [], True),
        (["build"], ["all"], ["build"], False),
        ([], ["tagged"], [], False),
        ([], ["all"], [], True),
    ],
)
def test_stages_are_counted_that_the_command_asks_for(
    tags: Sequence[str], only: Sequence[str], skipped: Sequence[str], selected: bool
) -> None:
    assert is_selected(tags, only, skipped) is selected
