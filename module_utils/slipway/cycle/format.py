# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The format that definitions are written in, and which releases of the build tool understand it.

Morph's definitions say it in the file ``VERSION`` (``version: 8``); those of BuildStream in ``project.conf``
(``min-version: 2.4``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SlipwayError
from ..escape import escape_line
from ..release.names import VERSION, version_key
from ..yamltext import NotPlainError, read

#: What is said of definitions for Morph that do not say it, as its oldest.
UNSAID = "no file VERSION"
#: The files that say it.
FILES = ("VERSION", "project.conf")
#: From which of Baserock's releases on (year and week) Morph understands which versions, by its own history: the list
#: of supported versions, in sourceresolver.py from March 2015 and in definitions_version.py from August 2015.
UNDERSTOOD: tuple[dict[str, Any], ...] = (
    {"from": "15.11", "versions": [0, 1]},
    {"from": "15.15", "versions": [0, 1, 2]},
    {"from": "15.18", "versions": [0, 1, 2, 3]},
    {"from": "15.21", "versions": [0, 1, 2, 3, 4]},
    {"from": "15.24", "versions": [0, 1, 2, 3, 4, 5]},
    {"from": "15.30", "versions": [3, 4, 5]},
    {"from": "15.31", "versions": [3, 4, 5, 6]},
    {"from": "15.38", "versions": [6]},
    {"from": "15.42", "versions": [6, 7]},
    {"from": "16.12", "versions": [7]},
    {"from": "16.13", "versions": [7, 8]},
)
_NUMBER = re.compile(r"[0-9]{1,6}\Z")
_BUILDSTREAM = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})")


@dataclass(frozen=True)
class Format:
    """What a build tool must understand: ``version`` is that of Morph's format, or BuildStream's least version."""

    tool: str
    version: str
    file: str

    def describe(self) -> str:
        """The format, in words that the two tools use."""
        if self.tool == "morph":
            return f"version {self.version} of Morph's definitions format ({self.file})"
        return f"BuildStream {self.version} or later ({self.file})"


def read_format(files: Mapping[str, bytes | None], *, on: str) -> Format | None:
    """The format of definitions with these :data:`FILES`; ``None`` if they do not say any, as Morph's oldest."""
    version, project = files.get("VERSION"), files.get("project.conf")
    if project is not None:
        stated = _read_value(project, "min-version", file="project.conf", on=on)
        if stated is None:
            return None  # BuildStream itself will tell what is missing
        if not _BUILDSTREAM.match(stated):
            raise _make_error("project.conf", on, f"min-version is {escape_line(stated)!r}, not such as 2.4")
        return Format("buildstream", stated, "project.conf")
    if version is None:
        return None
    stated = _read_value(version, "version", file="VERSION", on=on)
    if stated is None or not _NUMBER.match(stated):
        found = "there is no version in it" if stated is None else f"its version is {escape_line(stated)!r}"
        raise _make_error("VERSION", on, f"{found}, not a whole number as in `version: 8`")
    return Format("morph", str(int(stated)), "VERSION")


def _read_value(data: bytes, key: str, *, file: str, on: str) -> str | None:
    try:
        top = read(data)[0].mapping
    except NotPlainError as error:
        raise _make_error(file, on, str(error)) from error
    if top is None:
        raise _make_error(file, on, "it is no mapping")
    return top[key].text if key in top else None


def _make_error(file: str, on: str, found: str) -> SlipwayError:
    return SlipwayError("read the format of the definitions from", f"{file} of {on}", found, do_next="Correct it.")


def find_format_fault(wanted: Format, release: str, *, table: Sequence[Mapping[str, Any]] = ()) -> str | None:
    """Why the build tool of ``release`` does not understand definitions of this format, as half a sentence.

    ``release`` is a version of BuildStream, or the release whose Morph it is. The ``table`` is as :data:`UNDERSTOOD`,
    which counts if it is empty; what it says nothing of is not refused.
    """
    if wanted.tool == "buildstream":
        return _find_buildstream_fault(wanted, release)
    if not VERSION.match(release):
        return None
    key = version_key(release)
    rows = [
        row for row in table or UNDERSTOOD if VERSION.match(str(row["from"])) and version_key(str(row["from"])) <= key
    ]
    if not rows:
        return None
    last = max(rows, key=lambda row: version_key(str(row["from"])))
    known = [str(each) for each in last["versions"]]
    return None if wanted.version in known else f"it understands {', '.join(known)} only"


def _find_buildstream_fault(wanted: Format, release: str) -> str | None:
    least, there = _BUILDSTREAM.match(wanted.version), _BUILDSTREAM.match(release)
    if least is None or there is None:
        return None
    (major, minor), (own_major, own_minor) = (map(int, each.groups()) for each in (least, there))
    if major != own_major:
        return f"it is another major version than {wanted.version}"
    return None if own_minor >= minor else f"it is older than {wanted.version}"
