# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command with which somebody releases who may do nothing else: ``release X.Y``.

A release is a service of the machine. It goes on when a connection breaks, and can be watched by everybody.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import write_atomic
from ..locks import hold_flock
from ..process import run
from .machine import CHECKOUT, make_environment

UNIT = "slipway-release.service"
REQUEST = Path("/run/slipway/request.json")
LOG = Path("/var/log/slipway/release.log")
#: Where in the log the last release begins.
BEGINS = Path("/run/slipway/begins")
#: What may be said of a release. Variables are no part of it: they decide what is run, and so who can read the keys.
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.~+_-]{0,63}\Z")
LIST = re.compile(r"[a-z0-9][a-z0-9_-]*(,[a-z0-9][a-z0-9_-]*)*\Z")
POLL, LOCK_WAIT = 1.0, 180.0
READ_BYTES = 1 << 16
NAME = "release"


@dataclass(frozen=True)
class Request:
    """What is to be released, and who said so."""

    version: str
    check: bool = False
    tags: str = ""
    products: str = ""
    person: str = ""

    def make_words(self) -> list[str]:
        """Ansible's command."""
        variables: dict[str, Any] = {"version": self.version}
        variables |= {"products": self.products} if self.products else {}
        # Who approves must be somebody else, where a policy asks for that.
        variables |= {"release_approval_releaser": [self.person]} if self.person else {}
        words = ["ansible-playbook", "release.yml", "-e", json.dumps(variables)]
        words += ["--tags", self.tags] if self.tags else []
        return words + (["--check", "--diff"] if self.check else [])

    def format_command(self) -> str:
        """What was typed."""
        words = [NAME, self.version, *(["--check"] if self.check else [])]
        words += ["--tags", self.tags] if self.tags else []
        return " ".join([*words, *(["--products", self.products] if self.products else [])])


def read_arguments(words: Sequence[str], *, person: str) -> Request | None:
    """The request that the command line makes; ``None`` if it is only to be watched."""
    parser = argparse.ArgumentParser(prog=NAME, description="Release a version, or go on with it.")
    parser.add_argument("version", nargs="?", help="such as 26.47")
    parser.add_argument("--check", action="store_true", help="change nothing, and say what would be done")
    parser.add_argument("--tags", default="", help="only these stages, such as publish")
    parser.add_argument("--products", default="", help="only these products")
    parser.add_argument("--watch", action="store_true", help="show the release that runs, until its end")
    given = parser.parse_args(words)
    if given.watch:
        return None
    for name, value, allowed in (
        ("version", given.version or "", VERSION),
        ("--tags", given.tags or "all", LIST),
        ("--products", given.products or "all", LIST),
    ):
        if not allowed.match(value):
            raise SlipwayError(
                "release",
                given.version or "nothing",
                f"{name} is {value!r}" if value else f"no {name} is given",
                do_next=f"Say for example: {NAME} 26.47 --check",
            )
    return Request(given.version, given.check, given.tags, given.products, person)


def start(request: Request) -> int:
    """Have the service begin, as root; returns where in the log it does."""
    # Of two people at the same moment one is refused, and the request is the one's that is served.
    with hold_flock(REQUEST.parent, attempt="release", on=request.version, timeout=LOCK_WAIT):
        return _start(request)


def _start(request: Request) -> int:
    if _query()["ActiveState"] not in ("inactive", "failed"):
        running = json.loads(REQUEST.read_text(encoding="utf-8"))
        raise SlipwayError(
            "release",
            request.version,
            f"{running['person'] or 'root'} is releasing {running['version']} at this moment",
            do_next=f"Wait for its end: {NAME} --watch",
        )
    begins = LOG.stat().st_size if LOG.exists() else 0
    write_atomic(REQUEST, json.dumps(vars(request)).encode())
    write_atomic(BEGINS, str(begins).encode())
    run(["systemctl", "start", UNIT], attempt="start", on=UNIT, timeout=120)
    return begins


def find_last() -> int:
    """Where in the log the last release begins, or runs; one must have begun since the machine was started."""
    try:
        return int(BEGINS.read_text(encoding="ascii"))
    except FileNotFoundError as error:
        do_next = f"Say for example: {NAME} 26.47 --check"
        raise SlipwayError(
            "show", "a release", "none has begun since this machine was started", do_next=do_next
        ) from error


def follow(write: Callable[[bytes], object], *, begins: int) -> int:
    """Pass on what the service writes, from a place in its log, until it ends; its exit status."""
    with LOG.open("rb") as log:
        log.seek(begins)
        while True:
            state = _query()
            while data := log.read(READ_BYTES):
                write(data)
            if state["ActiveState"] in ("inactive", "failed"):
                return int(state["ExecMainStatus"])
            time.sleep(POLL)


def execute() -> None:
    """Become Ansible, as the service that :func:`start` starts."""
    request = Request(**json.loads(REQUEST.read_text(encoding="utf-8")))
    os.chdir(CHECKOUT)
    environment = {**make_environment(), "SLIPWAY_COMMAND": request.format_command(), "LC_ALL": "C.UTF-8"}
    words = request.make_words()
    # What is run and its environment are ours; only a version, stages and products come from outside.
    os.execvpe(words[0], words, environment)  # noqa: S606


def _query() -> dict[str, str]:
    words = ["systemctl", "show", UNIT, "--property", "ActiveState,ExecMainStatus"]
    lines = run(words, attempt="ask for", on=UNIT, timeout=60).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
