"""What is left of a job whose processes were killed: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary import rooms
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.rooms import (
    list_processes,
    remove_leftovers,
)

# As sbuild does it: a program in namespaces of its own, with files of other ids in its room, and one that got lost.
JOB = f"""
import signal, sys, threading
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from {rooms.__name__} import PREFIX, keep, remove_rooms
from {rooms.__package__} import limits
from {rooms.__package__}.limits import Limits, adopt_orphans, end_orphans, run_limited
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import make_scratch

limits.GRACE = 0.5  # unshare does not hear that it is to end

SCRIPT = '''
mkdir -p room/inside && chown 5:5 room/inside && chmod 700 room/inside
setsid sleep 600 >/dev/null 2>&1 &
exec unshare --pid --fork --mount sh -c "mount --bind room /mnt && touch begun && cd / && exec sleep 600"
'''

def act():
    adopt_orphans()
    with make_scratch(PREFIX, directory=sys.argv[1]) as scratch:
        words = ["unshare", "--map-auto", "--map-root-user", "--mount", "sh", "-c", SCRIPT]
        bounds, stop = Limits(60, 60, 1 << 20, 0), threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        run_limited(words, log=scratch / "log", limits=bounds, stop=stop, directory=scratch)
        end_orphans()
        remove_rooms(scratch / "room")

sys.exit(keep(act, work=Path(sys.argv[1])))
"""


def list_children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait(done: object, what: str) -> None:
    for _attempt in range(300):
        if done():  # type: ignore[operator]
            return
        time.sleep(0.1)
    pytest.fail(f"{what} within 30 s")


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-c", JOB, str(tmp_path), *sys.path]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            wait(lambda: list(tmp_path.glob("*/begun")) and list_children(process.pid), "the job did not begin")
            yield process
        finally:
            for number in [process.pid, *(each for scratch in tmp_path.iterdir() for each in list_processes(scratch))]:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("killed", ["the job", "its keeper", "both"])
def test_whatever_is_killed_no_process_and_no_file_is_left(
    tmp_path: Path, keeper: subprocess.Popen[bytes], killed: str
) -> None:
    (scratch,) = tmp_path.iterdir()
    assert len(list(list_processes(scratch))) >= 3
    remove_leftovers(tmp_path)
    assert scratch.is_dir()  # it is alive
    (job,) = list_children(keeper.pid)
    if killed != "the job":
        os.kill(keeper.pid, signal.SIGKILL)
        keeper.wait()
    if killed != "its keeper":
        with suppress(ProcessLookupError):
            os.kill(job, signal.SIGKILL)
    if killed == "both":
        wait(lambda: not Path(f"/proc/{job}").exists(), "the job did not end")
        remove_leftovers(tmp_path)
    wait(lambda: not scratch.exists() and not list(list_processes(scratch)), f"there is more left of {scratch}")
