# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which architectures a machine can build for: its own, and those whose programs qemu-user runs."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..process import run, summarise_output

BINFMT = Path("/proc/sys/fs/binfmt_misc")
#: What systemd tells the kernel of interpreters, from Debian 13 on; before, the package binfmt-support does.
SYSTEMD = Path("/usr/lib/systemd/systemd-binfmt")
RULES = Path("/usr/lib/binfmt.d")
#: Baserock's names of architectures by what a machine calls itself.
NATIVE = {
    "x86_64": ("x86_64", "x86_32"),
    "i686": ("x86_32",),
    "aarch64": ("armv8l64",),
    "armv7l": ("armv7lhf", "armv7l", "armv5l"),
    "ppc64": ("ppc64",),
}
QEMU = {"armv5l": "qemu-arm", "armv7l": "qemu-arm", "armv7lhf": "qemu-arm", "armv8l64": "qemu-aarch64"}


@dataclass(frozen=True)
class Offer:
    """Whether a machine can build for an architecture; if not, why."""

    architecture: str
    offered: bool
    why: str = ""


def list_offers(wanted: Sequence[str], *, machine: str | None = None, binfmt: Path = BINFMT) -> list[Offer]:
    """Whether this machine can build for each of the ``wanted`` architectures."""
    return [
        Offer(each, offered=True) if each in _list_native(machine) else _check_emulated(each, binfmt=binfmt)
        for each in wanted
    ]


def enable_emulation(
    wanted: Sequence[str],
    *,
    machine: str | None = None,
    binfmt: Path = BINFMT,
    enable: Callable[[str, Path], str] | None = None,
) -> tuple[list[str], list[str]]:
    """Enable the interpreters that ``wanted`` architectures need; return the enabled ones, and why others are not."""
    enabled, refusals = [], []
    for interpreter in sorted({QEMU[each] for each in wanted if each in QEMU and each not in _list_native(machine)}):
        if fault := find_fault(interpreter, binfmt):
            refusal = (enable or enable_as_root)(interpreter, binfmt)
            if refusal or find_fault(interpreter, binfmt):
                refusals.append(f"{fault}; {refusal}" if refusal else fault)
            else:
                enabled.append(interpreter)
    return enabled, refusals


def _list_native(machine: str | None) -> tuple[str, ...]:
    return NATIVE.get(machine or platform.machine(), ())


def find_fault(interpreter: str, binfmt: Path = BINFMT) -> str:
    """Why the kernel does not start an interpreter everywhere by itself; empty when it does."""
    try:
        lines = (binfmt / interpreter).read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"the kernel has no binfmt_misc entry {interpreter}"
    flags = next((line.partition(":")[2].strip() for line in lines if line.startswith("flags:")), "")
    if not lines or lines[0] != "enabled":
        return f"the binfmt_misc entry {interpreter} is disabled"
    if "F" not in flags:
        return f"the binfmt_misc entry {interpreter} lacks the flag F, without which it does not work in a sandbox"
    return ""


def enable_as_root(interpreter: str, binfmt: Path = BINFMT) -> str:
    """Mount binfmt_misc if needed, and register an installed qemu; return why that failed, or nothing."""
    if os.geteuid() != 0:
        return "only root can enable it"
    if not (binfmt / "register").exists():
        _try_command(["mount", "-t", "binfmt_misc", "binfmt_misc", str(binfmt)])
    if find_fault(interpreter, binfmt):
        complaint = _try_command(format_command(interpreter))
        return complaint if find_fault(interpreter, binfmt) else ""
    return ""


def format_command(interpreter: str, *, rules: Path = RULES) -> list[str]:
    """The command that registers an interpreter, as the release of Debian has it."""
    rule = f"{interpreter}.conf"
    return [str(SYSTEMD), rule] if (rules / rule).exists() else ["update-binfmts", "--enable", interpreter]


def _check_emulated(architecture: str, *, binfmt: Path) -> Offer:
    if architecture not in QEMU:
        return Offer(architecture, offered=False, why="neither the machine nor a known qemu runs its programs")
    fault = find_fault(QEMU[architecture], binfmt)
    return Offer(architecture, offered=not fault, why=fault)


def _try_command(words: Sequence[str]) -> str:
    try:
        done = run(words, attempt="enable", on="binfmt_misc", timeout=60, ok_codes=range(-64, 256))
    except SlipwayError as error:
        return str(error)
    return summarise_output(done.stderr or done.stdout) if done.returncode else ""
