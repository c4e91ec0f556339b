# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``Sources`` and ``Packages`` indexes say that a plan of builds needs, read fast: they have 60,000 stanzas.

Texts of relations are kept as they are; most are never looked at, and equal ones are parsed once.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, TypeVar

from ..deb.architectures import ALL, is_built_for
from ..deb.buildrelations import accepts_profiles
from ..deb.control import ARCHITECTURE, PACKAGE_NAME, SOURCE
from ..deb.version import find_version_fault, strip_rebuild
from ..errors import SlipwayError
from ..escape import escape_terminal

#: No index that was unpacked is larger; Debian's largest has 60 MB.
MAX_INDEX = 1 << 30

_BINARY_FIELDS = (
    *("Package", "Version", "Architecture", "Source", "Multi-Arch", "Provides", "Pre-Depends", "Depends"),
    "Essential",
)
_SOURCE_FIELDS = (
    *("Package", "Version", "Architecture", "Binary", "Package-List", "Extra-Source-Only"),
    *("Build-Depends", "Build-Depends-Arch", "Build-Depends-Indep"),
    *("Build-Conflicts", "Build-Conflicts-Arch", "Build-Conflicts-Indep", "Testsuite"),
)
_UNFOLD = re.compile(r"[ \t]*\n[ \t]+")
_ARCH_ENTRY = re.compile(r"(?:^|\s)arch=(\S+)")
_PROFILE_ENTRY = re.compile(r"(?:^|\s)profile=(\S+)")


class Binary(NamedTuple):
    """A package as an index lists it."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    multi_arch: str
    provides: str
    depends: str
    essential: bool


class Declared(NamedTuple):
    """A package that a source says it makes; ``architecture`` is a list as in its control file, ``""`` if unknown."""

    name: str
    architecture: str
    profiles: tuple[tuple[str, ...], ...]


class Source(NamedTuple):
    """A source package; relations are texts, by the part (``""``, ``arch``, ``indep``) that needs them."""

    name: str
    version: str
    architecture: str
    declared: tuple[Declared, ...]
    needs: Mapping[str, str]
    conflicts: Mapping[str, str]
    #: Whether it has tests for autopkgtest.
    has_tests: bool = False

    def list_made(self, architecture: str, profiles: Collection[str]) -> list[str]:
        """The packages that a build makes on ``architecture`` (which may be ``all``)."""
        return [one.name for one in self.declared if self._makes(one, architecture, profiles)]

    def _makes(self, one: Declared, architecture: str, profiles: Collection[str]) -> bool:
        if not accepts_profiles(one.profiles, profiles):
            return False
        if architecture == ALL:
            return ALL in (one.architecture or self.architecture).split()
        return is_built_for(architecture, one.architecture or self.architecture)

    def has_package_list(self) -> bool:
        """Whether it says which of its packages are for which architecture."""
        return any(one.architecture for one in self.declared)


T = TypeVar("T")
#: What was made of the paragraphs of an index.
Memory = dict[bytes, T]


def unpack_index(data: bytes, on: str) -> bytes:
    """An index as text, whether it is plain or compressed by gzip or xz."""
    try:
        if data.startswith(b"\x1f\x8b"):
            return _read_bounded(gzip.GzipFile(fileobj=io.BytesIO(data)), on)
        if data.startswith(b"\xfd7zXZ\0"):
            return _read_bounded(lzma.LZMAFile(io.BytesIO(data)), on)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _unusable(on, f"it cannot be unpacked ({error})") from error
    return data


def _read_bounded(stream: gzip.GzipFile | lzma.LZMAFile, on: str) -> bytes:
    data = stream.read(MAX_INDEX + 1)
    if len(data) > MAX_INDEX:
        raise _unusable(on, f"it has more than {MAX_INDEX >> 20} MiB when it is unpacked")
    return data


def read_binaries(data: bytes, on: str, memory: Memory[Binary] | None = None) -> list[Binary]:
    """The packages of a ``Packages`` index. What is in ``memory`` of the last time is not read again."""
    return list(_read_paragraphs(data, _BINARY_FIELDS, memory, make=lambda fields: _make_binary(fields, on)))


def read_sources(data: bytes, on: str, memory: Memory[Source] | None = None) -> list[Source]:
    """The source packages of a ``Sources`` index, without those that are kept for their licence alone."""

    def make(fields: Mapping[str, str]) -> Source | None:
        return None if fields.get("extra-source-only") == "yes" else make_source(fields, on)

    return list(_read_paragraphs(data, _SOURCE_FIELDS, memory, make=make))


def make_source(fields: Mapping[str, str], on: str) -> Source:
    """A source package from its fields, whose names are in lower case."""
    name, version = _check_identity(fields, on)
    needs, conflicts = (
        {
            part: text
            for part in ("", "arch", "indep")
            if (text := fields.get(f"{field}-{part}" if part else field, "")).strip(" \t\n,")
        }
        for field in ("build-depends", "build-conflicts")
    )
    if "package-list" in fields:
        declared = _read_package_list(fields["package-list"])
    else:
        names = fields.get("binary", "").replace(",", " ").split()
        declared = tuple(Declared(binary, "", ()) for binary in names)
    for one in declared:
        if not PACKAGE_NAME.fullmatch(one.name):
            raise _unusable(on, f"{name} makes '{one.name}', which is no name of a package")
    has_tests = bool(fields.get("testsuite", "").strip())
    return Source(name, version, fields.get("architecture", ""), declared, needs, conflicts, has_tests)


def _read_package_list(text: str) -> tuple[Declared, ...]:
    found = []
    for line in text.split("\n"):
        words = line.split()
        if len(words) < 2 or words[1] != "deb":
            continue
        architecture, profile = _ARCH_ENTRY.search(line), _PROFILE_ENTRY.search(line)
        lists = tuple(tuple(part.split("+")) for part in profile[1].split(",")) if profile else ()
        found.append(Declared(words[0], architecture[1].replace(",", " ") if architecture else "", lists))
    return tuple(found)


def _make_binary(fields: Mapping[str, str], on: str) -> Binary:
    name, version = _check_identity(fields, on)
    architecture = fields.get("architecture", "")
    if not ARCHITECTURE.fullmatch(architecture):
        raise _unusable(on, f"{name} {version} is for '{architecture}', which is no architecture")
    source, source_version = name, strip_rebuild(version) if "+b" in version else version
    if "source" in fields:
        match = SOURCE.fullmatch(fields["source"])
        if match is None:
            raise _unusable(on, f"the source of {name} {version} is '{fields['source']}'")
        source, source_version = match["name"], match["version"] or source_version
    depends = fields.get("depends", "")
    if "pre-depends" in fields:
        depends = f"{fields['pre-depends']}, {depends}" if depends else fields["pre-depends"]
    return Binary(
        name,
        version,
        architecture,
        source,
        source_version,
        fields.get("multi-arch", ""),
        fields.get("provides", ""),
        depends,
        fields.get("essential", "") == "yes",
    )


def _check_identity(fields: Mapping[str, str], on: str) -> tuple[str, str]:
    name, version = fields.get("package", ""), fields.get("version", "")
    if not PACKAGE_NAME.fullmatch(name):
        raise _unusable(on, f"a paragraph has {'the name ' + repr(name) if name else 'no name'}")
    fault = find_version_fault(version) if version else "is not there"
    if fault:
        raise _unusable(on, f"the version '{version}' of {name} {fault}")
    return name, version


def _read_paragraphs(
    data: bytes, wanted: tuple[str, ...], memory: Memory[T] | None, *, make: Callable[[Mapping[str, str]], T | None]
) -> Iterator[T]:
    """What ``make`` makes of the ``wanted`` fields of each paragraph; ``memory`` has the paragraphs of the last time,
    and these at the end.
    """
    names = "|".join(wanted)
    pattern = re.compile(rf"^({names}):[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)".encode(), re.MULTILINE | re.IGNORECASE)
    before, now = memory or {}, {}
    for paragraph in data.replace(b"\r", b"").split(b"\n\n"):
        made = before.get(paragraph)
        if made is None:
            fields = _read_fields(paragraph, pattern)
            made = make(fields) if fields else None
        if made is not None:
            now[paragraph] = made
            yield made
    if memory is not None:
        memory.clear()
        memory.update(now)


def _read_fields(paragraph: bytes, pattern: re.Pattern[bytes]) -> dict[str, str]:
    """The values of a paragraph's fields, unfolded but for ``Package-List``; nothing of an empty one."""
    fields = {}
    for name, value in pattern.findall(paragraph):
        key = name.decode().lower()
        text = value.decode("utf-8", "replace").rstrip()
        fields[key] = text if "\n" not in text or key == "package-list" else _UNFOLD.sub(" ", text).strip()
    if not fields and paragraph.strip():
        # Without one of these fields it is no paragraph of an index at all, such as a page of HTML.
        return {"package": ""}
    return fields


def _unusable(on: str, fault: str) -> SlipwayError:
    return SlipwayError(
        "use the index", on, escape_terminal(fault)[:300], do_next="Give a Packages or Sources index of an apt archive."
    )
