# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight asks of masons: whether the previous release can build this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import SlipwayError
from ..mason.status import covers, find_faults
from .preflight import Report


def report_masons(
    urls: Sequence[str],
    plan: Mapping[str, Any],
    *,
    max_age: float,
    now: float,
    override: str = "",
    fetch: Callable[[str], object],
) -> tuple[Report, list[dict[str, Any]]]:
    """Whether the previous release's tools build what is to be released, and the answer of each mason.

    ``fetch`` returns the status that a mason publishes. With ``override``, the reason to release anyhow, what
    would forbid to begin is a warning.
    """
    commit, tag = plan["definitions"]["commit"], plan["remote"].get("previous_tag")
    previous = () if tag is None else (tag, tag.removeprefix(f"{plan['project']}-"))
    found, answers, covered = Report(), [], set()
    for address in urls:
        url = f"{address.removesuffix('/status.json').rstrip('/')}/"
        try:
            status = fetch(f"{url}status.json")
        except SlipwayError as error:
            faults = [str(error)]
        else:
            faults = find_faults(
                status, url=url, commit=commit, systems=plan["systems"], previous=previous, now=now, max_age=max_age
            )
            covered |= {each["architecture"] for each in plan["systems"] if covers(status, each["architecture"])}
        found.findings += faults
        answers.append({"url": url, "passed": not faults, "override": override if faults else ""})
    if override:
        found = Report(warnings=[f"{finding}; ignored, because {override}" for finding in found.findings])
    if left := sorted({each["architecture"] for each in plan["systems"]} - covered) if urls else []:
        found.warnings.append(
            f"no mason that answers builds for {', '.join(left)}: it is unknown whether that can be built"
        )
    return found, answers
