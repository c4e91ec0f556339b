# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian packages that a host lacks, installed when no other apt is at work.

A machine that is new runs apt by itself for minutes. apt waits for dpkg's lock at most, and gives up at once where its
lists or its archives are locked; so it is called again until it gets through, and whom it waits for is told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import SlipwayError
from ..process import run, summarise_output
from ..progress import Progress

#: Seconds that apt may take when nobody is in its way, and between two calls when somebody is.
TIMEOUT, INTERVAL = 3600.0, 1.0
#: Whoever is in the way is told of again after this many seconds.
REMINDER = 10.0
#: A file of settings that somebody changed stays as it is.
APT = (
    *("apt-get", "-q", "-y", "--no-install-recommends"),
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
)
LOCKED = re.compile(
    r"^(?:E|Error): Could not get lock (?P<lock>\S+?)\.?(?: |$)(?:.*held by process (?P<process>\d+))?", re.MULTILINE
)
CANDIDATE = re.compile(r"^(?P<package>\S+):\n.*\n  Candidate: (?P<version>.*)$", re.MULTILINE)


def find_missing(names: Sequence[str]) -> list[str]:
    """Which of the packages are not installed, in their order."""
    if not names:
        return []
    words = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\\n", *names]
    listed = run(words, attempt="query the packages of", on="this machine", ok_codes=(0, 1)).stdout
    installed = {line.partition(" ")[2] for line in listed.splitlines() if line.startswith("installed ")}
    return [name for name in dict.fromkeys(names) if name not in installed]


def install_packages(
    names: Sequence[str],
    *,
    timeout: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Install packages, after at most ``timeout`` seconds for which others are in the way."""
    deadline = clock() + timeout

    def wait(holder: str) -> None:
        if clock() >= deadline:
            raise SlipwayError(
                f"install {', '.join(names)} on",
                "this machine",
                f"another apt was at work for {timeout:.0f} s: {holder}",
                do_next="Check what that process does, and run again.",
            )
        sleep(INTERVAL)

    _run_when_free(["update"], names, wait=wait, progress=progress, limit=timeout, clock=clock)
    if absent := _find_unknown(names):
        raise SlipwayError(
            f"install {', '.join(absent)} on",
            "this machine",
            "no source of its apt has that",
            do_next="Check the sources of apt: Debian 12 or 13, main.",
        )
    progress.report(f"installing {', '.join(names)}")
    _run_when_free(["install", *names], names, wait=wait, progress=progress, limit=timeout, clock=clock)
    if left := find_missing(names):
        raise SlipwayError(
            f"install {', '.join(left)} on",
            "this machine",
            "apt succeeded, but they are not installed",
            do_next="Name packages as dpkg lists them.",
        )


def _run_when_free(
    words: Sequence[str],
    names: Sequence[str],
    *,
    wait: Callable[[str], None],
    progress: Progress,
    limit: float,
    clock: Callable[[], float],
) -> None:
    told, told_at = "", clock()
    while True:
        done = run(
            [*APT, *words],
            attempt=f"install {', '.join(names)} on",
            on="this machine",
            env={"DEBIAN_FRONTEND": "noninteractive"},
            timeout=TIMEOUT,
            ok_codes=(0, 100),
        )
        if done.returncode == 0:
            return
        match = LOCKED.search(done.stderr)
        if match is None:
            raise SlipwayError(
                f"install {', '.join(names)} on",
                "this machine",
                f"apt-get {words[0]} failed: {summarise_output(done.stderr or done.stdout)}",
                do_next="Read what apt says, and run again.",
            )
        holder = _describe_holder(match["lock"], match["process"])
        if holder != told or clock() - told_at >= REMINDER:
            progress.report(f"waiting, for at most {limit:.0f} s, for {holder}")
            told, told_at = holder, clock()
        wait(holder)


def _describe_holder(lock: str, process: str | None) -> str:
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        command = ""
    return f"{lock}, which process {process or 'unknown'} holds ({command[:100] or 'it cannot be seen'})"


def _find_unknown(names: Sequence[str]) -> list[str]:
    """Which of the packages no source has."""
    said = run(["apt-cache", "policy", *names], attempt="look for packages of", on="this machine").stdout
    found = {match["package"]: match["version"] for match in CANDIDATE.finditer(said)}
    return [name for name in names if found.get(name, "(none)") == "(none)"]
