# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""YAML as plain text, lists and mappings: nothing is run, no value is guessed at, and lines are known.

Scalars stay as they are written (``4.10`` is the text ``4.10``, ``off`` is the text ``off``), so a value
means the same to every reader. Nesting, aliases and size are bounded. Each value knows its place in the text, so that
an edit changes it and nothing else.

Each format is parsed as its own tools parse it: cluster and distro files with PyYAML, BuildStream's files with
ruamel.yaml. They differ: ruamel.yaml takes no ``{url: git://x}``, of which distro files are full.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SlipwayError

try:
    import yaml
except ImportError:  # the failure is raised when a file is to be read
    yaml = None  # type: ignore[assignment]  # absent on a host that reads no cluster
try:
    from ruamel import yaml as ruamel
except ImportError:
    ruamel = None  # type: ignore[assignment]  # absent on a host that reads no file of BuildStream

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
#: What a document may grow to when its aliases are followed.
MAX_NODES = 100_000
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")) | {"!"}
BYTE_ORDER_MARK = "\ufeff"
#: From where to where a value's characters stand, after a byte order mark; where a block ends is not exact.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Node:
    """One value: ``None``, text, a list or a mapping, the line that it begins on, and how much is below it."""

    value: str | list[Node] | dict[str, Node] | None
    line: int
    nodes: int = 1
    depth: int = 1
    span: Span = field(default=(0, 0), compare=False)

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
        raise _missing_error("PyYAML", "python3-yaml")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    root, reader = _parse(data, yaml, lambda text: yaml.parse(text, Loader=loader))
    if root is None or root.value is None:
        raise NotPlainError("it is empty")
    return root, reader.twice


def find_syntax_fault(data: bytes) -> str | None:
    """Why ``data`` is no YAML of any kind, tags and all, as one line; ``None`` if it is."""
    if yaml is None:
        raise _missing_error("PyYAML", "python3-yaml")
    try:
        yaml.compose(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        return where + str(getattr(error, "problem", None) or error).split("\n", maxsplit=1)[0]
    return None


def find_faults(data: bytes) -> list[str]:
    """Why ``data`` is no YAML of any kind, or else which keys are given twice; tags say nothing here."""
    fault = find_syntax_fault(data)
    if fault is not None:
        return [fault]
    try:
        return read(data)[1] if data.strip() else []
    except NotPlainError:
        return []


def read_strictly(data: bytes, *, file: str) -> Node:
    """What is in a file of BuildStream, in which each key stands once and no anchor; it may be empty."""
    try:
        root, reader = _parse_as_buildstream(data)
        faults = [*reader.twice, *reader.anchored]
    except NotPlainError as error:
        root, faults = None, [str(error)]
    if faults:
        raise SlipwayError("read", file, "; ".join(faults), do_next="Correct the file and run again.")
    return root or Node(None, 1)


def read_mapping(data: bytes, *, file: str) -> dict[str, Node]:
    """The mapping in a file of BuildStream, as :func:`read_strictly` reads it."""
    root = read_strictly(data, file=file)
    if root.mapping is None and root.value is not None:
        found = f"line {root.line}: it is {root.kind}, not a mapping"
        raise SlipwayError("read", file, found, do_next="Correct the file and run again.")
    return root.mapping or {}


def to_plain(node: Node, written: Mapping[Span, str] | None = None) -> object:
    """The value as text, lists and dictionaries, with what is ``written`` at some places instead of what is there."""
    if isinstance(node.value, list):
        return [to_plain(each, written) for each in node.value]
    if isinstance(node.value, dict):
        return {key: to_plain(value, written) for key, value in node.value.items()}
    return node.value if written is None else written.get(node.span, node.value)


def is_plain_text(value: str) -> bool:
    """Whether a value without quotes is text to every reader, and no number, date or such."""
    if yaml is None:
        raise _missing_error("PyYAML", "python3-yaml")
    resolver: Any = yaml.resolver.Resolver()
    return bool(resolver.resolve(yaml.ScalarNode, value, (True, False)) == "tag:yaml.org,2002:str")


def replace_scalars(text: str, written: Mapping[Span, str]) -> str:
    """A file of BuildStream with other scalars at some places, and all else as it is; or :class:`NotPlainError`."""
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    body = text.removeprefix(BYTE_ORDER_MARK)
    for span, value in sorted(written.items(), reverse=True):
        body = _replace_scalar(body, span, value)
    return mark + body


def _replace_scalar(text: str, span: Span, value: str) -> str:
    old, _unused = _parse_as_buildstream(text.encode())
    start, end = span
    gap = "" if start < end or text[start - 1 : start].isspace() else " "
    for scalar in _format_scalars(value):
        written = text[:start] + gap + scalar + text[end:]
        with contextlib.suppress(NotPlainError):
            new, _unused = _parse_as_buildstream(written.encode())
            if old is not None and new is not None and to_plain(new) == to_plain(old, {span: value}):
                return written
    raise NotPlainError(f"writing {value} where a value stands now would change something else")


def _format_scalars(value: str) -> Iterator[str]:
    """How a text can be written: as it is, unless that is a number or such, and in quotes."""
    with contextlib.suppress(ruamel.error.YAMLError, ValueError):
        if ruamel.YAML(typ="safe").load(f"- {value}") == [value]:
            yield value
    yield "'" + value.replace("'", "''") + "'"


def _parse_as_buildstream(data: bytes) -> tuple[Node | None, _Reader]:
    if ruamel is None:
        raise _missing_error("ruamel.yaml", "python3-ruamel.yaml")
    return _parse(data, ruamel, ruamel.YAML(typ="safe").parse)


def _parse(data: bytes, library: Any, parse: Callable[[str], Iterator[Any]]) -> tuple[Node | None, _Reader]:
    if len(data) > MAX_BYTES:
        raise NotPlainError(f"it is larger than {MAX_BYTES // (1 << 20)} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotPlainError(f"byte {error.start} is not UTF-8") from error
    reader = _Reader(library, parse(text))
    try:
        return reader.read_document(), reader
    except library.error.YAMLError as error:
        raise NotPlainError(_explain_error(error)) from error


def _missing_error(module: str, package: str) -> SlipwayError:
    do_next = f"Install Debian's {package} (or {module} by pip) and run again."
    return SlipwayError("read", "YAML", f"Python's {module} is missing", do_next=do_next)


def _explain_error(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"it is not YAML: line {mark.line + 1}: {problem}" if mark is not None else f"it is not YAML: {problem}"


class _Reader:
    """Builds nodes from the events of a parser, which does not recurse itself."""

    def __init__(self, library: Any, stream: Iterator[Any]) -> None:
        self.kinds = library.events
        self.stream = stream
        self.anchors: dict[str, Node] = {}
        self.twice: list[str] = []
        self.anchored: list[str] = []
        self.total = 0

    def read_document(self) -> Node | None:
        root = None
        for event in self.stream:
            if isinstance(event, self.kinds.DocumentStartEvent):
                if root is not None:
                    raise NotPlainError(f"it holds a second document from line {_find_line(event)}")
                root = self.read_node(next(self.stream), 1)
        return root

    def read_node(self, event: Any, level: int) -> Node:
        line = _find_line(event)
        if isinstance(event, self.kinds.AliasEvent):
            if event.anchor not in self.anchors:
                raise NotPlainError(f"line {line}: the alias *{event.anchor} stands before the end of what it names")
            node = self.anchors[event.anchor]
            self.count_nodes(node.nodes, line)
            if level + node.depth - 1 > MAX_DEPTH:
                raise NotPlainError(f"line {line}: it is nested more than {MAX_DEPTH} levels deep")
            return node
        self.count_nodes(1, line)
        if level > MAX_DEPTH:
            raise NotPlainError(f"line {line}: it is nested more than {MAX_DEPTH} levels deep")
        if event.tag is not None and event.tag not in TAGS:
            raise NotPlainError(f"line {line}: the tag {event.tag} is not allowed")
        if isinstance(event, self.kinds.ScalarEvent):
            is_plain = event.implicit[0] or event.tag == "tag:yaml.org,2002:null"
            span = (event.start_mark.index, event.end_mark.index)
            node = Node(None if is_plain and event.value in NULLS else event.value, line, span=span)
        elif isinstance(event, self.kinds.SequenceStartEvent):
            node = self.read_sequence(event, level)
        else:
            node = self.read_mapping(event, level)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
            self.anchored.append(f"line {line}: the anchor &{event.anchor} is not allowed here")
        return node

    def count_nodes(self, nodes: int, line: int) -> None:
        self.total += nodes
        if self.total > MAX_NODES:
            raise NotPlainError(f"line {line}: it grows to more than {MAX_NODES} values when its aliases are followed")

    def read_sequence(self, start: Any, level: int) -> Node:
        values = []
        while not isinstance(event := next(self.stream), self.kinds.SequenceEndEvent):
            values.append(self.read_node(event, level + 1))
        return _make_node(values, start, values, end=event)

    def read_mapping(self, start: Any, level: int) -> Node:
        line = _find_line(start)
        own: dict[str, Node] = {}
        merged: list[Node] = []
        while not isinstance(event := next(self.stream), self.kinds.MappingEndEvent):
            key = self.read_node(event, level + 1)
            value = self.read_node(next(self.stream), level + 1)
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
            self.count_nodes(source.nodes, line)
            for name, value in source.mapping.items():
                own.setdefault(name, value)
        return _make_node(own, start, [*own.values()], end=event)


def _find_line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _make_node(value: list[Node] | dict[str, Node], start: Any, children: list[Node], *, end: Any) -> Node:
    return Node(
        value,
        _find_line(start),
        nodes=1 + sum(child.nodes for child in children),
        depth=1 + max((child.depth for child in children), default=0),
        span=(start.start_mark.index, end.end_mark.index),
    )
