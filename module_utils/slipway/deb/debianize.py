# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directory ``debian`` of a stack's source package, made from what its control YAML says.

All texts come from outside: what they say is kept, what would mean something to dpkg is not.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..escape import BIDI, escape_line
from ..openpgp.keys import USER_ID
from .changelog import Entry
from .control import FIELD_NAME
from .names import PRIORITY, SECTION, WORD
from .relations import parse_relation

#: What every build has.
ESSENTIAL = "build-essential"
COMPAT = 13
STANDARDS = "4.6.2"
RULES = "#!/usr/bin/make -f\n\n%:\n\tdh $@\n"
#: What this module writes itself, below ``debian``.
OWN_FILES = ("control", "changelog", "rules", "source/format", "compat")
WIDTH = 78
RIGHTS = (
    "The files of this package say who holds the rights in them, and under which licences they may be used and passed "
    "on. What is in debian/ was made from their description, and may be used under the same conditions."
)

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-z|~]+", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_@-]*(?:/[A-Za-z0-9][A-Za-z0-9.+_@-]*)*", re.ASCII)


@dataclass(frozen=True)
class ExtraFile:
    """A further file below ``debian``."""

    path: str
    content: str
    program: bool = False


@dataclass(frozen=True)
class Style:
    """What all stacks of a distribution have alike; ``marker`` is the field that has the distribution's name."""

    maintainer: str = ""
    marker: str = ""
    rules: str = ""
    files: tuple[ExtraFile, ...] = ()
    section: str = SECTION
    changes: str = "Release of {stack} {version}."

    def find_faults(self) -> list[str]:
        """What cannot be used of it, as clauses."""
        faults = []
        if self.maintainer and not _is_person(self.maintainer):
            faults.append(f"the maintainer {self.maintainer!r} is not of the form 'Name <mail@address>'")
        if self.marker and not FIELD_NAME.fullmatch(self.marker):
            faults.append(f"the marker {self.marker!r} is not the name of a field")
        if not WORD.fullmatch(self.section):
            faults.append(f"the section {self.section!r} is not one word")
        if self.rules and not self.rules.startswith("#!"):
            faults.append("the rules do not begin with #!, the interpreter's line")
        for file in self.files:
            if not _FILE.fullmatch(file.path):
                faults.append(f"the path {file.path!r} of a file is not one below debian/")
            elif file.path in OWN_FILES:
                faults.append(f"debian/{file.path} is made here, and cannot be given as a file")
        return faults


@dataclass(frozen=True)
class Stack:
    """A stack to be packed for one platform; ``depends`` are packages of other stacks, ``rosdeps`` relations."""

    name: str
    upstream: str
    package: str
    version: str
    platform: str
    distribution: str
    moment: int
    control: Mapping[str, Any]
    depends: Sequence[str] = field(default_factory=tuple)
    rosdeps: Sequence[str] = field(default_factory=tuple)


def make_debian(stack: Stack, style: Style) -> dict[str, tuple[bytes, int]]:
    """The files below ``debian`` by path, each with its mode; ``ValueError`` with the fault."""
    made = {
        "changelog": (make_entry(stack, style).format(), 0o644),
        "control": (format_control(stack, style).encode(), 0o644),
        "copyright": (_format_copyright(stack).encode(), 0o644),
        "rules": ((style.rules or RULES).encode(), 0o755),
        "source/format": (b"1.0\n", 0o644),
    }
    extra = {file.path: (file.content.encode(), 0o755 if file.program else 0o644) for file in style.files}
    return {**made, **extra}


def make_entry(stack: Stack, style: Style) -> Entry:
    """The one entry of the changelog."""
    words = style.changes.format(stack=stack.name, version=stack.upstream, platform=stack.platform)
    return Entry(
        stack.package,
        stack.version,
        stack.platform,
        choose_maintainer(stack, style),
        stack.moment,
        changes=(escape_line(words),),
        urgency="low",
    )


def choose_maintainer(stack: Stack, style: Style) -> str:
    """The maintainer of the package: the distribution's, or else the stack's own."""
    own = escape_line(str(stack.control.get("maintainer") or ""))
    if style.maintainer or _is_person(own):
        return style.maintainer or own
    raise ValueError(
        f"the maintainer of {stack.name} is {own!r}, which is not of the form 'Name <mail@address>', "
        "and no other is given"
    )


def _is_person(text: str) -> bool:
    return USER_ID.match(text) is not None and "${" not in text


def format_control(stack: Stack, style: Style) -> str:
    """``debian/control``."""
    demands = [*convert_rosdeps(stack.rosdeps), *stack.depends]
    priority = str(stack.control.get("priority") or PRIORITY)
    if not WORD.fullmatch(priority):
        raise ValueError(f"the priority {priority!r} is not one word")
    homepage = str(stack.control.get("homepage") or "")
    source = {
        "Source": stack.package,
        "Section": style.section,
        "Priority": priority,
        "Maintainer": choose_maintainer(stack, style),
        # Every build has build-essential, and Debian's policy wants it unsaid.
        "Build-Depends": _join([f"debhelper-compat (= {COMPAT})", *(each for each in demands if each != ESSENTIAL)]),
        "Standards-Version": STANDARDS,
        **({"Homepage": homepage} if _URL.fullmatch(homepage) else {}),
        **({f"XBC-{style.marker}": stack.distribution} if style.marker else {}),
    }
    binary = {
        "Package": stack.package,
        "Architecture": "any",
        "Depends": _join(["${shlibs:Depends}", "${misc:Depends}", *demands]),
        "Description": format_description(stack),
    }
    return "\n".join("".join(f"{name}: {value}\n" for name, value in part.items()) for part in (source, binary))


def convert_rosdeps(rosdeps: Iterable[str]) -> list[str]:
    """Relations as dpkg has them of those that rosdep data has: ``name=version`` is ``name (= version)``."""
    found = [" | ".join(_convert_rosdep(part) for part in str(text).split("|")) for text in rosdeps]
    return list(dict.fromkeys(found))


def _convert_rosdep(text: str) -> str:
    name, equals, version = text.strip().partition("=")
    plain = text
    if equals and "(" not in name:
        if "*" in version:
            raise ValueError(f"the rosdep '{escape_line(text)}' has a version with *, where a whole one is needed")
        plain = f"{name.strip()} (= {version.strip()})"
    try:
        return str(parse_relation(plain.strip(), "rosdeps")[1])
    except ValueError:
        raise ValueError(f"the rosdep '{escape_line(text)}' is not a relation to a Debian package") from None


def format_description(stack: Stack) -> str:
    """The value of Description: a short line, and lines that each begin with a blank."""
    brief = _escape(escape_line(str(stack.control.get("description-brief") or ""))) or f"stack {stack.name}"
    full = str(stack.control.get("description-full") or "")
    lines = [line for text in re.split(r"\r\n|\r|\n", full) for line in _format_line(text)]
    while lines and lines[-1] == " .":
        lines.pop()
    while lines and lines[0] == " .":
        lines.pop(0)
    if not lines:
        lines = textwrap.wrap(f"This is {stack.name} {stack.upstream}.", WIDTH, initial_indent=" ")
    return "\n".join([brief, *lines])


def _format_line(text: str) -> list[str]:
    """One line of the long description; what is indented stays as it is, other lines are wrapped."""
    plain = _escape("".join(_clean(letter) for letter in text.expandtabs()).rstrip())
    if not plain.strip():
        return [" ."]
    if plain.startswith((" ", ".")):
        return [f" {plain}" if plain.startswith(" ") else f"  {plain}"]
    lines = textwrap.wrap(plain, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"  {line}" if line.startswith(".") else f" {line}" for line in lines]


def _clean(letter: str) -> str:
    """Characters that are no text, or move what is around them, are blanks."""
    return " " if letter in BIDI or unicodedata.category(letter) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} else letter


def _escape(text: str) -> str:
    """dpkg fills in ``${...}``, and ``${}`` is a dollar sign."""
    return text.replace("${", "${}{")


def _join(relations: Iterable[str]) -> str:
    return ",\n ".join(dict.fromkeys(relations))


def _format_copyright(stack: Stack) -> str:
    source = stack.control.get("source")
    origin = [str(source.get(name) or "") for name in ("uri", "revision")] if isinstance(source, Mapping) else []
    rows = {
        "Stack": f"{stack.name} {stack.upstream}",
        "Homepage": str(stack.control.get("homepage") or ""),
        "Source": " ".join(origin).strip(),
        "Authors": str(stack.control.get("maintainer") or ""),
    }
    said = "".join(f"{name}: {escape_line(value)}\n" for name, value in rows.items() if value)
    return f"{said}\n{textwrap.fill(RIGHTS, WIDTH)}\n"
