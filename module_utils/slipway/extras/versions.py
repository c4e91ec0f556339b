# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of a component as the source of its configure script tells it, guessed as GENIVI's manifests do.

What the originals asked autoconf for is found by reading definitions of m4: autoconf would run what is written there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: The files that are read, in this order.
FILES = ("configure.ac", "configure.in", "configure.ac.in", "configure.in.in")
MACROS = ("AC_INIT", "AM_INIT_AUTOMAKE")
DEFINITION = re.compile(r"(?:m4_)?define\(\s*\[?(\w+)\]?\s*,\s*\[?([^\[\](),]*)\]?\s*\)")
WORD = re.compile(r"\w+")
#: What comments begin with, which may talk of macros.
COMMENT = re.compile(r"(?:\bdnl\b|^\s*#).*$", re.MULTILINE)
#: How often a definition may lead to others.
MOST_STEPS = 8


def guess_version(files: Mapping[str, str]) -> str:
    """The version that the first of :data:`FILES` gives that gives one; empty if none does."""
    return next((version for name in FILES if name in files and (version := _read_version(files[name]))), "")


def _read_version(text: str) -> str:
    text = COMMENT.sub("", text)
    known = dict(DEFINITION.findall(text))
    joined = text.replace("\n", " ")
    for macro in MACROS:
        # The last call counts, as the greedy pattern of the original had it.
        calls = re.findall(rf"{macro}\(((?:\[[^\]]*\]|[^()\[\]]|\([^()]*\))*)\)?", joined)
        words = _split_arguments(calls[-1]) if calls else []
        if not words or (macro == "AM_INIT_AUTOMAKE" and len(words) == 1):
            continue
        stated = words[0] if len(words) == 1 else words[1]
        version = next(iter(_expand(stated, known).split()), "")
        if version[:1].isdigit():
            return version
    return ""


def _split_arguments(call: str) -> list[str]:
    return [re.sub(r"[\[\]]", "", part).strip() for part in call.split(",")]


def _expand(stated: str, known: Mapping[str, str]) -> str:
    for _unused in range(MOST_STEPS):
        expanded = WORD.sub(lambda word: known.get(word[0], word[0]).strip(), stated)
        if expanded == stated:
            break
        stated = expanded
    return stated
