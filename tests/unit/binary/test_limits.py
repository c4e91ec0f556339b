"""Programs within limits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary import limits
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.limits import Ended, Limits, run_limited

WIDE = Limits(60.0, 60.0, 1 << 20, 0)


def run_here(script: str, directory: Path, bounds: Limits = WIDE, stop: threading.Event | None = None) -> Ended:
    return run_limited(
        ["sh", "-c", script],
        log=directory / "log",
        limits=bounds,
        stop=stop or threading.Event(),
        directory=directory,
    )


def test_status_and_output_are_told(tmp_path: Path):
    assert run_here("echo begin; echo fault >&2; exit 3", tmp_path) == Ended(3)
    assert (tmp_path / "log").read_text() == "begin\nfault\n"


CASES = {
    "never ends": ("while :; do echo on; sleep 0.1; done", Limits(2.0, 60.0, 1 << 20, 0), "not done after 2 s"),
    "says nothing": ("sleep 60", Limits(60.0, 2.0, 1 << 20, 0), "said nothing for 2 s"),
    "says too much": ("yes", Limits(60.0, 60.0, 1 << 20, 0), "more than 1048576 bytes"),
    "fills the disk": ("sleep 60", Limits(60.0, 60.0, 1 << 20, 1 << 60), "must stay free"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_limit_ends_it_and_is_told_in_the_log_as_well(tmp_path: Path, case: str):
    script, bounds, sentence = CASES[case]
    ended = run_here(script, tmp_path, bounds)
    assert sentence in ended.limit
    text = (tmp_path / "log").read_bytes()
    assert ended.limit in text[-300:].decode()
    assert len(text) <= (1 << 20) + 300


def test_who_does_not_wait_any_more_ends_it(tmp_path: Path):
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    begin = time.monotonic()
    assert run_here("sleep 60", tmp_path, stop=stop).stopped
    assert time.monotonic() - begin < 20


ESCAPE = """
import os, subprocess, sys, threading
from pathlib import Path
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.limits import *
adopt_orphans()
run_limited(["sh", "-c", "setsid sleep 4321 & setsid sh -c 'setsid sleep 4321' & sleep 1"],
    log=Path(sys.argv[1], "log"), limits=Limits(3.0, 60.0, 1 << 20, 0), stop=threading.Event(),
    directory=Path(sys.argv[1]))
end_orphans()
print(os.popen("pgrep -x sleep -a").read())
"""


def test_who_leaves_the_session_is_found_as_well(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ESCAPE, tmp_path], env=environment, capture_output=True, text=True, check=True
    )
    assert "sleep 4321" not in done.stdout


def test_a_program_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(limits.SlipwayError, match="no-such-program"):
        run_limited(["no-such-program"], log=tmp_path / "log", limits=WIDE, stop=threading.Event(), directory=tmp_path)
