# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XML of manifests within bounds: no document type, so no entities but XML's own; bounded size, depth and number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 20_000


class NotXmlError(ValueError):
    """The text is not XML, or more than a manifest may be; the message says where and why."""


@dataclass
class Element:
    """An element, the line that it begins on, and what is in it: texts and elements in their order."""

    name: str
    attributes: Mapping[str, str]
    line: int
    content: list[str | Element] = field(default_factory=list)

    @property
    def children(self) -> list[Element]:
        """The elements in it."""
        return [each for each in self.content if isinstance(each, Element)]

    @property
    def text(self) -> str:
        """The text in it, that of inner elements too, as one line."""
        return " ".join("".join(self._walk_texts()).split())

    @property
    def markup(self) -> str:
        """What is in it as HTML: a text as it was meant, so that markup in a CDATA section is markup."""
        return "".join(
            f"<{each.name}>{each.markup}</{each.name}>" if isinstance(each, Element) else each for each in self.content
        )

    def find(self, name: str) -> Element | None:
        """The first child of that name."""
        return next((each for each in self.children if each.name == name), None)

    def find_all(self, name: str) -> list[Element]:
        """All children of that name."""
        return [each for each in self.children if each.name == name]

    def find_text(self, name: str) -> str:
        """The text of the first child of that name, or nothing."""
        found = self.find(name)
        return "" if found is None else found.text

    def _walk_texts(self) -> Iterator[str]:
        for each in self.content:
            if isinstance(each, Element):
                yield from each._walk_texts()
            else:
                yield each


def read_xml(data: bytes) -> Element:
    """The root of the one document in ``data``; :class:`NotXmlError` for what is none."""
    if len(data) > MAX_BYTES:
        raise NotXmlError(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        return _Builder().read(data)
    except expat.ExpatError as error:
        raise NotXmlError(f"it is not XML: line {error.lineno}: {expat.errors.messages[error.code]}") from error
    except (LookupError, ValueError) as error:
        if isinstance(error, NotXmlError):
            raise
        raise NotXmlError(f"it is not XML: {error}") from error


class _Builder:
    """Makes elements of what expat reports."""

    def __init__(self) -> None:
        self.parser: Any = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.refuse_doctype
        self.parser.EntityDeclHandler = self.refuse_doctype
        self.parser.StartElementHandler = self.begin
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.add_text
        self.open: list[Element] = []
        self.root: Element | None = None
        self.nodes = 0

    def read(self, data: bytes) -> Element:
        self.parser.Parse(data, True)
        if self.root is None:
            raise NotXmlError("it is empty")
        return self.root

    def refuse_doctype(self, *_unused: object) -> None:
        line = self.parser.CurrentLineNumber
        raise NotXmlError(f"line {line}: it declares a document type or entities, which is not allowed")

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        self.nodes += 1
        line = self.parser.CurrentLineNumber
        if len(self.open) >= MAX_DEPTH:
            raise NotXmlError(f"line {line}: it is nested more than {MAX_DEPTH} levels deep")
        if self.nodes > MAX_NODES:
            raise NotXmlError(f"line {line}: it has more than {MAX_NODES} elements")
        element = Element(name, attributes, line)
        if self.open:
            self.open[-1].content.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, _name: str) -> None:
        self.open.pop()

    def add_text(self, text: str) -> None:
        self.open[-1].content.append(text)
