# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight asks of the local Trove's status page: how far behind the public one it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import SlipwayError
from ..escape import escape_line, redacted
from .preflight import Report

#: So many repositories are named, and of more the number.
NAMED = 5
CURE = "look at its page and at grokmirror there, or raise release_preflight_mirror_max_age"


def report_mirror(address: str, *, max_age: float, now: float, fetch: Callable[[str], object]) -> Report:
    """Whether a mirror is at most ``max_age`` seconds behind; what it still waits for within them is a warning.

    ``fetch`` returns the status that a Trove publishes.
    """
    url = f"{address.removesuffix('/status.json').rstrip('/')}/"
    try:
        status = _read_status(url, fetch(f"{url}status.json"))
    except SlipwayError as error:
        return Report([str(error)])
    found, place = Report(), redacted(url)
    age = now - float(status["time"])
    if age > max_age:
        found.findings.append(
            f"the status of the local Trove at {place} was written {_tell(age)} ago, and may be {_tell(max_age)} old: "
            f"{CURE}"
        )
    late: list[str] = []
    waiting: list[str] = []
    for each in status["repositories"]:
        if each.get("state") in ("failed", "queued"):
            changed = each.get("changed")
            behind = now - float(changed) if isinstance(changed, int | float) else None
            words = f"{escape_line(str(each.get('path')))} {each['state']}"
            (late if behind is not None and behind > max_age else waiting).append(
                words if behind is None else f"{words}, {_tell(behind)} behind"
            )
    if late:
        found.findings.append(f"the local Trove at {place} is too far behind the public one: {_list(late)}: {CURE}")
    if waiting:
        found.warnings.append(f"the local Trove at {place} does not have all of the public one yet: {_list(waiting)}")
    found.warnings += [f"the local Trove at {place}: {escape_line(str(each))}" for each in status.get("trouble") or []]
    return found


def _read_status(url: str, status: object) -> Mapping[str, Any]:
    if (
        isinstance(status, dict)
        and isinstance(status.get("time"), int | float)
        and isinstance(status.get("repositories"), list)
        and all(isinstance(each, dict) for each in status["repositories"])
    ):
        return status
    raise SlipwayError(
        "read the status of the local Trove at", url, "it is none", do_next="Check that this is a Trove's page."
    )


def _list(words: list[str]) -> str:
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return f"{'; '.join(sorted(words)[:NAMED])}{more}"


def _tell(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
