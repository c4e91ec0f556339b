"""Texts fit the terminal, whatever its width and whatever they are made of."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.text import (
    COLOUR,
    clip,
    fold,
    format_seconds,
    format_size,
    list_lines,
    measure,
)
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.lists(st.sampled_from([*"ab/- .\u4e16\u0301", "\x1b[0;31m"]), max_size=120).map("".join)


@given(WORDS, st.integers(2, 60))
def test_no_line_is_wider_than_it_may_be_and_no_letter_is_lost(text: str, width: int) -> None:
    lines = fold(text, width)
    assert all(measure(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert measure(clip(text, width)) <= width


@given(WORDS, st.integers(2, 60))
def test_colours_are_kept_whole(text: str, width: int) -> None:
    assert COLOUR.findall("".join(fold(text, width))) == COLOUR.findall(text)


def test_lines_are_broken_between_words_and_go_on_below_their_text() -> None:
    assert fold("  - the file is not there", 16) == ["  - the file is", "    not there"]


def test_a_path_that_is_too_long_is_broken_on_a_terminal_and_whole_in_a_log() -> None:
    path = "/srv/slipway/releases/26.47/logs"
    assert fold(f"see {path}", 20) == ["see", "/srv/slipway/release", "s/26.47/logs"]
    assert fold(f"see {path}", 20, whole_words=True) == ["see", path]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (45_600_000, "45.6 MB"), (123e6, "123 MB")],
)
def test_sizes(size: float, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0:00"), (67, "1:07"), (3723, "1:02:03"), (-1, "0:00")])
def test_times(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_what_is_cut_off_is_marked() -> None:
    assert clip("one two three", 9) == "one two.."
    assert clip("one\n two", 9) == "one two"


def test_lists_that_a_task_says_are_lines_of_text() -> None:
    assert list(list_lines("is right")) == ["is right"]
    assert list(list_lines(["is withdrawn. What stays:", ["the tag", "2 mails"], "a draft"])) == [
        "is withdrawn. What stays:", "  - the tag", "  - 2 mails", "a draft"
    ]  # fmt: skip
