# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Second builds: of a sample, on another host where there is one, to see whether the same bytes come of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..binary.job import Job
from ..errors import SlipwayError
from ..files import hash_file
from ..process import run
from .schedule import Unit

#: What became of a second build.
SAME, DIFFERENT, NOT_BUILT = "same", "different", "not built"
#: Where the packages of the first build are meanwhile, beside what is said of it.
FIRST = "first"
#: How long diffoscope may look at one package, in seconds, and how much it may say, in bytes.
LOOK_TIMEOUT, REPORT_BYTES = 600.0, 1 << 20


@dataclass(frozen=True)
class Again:
    """A build to do once more: as it was done, where, and the directory with the packages that it made."""

    job: Job
    host: str
    first: Path


def is_sampled(unit: Unit, percentage: int) -> bool:
    """Whether a unit is one of those that are built twice: by its name, so that every run says the same."""
    return int.from_bytes(hashlib.sha256(unit.label.encode()).digest()[:4]) % 100 < percentage


def keep_first(debs: Iterable[Path], directory: Path) -> Path:
    """Put the packages of the first build aside."""
    first = directory / FIRST
    shutil.rmtree(first, ignore_errors=True)
    first.mkdir()
    for deb in debs:
        deb.rename(first / deb.name)
    return first


def compare(again: Again, second: Path, *, host: str) -> dict[str, Any]:
    """What the two builds have in common, as plain values; ``second`` is the directory of what was built again."""
    names = {path.name for directory in (again.first, second) for path in directory.glob("*.deb")}
    differ = [name for name in sorted(names) if _hash(again.first / name) != _hash(second / name)]
    reasons = {name: _explain(again.first / name, second / name, second / f"{name}.diffoscope.txt") for name in differ}
    return {"state": DIFFERENT if differ else SAME, "host": host, "first_host": again.host, "differ": reasons}


def tell(found: dict[str, Any]) -> str:
    """The same for people: the build on one and the same host says less."""
    where = ", on the same host as before" if found["host"] == found.get("first_host") else ""
    if found["state"] == SAME:
        return f"the same bytes{where}"
    if found["state"] == NOT_BUILT:
        return f"nothing: {found['reason']}"
    return f"other bytes{where}: {'; '.join(f'{name} ({why})' for name, why in found['differ'].items())}"


def _hash(path: Path) -> str:
    return hash_file(path) if path.is_file() else ""


def _explain(first: Path, second: Path, report: Path) -> str:
    """Where a report of the differences is, or why there is none."""
    if not first.is_file() or not second.is_file():
        return "only one build made it"
    if shutil.which("diffoscope") is None:
        return "diffoscope, which would say why, is not installed here"
    words = ["diffoscope", f"--text={report}", f"--max-text-report-size={REPORT_BYTES}", "--no-progress"]
    try:
        run(
            [*words, "--", str(first), str(second)],
            attempt="compare",
            on=first.name,
            timeout=LOOK_TIMEOUT,
            ok_codes=(0, 1),
        )
    except SlipwayError as error:
        return error.came_back
    return f"{report} says why" if report.is_file() else "diffoscope sees no difference"
