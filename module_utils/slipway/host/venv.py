# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Python virtual environment with some packages in fixed versions."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import write_atomic
from ..process import run

NOTE = "slipway.json"
LOG = "slipway.log"
CONSTRAINTS = "constraints.txt"
DO_NEXT = "Check that this host reaches a package index or the given wheels, and run again."


@dataclass(frozen=True)
class Environment:
    """``packages`` as pip knows them, in the versions that the lines ``constraints`` allow."""

    directory: Path
    packages: tuple[str, ...]
    constraints: str = ""
    python: str = "/usr/bin/python3"
    pip_args: tuple[str, ...] = ()

    def key(self) -> str:
        """A digest of what is installed; from where it comes does not count."""
        content = json.dumps([sorted(self.packages), self.constraints])
        return hashlib.sha256(content.encode()).hexdigest()


def find_missing(wanted: Environment) -> list[str]:
    """What an environment lacks, each as a word or two, found out without starting anything."""
    if not os.access(wanted.directory / "bin/python", os.X_OK):
        return ["the environment"]
    there = {
        normalise_name(path.name.split("-")[0])
        for path in wanted.directory.glob("lib/python3*/site-packages/*.dist-info")
    }
    found = [package for package in wanted.packages if normalise_name(re.split(r"[^\w.-]", package)[0]) not in there]
    try:
        noted = json.loads((wanted.directory / NOTE).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        noted = ""
    return found if found or noted == wanted.key() else ["these versions"]


def install_packages(wanted: Environment, *, timeout: float) -> None:
    """Create or update the environment; a note marks it as complete."""
    directory = wanted.directory
    log = directory / LOG
    directory.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    (directory / NOTE).unlink(missing_ok=True)
    if not os.access(directory / "bin/python", os.X_OK):
        run(
            [wanted.python, "-m", "venv", str(directory)],
            attempt="make the Python environment",
            on=str(directory),
            do_next="Install Debian's package python3-venv and run again.",
            timeout=timeout,
        )
    write_atomic(directory / CONSTRAINTS, wanted.constraints.encode())
    pip = [str(directory / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    run(
        [*pip, *wanted.pip_args, "--constraint", str(directory / CONSTRAINTS), *wanted.packages],
        attempt=f"install {', '.join(wanted.packages)} into",
        on=str(directory),
        do_next=DO_NEXT,
        timeout=timeout,
        log=log,
    )
    write_atomic(directory / NOTE, json.dumps({"key": wanted.key()}).encode())
    if left := find_missing(wanted):
        raise SlipwayError(
            f"install {', '.join(left)} into",
            str(directory),
            "pip succeeded, but they are not installed",
            do_next="Name packages as pip lists them.",
            log=str(log),
        )


def normalise_name(name: str) -> str:
    """A package's name as all spellings of it are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()
