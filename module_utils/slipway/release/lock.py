# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of a state directory: one release at a time, whose process is named in a file.

A run consists of many short processes on the coordinator, so no process of it could hold a kernel lock.
The file names the ``ansible-playbook`` process by boot, PID namespace, process id and start time; in that same
namespace anybody can see whether it still lives. From elsewhere nobody can: there the lock is a lease, which the
run renews by the file's modification time, and which ends when it was not renewed for so long.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import make_directory, write_atomic
from ..locks import hold_flock

LOCK_WAIT = 10.0
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Holder:
    """A run of ``ansible-playbook``: ``what`` it releases, where the process is, and how many seconds a lease is.

    ``mark`` is found in the lock of this run and in no other's.
    """

    what: str
    host: str
    machine: str
    boot: str
    namespace: str
    pid: int
    process_start: int
    since: str
    lease: float
    mark: str

    @classmethod
    def of_process(cls, what: str, pid: int, *, lease: float) -> Holder:
        """The holder for process ``pid``, as this process sees it."""
        return cls(
            what=what,
            host=socket.gethostname(),
            machine=_read_machine(),
            boot=_read_boot(),
            namespace=_read_namespace(),
            pid=pid,
            process_start=_read_process_start(pid) or 0,
            since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            lease=lease,
            mark=secrets.token_hex(8),
        )

    def is_same_run(self, other: Holder) -> bool:
        """Whether both mean the same process."""
        mine, theirs = asdict(self), asdict(other)
        return all(mine[name] == theirs[name] for name in ("host", "boot", "namespace", "pid", "process_start"))

    def is_alive(self) -> bool | None:
        """Whether the process lives; ``None`` where this process cannot know it."""
        if UNKNOWN in (self.boot, self.namespace, _read_boot()):
            return None
        if self.boot != _read_boot():  # it has ended if this machine was started again since, and may live if elsewhere
            known = self.machine != UNKNOWN and (self.host, self.machine) == (socket.gethostname(), _read_machine())
            return False if known else None
        return self.is_still_here() if self.namespace == _read_namespace() else None

    def is_still_here(self) -> bool | None:
        """Whether the process lives, where this process is certainly in the same PID namespace."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is there, and somebody else's
        start = _read_process_start(self.pid)
        return None if start is None or not self.process_start else start == self.process_start

    def __str__(self) -> str:
        """Name the run for people."""
        return f"{self.what}, process {self.pid} on {self.host} since {self.since}"


@dataclass(frozen=True)
class Held:
    """A lock as it was found: its holder, when it was renewed (nanoseconds), and the seconds until its lease ends."""

    holder: Holder
    renewed: int
    left: float

    def is_over(self) -> bool:
        """Whether the holder's process has ended, or cannot be looked at from here and has not renewed its lease."""
        alive = self.holder.is_alive()
        return self.left <= 0 if alive is None else not alive

    def is_same(self, other: Held) -> bool:
        """Whether nothing happened to the lock between the two looks."""
        return self.holder == other.holder and self.renewed == other.renewed

    def explain(self) -> str:
        """Who holds it, what is known of that run, and what to do, for people."""
        if self.holder.is_alive():
            return f"another release is running ({self.holder}). Wait for its end and run again."
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.left))
        return (
            f"another release may be running ({self.holder}). It cannot be seen from here, because it is on another "
            "machine, or in another PID namespace. It renewed its lock "
            f"{self.holder.lease - self.left:.0f} s ago; its lease ends at {end}, unless it renews it until then. "
            "Wait for its end, or if it is gone for that time, and run again; "
            f"release_lock_wait={self.left + 30:.0f} does so."
        )


def read_held(value: Mapping[str, Any] | None) -> Held | None:
    """The lock that ``asdict`` made plain values of."""
    return None if value is None else Held(**{**value, "holder": Holder(**value["holder"])})


def read_lock(path: Path) -> Held | None:
    """The lock as it is; ``None`` if nobody holds it."""
    try:
        holder = Holder(**json.loads(path.read_text(encoding="utf-8")))
        renewed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SlipwayError(
            "read the lock",
            str(path),
            f"it is damaged, or of another version ({error})",
            do_next="Make sure that no release is running, remove it and run again.",
        ) from error
    return Held(holder, renewed, min(holder.lease, renewed / 1e9 + holder.lease - time.time()))


def take_lock(path: Path, holder: Holder, *, over: Held | None = None, write: bool = True) -> Held | None:
    """Take the lock for ``holder``; return it as another one holds it, or ``None`` when it is ours.

    ``over`` is a lock whose run is over: it is taken, unless something happened to it since.
    """
    if not write:
        found = read_lock(path)
        return None if found is None or found.holder.is_same_run(holder) else found
    make_directory(path.parent)
    with hold_flock(path.parent, attempt="take the lock", on=str(path), timeout=LOCK_WAIT):
        found = read_lock(path)
        if found is not None and found.holder.is_same_run(holder):
            return None
        if found is not None and not (over is not None and found.is_same(over)):
            return found
        write_atomic(path, json.dumps(asdict(holder), sort_keys=True).encode())
    return None


def drop_lock(path: Path, holder: Holder) -> None:
    """Release the lock if it is ours."""
    if not path.exists():
        return
    with hold_flock(path.parent, attempt="drop the lock", on=str(path), timeout=LOCK_WAIT):
        found = read_lock(path)
        if found is not None and found.holder.is_same_run(holder):
            path.unlink()


def format_renewal(path: str, holder: Holder) -> str:
    """A shell command that renews the lease of ``holder``; it fails when the lock is there no more, or another's."""
    quoted = shlex.quote(path)
    return f"grep -qF {shlex.quote(holder.mark)} -- {quoted} && touch -c -- {quoted}"


def _read_machine() -> str:
    """The machine, by what its installation is told from others by; a container has none or one of its own."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip() or UNKNOWN
    except (OSError, ValueError):
        return UNKNOWN


def _read_boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return UNKNOWN


def _read_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return UNKNOWN


def _read_process_start(pid: int) -> int | None:
    """When a process started; ``None`` if it cannot be seen, 0 if it has ended and nobody took its status."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return None  # this /proc shows another PID namespace
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = stat.rpartition(")")[2].split()
    return 0 if after_name[0] in "ZX" else int(after_name[19])
