# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of distbuild protocol 4: a JSON string that holds a YAML document that is a flat mapping.

What is sent is JSON text inside the JSON string, so that a string can never be read as something else:
a ref that YAML takes for a number or a date ends a real controller's helper for good. What is received is
real YAML in any style; its scalars stay text (or bytes), whatever they look like.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ..errors import SlipwayError

try:
    import yaml
except ImportError:  # the failure is raised when a line is to be read
    yaml = None  # type: ignore[assignment]  # absent on a host that speaks to no controller

PROTOCOL_VERSION = 4
#: Where one line without an end is not a message of a controller; the longest one seen had 44 351 bytes.
MAX_LINE = 16 << 20

Value: TypeAlias = "str | bytes | list[str]"
Message = dict[str, Value]

BINARY = "tag:yaml.org,2002:binary"
#: An astral character as a controller with a narrow Python writes it; libyaml refuses the halves.
HALF_CHARACTER = "\\ud"


class UnreadableError(ValueError):
    """A line that is not a message; the text says why."""


def encode_message(message: Mapping[str, str | int | bool | list[str]]) -> bytes:
    """One line of the wire, pure ASCII."""
    for name, value in message.items():
        if not (isinstance(value, (str, int)) or (isinstance(value, list) and all(isinstance(v, str) for v in value))):
            raise TypeError(f"{name} of a message cannot be {value!r}")
    return (json.dumps(json.dumps(dict(message), sort_keys=True)) + "\n").encode("ascii")


def decode_message(line: bytes) -> Message:
    """The message in one line (without its line end). Raises :class:`UnreadableError`."""
    try:
        document = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is not JSON ({error})") from error
    if not isinstance(document, str):
        raise UnreadableError("it is JSON, but not a string")
    if yaml is None:
        raise SlipwayError(
            "read", "the controller's answer", "Python's yaml module is missing", do_next="Install PyYAML."
        )
    try:
        return _read_mapping(yaml.parse(document, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        if HALF_CHARACTER not in document.lower():
            raise UnreadableError(f"its string is not YAML ({_explain_error(error)})") from error
    try:
        return _read_mapping(yaml.parse(document, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableError(f"its string is not YAML ({_explain_error(error)})") from error


def read_text(message: Mapping[str, Value], name: str) -> str:
    """A field as text; an absent one is empty."""
    value = message.get(name, "")
    if isinstance(value, list):
        return " ".join(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def read_bytes(message: Mapping[str, Value], name: str) -> bytes:
    """A field as the bytes that the build wrote; an absent one is empty."""
    value = message.get(name, "")
    return value if isinstance(value, bytes) else read_text(message, name).encode("utf-8", "replace")


def read_list(message: Mapping[str, Value], name: str) -> list[str]:
    """A field that is a list of texts; anything else is empty."""
    value = message.get(name, "")
    return list(value) if isinstance(value, list) else []


def read_number(message: Mapping[str, Value], name: str) -> int:
    """A field that is a number; anything else is 0."""
    digits = read_text(message, name)
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 16 else 0


class LineBuffer:
    """Joins what a socket gives and cuts it into lines, however it was cut on the way."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self.limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that ``data`` completes, without line ends and without empty lines.

        Raises :class:`UnreadableError` when a line grows beyond the limit.
        """
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._rest += data[start:end]
            line = bytes(self._rest.removesuffix(b"\r"))
            self._rest.clear()
            start = end + 1
            if line:
                yield line
        self._rest += data[start:]
        if len(self._rest) > self.limit:
            raise UnreadableError(f"a line has more than {self.limit >> 20} MiB")

    @property
    def partial(self) -> int:
        """How many bytes of an unfinished line are held."""
        return len(self._rest)


def _read_mapping(events: Iterator[Any]) -> Message:
    """The flat mapping of one YAML document; anything deeper or different is unreadable."""
    message: Message = {}
    opening = [next(events, None) for _unused in range(3)]
    if not isinstance(opening[2], yaml.MappingStartEvent):
        raise UnreadableError("its string holds no mapping")
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        name = _read_scalar(event)
        event = next(events)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(_decode_text(_read_scalar(event)))
            message[_decode_text(name)] = items
        else:
            message[_decode_text(name)] = _read_scalar(event)
    return message


def _read_scalar(event: Any) -> str | bytes:
    if not isinstance(event, yaml.ScalarEvent):
        raise UnreadableError("its mapping is not flat")
    value: str = event.value
    if event.tag == BINARY:
        try:
            return base64.b64decode(value, validate=False)
        except ValueError as error:
            raise UnreadableError(f"its binary value is damaged ({error})") from error
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _decode_text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _explain_error(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
