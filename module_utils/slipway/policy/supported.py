# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Until when a product's releases are supported."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from .values import describe_kind, find_key_faults, read_count, read_date


@dataclass(frozen=True)
class Support:
    """For so many days after each release, or until a day."""

    days: int | None = None
    until: datetime.date | None = None

    def find_past(self, day: datetime.date, where: str) -> list[str]:
        """The fault of a release on a day after the last one of its support."""
        if self.until is None or self.until >= day:
            return []
        return [f"{where}.until: {self.until} is over, so a release of today would have no support; give a later day"]


def read_supported(value: object, where: str) -> tuple[Support | None, list[str]]:
    """Days after the release, or a last day; ``None`` when nothing is said."""
    if value is None:
        return None, []
    if not isinstance(value, dict):
        return None, [f"{where}: it is {describe_kind(value)}, not a mapping such as {{days: 180}}"]
    faults = find_key_faults(value, ("days", "until"), where)
    if faults or len(value) != 1:
        return None, faults or [f"{where}: give either days or until"]
    if "days" in value:
        days, wrong = read_count(value["days"], f"{where}.days")
        return Support(days=days), wrong
    until, wrong = read_date(value["until"], f"{where}.until")
    return Support(until=until), wrong
