# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gates that a release may pass without, why, and until when."""

from __future__ import annotations

from typing import Any

from .values import describe_kind


def read_waivers(value: object, where: str) -> tuple[list[Any], list[str]]:
    """What is asked for, as it was given, and the faults; ``None`` is what a policy has that says nothing."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [f"{where}: it is {describe_kind(value)}, not a list of waivers"]
    return value, []
