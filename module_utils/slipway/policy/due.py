# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a product is due on a day, why or why not, and when it is due next."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import count_of
from .schedule import Schedule

#: How many names of what changed are told.
MOST_NAMES = 5


@dataclass(frozen=True)
class Last:
    """The last public release of a product."""

    version: str
    day: datetime.date


@dataclass(frozen=True)
class Changes:
    """What differs from the last release, by name; None is what is not known.

    ``without_keys`` are systems that were judged by the definitions alone.
    """

    systems: Sequence[str] | None = None
    components: Sequence[str] | None = None
    without_keys: Sequence[str] = ()


@dataclass(frozen=True)
class Due:
    """``next_day`` is the first day after which it is due, if that follows from the calendar."""

    due: bool
    reason: str
    next_day: datetime.date | None = None


def find_due(
    schedule: Schedule,
    last: Last | None,
    *,
    today: datetime.date,
    version_is_public: bool = False,
    changes: Changes | None = None,
) -> Due:
    """Judge one product; ``version_is_public`` is whether the version that would be made today is public already."""
    if schedule.kind == "manual":
        return Due(False, "it is released by hand")
    if schedule.kind == "always":
        return _find_always(today, version_is_public=version_is_public)
    if schedule.kind == "every":
        return _find_slot(schedule, last, today)
    return _find_enough(schedule, last, changes or Changes())


def find_week_start(day: datetime.date) -> datetime.date:
    """The Monday of a day's week, with which the version of the week begins."""
    return day - datetime.timedelta(days=day.weekday())


def _find_always(today: datetime.date, *, version_is_public: bool) -> Due:
    following = find_week_start(today) + datetime.timedelta(days=7)
    if version_is_public:
        return Due(False, "the version of this week is public", following)
    return Due(True, "it is a part of every release", following)


def _find_slot(schedule: Schedule, last: Last | None, today: datetime.date) -> Due:
    """Days on which it is due are counted from the schedule's first day, else from the last release."""
    period = datetime.timedelta(days=schedule.days)
    start = schedule.start or (last.day + period if last else today)
    if today < start:
        return _wait_for(
            schedule, start, f"it begins on {start}" if schedule.start else f"{last_of(last)} was less ago"
        )
    slot = start + period * ((today - start) // period)
    if schedule.until is not None and slot > schedule.until:
        slot = start + period * ((schedule.until - start) // period)
    following = slot + period
    if last is None or last.day < slot:
        late = "" if slot == today else f" since {slot}"
        return Due(True, f"every {describe_days(schedule.days)}: it is due{late}", _limit(schedule, following))
    return _wait_for(schedule, following, f"{last_of(last)} is of the period since {slot}")


def _wait_for(schedule: Schedule, day: datetime.date, reason: str) -> Due:
    if _limit(schedule, day) is None:
        return Due(False, f"its schedule ended on {schedule.until}")
    return Due(False, reason, day)


def _limit(schedule: Schedule, day: datetime.date) -> datetime.date | None:
    return day if schedule.until is None or day <= schedule.until else None


def _find_enough(schedule: Schedule, last: Last | None, changes: Changes) -> Due:
    if last is None:
        return Due(True, "it has no release yet")
    told = []
    for noun, limit, names in (
        ("component", schedule.components, changes.components),
        ("system", schedule.systems, changes.systems),
    ):
        if limit is None:
            continue
        if names is None:
            return Due(True, f"what {last.version} was made of is not known, so its {noun}s cannot be compared")
        what = f"{count_of(len(names), noun)} changed since {last.version}{_list_names(names)}"
        judged = ""
        if noun == "system" and changes.without_keys:
            judged = f", as far as the definitions tell: there is no key of{_list_names(changes.without_keys, '{}')}"
        if len(names) >= limit:
            return Due(True, what + judged)
        told.append(f"{what}, {limit} would be enough{judged}")
    return Due(False, "; ".join(told))


def _list_names(names: Sequence[str], form: str = "({})") -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    listed = ", ".join(sorted(names)[:MOST_NAMES])
    return " " + form.format(listed + more)


def last_of(last: Last | None) -> str:
    """A release as sentences name it."""
    return f"{last.version} of {last.day}" if last else "no release"


def describe_days(days: int) -> str:
    """``2 weeks``, ``10 days``."""
    return count_of(days // 7, "week") if days % 7 == 0 else count_of(days, "day")
