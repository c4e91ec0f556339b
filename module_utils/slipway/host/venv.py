# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Python virtual environment with some packages in fixed versions."""

from __future__ import annotations

import ast
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
#: What pip takes from its surroundings: how an index is reached. What it installs, and where to, is said here.
REACH = (
    *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "proxy", "cert", "client-cert"),
    *("retries", "timeout", "default-timeout", "cache-dir", "no-cache-dir", "keyring-provider", "use-feature"),
)
#: The sections of pip's configuration that hold for an installation, the stronger one last.
SECTIONS = ("global", "install")
UMASK = 0o022
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
    if not _is_usable(wanted.directory):
        return ["the environment"]
    there = {
        normalise_name(path.name.split("-")[0])
        for path in wanted.directory.glob(f"lib/{_name_python(wanted.directory)}/site-packages/*.dist-info")
    }
    found = [package for package in wanted.packages if normalise_name(re.split(r"[^\w.-]", package)[0]) not in there]
    try:
        noted = json.loads((wanted.directory / NOTE).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        noted = ""
    return found if found or noted == wanted.key() else ["these versions"]


def _name_python(directory: Path) -> str:
    """How the Python is called that an environment has now, such as ``python3.13``; any, if its name does not say."""
    name = (directory / "bin/python").resolve().name
    return name if re.fullmatch(r"python3\.\d+", name) else "python3*"


def _is_usable(directory: Path) -> bool:
    """Whether there is an environment, and its packages are those of its Python, which a newer Debian replaces."""
    return os.access(directory / "bin/python", os.X_OK) and any(directory.glob(f"lib/{_name_python(directory)}"))


def install_packages(wanted: Environment, *, timeout: float) -> None:
    """Create or update the environment, which everybody can read; a note marks it as complete."""
    umask = os.umask(UMASK)
    try:
        _install(wanted, timeout)
    finally:
        os.umask(umask)
    if left := find_missing(wanted):
        raise SlipwayError(
            f"install {', '.join(left)} into",
            str(wanted.directory),
            "pip succeeded, but they are not installed",
            do_next="Name packages as pip lists them.",
            log=str(wanted.directory / LOG),
        )


def _install(wanted: Environment, timeout: float) -> None:
    directory = wanted.directory
    log = directory / LOG
    directory.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    (directory / NOTE).unlink(missing_ok=True)
    if not _is_usable(directory):
        replaced = ["--clear"] if any(directory.glob("lib/python3*")) else []
        run(
            [wanted.python, "-I", "-m", "venv", *replaced, str(directory)],
            attempt="make the Python environment",
            on=str(directory),
            do_next="Install Debian's package python3-venv and run again.",
            timeout=timeout,
        )
    write_atomic(directory / CONSTRAINTS, wanted.constraints.encode())
    python = str(directory / "bin/python")
    words = [*wanted.pip_args, "--constraint", str(directory / CONSTRAINTS), *wanted.packages]
    run(
        [python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", *words],
        attempt=f"install {', '.join(wanted.packages)} into",
        on=str(directory),
        do_next=DO_NEXT,
        env=make_pip_environment(python),
        timeout=timeout,
        log=log,
    )
    write_atomic(directory / NOTE, json.dumps({"key": wanted.key()}).encode())


def make_pip_environment(python: str) -> dict[str, str]:
    """What pip is told of its surroundings: how the files of its configuration and its variables reach an index.

    What is empty counts as not given, for pip and for Python.
    """
    ours = {name: "" for name in os.environ if name.startswith(("PIP_", "PYTHON"))}
    given = {name: os.environ[name] for name in map(_name_variable, REACH) if os.environ.get(name)}
    file = {name: os.environ[name] for name in ("PIP_CONFIG_FILE",) if name in os.environ}
    listed = run(
        [python, "-I", "-m", "pip", "config", "list"], attempt="read", on="pip's configuration", env=file
    ).stdout
    stated: dict[str, str] = {}
    for section in SECTIONS:
        for found in re.finditer(rf"^{section}\.([\w-]+)=(.*)$", listed, re.MULTILINE):
            if found[1] in REACH:
                stated[_name_variable(found[1])] = str(ast.literal_eval(found[2]))
    return {**ours, **stated, **given, "PIP_CONFIG_FILE": os.devnull}


def _name_variable(option: str) -> str:
    return f"PIP_{option.upper().replace('-', '_')}"


def normalise_name(name: str) -> str:
    """A package's name as all spellings of it are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()
