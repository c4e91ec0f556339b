# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has the program make bills of materials, by the Python that has buildstream-sbom, debsbom and spdx-tools."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SlipwayError, refuse
from ..process import Completed, run
from .parts import Job

if TYPE_CHECKING:  # Ansible sends along what is imported, and this is started
    from . import program  # noqa: F401  # named only so that Ansible sends it along

PROGRAM = f"{__name__.rpartition('.')[0]}.program"
ATTEMPT = "make the bill of materials of"
#: Python's own word for a module that an environment does not have.
MISSING = re.compile(r"No module named '?(?P<name>[\w.]+)")
INSTALL = (
    "Install buildstream-sbom, debsbom[cdx] and spdx-tools there (provision the host), or set release_bills to false "
    "(or debs_stamp_bills, for debs), and run again."
)
#: The packages that the program has a use for, and what tells those of them that an environment does not have.
PACKAGES = ("buildstream-sbom", "cyclonedx-python-lib", "debsbom", "spdx-tools")
ASK = """
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        version(name)
    except PackageNotFoundError:
        print(name)
"""
TIMEOUT = 1800.0


def find_python(bst: str) -> str:
    """The Python of the environment that ``bst`` is in, which has the other tools as well; else this one."""
    found = shutil.which(bst)
    if found is not None:
        beside = Path(found).resolve().parent / "python"
        if beside.is_file():
            return str(beside)
    return sys.executable


def find_bill_obstacles(python: str) -> list[str]:
    """What keeps this Python from making bills of materials, as sentences."""
    try:
        missing = list_missing(python)
    except SlipwayError as error:
        return [str(error)]
    lacks = f"bills of materials need {', '.join(missing)}, which {python} does not have. {INSTALL}"
    return [lacks] if missing else []


def list_missing(python: str) -> list[str]:
    """The packages that bills of materials need, and that this Python does not have."""
    words = [python, "-s", "-P", "-c", ASK, *PACKAGES]
    return run(words, attempt="ask", on=python, cwd=os.sep, env={}, do_next=INSTALL).stdout.split()


def make_bills(
    jobs: Sequence[Job], *, python: str, timeout: float = TIMEOUT, tools: dict[str, str] | None = None
) -> dict[str, SlipwayError]:
    """Write the bills of all jobs; the failures by the names of the jobs.

    The versions of what made them are put into ``tools``.
    """
    if not jobs:
        return {}
    names = ", ".join(job.name for job in jobs)
    top = Path(__file__).parents[len(__name__.split(".")) - 1]
    done = run(
        # Nothing of the caller's own directory or environment is imported.
        [python, "-s", "-P", "-m", PROGRAM],
        attempt=ATTEMPT,
        on=names,
        cwd=os.sep,
        env={"PYTHONPATH": str(top), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=json.dumps([job.describe() for job in jobs]).encode(),
        timeout=timeout,
        ok_codes=range(-64, 256),
    )
    if done.returncode != 0:
        raise _explain(done, names, python)
    failures = {}
    said = json.loads(done.stdout)
    if tools is not None:
        tools.update(said["tools"])
    for answer in said["answers"]:
        try:
            _refuse(str(answer["name"]), [str(fault) for fault in answer["faults"]])
        except SlipwayError as error:
            failures[str(answer["name"])] = error
    return failures


def _refuse(name: str, faults: Sequence[str]) -> None:
    refuse(
        ATTEMPT,
        name,
        faults,
        summary="" if len(faults) == 1 else "it is not valid",
        do_next="Correct what the system is made of, or what is said of it, and run again.",
    )


def _explain(done: Completed, names: str, python: str) -> SlipwayError:
    last = (done.stderr.strip().splitlines() or [f"{python} ended with status {done.returncode}"])[-1]
    missing = MISSING.search(last)
    if missing is not None:
        return SlipwayError(
            ATTEMPT,
            names,
            f"{python} has no {missing['name']}",
            do_next=INSTALL,
        )
    return SlipwayError(ATTEMPT, names, last, do_next="Look at the message, and run again.")
