# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a task failed, in the words that are meant for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: So many lines of a program's output are shown; the cause is among the last.
TAIL = 20
#: What may be seen of the variables of a command line. Others may be secrets.
PLAIN = re.compile(r"@.+|(version|distro|stack|from_tag|phase|drain|resume)=\S*|\{\"version\": \"[^\"]*\"\}")
VARIABLES = ("-e", "--extra-vars")
#: What another host's role would have found out, such as its public key: how Ansible says that it did not.
FACT = re.compile(r"'HostVarsVars' has no attribute '(?P<name>(?P<role>coordinator|build_host|apt_archive)_\w+)'")
GROUPS = {"coordinator": "coordinator", "build_host": "build_hosts", "apt_archive": "apt_archives"}


class Found(NamedTuple):
    """What a failed task says."""

    reason: str
    log: str


def read_failure(result: Mapping[str, Any], *, ours: bool, item: object = None, where: str = "") -> Found:
    """The reason that a task returned, and where the log is.

    A module of ours (``ours``) says all in its message. Of others a program's output is part of it, and where the task
    is (``where``), unless what it says was written for this task.
    """
    message = str(result.get("msg") or result.get("censored") or "no reason was given").strip()
    lines = [f"{item}: {message}" if item is not None else message]
    if fact := FACT.search(message):
        group = GROUPS[fact["role"]]
        limits = f"--limit {group},THIS_HOST, or leave out --tags, which pass over what finds it"
        lines.append(f"{fact['name']} is known when {group} takes part: name it too, as in {limits}")
    if not ours:
        lines += _list_more(result)
        written_for_it = "assertion" in result or set(result) <= {"msg", "changed", "_ansible_no_log", "exception"}
        if where and not written_for_it:
            lines.append(f"The task is in {where}")
    return Found("\n".join(lines), str(result.get("log") or "") if ours else "")


def _list_more(result: Mapping[str, Any]) -> Iterator[str]:
    if result.get("msg") == "Assertion failed" and result.get("assertion"):
        yield f"{result['assertion']} is not true"
    command = result.get("cmd")
    if command:
        words = command if isinstance(command, str) else " ".join(map(str, command))
        yield f"command: {words} (status {result.get('rc')})"
    for name in ("stderr", "stdout", "module_stderr", "module_stdout"):
        text = str(result.get(name) or "").strip()
        if text:
            yield from text.splitlines()[-TAIL:]


def hide_values(words: Sequence[str]) -> list[str]:
    """A command line without the values of variables that may be secrets."""
    shown: list[str] = []
    for word in words:
        option, joined, value = word.partition("=")
        if shown and shown[-1] in VARIABLES:
            shown.append(word if PLAIN.fullmatch(word) else "...")
        elif option in VARIABLES and joined:
            shown.append(word if PLAIN.fullmatch(value) else f"{option}=...")
        else:
            shown.append(word)
    return shown
