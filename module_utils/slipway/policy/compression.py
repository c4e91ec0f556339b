# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the files of a product are compressed."""

from __future__ import annotations

from dataclasses import dataclass

from ..release.compression import METHODS, NONE
from .values import describe_kind, find_key_faults, read_count, show, suggest

#: The methods, and the levels that each has; none has no level.
LEVELS = {**{name: method.levels for name, method in METHODS.items()}, NONE: range(0)}


@dataclass(frozen=True)
class Compression:
    """A method, and its level unless it is left to the stage that packages."""

    method: str
    level: int | None = None


def read_compression(value: object, where: str) -> tuple[Compression | None, list[str]]:
    """A method, or a mapping of method and level; ``None`` leaves it to the stage that packages."""
    if value is None:
        return None, []
    given = {"method": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        return None, [f"{where}: it is {describe_kind(value)}, not a mapping such as {{method: xz, level: 6}}"]
    faults = find_key_faults(given, ("method", "level"), where)
    method = given.get("method")
    if method in (None, ""):
        return None, [*faults, f"{where}.method: it is missing; known are {', '.join(LEVELS)}"]
    if not isinstance(method, str) or method not in LEVELS:
        hint = suggest(str(method), LEVELS)
        return None, [*faults, f"{where}.method: {show(method)} is no compression{hint}; known are {', '.join(LEVELS)}"]
    if given.get("level") is None:
        return Compression(method), faults
    level, wrong = read_count(given["level"], f"{where}.level", least=0)
    levels = LEVELS[method]
    if level is not None and level not in levels:
        has = f"levels from {levels[0]} to {levels[-1]}" if levels else "no level"
        wrong = [f"{where}.level: {method} has {has}, not {level}"]
    return Compression(method, level), [*faults, *wrong]
