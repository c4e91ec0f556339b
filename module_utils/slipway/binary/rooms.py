# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directories in which jobs are done, and what is left of a job that was killed: processes, and files of other ids.

A job is done by a process of its own, beside a keeper. Whichever of both is killed, the other one ends what the job
started and removes what it wrote. If both are, the next job does that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import SlipwayError
from ..files import remove_leftover
from ..process import make_environment
from .limits import adopt_orphans, end_orphans

PREFIX = "slipway-build-"
PR_SET_PDEATHSIG = 1
#: Seconds that removing a room may take.
REMOVAL = 600.0


def keep(act: Callable[[], None], *, work: Path | None = None) -> int:
    """Do something in a process of its own, and leave nothing of it behind however that ends; its exit status."""
    adopt_orphans()
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(_act_until(act, keeper))
    signal.signal(signal.SIGTERM, lambda _number, _frame: _end(child))
    # The other side hears that the job has ended from the end of the line.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    _pid, status = os.waitpid(child, 0)
    end_orphans()
    remove_leftovers(work)
    return os.waitstatus_to_exitcode(status)


def _act_until(act: Callable[[], None], keeper: int) -> int:
    """Act, and be told to stop when the keeper is gone; the exit status."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != keeper:
        return 1
    try:
        act()
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BaseException:  # nothing above this frame belongs to this process
        traceback.print_exc()
        return 1
    return 0


def _end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)


def remove_leftovers(work: Path | None) -> None:
    """End and remove what killed jobs of this account left. A job that is alive has locked its directory."""
    place = Path(tempfile.gettempdir() if work is None else work)
    for leftover in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # what cannot be removed is in nobody's way
            if leftover.lstat().st_uid == os.geteuid():
                remove_leftover(leftover, remove=_remove_job)


def _remove_job(scratch: Path) -> None:
    for process in list_processes(scratch):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    remove_rooms(scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def remove_rooms(directory: Path) -> None:
    """Remove a directory in which files belong to ids of chroots: nobody else can."""
    subprocess.run(
        ["unshare", "--map-auto", "--map-root-user", "rm", "-rf", "--", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=make_environment(),
        timeout=REMOVAL,
        check=False,
    )


def list_processes(scratch: Path) -> Iterator[int]:
    """The processes that work in a directory, have it as their root or have mounted it: its name is nobody else's."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid() and _is_in(process, scratch):
            yield int(process.name)


def _is_in(process: Path, scratch: Path) -> bool:
    with contextlib.suppress(OSError):
        if any(str(scratch) in os.readlink(process / link) for link in ("cwd", "root")):
            return True
        return f"/{scratch.name}/" in (process / "mountinfo").read_text(encoding="utf-8", errors="replace")
    return False
