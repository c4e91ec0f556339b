# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gates for which systems are started: boot, with smoke commands, and upgrade from the release before."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..boot.console import Console, ConsoleEndedError, ConsoleFloodedError, Log, open_console
from ..boot.machines import FORMATS, KERNEL, Disk, Start, make_command
from ..boot.shell import BootFailedError, Report, Shell, await_report
from ..policy.gates import BootGate, UpgradeGate
from .checks import Check

#: Where a running system tells what listens.
SOCKETS = ("tcp", "tcp6", "udp", "udp6")
#: How the kernel calls a socket that waits for others: TCP's LISTEN, and UDP's without a peer.
LISTENS = {"tcp": "0A", "udp": "07"}
#: The addresses 127.x.x.x, also as IPv6 has them, and ::1, as the kernel writes them.
LOCAL = re.compile(r"(?:0000000000000000FFFF0000)?[0-9A-F]{6}7F|0{24}01000000")
#: Seconds until a system that was told to restart is off.
RESTARTS = 60


@dataclass
class Outcome:
    """What came of a check: ``fault`` is empty if it was passed."""

    fault: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """Where a check is made: a scratch directory of its own, its log, the seconds that are left, and who is told."""

    scratch: Path
    log: Log
    left: Callable[[], float]
    tell: Callable[[str], None]

    def open(self, start: Start, check: Check) -> AbstractContextManager[Console]:
        """Start a computer."""
        return open_console(make_command(start, self.scratch), log=self.log, on=check.title, on_line=self.tell)


def boot(
    check: Check, files: Mapping[str, Path], types: Mapping[str, str], bench: Bench, *, listening: bool
) -> Outcome:
    """Start a system from its files, hear its report, and type what it is to be asked."""
    gate: BootGate = check.settings
    if check.way == KERNEL:
        start = Start(
            check.architecture,
            KERNEL,
            gate.memory,
            kernel=files["kernel"],
            initramfs=files["initramfs"],
            command_line=gate.append,
        )
    else:
        disk = Disk(files["image"], FORMATS[types["image"]])
        start = Start(check.architecture, check.way, gate.memory, disks=(disk,))
    outcome = Outcome()
    try:
        with bench.open(start, check) as console:
            report = _await(console, gate.limit, bench, outcome)
            _refuse(report.find_faults(version=check.version, ids=check.ids))
            if gate.smoke or listening:
                shell = Shell(console)
                shell.find()
                for smoke in gate.smoke:
                    _try(
                        shell, smoke.run, expect=smoke.expect, status=smoke.status, limit=min(smoke.limit, bench.left())
                    )
                outcome.facts["smoke"] = len(gate.smoke)
                if listening:
                    outcome.facts["listening"] = list_listening(shell)
    except BootFailedError as error:
        outcome.fault = str(error)
    return outcome


def upgrade(check: Check, disks: tuple[Disk, Disk], old_version: str, bench: Bench) -> Outcome:
    """Start the release before from its disk, the first, have it upgraded to the second, and start that."""
    gate: UpgradeGate = check.settings
    outcome = Outcome()
    mine = bench.scratch / "upgraded"
    shutil.copyfile(disks[0].path, mine)
    old = Disk(mine, disks[0].format, kept=True)
    start = Start(check.architecture, check.way, gate.memory, disks=(old, disks[1]))
    kept = secrets.token_hex(16)
    try:
        with bench.open(start, check) as console:
            report = _await(console, gate.limit, bench, outcome)
            if report.version != old_version:
                raise BootFailedError(
                    f"before the upgrade it reports the version {report.version}, and not {old_version}"
                )
            shell = Shell(console)
            shell.find()
            if gate.keeps:
                _try(shell, f"mkdir -p {gate.keeps.rpartition('/')[0] or '/'} && echo {kept} > {gate.keeps} && sync")
            if gate.restart:
                _try(shell, gate.run, limit=min(gate.limit, bench.left()))
            shell.type(gate.restart or gate.run)
            _await_end(console, RESTARTS if gate.restart else min(gate.limit, bench.left()))
        bench.log.write("\n[... the machine is started again ...]\n")
        alone = Start(check.architecture, check.way, gate.memory, disks=(old,))
        with bench.open(alone, check) as console:
            report = _await(console, gate.limit, bench, outcome)
            _refuse(
                [f"after the upgrade, {fault}" for fault in report.find_faults(version=check.version, ids=check.ids)]
            )
            if gate.keeps:
                shell = Shell(console)
                shell.find()
                _try(
                    shell,
                    f"cat {gate.keeps}",
                    expect=kept,
                    what=f"the file {gate.keeps} of before the upgrade is lost: ",
                )
    except BootFailedError as error:
        outcome.fault = str(error)
    return outcome


def _await(console: Console, limit: float, bench: Bench, outcome: Outcome) -> Report:
    left = bench.left()
    if left <= 0:
        raise BootFailedError("the time of the whole gate is over (release_gate_timeout)")
    begun = time.monotonic()
    report = await_report(console, min(limit, left))
    outcome.facts.setdefault("report", []).append(
        {
            "id": report.id,
            "version": report.version,
            "failed": list(report.failed),
            "seconds": round(time.monotonic() - begun, 1),
        }
    )
    return report


def _await_end(console: Console, seconds: float) -> None:
    try:
        if console.wait_for_end(seconds):
            return
    except ConsoleEndedError as ended:
        raise BootFailedError(f"qemu ended with status {ended.status}: {ended.words}") from ended
    except ConsoleFloodedError as error:
        raise BootFailedError("it printed without end when it was to restart") from error
    raise BootFailedError(f"it did not restart within {seconds:.0f} s")


def _refuse(faults: list[str]) -> None:
    if faults:
        raise BootFailedError("; ".join(faults))


def _try(shell: Shell, command: str, *, expect: str = "", status: int = 0, limit: float = 60.0, what: str = "") -> None:
    answer = shell.run(command, max(1.0, limit))
    said = repr(answer.text[-200:]) if answer.text else "nothing"
    if answer.status != status:
        raise BootFailedError(f"{what}{command!r} ended with status {answer.status}, not {status}, and said {said}")
    if expect not in answer.text:
        raise BootFailedError(f"{what}{command!r} was to say {expect!r}, and said {said}")


def list_listening(shell: Shell) -> list[str]:
    """What listens in a running system, such as ``tcp 22`` and ``udp 127.0.0.1:53``."""
    found = set()
    for table in SOCKETS:
        answer = shell.run(f"cat /proc/net/{table} 2>/dev/null || true", 30)
        found |= read_sockets(table, answer.text)
    return sorted(found)


def read_sockets(table: str, text: str) -> set[str]:
    """The sockets that wait for others in one of the kernel's tables; those of this machine alone say so."""
    kind = table.removesuffix("6")
    found = set()
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) < 4 or not fields[0].endswith(":") or fields[3] != LISTENS[kind]:
            continue
        address, _colon, port = fields[1].rpartition(":")
        local = LOCAL.fullmatch(address) is not None
        found.add(f"{kind} {int(port, 16)}{' (local)' if local else ''}")
    return found
