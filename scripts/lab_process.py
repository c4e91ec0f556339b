"""Processes that go on after the command that started them, and are found again by who they are, not by name."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import write_atomic
from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run
from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for

#: The status of a program whose reader has gone, as shells have it.
UNREAD = 128 + signal.SIGPIPE
#: Programs and the Debian packages that have them.
PACKAGES = {
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
}

#: Seconds that something may take to end when it is asked to.
KINDLY = 10.0
#: Seconds that it may take when it is killed: what waits for the disk ends when the disk has answered.
BY_FORCE = 60.0


def require_programs(*names: str) -> None:
    """Refuse to begin where a program is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    if missing := [name for name in names if shutil.which(name) is None]:
        packages = sorted({PACKAGES[name] for name in missing})
        raise SlipwayError(
            "find",
            ", ".join(missing),
            "not installed",
            do_next=f"Install what debian-packages-lab.txt lists (apt-get install {' '.join(packages)}) and run again.",
        )


def start(argv: Sequence[str], *, record: Path, log: Path, env: Mapping[str, str] | None = None) -> None:
    """Start a process that outlives us, and write down which it is."""
    clean = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(env or {})}
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/", env=clean
        )
    what = {"pid": process.pid, "start": start_time(process.pid), "boot": _read_boot()}
    write_atomic(record, json.dumps(what).encode())


def find_running(record: Path) -> int | None:
    """The process that was written down, if it is still that one."""
    try:
        what = json.loads(record.read_text(encoding="utf-8"))
        pid, begun, boot = int(what["pid"]), what["start"], what["boot"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return pid if boot == _read_boot() and begun is not None and start_time(pid) == begun else None


def end(record: Path, *, what: str) -> None:
    """End the process that was written down, kindly and then by force, and forget it."""
    if (pid := find_running(record)) is not None:
        send(pid, signal.SIGTERM)
        try:
            wait_gone(record, what=what, timeout=KINDLY)
        except SlipwayError:
            send(pid, signal.SIGKILL)
            wait_gone(record, what=what, timeout=BY_FORCE)
    record.unlink(missing_ok=True)


def wait_gone(record: Path, *, what: str, timeout: float) -> None:
    """Wait until the process that was written down is gone."""
    wait_for(
        lambda: find_running(record),
        lambda pid: pid is None,
        lambda pid: pid is not None,
        attempt="end",
        on=what,
        timeout=timeout,
        interval=0.05,
        do_next=f"Its process is written down in {record}: see what it does.",
    )


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may have gone by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def start_time(pid: int) -> int | None:
    """When the process began, in ticks since the boot; ``None`` if there is none or only its corpse."""
    fields = _read_stat(pid)
    return None if not fields or fields[0] == "Z" else int(fields[19])


def list_children(pid: int) -> list[int]:
    """The children of a process."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in found if (fields := _read_stat(child)) and int(fields[1]) == pid]


def is_init(pid: int) -> bool:
    """Whether the process is PID 1 of a namespace right below ours: a host's own, not that of a sandbox on it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False
    inner = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return inner[1:] == ["1"]


def run_command(*argv: str, attempt: str, on: str, ok_codes: Sequence[int] = (0,), timeout: float = 60.0) -> str:
    """Run a short program and return what it says."""
    return run(argv, attempt=attempt, on=on, ok_codes=ok_codes, timeout=timeout).stdout


def _read_stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _read_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def end_unread() -> NoReturn:
    """End as programs do whose output nobody reads any more, as that of ``head``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(UNREAD)
