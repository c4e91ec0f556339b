from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for


class Clock:
    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def waiting(states, clock, timeout=10.0):
    remaining = iter(states)
    return wait_for(
        lambda: next(remaining),
        lambda state: state == "done",
        lambda state: state == "pending",
        attempt="wait for",
        on="it",
        timeout=timeout,
        interval=3.0,
        log="/the/log",
        clock=clock,
        sleep=clock.sleep,
    )


def test_the_first_look_does_not_sleep():
    clock = Clock()
    assert waiting(["done"], clock) == "done"
    assert clock.slept == []


def test_it_looks_again_until_done():
    clock = Clock()
    assert waiting(["pending", "pending", "done"], clock) == "done"
    assert clock.slept == [3.0, 3.0]


def test_an_unexpected_state_fails_at_once():
    clock = Clock()
    with pytest.raises(SlipwayError, match="unexpected state broken"):
        waiting(["pending", "broken"], clock)
    assert clock.slept == [3.0]


def test_the_end_of_the_time_names_the_last_state_and_the_log():
    clock = Clock()
    with pytest.raises(SlipwayError, match=r"not done after 10 s, the last state was pending.*The log is /the/log"):
        waiting(["pending"] * 100, clock)
    assert sum(clock.slept) == 10.0
