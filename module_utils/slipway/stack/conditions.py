# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The conditions of package.xml's third format: ``$ROS_VERSION == 1 and ($ROS_DISTRO == noetic or ...)``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

MAX_LENGTH = 1000
MAX_DEPTH = 16
COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_TOKEN = re.compile(r"""\s*(?:(?P<word>\$?[A-Za-z0-9_.+-]+)|(?P<quoted>"[^"]*"|'[^']*')|(?P<sign>[=!<>]=|[<>()]))""")


def is_met(condition: str, values: Mapping[str, str]) -> bool:
    """Whether a condition holds; ``ValueError`` says what of it cannot be judged."""
    if len(condition) > MAX_LENGTH:
        raise ValueError(f"it is longer than {MAX_LENGTH} characters")
    reader = _Reader(_split_tokens(condition), values)
    met = reader.read_or(0)
    if reader.tokens:
        raise ValueError(f"{reader.tokens[0]!r} is not expected")
    return met


def _split_tokens(condition: str) -> list[str]:
    tokens, place = [], 0
    while condition[place:].strip():
        found = _TOKEN.match(condition, place)
        if found is None:
            raise ValueError(f"{condition[place:].strip()!r} is not part of a condition")
        tokens.append(found.group().strip())
        place = found.end()
    return tokens


class _Reader:
    """Reads by descent: ``or`` over ``and`` over comparisons and parentheses."""

    def __init__(self, tokens: list[str], values: Mapping[str, str]) -> None:
        self.tokens = tokens
        self.values = values

    def take(self) -> str:
        if not self.tokens:
            raise ValueError("it ends early")
        return self.tokens.pop(0)

    def read_or(self, depth: int) -> bool:
        met = self.read_and(depth)
        while self.tokens[:1] == ["or"]:
            self.take()
            met = self.read_and(depth) or met
        return met

    def read_and(self, depth: int) -> bool:
        met = self.read_comparison(depth)
        while self.tokens[:1] == ["and"]:
            self.take()
            met = self.read_comparison(depth) and met
        return met

    def read_comparison(self, depth: int) -> bool:
        if self.tokens[:1] == ["("]:
            if depth >= MAX_DEPTH:
                raise ValueError("it has too many parentheses")
            self.take()
            met = self.read_or(depth + 1)
            if self.take() != ")":
                raise ValueError("a parenthesis is not closed")
            return met
        left, sign, right = self.read_value(), self.take(), self.read_value()
        if sign not in COMPARISONS:
            raise ValueError(f"{sign!r} compares nothing")
        return COMPARISONS[sign](left, right)

    def read_value(self) -> str:
        word = self.take()
        if word[0] in "\"'":
            return word[1:-1]
        if word[0] in "=!<>()":
            raise ValueError(f"{word!r} is no value")
        if word[0] != "$":
            return word
        if word[1:] not in self.values:
            raise ValueError(f"nobody knows {word} here")
        return self.values[word[1:]]
