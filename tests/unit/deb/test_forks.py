"""Work on several processes: in order, whole, and never silently short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.forks import spread_work
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_their_numbers(workers: int) -> None:
    seen: list[int] = []
    made = spread_work(50, lambda number: number * number, workers=workers, attempt="count", on_result=seen.append)
    assert made == [number * number for number in range(50)]
    assert sorted(seen) == made


def test_nothing_to_do_is_done_at_once() -> None:
    assert spread_work(0, lambda number: number, workers=4, attempt="count") == []


def test_the_work_is_done_by_other_processes_that_are_gone_afterwards() -> None:
    pids = set(spread_work(8, lambda _number: (time.sleep(0.02), os.getpid())[1], workers=2, attempt="count"))
    assert os.getpid() not in pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_process_that_is_killed_ends_all_with_a_sentence() -> None:
    def work(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(SlipwayError, match="Could not count: one of its processes was ended by signal 9"):
        spread_work(6, work, workers=2, attempt="count")


def test_a_mistake_in_the_work_ends_all_with_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SlipwayError, match="Could not count: one of its processes was ended with status 1"):
        spread_work(6, lambda number: 1 // (number - 3), workers=2, attempt="count")
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_processes_end_when_the_one_that_waits_for_them_is_killed(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.forks import spread_work
def work(number):
    open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w").close()
    time.sleep(0.1)
    return number
spread_work(100000, work, workers=2, attempt="count")
"""
    waiting = subprocess.Popen([sys.executable, "-c", program])
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.02)
    waiting.kill()
    waiting.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{entry.name}").exists() for entry in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
