# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control file of a deb: read without losing a byte, and locked to the other packages of its release."""

from __future__ import annotations

import re
from collections.abc import Callable

from .version import find_version_fault

#: Fields whose relations are locked to the versions of the release.
LOCKED_FIELDS = ("Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances")
#: Fields whose relations must stay as true, or as false, as they were.
KEPT_FIELDS = ("Breaks", "Conflicts", "Replaces")
#: Fields that stamping sets itself, or that dpkg gives a meaning of its own.
RESERVED_FIELDS = frozenset(
    name.lower()
    for name in (
        *LOCKED_FIELDS,
        *KEPT_FIELDS,
        *("Package", "Version", "Architecture", "Source", "Provides", "Description", "Essential", "Multi-Arch"),
        *("Package-Type", "Installed-Size", "Filename", "Size", "MD5sum", "SHA1", "SHA256", "Status", "Conffiles"),
    )
)
#: Fields that dpkg refuses in a deb, or that change the version by other means.
_FORBIDDEN_FIELDS = (
    *("Status", "Config-Version", "Conffiles", "Triggers-Pending", "Triggers-Awaited"),
    *("Revision", "Package-Revision", "Package_Revision"),
)
_CHOICES = {
    "Essential": ("yes", "no"),
    "Protected": ("yes", "no"),
    "Multi-Arch": ("no", "same", "foreign", "allowed"),
}
FIELD_NAME = re.compile(r"[!\"$-,.-9;-~][!-9;-~]+", re.ASCII)
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*", re.ASCII)
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
SOURCE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9+._-]*)(?:\s+\((?P<version>[^\s()]+)\))?", re.ASCII)


class Control:
    """One stanza: its fields in their order, each with the very text it was written with.

    A text that dpkg would not read as one stanza raises ``ValueError`` with the fault.
    """

    def __init__(self, text: str) -> None:
        self._before, self._fields, self._after = _split_fields(text)
        self._index = self._make_index()

    def _make_index(self) -> dict[str, int]:
        return {name.rstrip().lower(): position for position, (name, _raw) in enumerate(self._fields)}

    def __str__(self) -> str:
        return self._before + "".join(f"{name}:{raw}" for name, raw in self._fields) + self._after

    def get(self, name: str) -> str | None:
        """The value of a field without the white space around it, or ``None``."""
        position = self._index.get(name.lower())
        return None if position is None else self._fields[position][1].strip()

    @property
    def last_field(self) -> str | None:
        """The name of the last field, if there is one."""
        return self._fields[-1][0].rstrip() if self._fields else None

    def is_folded(self, name: str) -> bool:
        """Whether the value of a field begins on the line after its name."""
        position = self._index.get(name.lower())
        return position is not None and self._fields[position][1].lstrip(" \t").startswith("\n")

    def set(self, name: str, value: str, *, before: str = "", after: str = "") -> None:
        """Give a field a value; a new one goes beside the named field, or to the end."""
        position = self._index.get(name.lower())
        if position is not None:
            self._fields[position] = (self._fields[position][0], f" {value}\n")
            return
        place = len(self._fields)
        if before.lower() in self._index:
            place = self._index[before.lower()]
        elif after.lower() in self._index:
            place = self._index[after.lower()] + 1
        self._fields.insert(place, (name, f" {value}\n"))
        self._index = self._make_index()

    def tidy_names(self) -> None:
        """Remove blanks before colons, which dpkg and apt take and solvers do not."""
        self._fields = [(name.rstrip(), raw) for name, raw in self._fields]

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        """Pass the raw value of a field, if there is one, through ``change``, white space included."""
        position = self._index.get(name.lower())
        if position is not None:
            own, raw = self._fields[position]
            self._fields[position] = (own, change(raw))


def read_control_file(data: bytes) -> Control:
    """The control file of a deb, where dpkg wants the last field to have a value, unlike in an index."""
    control = Control(decode_control(data))
    last = control.last_field
    if last is not None and not control.get(last):
        raise ValueError(f"its control file ends before the value of {last}")
    return control


def decode_control(data: bytes) -> str:
    """Decode a control file as UTF-8; other bytes are kept as surrogates."""
    return data.decode("utf-8", "surrogateescape")


def encode_control(text: str) -> bytes:
    """Encode the result of :func:`decode_control` to the same bytes."""
    return text.encode("utf-8", "surrogateescape")


def make_printable(text: str) -> str:
    """``text`` without surrogates, for people and for JSON."""
    return encode_control(text).decode("utf-8", "replace")


def make_word(text: str) -> str:
    """``text`` for a sentence: without surrogates, in one line."""
    return " ".join(make_printable(text).split())


def _split_fields(text: str) -> tuple[str, list[tuple[str, str]], str]:
    if not text.endswith("\n"):
        raise ValueError("the last line of its control file is not ended")
    if "\r\n" in text:
        raise ValueError("its control file has lines that end in CR LF, as on Windows; they must end in LF")
    if _CONTROL_CHARACTER.search(text):
        raise ValueError("its control file has a control character")
    lines = text.split("\n")[:-1]
    first = next((number for number, line in enumerate(lines) if line), len(lines))
    last = max((number for number, line in enumerate(lines) if line), default=first - 1)
    fields: list[tuple[str, str]] = []
    seen = set()
    for number, line in enumerate(lines[first : last + 1], start=first + 1):
        if line[:1] in {" ", "\t"}:
            if not fields or not line.strip():
                raise ValueError(f"line {number} of its control file continues no field or is blank")
            fields[-1] = (fields[-1][0], f"{fields[-1][1]}{line}\n")
            continue
        written, colon, value = line.partition(":")
        name = written.rstrip(" \t")
        if not line:
            raise ValueError("its control file has more than one paragraph")
        if not colon or not FIELD_NAME.fullmatch(name):
            raise ValueError(f"line {number} of its control file is not a field")
        if name.lower() in seen:
            raise ValueError(f"its control file has the field {name} twice")
        seen.add(name.lower())
        fields.append((written, f"{value}\n"))
    return "\n" * first, fields, "\n" * (len(lines) - last - 1)


def identify_package(control: Control) -> tuple[str, str, str]:
    """Package, version and architecture; ``ValueError`` with the fault if dpkg would refuse one of them."""
    values = []
    for name, pattern in (("Package", PACKAGE_NAME), ("Version", None), ("Architecture", ARCHITECTURE)):
        value = control.get(name)
        if not value or control.is_folded(name):
            raise ValueError(f"its control file has no {name}")
        fault = find_version_fault(value) if pattern is None else None
        if fault:
            raise ValueError(f"the version '{make_word(value)}' {fault}")
        if pattern is not None and not pattern.fullmatch(value):
            raise ValueError(f"the {name.lower()} name '{make_word(value)}' is not allowed")
        values.append(value)
    for name in _FORBIDDEN_FIELDS:
        if control.get(name) is not None:
            raise ValueError(f"its control file has the field {name}, which a deb must not have")
    for name, choices in _CHOICES.items():
        choice = control.get(name)
        if choice and choice.lower() not in choices:
            raise ValueError(f"its {name} is '{make_word(choice)}' and not {' or '.join(choices)}")
    if len((control.get("Priority") or "").split()) > 1:
        raise ValueError(f"its Priority is '{make_word(control.get('Priority') or '')}' and not one word")
    package, version, architecture = values
    return package, version, architecture
