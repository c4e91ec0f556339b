# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all sections of a policy share: how values are checked, and how they become plain data again."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
YEARS = range(2000, 2201)
WORD = re.compile(r"[\w.*?-]{1,80}\Z")
MOST_COUNT, MOST_SHOWN, MOST_LINE, MOST_VALUES = 1_000_000, 80, 200, 100_000
HUGE = 64


def suggest(word: str, known: Collection[str]) -> str:
    """A question that names what may have been meant, or nothing."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else ""


def find_key_faults(value: Mapping[Any, Any], known: Collection[str], where: str) -> list[str]:
    """One fault for each key that is not known, with the one that may have been meant."""
    return [
        f"{where}: the key {show(key)} is not known{suggest(str(key), known)}; known are {', '.join(sorted(known))}"
        for key in value
        if key not in known
    ]


def show(value: object) -> str:
    """A value as a sentence quotes it: on one line, and no longer than what people read."""
    if isinstance(value, int) and value.bit_length() > HUGE:
        return "a number of so many digits"
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def name_place(where: str, key: object) -> str:
    """The place of what a mapping has under a key, whatever somebody called it."""
    return f"{where}.{key}" if WORD.match(str(key)) else f"{where}[{show(key)}]"


def describe_kind(value: object) -> str:
    """What a value is, in the words of a YAML file."""
    if value is None or value == "":
        return "empty"
    for kind, word in ((bool, "a truth value"), (dict, "a mapping"), (list, "a list"), (str, "text")):
        if isinstance(value, kind):
            return word
    return "a number" if isinstance(value, (int, float)) else f"a {type(value).__name__}"


def read_date(value: object, where: str) -> tuple[datetime.date | None, list[str]]:
    """A date, whether YAML made one of it or it is text."""
    text = value.isoformat() if isinstance(value, datetime.date) else value
    if isinstance(text, str) and DATE.match(text):
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError as error:
            return None, [f"{where}: {text!r} is no date: {error}"]
        if day.year in YEARS:
            return day, []
        return None, [f"{where}: {text!r} is no date from {YEARS[0]} to {YEARS[-1]}"]
    return None, [f"{where}: {show(text)} is no date; write it as 2026-11-02"]


def read_count(value: object, where: str, *, least: int = 1, most: int = MOST_COUNT) -> tuple[int | None, list[str]]:
    """A whole number; from the command line it may be text."""
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        return None, [f"{where}: {show(value)} is no whole number of at least {least}"]
    return (number, []) if number <= most else (None, [f"{where}: {show(value)} is too much; the most is {most}"])


def read_line(value: object, where: str, *, most: int = MOST_LINE) -> tuple[str, list[str]]:
    """One line of text in which nothing acts."""
    if not isinstance(value, str) or not value.strip():
        found = "missing" if value is None else "empty" if isinstance(value, str) else describe_kind(value)
        return "", [f"{where}: it is {found}, not one line of text"]
    if not value.isprintable():
        return "", [f"{where}: it is {show(value)}, not one line of text"]
    return (value, []) if len(value) <= most else ("", [f"{where}: it has {len(value)} characters; the most is {most}"])


def read_texts(value: object, where: str, wanted: str, *, lines: bool = False) -> tuple[list[str], list[str]]:
    """A list of texts, or one text; nothing is an empty list. With ``lines``, a text may have several."""
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)):
        return [], [f"{where}: it is {describe_kind(value)}, not a list of {wanted}"]
    faults = [
        f"{where}[{number}]: it is {show(text) if text else describe_kind(text)}, not one line of text; give {wanted}"
        for number, text in enumerate(listed)
        if not isinstance(text, str) or not text or not (text.replace("\n", "") if lines else text).isprintable()
    ]
    return ([] if faults else list(listed)), faults


def is_bounded(value: Any, most: int = MOST_VALUES) -> bool:
    """Whether it holds at most so many values, of which those behind aliases count each time; it is read no further."""
    ahead, seen = [value], 0
    while ahead and seen <= most:
        each = ahead.pop()
        seen += 1
        if isinstance(each, (Mapping, list)):
            ahead += each.values() if isinstance(each, Mapping) else each
    return seen <= most


def to_plain(value: Any) -> Any:
    """What a section was read to, as plain data: dataclasses are mappings, dates are text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime.date) else value
