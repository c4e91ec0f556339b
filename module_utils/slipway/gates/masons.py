# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight asks of masons: whether the previous release can build this one."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import SlipwayError
from ..mason import status as masonstatus
from ..mason.status import covers
from ..publish.channel import opener
from .preflight import Report

#: No status of a mason is longer.
MASON_STATUS = 8 << 20


def masons_report(
    urls: Sequence[str],
    plan: Mapping[str, Any],
    *,
    max_age: float,
    now: float,
    override: str = "",
    fetch: Callable[[str], object],
) -> tuple[Report, list[dict[str, Any]]]:
    """Whether the previous release's tools build what is to be released, and what each mason said of that.

    ``fetch`` returns the status that a mason publishes. With ``override``, the reason to release anyhow, what
    would forbid to begin is a warning.
    """
    commit, tag = plan["definitions"]["commit"], plan["remote"].get("previous_tag")
    previous = () if tag is None else (tag, tag.removeprefix(f"{plan['project']}-"))
    found, said, covered = Report(), [], set()
    for address in urls:
        url = f"{address.removesuffix('/status.json').rstrip('/')}/"
        try:
            status = fetch(f"{url}status.json")
        except SlipwayError as error:
            faults = [str(error)]
        else:
            faults = masonstatus.faults(
                status, url=url, commit=commit, systems=plan["systems"], previous=previous, now=now, max_age=max_age
            )
            covered |= {each["architecture"] for each in plan["systems"] if covers(status, each["architecture"])}
        found.findings += faults
        said.append({"url": url, "passed": not faults, "override": override if faults else ""})
    if override:
        found = Report(warnings=[f"{finding}; passed over, because {override}" for finding in found.findings])
    if left := sorted({each["architecture"] for each in plan["systems"]} - covered) if urls else []:
        found.warnings.append(
            f"no mason that answers builds for {', '.join(left)}: nobody knows whether that can be built"
        )
    return found, said


def mason_status(url: str, *, ca_path: str | None = None, timeout: float = 60.0) -> object:
    """The status that a mason publishes at ``url``, fetched within bounds of size and time."""
    attempt, do_next = "read the status of the mason at", "See that the mason's web server can be reached from here."
    if not url.startswith(("http://", "https://")):
        raise SlipwayError(attempt, url, "it is no http or https address", do_next="Give the address of its page.")
    whole, ends = bytearray(), time.monotonic() + timeout
    try:
        with opener(ca_path)(url, timeout) as answer:
            while chunk := answer.read1(MASON_STATUS):
                whole += chunk
                if len(whole) > MASON_STATUS or time.monotonic() > ends:
                    fault = (
                        f"more than {MASON_STATUS >> 20} MiB" if len(whole) > MASON_STATUS else f"over {timeout:g} s"
                    )
                    raise SlipwayError(attempt, url, f"the answer takes {fault}", do_next=do_next)
        return json.loads(whole)
    except urllib.error.HTTPError as error:
        error.close()
        raise SlipwayError(attempt, url, f"it answers {error.code} {error.reason}", do_next=do_next) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise SlipwayError(attempt, url, str(reason), do_next=do_next) from error
    except (ValueError, RecursionError) as error:
        raise SlipwayError(attempt, url, "it is no JSON", do_next="See that this is a mason's page.") from error
