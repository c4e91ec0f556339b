"""A terminal's last line is redrawn; a log gets few lines, and is never silent for long."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.screen import (
    QUIET,
    Screen,
    can_redraw,
    choose_width,
)


class Log:
    """What was written, and the longest time without anything."""

    def __init__(self) -> None:
        self.text, self.now, self.longest, self._wrote = "", 0.0, 0.0, 0.0

    def write(self, text: str) -> None:
        self.longest = max(self.longest, self.now - self._wrote)
        self._wrote = self.now
        self.text += text

    def flush(self) -> None:
        pass


def make(log: Log, *, redraws: bool, width: int = 40) -> Screen:
    return Screen(log, redraws=redraws, width=lambda: width, clock=lambda: log.now)


def run(log: Log, seconds: int, news: list[str]) -> None:
    """A stage for that long, each second with the news of then."""
    screen = make(log, redraws=False)
    for _second in range(seconds):
        log.now += 1
        what = news[int(log.now) * len(news) // (seconds + 1)]
        screen.tick(f"3/9 build {what} {log.now:.0f}", what, began=0)


def test_a_log_without_news_gets_dots_and_a_line_now_and_then() -> None:
    log = Log()
    run(log, 100, ["lua"])
    assert log.text == "3/9 build lua 10......\n3/9 build lua 80.."
    assert log.longest <= QUIET


def test_a_log_with_news_each_second_gets_few_lines() -> None:
    log = Log()
    run(log, 600, [f"step {number}" for number in range(600)])
    lines = log.text.splitlines()
    assert log.longest <= QUIET
    assert 5 < len(lines) < 25
    assert lines[0] == "3/9 build step 9 10"


def test_news_are_said_once() -> None:
    log = Log()
    run(log, 60, ["one", "two"])
    assert log.text == "3/9 build one 10..\n3/9 build two 40.."


def test_a_line_with_dots_is_ended_before_something_else_is_written() -> None:
    log = Log()
    screen = make(log, redraws=False)
    for log.now in (10, 20):
        screen.tick("build", "", began=0)
    screen.make_room()
    log.write("[WARNING]: this\n")
    assert log.text == "build.\n[WARNING]: this\n"


def test_what_was_drawn_is_taken_back_also_where_the_terminal_wrapped_it_meanwhile() -> None:
    log, width = Log(), 40
    screen = Screen(log, redraws=True, width=lambda: width, clock=lambda: log.now)
    screen.tick("x" * 40, "", began=0)
    width = 25
    screen.make_room()
    screen.make_room()
    assert log.text == "x" * 40 + "\r\x1b[K" + "\x1b[A\r\x1b[K"


@pytest.mark.parametrize(
    ("term", "is_terminal", "can"),
    [("xterm", True, True), ("xterm", False, False), ("dumb", True, False), ("", True, False), (None, True, False)],
)
def test_lines_are_redrawn_where_that_works(term: str | None, is_terminal: bool, can: bool) -> None:
    assert can_redraw({} if term is None else {"TERM": term}, is_terminal=is_terminal) is can


def test_the_width_is_the_terminals_or_what_the_environment_says_or_that_of_a_log() -> None:
    assert choose_width(80, {"COLUMNS": "200"}) == 79
    assert choose_width(None, {"COLUMNS": "200"}) == 200
    assert choose_width(0, {"COLUMNS": "wide"}) == 80
