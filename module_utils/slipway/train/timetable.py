# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is due of a project on a day, under which version, and why or why not."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..plan.products import list_recorded
from ..policy.due import Changes, Last, find_due
from ..policy.schema import Policy, Product
from ..policy.values import read_date
from ..release.names import check_version, version_key
from ..release.records import load_records

#: How what changed of a product is found out, which is asked for only where its schedule depends on it.
FindChanges = Callable[[Product], Changes]


@dataclass(frozen=True)
class Row:
    """A product on a day."""

    product: str
    title: str
    last: Last | None
    due: bool
    reason: str
    next_day: datetime.date | None


@dataclass(frozen=True)
class Unfinished:
    """A version that has begun and was not announced yet, and the products that it has begun with."""

    version: str
    products: tuple[str, ...]


@dataclass(frozen=True)
class Timetable:
    """The products, and the version under which those that are due are released.

    ``unfinished`` is whether that version has begun: it goes on with the products that it has begun with.
    """

    day: datetime.date
    version: str
    rows: tuple[Row, ...]
    unfinished: bool = False

    @property
    def due(self) -> list[str]:
        """The names of the products that are due."""
        return [row.product for row in self.rows if row.due]

    @property
    def next_day(self) -> datetime.date | None:
        """The first day after this one on which something is due by the calendar."""
        return min((row.next_day for row in self.rows if row.next_day is not None), default=None)

    def describe(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "day": self.day.isoformat(),
            "version": self.version if self.due else "",
            "products": [] if self.unfinished else self.due,
            "unfinished": self.unfinished,
            "next": _format_day(self.next_day),
            "rows": [
                {
                    **asdict(row),
                    "last": row.last and {"version": row.last.version, "day": row.last.day.isoformat()},
                    "next_day": _format_day(row.next_day),
                }
                for row in self.rows
            ],
            "table": self.format(),
        }

    def format(self) -> list[str]:
        """A table for people, and what follows from it."""
        heads = ("product", "last", "of", "due", "next", "why")
        lines = [heads, *(_format_row(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads) - 1)]
        table = [
            "  ".join([*(f"{word:{width}}" for word, width in zip(line, widths, strict=False)), line[-1]])
            for line in lines
        ]
        return [*table, self._conclude()]

    def _conclude(self) -> str:
        following = f"; next on {self.next_day}" if self.next_day else ""
        if self.unfinished:
            return f"On {self.day}, {self.version} has begun and is not finished: it is gone on with."
        if self.due:
            verb = "is" if len(self.due) == 1 else "are"
            return f"On {self.day}, {_join_names(self.due)} {verb} due, as {self.version}."
        return f"On {self.day}, nothing is due{following}."


def make_timetable(
    policy: Policy,
    last: Mapping[str, Last],
    *,
    day: datetime.date,
    version: str,
    public: Collection[str],
    unfinished: Unfinished | None = None,
    products: Collection[str] = (),
    find_changes: FindChanges,
) -> Timetable:
    """Judge each product, or those named; if anything is due, so are all that are a part of every release.

    ``version`` is one that was asked for; else it follows from the day. ``public`` are the versions that were public.
    """
    chosen = version or name_version(day, public)
    is_public = chosen in public if version else name_week(day) in public
    rows = []
    for product in policy.products:
        if products and product.name not in products:
            continue
        before = last.get(product.name)
        asks = product.schedule.kind == "on_change" and before is not None
        found = find_due(
            product.schedule,
            before,
            today=day,
            version_is_public=is_public,
            changes=find_changes(product) if asks else None,
        )
        rows.append(Row(product.name, product.title, before, found.due, found.reason, found.next_day))
    always = {product.name for product in policy.products if product.schedule.kind == "always"}
    if any(row.due for row in rows) and is_public:
        rows = [_join(row) if row.product in always else row for row in rows]
    if unfinished is not None and version in ("", unfinished.version):
        begun = [replace(row, due=row.product in unfinished.products) for row in rows]
        return Timetable(day, unfinished.version, tuple(begun), unfinished=True)
    if version and is_public and any(row.due for row in rows):
        raise SlipwayError(
            "release what is due as",
            version,
            "this version was public already",
            do_next="Nothing was changed. Give another version, or none, and run again.",
        )
    if any(row.due for row in rows):
        _refuse_lower(chosen, last)
    return Timetable(day, chosen, tuple(rows))


def _refuse_lower(version: str, last: Mapping[str, Last]) -> None:
    """What is lower than the last releases would become the last one of no product, which would be due for ever."""
    newest = max((each.version for each in last.values()), key=version_key, default=None)
    if newest is not None and version_key(version) < version_key(newest):
        raise SlipwayError(
            "release what is due as",
            version,
            f"{newest} is public already, which is higher",
            do_next="Nothing was changed. Give a higher version, such as -e version=X.Y, and run again.",
        )


def _join_names(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _join(row: Row) -> Row:
    return replace(row, due=True, reason="it is a part of every release")


def read_day(value: str) -> datetime.date:
    """The day to judge, by default this one in Greenwich."""
    if not value:
        return datetime.datetime.now(datetime.UTC).date()
    day, faults = read_date(value, "the date")
    if day is None:
        raise SlipwayError(
            "find out what is due", "", faults[0], do_next="Give it as -e date=2026-11-02, or leave it out."
        )
    return day


def name_week(day: datetime.date) -> str:
    """The version of a day's week, of the year that this week belongs to."""
    week = day.isocalendar()
    return f"{week.year % 100:02d}.{week.week:02d}"


def name_version(day: datetime.date, public: Collection[str]) -> str:
    """The week's version, or the first of ``.1``, ``.2`` ... after it that was not public yet."""
    week = name_week(day)
    candidates = (week, *(f"{week}.{number}" for number in range(1, len(public) + 2)))
    return check_version(next(each for each in candidates if each not in public))


def find_unfinished(
    releases: Path, *, public: Collection[str], withdrawn: Collection[str], project: str
) -> Unfinished | None:
    """The newest version that has begun and is not finished, unless it is withdrawn or a newer one is public."""
    newest = max(public, key=version_key, default=None)
    found = []
    for path in releases.glob("*/records/branch.json"):
        records = load_records(path.parent)
        version = str(records["branch"]["version"])
        if "announcement" in records or version in withdrawn or records["branch"]["project"] != project:
            continue
        if newest is None or version_key(version) >= version_key(newest):
            begun = list_recorded(records["preflight"]) if "preflight" in records else []
            found.append(Unfinished(version, tuple(product["name"] for product in begun) or (project,)))
    return max(found, key=lambda each: version_key(each.version), default=None)


def _format_day(day: datetime.date | None) -> str | None:
    return None if day is None else day.isoformat()


def _format_row(row: Row) -> tuple[str, ...]:
    last = (row.last.version, str(row.last.day)) if row.last else ("-", "-")
    return (row.product, *last, "yes" if row.due else "no", _format_day(row.next_day) or "-", row.reason)
