# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system says when it is up, what it is asked then, and what is wrong with one that says nothing."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import count_of
from .console import MOST_BYTES, Console, ConsoleEndedError, ConsoleFloodedError

#: What a system prints on a line of its console once all of its units were started.
REPORT = re.compile(r"boot-report: id=(?P<id>[^\s=]+) version=(?P<version>[^\s=]+) failed=(?P<failed>[^\s=]+)[ \t]*\n")
#: Seconds between two tries to get an answer from a shell that may not listen yet, and for all of them.
ASK_AGAIN, ASK_LONGEST = 2.0, 30.0
#: What a terminal takes as one line, less what is put around a command.
LONGEST_COMMAND = 2000
#: Less urgent words of the kernel would get between what commands say.
QUIET = "echo 1 2>/dev/null >/proc/sys/kernel/printk"
PANIC = re.compile(r"Kernel panic - not syncing: ([^\n]*)\n")
#: What a boot loader says of what it could not start, perhaps long before it gives up.
TRIED = re.compile(
    r"^(?:Skipping [^\n]* for failure [^\n]*|Error loading [^\n]*|error: [^\n]*|BdsDxe: failed to [^\n]*)", re.MULTILINE
)
AT_PROMPT = "it stopped at the prompt of the boot loader"
#: What ends a boot for good, with what it means.
FATAL = (
    (PANIC, "the kernel panicked: {}"),
    (re.compile(r"BdsDxe: No bootable option or device was found"), "the firmware found nothing that it can boot"),
    (
        re.compile(r"^initramfs: ([^\n]*)\ninitramfs: this is a shell", re.MULTILINE),
        "its initramfs stopped in a shell: {}",
    ),
    (re.compile(r"You are in emergency mode"), "it stopped in an emergency shell"),
    (re.compile(r"^\(initramfs\) \Z", re.MULTILINE), "it stopped in an emergency shell"),
    (
        re.compile(r"^([^\n]+)\n\s*^(?:(?:grub rescue|grub|Shell)> ?|=> ?)\Z", re.MULTILINE),
        f"{AT_PROMPT}, after {{!r}}",
    ),
    # With a line before it that says what is wrong, since it may also ask for some seconds before it goes on.
    (
        re.compile(r"^([^\n]*(?:failed: |No DEFAULT)[^\n]*)\n\s*^boot: ?\Z", re.MULTILINE),
        f"{AT_PROMPT}, after {{!r}}",
    ),
)
#: Seconds for which nothing follows what looks like a prompt, if it is one and not the beginning of a line.
PROMPT_LASTS = 5.0
#: Anything that is said, of which nothing is taken away.
MORE = re.compile(r"(?=\S)")
#: Blanks, and what is no text in UTF-8 as firmware draws with it.
DRAWN = re.compile(r"[\s\ufffd\u2500-\u259f]+")
#: How far a boot came.
KERNEL_RUNS = re.compile(r"^\[ *\d+\.\d{6}\]|Linux version \d|Booting Linux on physical CPU", re.MULTILINE)
INIT_RUNS = re.compile(r"Run \S+ as init process|systemd\[1\]|Freeing unused kernel")


@dataclass(frozen=True)
class Report:
    """What a system said of itself; ``failed`` are its units that failed."""

    id: str
    version: str
    failed: tuple[str, ...]

    def find_faults(self, *, version: str, ids: Sequence[str]) -> list[str]:
        """How it is not the system that was expected; ``ids`` may be empty, if that is not known."""
        found = []
        if self.version != version:
            found.append(f"it reports the version {self.version}, and not {version}")
        if ids and self.id not in ids:
            found.append(f"it reports that it is {self.id}, and not {' or '.join(ids)}")
        if self.failed:
            found.append(f"{count_of(len(self.failed), 'unit')} failed: {', '.join(self.failed)}")
        return found


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit status."""

    text: str
    status: int


class BootFailedError(Exception):
    """A system did not do what it should; the message completes "the system ...; what was seen: ..."."""


def await_report(console: Console, limit: float) -> Report:
    """Wait for the report of a system that was started."""
    fatal = "|".join(f"(?:{pattern.pattern})" for pattern, _said in FATAL)
    either = re.compile(f"{REPORT.pattern}|(?P<fatal>{fatal})", re.MULTILINE)
    deadline = time.monotonic() + limit
    try:
        found = console.wait_for(either, limit)
        while found is not None and _is_prompt(found, console):
            if console.wait_for(MORE, PROMPT_LASTS) is None:
                break
            found = console.wait_for(either, max(0.0, deadline - time.monotonic()))
    except ConsoleFloodedError as error:
        whole = console.text.rpartition("\n")[0]
        raise BootFailedError(
            f"it printed {MOST_BYTES >> 20} MiB without a report; the last was {_quote_last(whole or console.text)}"
        ) from error
    except ConsoleEndedError as ended:
        raise BootFailedError(_explain_end(ended, console.text)) from ended
    if found is None:
        raise BootFailedError(f"there was no report within {limit:.0f} s: {_explain_silence(console.text)}")
    if found["fatal"] is not None:
        raise BootFailedError(_explain_fatal(found["fatal"], found.string))
    failed = () if found["failed"] == "none" else tuple(found["failed"].split(","))
    return Report(found["id"], found["version"], failed)


def _is_prompt(found: re.Match[str], console: Console) -> bool:
    """Whether it was found at the end of what was said, where more of the same line may follow."""
    return found["fatal"] is not None and not console.text and not found["fatal"].endswith("\n")


def _explain_fatal(text: str, whole: str) -> str:
    said = _find_fatal(text) or text
    tried = TRIED.findall(whole)
    return f"{said}, and {_shorten(tried[-1])!r}" if tried and AT_PROMPT in said else said


def _find_fatal(text: str) -> str:
    for pattern, said in FATAL:
        if found := pattern.search(text):
            return said.format(*(_shorten(each) for each in found.groups()))
    return ""


def _explain_end(ended: ConsoleEndedError, text: str) -> str:
    if ended.status:
        how = f"signal {ended.status - 128}" if ended.status > 128 else f"status {ended.status}"
        return f"qemu ended with {how}: {ended.words or 'it did not say why'}"
    if fatal := _find_fatal(text):
        return fatal
    return f"it restarted or went off before it reported; the last that it said was {_quote_last(text)}"


def _explain_silence(text: str) -> str:
    if not text.strip():
        return "it said nothing at all on its serial console, so it did not boot, or has no console= there"
    if INIT_RUNS.search(text):
        return f"the kernel started its first program, which did not get there; the last was {_quote_last(text)}"
    if KERNEL_RUNS.search(text):
        return f"the kernel runs, but has started no program; the last was {_quote_last(text)}"
    return f"it hangs in the firmware or the boot loader; the last was {_quote_last(text)}"


def _find_panic(text: str) -> str:
    found = PANIC.search(text)
    return f", and the kernel panicked: {_shorten(found[1])}" if found else ""


def _quote_last(text: str) -> str:
    lines = [line for line in text.split("\n") if _shorten(line)]
    return repr(_shorten(lines[-1])) if lines else "nothing"


def _shorten(line: str) -> str:
    """Its end, without what draws boxes around menus."""
    return DRAWN.sub(" ", line).strip()[-160:].lstrip()


class Shell:
    """A shell on a console, which answers with what it was not told: what a terminal echoes is no answer."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._nonce = secrets.token_hex(8)
        self._count = 0

    def find(self, limit: float = ASK_LONGEST) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + limit
        ready = re.compile(f"{self._nonce}-ready\n")
        while time.monotonic() < deadline:
            self._console.send(f"\n{QUIET}; printf '\\n%s-%s\\n' {self._nonce} ready\n")
            if self._wait(ready, ASK_AGAIN, "look for a shell") is not None:
                return
        raise BootFailedError(
            f"no shell answered on its console within {limit:.0f} s; the last was "
            f"{_quote_last(self._console.text)}{_find_panic(self._console.text)}"
        )

    def run(self, command: str, limit: float) -> Answer:
        """What a command says and how it ends."""
        self._count += 1
        mark = f"{self._nonce}{self._count}"
        around = re.compile(rf"{mark}-begin\n(?P<said>.*?)\n?{mark}-end:(?P<status>\d+)\n", re.DOTALL)
        self._console.send(
            f"printf '\\n%s-%s\\n' {mark} begin; sh -c {shlex.quote(command)} </dev/null 2>&1; "
            f"printf '\\n%s-%s:%d\\n' {mark} end $?\n"
        )
        found = self._wait(around, limit, f"run {command!r}")
        if found is None:
            panic = _find_panic(self._console.text)
            raise BootFailedError(f"the command {command!r} did not end within {limit:.0f} s{panic}")
        return Answer(found["said"].rstrip("\n"), int(found["status"]))

    def type(self, command: str) -> None:
        """Type a command that does not come back."""
        self._console.send(f"{command}\n")

    def _wait(self, pattern: re.Pattern[str], seconds: float, what: str) -> re.Match[str] | None:
        try:
            return self._console.wait_for(pattern, seconds)
        except ConsoleFloodedError as error:
            raise BootFailedError(f"it printed without end when it was to {what}") from error
        except ConsoleEndedError as ended:
            raise BootFailedError(f"when it was to {what}, {_explain_end(ended, self._console.text)}") from ended


def find_command_fault(command: object) -> str | None:
    """What is wrong with a command that is to be typed; ``None`` for a good one."""
    if not isinstance(command, str) or not command.strip():
        return f"{command!r} is no command"
    if not command.isprintable():
        return f"the command {command!r} has more than one line, or characters that are not printable"
    if len(command) > LONGEST_COMMAND:
        return f"the command {command[:40]!r}... is longer than {LONGEST_COMMAND} characters"
    return None
