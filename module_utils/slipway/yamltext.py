# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""YAML as plain text, lists and mappings: nothing is run, no value is guessed at, and lines are known.

Scalars stay as they are written (``4.10`` is the text ``4.10``, ``off`` is the text ``off``), so a value
means the same to every reader. Nesting, aliases and size are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import SlipwayError

try:
    import yaml
except ImportError:  # the failure is told when a file is to be read
    yaml = None  # type: ignore[assignment]  # absent on a host that reads no YAML

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
#: What a document may grow to when its aliases are followed.
MAX_NODES = 100_000
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")) | {"!"}


@dataclass(frozen=True, slots=True)
class Node:
    """One value: ``None``, text, a list or a mapping, the line that it begins on, and how much is below it."""

    value: str | list[Node] | dict[str, Node] | None
    line: int
    nodes: int = 1
    depth: int = 1

    @property
    def text(self) -> str | None:
        """The value if it is text."""
        return self.value if isinstance(self.value, str) else None

    @property
    def items(self) -> list[Node] | None:
        """The value if it is a list."""
        return self.value if isinstance(self.value, list) else None

    @property
    def mapping(self) -> dict[str, Node] | None:
        """The value if it is a mapping."""
        return self.value if isinstance(self.value, dict) else None

    @property
    def compound(self) -> bool:
        """Whether it is a list or a mapping."""
        return isinstance(self.value, (list, dict))

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if self.value is None:
            return "nothing"
        return "text" if isinstance(self.value, str) else "a list" if isinstance(self.value, list) else "a mapping"


class NotPlainError(ValueError):
    """The text is not YAML, or more than plain YAML; the message says where and why."""


def read(data: bytes) -> tuple[Node, list[str]]:
    """The one document in ``data``, and a sentence for each key that is given twice.

    Raises :class:`NotPlainError` for what cannot be read at all.
    """
    if yaml is None:
        raise SlipwayError("read", "YAML", "Python's yaml module is missing", do_next="Install PyYAML and run again.")
    if len(data) > MAX_BYTES:
        raise NotPlainError(f"it is larger than {MAX_BYTES // (1 << 20)} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotPlainError(f"byte {error.start} is not UTF-8") from error
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = _Reader(yaml.parse(text, Loader=loader))
    try:
        return reader.document(), reader.twice
    except yaml.YAMLError as error:
        raise NotPlainError(_reason(error)) from error


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"it is not YAML: line {mark.line + 1}: {problem}" if mark is not None else f"it is not YAML: {problem}"


class _Reader:
    """Builds nodes from the events of a parser, which does not recurse itself."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.twice: list[str] = []
        self.total = 0

    def document(self) -> Node:
        root = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise NotPlainError(f"it holds a second document from line {_line(event)}")
                root = self.node(next(self.events), 1)
        if root is None or root.value is None:
            raise NotPlainError("it is empty")
        return root

    def node(self, event: Any, level: int) -> Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise NotPlainError(f"line {line}: the alias *{event.anchor} stands before the end of what it names")
            node = self.anchors[event.anchor]
            self.count(node.nodes, line)
            if level + node.depth - 1 > MAX_DEPTH:
                raise NotPlainError(f"line {line}: it is nested more than {MAX_DEPTH} levels deep")
            return node
        self.count(1, line)
        if level > MAX_DEPTH:
            raise NotPlainError(f"line {line}: it is nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None and event.tag not in TAGS:
            raise NotPlainError(f"line {line}: the tag {event.tag} is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] or event.tag == "tag:yaml.org,2002:null"
            node = Node(None if plain and event.value in NULLS else event.value, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(line, level)
        else:
            node = self.mapping(line, level)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def count(self, nodes: int, line: int) -> None:
        self.total += nodes
        if self.total > MAX_NODES:
            raise NotPlainError(f"line {line}: it grows to more than {MAX_NODES} values when its aliases are followed")

    def sequence(self, line: int, level: int) -> Node:
        values = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            values.append(self.node(event, level + 1))
        return _node(values, line, values)

    def mapping(self, line: int, level: int) -> Node:
        own: dict[str, Node] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, level + 1)
            value = self.node(next(self.events), level + 1)
            if key.text is None:
                raise NotPlainError(f"line {key.line}: a key is {key.kind}, not text")
            if key.text == "<<" and getattr(event, "implicit", (False,))[0]:
                merged += value.items if value.items is not None else [value]
            elif key.text in own:
                first = own[key.text].line
                self.twice.append(
                    f"line {key.line}: the key {key.text!r} is given a second time (first on line {first})"
                )
            else:
                own[key.text] = value
        for source in merged:
            if source.mapping is None:
                raise NotPlainError(f"line {line}: << takes a mapping, not {source.kind}")
            self.count(source.nodes, line)
            for name, value in source.mapping.items():
                own.setdefault(name, value)
        return _node(own, line, [*own.values()])


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _node(value: list[Node] | dict[str, Node], line: int, children: list[Node]) -> Node:
    return Node(
        value,
        line,
        nodes=1 + sum(child.nodes for child in children),
        depth=1 + max((child.depth for child in children), default=0),
    )
