# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of a state directory: one release at a time, whose process is named in a file.

A run consists of many short processes on the coordinator, so no process of it could hold a kernel lock.
The file names the ``ansible-playbook`` process by machine, boot, process id and start time; on that same
machine anybody can see whether it still lives.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import write_atomic
from ..locks import hold_flock

LOCK_WAIT = 10.0


@dataclass(frozen=True)
class Holder:
    """A run of ``ansible-playbook``: ``what`` it releases and where the process is."""

    what: str
    host: str
    boot: str
    pid: int
    process_start: int
    since: str

    @classmethod
    def of_process(cls, what: str, pid: int) -> Holder:
        """The holder for process ``pid`` of this machine."""
        return cls(
            what=what,
            host=socket.gethostname(),
            boot=_read_boot(),
            pid=pid,
            process_start=_read_process_start(pid) or 0,
            since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    def is_same_run(self, other: Holder) -> bool:
        """Whether both mean the same process."""
        mine, theirs = asdict(self), asdict(other)
        return all(mine[name] == theirs[name] for name in ("host", "boot", "pid", "process_start"))

    def is_dead(self) -> bool:
        """Whether the process certainly ended; of another machine nothing is certain."""
        if self.host != socket.gethostname():
            return False
        return self.boot != _read_boot() or _read_process_start(self.pid) != self.process_start

    def __str__(self) -> str:
        """Name the run for people."""
        return f"{self.what}, process {self.pid} on {self.host} since {self.since}"


def read_holder(path: Path) -> Holder | None:
    """Who holds the lock; ``None`` if nobody does or the file is unreadable as a lock."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SlipwayError(
            "read the lock",
            str(path),
            f"it is damaged ({error})",
            do_next="Make sure that no release is running, remove it and run again.",
        ) from error


def take_lock(path: Path, holder: Holder, *, ended: Holder | None = None, write: bool = True) -> Holder | None:
    """Take the lock for ``holder``; return the other holder, or ``None`` when it is ours.

    ``ended`` is a holder that is known to be dead: its lock is taken over.
    """
    if not write:
        found = read_holder(path)
        return None if found is None or found.is_same_run(holder) else found
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold_flock(path.parent, attempt="take the lock", on=str(path), timeout=LOCK_WAIT):
        found = read_holder(path)
        if found is not None and not found.is_same_run(holder) and not (ended is not None and found.is_same_run(ended)):
            return found
        if found is None or not found.is_same_run(holder):
            write_atomic(path, json.dumps(asdict(holder), sort_keys=True).encode())
    return None


def drop_lock(path: Path, holder: Holder) -> None:
    """Release the lock if it is ours."""
    if not path.exists():
        return
    with hold_flock(path.parent, attempt="drop the lock", on=str(path), timeout=LOCK_WAIT):
        found = read_holder(path)
        if found is not None and found.is_same_run(holder):
            path.unlink()


def _read_boot() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid")
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {namespace}"
    except OSError:
        return "unknown"


def _read_process_start(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = stat.rpartition(")")[2].split()
    return None if after_name[0] == "Z" else int(after_name[19])
