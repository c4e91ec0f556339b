# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a product is due."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from .values import describe_kind, find_key_faults, read_count, read_date, show, suggest

WORDS = ("always", "manual")
EVERY = re.compile(r"([0-9]{1,4})\s+(day|week)s?\Z")
LIMITS = ("systems", "components")


@dataclass(frozen=True)
class Schedule:
    """``kind`` is always, manual, every or on_change.

    Of every: so many ``days``, counted from the date ``start`` or from the release before, perhaps ``until`` another.
    Of on_change: how many ``systems`` have other artifact keys, or ``components`` other sources; either is enough.
    """

    kind: str = "always"
    days: int = 0
    start: datetime.date | None = None
    until: datetime.date | None = None
    systems: int | None = None
    components: int | None = None


def read_schedule(value: object, where: str) -> tuple[Schedule, list[str]]:
    """The schedule of a product; one that says nothing is of every release."""
    if value is None:
        return Schedule(), []
    if isinstance(value, str) and value in WORDS:
        return Schedule(value), []
    if not isinstance(value, dict):
        hint = suggest(value, WORDS) if isinstance(value, str) else ""
        found = show(value) if isinstance(value, str) else describe_kind(value)
        return Schedule(), [
            f"{where}: it is {found}{hint}, not always, manual, {{every: 2 weeks}} or {{on_change: {{components: 1}}}}"
        ]
    if "on_change" in value:
        return _read_change(value, where)
    return _read_every(value, where)


def _read_every(value: dict[str, object], where: str) -> tuple[Schedule, list[str]]:
    faults = find_key_faults(value, ("every", "from", "until", "on_change"), where)
    days, wrong = _read_period(value.get("every"), f"{where}.every")
    faults += wrong
    dates: dict[str, datetime.date | None] = {"from": None, "until": None}
    for key in dates:
        if value.get(key) is not None:
            dates[key], wrong = read_date(value[key], f"{where}.{key}")
            faults += wrong
    start, until = dates["from"], dates["until"]
    if start is not None and until is not None and until < start:
        faults.append(f"{where}: it is never due, because it ends on {until} before it begins on {start}")
    return Schedule("every", days, start, until), faults


def _read_period(value: object, where: str) -> tuple[int, list[str]]:
    text = str(value).strip().lower() if isinstance(value, str) else ""
    text = {"day": "1 day", "week": "1 week"}.get(text, text)
    match = EVERY.match(text)
    if match is None:
        found = "missing" if value is None else show(value)
        return 0, [f"{where}: it is {found}, not a number of days or weeks, such as 6 weeks"]
    days = int(match[1]) * (7 if match[2] == "week" else 1)
    return days, [] if days else [f"{where}: it is never due with {value!r}; the least is 1 day"]


def _read_change(value: dict[str, object], where: str) -> tuple[Schedule, list[str]]:
    faults = find_key_faults(value, ("on_change",), where)
    limits = value["on_change"]
    if not isinstance(limits, dict) or not limits:
        return Schedule("on_change"), [
            *faults,
            f"{where}.on_change: it is {describe_kind(limits)}, not a mapping such as {{components: 1}}",
        ]
    faults += find_key_faults(limits, LIMITS, f"{where}.on_change")
    found: dict[str, int | None] = {}
    for key in LIMITS:
        if key in limits:
            found[key], wrong = read_count(limits[key], f"{where}.on_change.{key}")
            faults += wrong
    return Schedule("on_change", systems=found.get("systems"), components=found.get("components")), faults
