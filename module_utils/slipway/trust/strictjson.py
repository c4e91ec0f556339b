# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON from outside, read so that every reader finds the same in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import SlipwayError

#: No signed text of a release is longer.
MOST_BYTES = 64 << 20


def load_object(data: bytes, *, attempt: str, on: str, do_next: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """The object that ``data`` is; refused where readers of JSON differ: members that come twice, ``NaN``, other
    encodings than UTF-8, numbers and depths that some readers refuse.
    """
    try:
        if len(data) > most:
            raise ValueError(f"it has {len(data)} bytes, at most {most} are read")
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_make_object, parse_constant=_refuse_constant)
        if not isinstance(found, dict):
            raise TypeError("it is no JSON object")
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise SlipwayError(attempt, on, "it is no text in UTF-8", do_next=do_next) from None
    except json.JSONDecodeError as error:
        raise SlipwayError(attempt, on, f"it is no JSON: {error}", do_next=do_next) from None
    except RecursionError:
        raise SlipwayError(attempt, on, "its JSON is nested too deeply", do_next=do_next) from None
    except (ValueError, TypeError) as error:
        raise SlipwayError(attempt, on, str(error), do_next=do_next) from None
    return found


def dump_line(value: dict[str, Any]) -> bytes:
    """One line of JSON: members in order, no blanks, ASCII alone; the same value is the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _make_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the member {name!r} comes twice in it")
        found[name] = value
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
