# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the Ansible that this process works for, to learn of its end.

Each of Ansible's workers has a session of its own. When a closed terminal (SIGHUP) or SIGKILL ends
``ansible-playbook``, its workers and the modules that they started go on, and nobody tells them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = frozenset({"ansible", "ansible-playbook", "ansible-pull", "ansible-console", "ansible-runner"})
PROC = Path("/proc")


def open_callers() -> list[int]:
    """A descriptor for each process of Ansible that this one descends from; it is readable once that has ended.

    Empty where none does, as on another host than Ansible's, and where the system does not offer this.
    """
    return [descriptor for process in _find_callers() for descriptor in _open_process(process)]


def open_terminal() -> int | None:
    """The terminal that ``ansible-playbook`` shows errors on, if it has one.

    On Ctrl-C it ends before a module has cancelled anything, and shows no more of what its workers say.
    """
    for process in _find_callers():
        with contextlib.suppress(OSError):
            descriptor = os.open(PROC / str(process) / "fd" / "2", os.O_WRONLY | os.O_NOCTTY)
            if os.isatty(descriptor):
                return descriptor
            os.close(descriptor)
    return None


def _find_callers() -> Iterator[int]:
    """Our nearest ancestors that are Ansible: a worker, and what started it. Their own ancestors do not matter."""
    process, found = os.getppid(), False
    while process > 1:
        if _is_ansible(process):
            found = True
            yield process
        elif found:
            return
        process = _find_parent(process)


def _is_ansible(process: int) -> bool:
    """Whether a process is one of Ansible's programs, run as it is or by Python, which may have options."""
    words = _read(process, "cmdline").decode("utf-8", "replace").split("\0")
    names = [os.path.basename(word) for word in words[:4]]
    return names[0] in PROGRAMS or (names[0].startswith("python") and not PROGRAMS.isdisjoint(names[1:]))


def _find_parent(process: int) -> int:
    # The name in parentheses can hold anything.
    fields = _read(process, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(process: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return (PROC / str(process) / name).read_bytes()
    return b""


def _open_process(process: int) -> list[int]:
    try:
        return [os.pidfd_open(process)]
    except (AttributeError, OSError):  # an old system; or it has ended, and who reads our result has, too
        return []
