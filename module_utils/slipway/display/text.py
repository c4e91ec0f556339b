# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts of a terminal: sizes and times in few characters, and lines that are no wider than it is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

#: What colours a text and takes no room.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
UNITS = ("B", "kB", "MB", "GB", "TB")
#: What stands for the rest of a text that is cut off.
CUT = ".."


def format_size(size: float) -> str:
    """Bytes in at most seven characters, such as ``45.6 MB``."""
    unit = 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.{0 if unit == 0 or size >= 99.95 else 1}f} {UNITS[unit]}"


def format_seconds(seconds: float) -> str:
    """A time as people write it, ``0:07`` or ``1:02:03``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, one: str, several: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def measure(text: str) -> int:
    """How many columns a line of text takes."""
    return sum(_measure_letter(letter) for letter in COLOUR.sub("", text))


def clip(text: str, width: int) -> str:
    """One line that takes at most ``width`` columns; what is cut off is marked."""
    line = " ".join(text.split())
    if measure(line) <= width:
        return line
    kept, room = "", max(0, width - len(CUT))
    for letter in line:
        room -= _measure_letter(letter)
        if room < 0:
            break
        kept += letter
    return (kept.rstrip() + CUT)[: max(0, width)]


def fold(text: str, width: int, *, whole_words: bool = False) -> list[str]:
    """The lines of ``text``, none wider than ``width``; they go on below where they began.

    Lines are broken between words, and within a word that is too long for a line of its own, unless these are to stay
    whole. Colours take no room.
    """
    return [part for line in text.split("\n") for part in _fold_line(line, max(1, width), whole_words)]


def _fold_line(line: str, width: int, whole_words: bool) -> Iterator[str]:
    if measure(line) <= width:
        yield line
        return
    plain = COLOUR.sub("", line)
    indent = plain[: len(plain) - len(plain.lstrip(" -"))]
    # What goes on below a list's dash begins where its text does.
    margin = " " * len(indent) if len(indent) <= width // 4 else ""
    begun, room = "", width
    for word in re.findall(r"\x1b\[[0-9;]*m|[^\x1b\s]+|\s+|\x1b", line):
        if COLOUR.fullmatch(word):
            begun += word
            continue
        needed = measure(word)
        if needed > room and not word.isspace() and COLOUR.sub("", begun).strip(" -"):
            yield begun.rstrip(" ")
            begun, room = margin, width - len(margin)
        elif needed > room and word.isspace():
            yield begun
            begun, room = margin, width - len(margin)
            continue
        if needed <= room or whole_words:
            begun += word
            room -= needed
            continue
        for letter in word:
            if _measure_letter(letter) > room:
                yield begun
                begun, room = margin, width - len(margin)
            begun += letter
            room -= _measure_letter(letter)
    if COLOUR.sub("", begun).strip() or begun != margin:
        yield begun


def _measure_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def list_lines(said: object, indent: str = "") -> Iterator[str]:
    """What a task is there to say, in lines; a list in a list is one of its own."""
    if isinstance(said, list):
        for each in said:
            yield from list_lines(each, f"{indent}  - " if isinstance(each, list) else indent)
    else:
        yield f"{indent}{said}"
