# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments in signed texts: UTC, to the second, in one form."""

from __future__ import annotations

import calendar
import re
import time
from typing import Any

FORM = "%Y-%m-%dT%H:%M:%SZ"
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


def format_moment(seconds: float) -> str:
    """Seconds since the epoch as texts have them."""
    return time.strftime(FORM, time.gmtime(seconds))


def parse_moment(text: Any) -> int:
    """Seconds since the epoch; what is written in another form is a :class:`ValueError`."""
    if not isinstance(text, str) or not MOMENT.fullmatch(text):
        raise ValueError(f"{str(text)[:60]!r} is no moment such as 2026-12-01T02:00:00Z")
    try:
        return calendar.timegm(time.strptime(text, FORM))
    except ValueError:
        raise ValueError(f"{text!r} is no moment that there is") from None
