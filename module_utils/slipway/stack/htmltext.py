# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Descriptions: HTML as the plain paragraphs that a Debian control file takes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ..escape import escape_line

#: What begins a paragraph of its own, and ends the one before.
BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "center", "div", "fieldset", "figure", "footer", "form", "header", "hr"),
        *("main", "p", "pre", "section", "dd", "dl", "dt", "ol", "ul", "table", "td", "th", "tr"),
        *("h1", "h2", "h3", "h4", "h5", "h6"),
    )
)
#: What nobody reads.
HIDDEN = frozenset({"script", "style", "title", "template"})
MAX_BRIEF = 60


def convert_html(markup: str) -> str:
    """Paragraphs with an empty line between them, and items of lists with ``* ``, each in one line."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    reader.end_paragraph()
    return reader.format()


def shorten_brief(text: str) -> str:
    """The first sentence of ``text``, or what is left of it at the last blank within the length of a synopsis."""
    line = escape_line(text)
    if len(line) > MAX_BRIEF:
        sentence = re.split(r"(?<=[.!?]) ", line, maxsplit=1)[0]
        line = sentence if len(sentence) <= MAX_BRIEF else cut_line(sentence)
    return line.rstrip(" .,;:")


def cut_line(line: str) -> str:
    """At most the length of a synopsis, whole words if there is a blank."""
    if len(line) <= MAX_BRIEF:
        return line
    whole = line[: MAX_BRIEF + 1].rpartition(" ")[0]
    return (whole or line[:MAX_BRIEF]).rstrip()


class _Reader(HTMLParser):
    """Collects lines; each knows whether it is an item of a list."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[tuple[bool, str]] = []
        self.words: list[str] = []
        self.is_item = False
        self.hidden = 0

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag in HIDDEN:
            self.hidden += 1
        elif tag == "br":
            self.end_paragraph(is_item=self.is_item and not self.words)
        elif tag in BLOCKS or tag == "li":
            self.end_paragraph(is_item=tag == "li" or (self.is_item and not self.has_words()))

    def handle_endtag(self, tag: str) -> None:
        if tag in HIDDEN:
            self.hidden = max(0, self.hidden - 1)
        elif tag in BLOCKS or tag == "li":
            self.end_paragraph()

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        first, *others = re.split(r"\n[ \t\r]*\n", data)
        self.words.append(first)
        for other in others:
            self.end_paragraph()
            self.words.append(other)

    def has_words(self) -> bool:
        return any(words.strip() for words in self.words)

    def end_paragraph(self, *, is_item: bool = False) -> None:
        # A line that begins with a point has a meaning of its own in a control file.
        line = escape_line("".join(self.words)).lstrip(". ")
        if line:
            self.lines.append((self.is_item, line))
        self.words = []
        self.is_item = is_item

    def format(self) -> str:
        text = ""
        for number, (is_item, line) in enumerate(self.lines):
            if number:
                text += "\n" if is_item and self.lines[number - 1][0] else "\n\n"
            text += f"* {line}" if is_item else line
        return text
