# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where two debs differ, as diffoscope sees it, within limits of time, memory and words."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..escape import escape_line
from ..files import make_scratch, open_regular
from ..process import run

#: How many places are told of one deb, and how many characters of each.
MOST_PLACES, MOST_WORDS = 20, 300
ABSENT = "diffoscope, which would say where, is not installed here: the Debian package is diffoscope-minimal"


@dataclass(frozen=True)
class Bounds:
    """The seconds and bytes of memory that diffoscope may use for one deb, and the bytes that it may say."""

    seconds: float = 300.0
    memory: int = 2 << 30
    report: int = 1 << 20


def locate(before: Path, now: Path, bounds: Bounds) -> list[str]:
    """The places in which two files differ, each with the first lines that do; or why nobody can say."""
    if shutil.which("diffoscope") is None:
        return [ABSENT]
    with make_scratch("slipway-differences-") as scratch:
        report = scratch / "report.json"
        words = ["prlimit", f"--as={bounds.memory}", f"--fsize={max(bounds.memory, bounds.report)}", "--", "diffoscope"]
        words += ["--no-progress", f"--timeout={bounds.seconds:.0f}", "--max-diff-block-lines=50", f"--json={report}"]
        try:
            run(
                [*words, "--", os.fspath(before), os.fspath(now)],
                attempt="compare",
                on=now.name,
                timeout=bounds.seconds + 30,
                env={"TMPDIR": os.fspath(scratch)},
                ok_codes=(0, 1),
            )
        except SlipwayError as error:
            return [f"diffoscope does not say where: {error.came_back}"]
        return read_report(report, bounds.report)


def read_report(report: Path, most: int) -> list[str]:
    """The places that a report in JSON tells of."""
    try:
        with open(open_regular(report), "rb") as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            return [f"diffoscope says more than {most} bytes about it"]
        found = json.loads(data)
        places = list(_walk(found, ()))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return ["diffoscope left no report that can be read"]
    told = [escape_line(place)[:MOST_WORDS] for place in places[:MOST_PLACES]]
    more = len(places) - len(told)
    return told + ([f"and in {more} more places"] if more > 0 else []) or ["diffoscope sees no difference"]


def _walk(node: dict[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    """A sentence for each difference that has none inside."""
    inside = [each for each in node.get("details") or () if isinstance(each, dict)]
    first, second = str(node.get("source1") or ""), str(node.get("source2") or "")
    name = first if first == second else f"{first} and {second}"
    path = (*above, name) if above or not inside else ("",)
    said = node.get("unified_diff")
    where = " > ".join(part for part in path if part) or name
    if said and not (inside and _is_listing(name)):
        yield f"{where}: {_summarise(str(said))}"
    elif not inside:
        yield f"{where}: {' '.join(map(str, node.get('comments') or ())) or 'differs'}"
    for each in inside:
        yield from _walk(each, path)


def _is_listing(name: str) -> bool:
    """Whether a difference is that of the sizes of what is inside, which tells nothing more."""
    return name.startswith(("file list", "zipinfo", "ar "))


def _summarise(diff: str) -> str:
    """The first changed line on either side."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    taken = [next((line for line in lines if line.startswith(sign)), "") for sign in "-+"]
    return " ".join(line.strip()[:100] for line in taken if line) or "differs"
