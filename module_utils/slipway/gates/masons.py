# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight asks of masons: whether the previous release can build this one."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import SlipwayError
from ..http import FAILURES, explain_failure, fetch_url
from ..mason.status import covers, find_faults
from .preflight import Report

#: No status of a mason is longer.
MASON_STATUS = 8 << 20


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


def fetch_mason_status(url: str, *, ca_path: str | None = None, timeout: float = 60.0) -> object:
    """The status that a mason publishes at ``url``, fetched within bounds of size and time."""
    attempt, do_next = "read the status of the mason at", "Check that the mason's web server can be reached from here."
    if not url.startswith(("http://", "https://")):
        raise SlipwayError(attempt, url, "it is not an http or https address", do_next="Give the address of its page.")
    trust = ssl.create_default_context(cafile=ca_path)
    try:
        answer = fetch_url(url, size=MASON_STATUS, timeout=timeout, trust=trust)
    except FAILURES as error:
        raise SlipwayError(attempt, url, explain_failure(error), do_next=do_next) from error
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise SlipwayError(attempt, url, "it is not JSON", do_next="Check that this is a mason's page.") from error
