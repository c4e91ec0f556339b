# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes in Markdown as HTML, and as a plain text for a mail. Both read it by the same rules.

What is HTML in them is shown as text, and no scripts or images come with them.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from ..escape import escape_mail

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

WIDTH = 76
CODE = re.compile(r"<code>([^<>]*)</code>")
LOWEST = 6


def render_html(text: str, *, lower: int = 0, highest: int = 1) -> str:
    """The HTML of notes; headings are so many levels ``lower`` than they say, and none is above ``highest``."""
    reader = make_reader()
    tokens = reader.parse(escape_mail(text))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(LOWEST, max(highest, int(token.tag[1:]) + lower))}"
    return str(reader.renderer.render(tokens, reader.options, {}))


def render_text(text: str, *, width: int = WIDTH) -> str:
    """Notes as plain text: paragraphs of lines no longer than ``width``, where words allow it; tables are lists."""
    tokens = make_reader().parse(escape_mail(text))
    lines = _Writer(tokens, width).write()
    return "\n".join(lines).strip("\n") + "\n"


@cache
def make_reader() -> MarkdownIt:
    """A reader of CommonMark with tables."""
    from markdown_it import MarkdownIt  # needed only where there are notes

    reader = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table").disable("image")
    reader.inline.ruler.before("autolink", "code_tag", _read_code)
    return reader


def _read_code(state: StateInline, silent: bool) -> bool:
    """Names that cannot stand between backticks are between tags, and nothing else is."""
    found = CODE.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("code_inline", "code", 0).content = html.unescape(found[1])
    state.pos = found.end()
    return True


class _Writer:
    """Writes the blocks of a text, one after the other, each with the indentation that it is in."""

    def __init__(self, tokens: Sequence[Token], width: int) -> None:
        self.tokens, self.width = tokens, width
        self.lines: list[str] = []
        #: What stands before the first line of the next block, and before all others.
        self.first, self.rest = "", ""
        self.tight = False

    def write(self) -> list[str]:
        """All lines."""
        place = 0
        while place < len(self.tokens):
            place = self._write_block(place)
        return self.lines

    def _write_block(self, place: int) -> int:
        """Write the block that begins at a place; where the next one begins."""
        token = self.tokens[place]
        end = _find_end(self.tokens, place)
        match token.type:
            case "heading_open":
                self._add_heading(_read_inline(self.tokens[place + 1]), int(token.tag[1:]))
            case "paragraph_open":
                self._add_paragraph(_read_inline(self.tokens[place + 1]))
            case "bullet_list_open" | "ordered_list_open":
                self._add_list(place, end)
            case "table_open":
                self._add_table(place, end)
            case "blockquote_open":
                self._add_within("> ", place, end)
            case "fence" | "code_block":
                self._add_lines([f"  {line}".rstrip() for line in token.content.rstrip("\n").split("\n")])
            case "hr":
                self._add_lines(["-" * min(self.width - len(self.rest), 60)])
            case "inline" | "html_block":
                self._add_paragraph(_read_inline(token) if token.children else token.content)
        return end

    def _add_lines(self, lines: Sequence[str]) -> None:
        if self.lines and self.lines[-1] and not self.tight:
            self.lines.append(self.rest.rstrip())
        for line in lines:
            self.lines.append(f"{self.first}{line}".rstrip())
            self.first = self.rest

    def _add_paragraph(self, text: str) -> None:
        room = max(20, self.width - len(self.rest))
        lines = [line for part in text.split("\n") for line in _wrap(part, room)]
        self._add_lines(lines or [""])

    def _add_heading(self, text: str, level: int) -> None:
        lines = _wrap(text, max(20, self.width - len(self.rest))) or [""]
        under = {1: "=", 2: "-"}.get(level)
        self._add_lines([*lines, *([under * max(map(len, lines))] if under else [])])

    def _add_list(self, place: int, end: int) -> None:
        first, rest, tight = self.first, self.rest, self.tight
        number = int(self.tokens[place].attrGet("start") or 1)
        ordered = self.tokens[place].type == "ordered_list_open"
        is_tight = all(token.hidden for token in self.tokens[place:end] if token.type == "paragraph_open")
        for count, item in enumerate(_list_children(self.tokens, place, end)):
            mark = f"{number + count}. " if ordered else "* "
            # The first item stands apart from what is before the list, unless the list is an item's own.
            self.tight = is_tight if count else tight
            self.first, self.rest = f"{rest if count else first}{mark}", f"{rest}{' ' * len(mark)}"
            inner, last = item + 1, _find_end(self.tokens, item)
            if self.tokens[inner].type == "list_item_close":
                self._add_lines([""])
            while inner < last - 1:
                inner = self._write_block(inner)
                self.tight = is_tight
        self.first, self.rest, self.tight = rest, rest, tight

    def _add_within(self, mark: str, place: int, end: int) -> None:
        first, rest, tight = self.first, self.rest, self.tight
        self.first, self.rest = f"{first}{mark}", f"{rest}{mark}"
        if self.lines and self.lines[-1] and not tight:
            self.lines.append(rest.rstrip())
        self.tight, inner = True, place + 1
        while inner < end - 1:
            inner = self._write_block(inner)
            self.tight = False
        self.first, self.rest, self.tight = rest, rest, tight

    def _add_table(self, place: int, end: int) -> None:
        """Each row as a paragraph: its first cell, and below it the others with what their column is called."""
        rows = [
            [
                _read_inline(self.tokens[cell + 1])
                for cell in range(row, _find_end(self.tokens, row))
                if self.tokens[cell].type in {"th_open", "td_open"}
            ]
            for row in range(place, end)
            if self.tokens[row].type == "tr_open"
        ]
        head, *body = rows
        lines = []
        for row in body:
            lines += [f"* {row[0]}"]
            lines += [f"  {name}: {cell}" for name, cell in zip(head[1:], row[1:], strict=False) if cell]
        self._add_lines(lines)


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _find_end(tokens: Sequence[Token], place: int) -> int:
    """Where a block ends that begins at a place: after the token that takes its nesting back."""
    depth = 0
    for number in range(place, len(tokens)):
        depth += tokens[number].nesting
        if depth <= 0:
            return number + 1
    return len(tokens)


def _list_children(tokens: Sequence[Token], place: int, end: int) -> Iterator[int]:
    """Where the blocks right below the one at a place begin."""
    child = place + 1
    while child < end - 1:
        yield child
        child = _find_end(tokens, child)


def _read_inline(token: Token) -> str:
    """The text of a line or paragraph; an address stands behind the words of its link."""
    parts: list[str] = []
    links: list[tuple[str, int]] = []
    for each in token.children or []:
        if each.type == "link_open":
            links.append((str(each.attrGet("href") or ""), len(parts)))
        elif each.type == "link_close":
            address, begin = links.pop()
            words = "".join(parts[begin:])
            if words not in (address, address.removeprefix("mailto:")):
                parts.append(f" <{address}>")
        elif each.type == "softbreak":
            parts.append(" ")
        elif each.type == "hardbreak":
            parts.append("\n")
        else:
            parts.append(each.content)
    return "".join(parts)
