# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who must agree to a release before it is made."""

from __future__ import annotations

from typing import Any

from .values import describe_kind


def read_approval(value: object, where: str) -> tuple[dict[str, Any], list[str]]:
    """What is asked for, as it was given, and the faults; ``None`` is what a policy has that says nothing."""
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, [f"{where}: it is {describe_kind(value)}, not a mapping"]
    return value, []
