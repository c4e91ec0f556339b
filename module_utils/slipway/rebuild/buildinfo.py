# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A .buildinfo: what a build made, of which source, and what it was done with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..binary.job import Exactly
from ..deb.architectures import ALL
from ..deb.control import SOURCE, Control, decode_control
from ..deb.dsc import strip_signature
from ..deb.version import find_version_fault, strip_rebuild
from ..errors import SlipwayError
from ..files import open_regular

#: No .buildinfo is longer: the longest of Debian have some thousands of lines.
MOST_BYTES = 8 << 20
#: Files that are packages.
PACKAGES = (".deb", ".udeb", ".ddeb")
_FILE = re.compile(r"^ ?([0-9a-f]{64}) +([0-9]+) +([A-Za-z0-9][A-Za-z0-9.+_~:-]*)$", re.MULTILINE | re.ASCII)
_INSTALLED = re.compile(r"^([a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?) \(= ([A-Za-z0-9.+~:-]+)\)$", re.ASCII)
_VARIABLE = re.compile(r'^([A-Z][A-Z0-9_]*)="(.*)"$', re.ASCII)


@dataclass(frozen=True)
class BuildInfo:
    """What a .buildinfo says. ``debs`` are the digests of the packages by their names, ``version`` is the source's."""

    name: str
    sha256: str
    source: str
    version: str
    build_architecture: str
    debs: Mapping[str, str]
    exactly: Exactly

    @property
    def architectures(self) -> set[str]:
        """Those that its packages are for."""
        return {name.rpartition(".")[0].rpartition("_")[2] for name in self.debs}

    @property
    def parts(self) -> tuple[str, ...]:
        """Which packages of the source were built: those of an architecture, those for all, or both."""
        found = (("any", bool(self.architectures - {ALL})), (ALL, ALL in self.architectures))
        return tuple(name for name, is_there in found if is_there)


def read_buildinfo(path: Path) -> BuildInfo:
    """Read one; what is none is refused in a sentence."""
    try:
        with open(open_regular(path), "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        return parse_buildinfo(data, path.name)
    except (OSError, ValueError) as fault:
        came_back = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        do_next = "Restore the file that was published with the build, or leave its source out."
        raise SlipwayError("read how it was built from", str(path), came_back, do_next=do_next) from None


def parse_buildinfo(data: bytes, name: str) -> BuildInfo:
    """What a text says; ``ValueError`` with what is wrong."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    control = Control(decode_control(strip_signature(data)))
    said = {field: control.get(field) or "" for field in ("Format", "Source", "Version", "Build-Architecture")}
    if missing := [field for field, value in said.items() if not value]:
        raise ValueError(f"it has no {missing[0]}")
    if not said["Format"].startswith("1."):
        raise ValueError(f"it is of the format {said['Format'][:20]!r}, not of 1.x")
    match = SOURCE.fullmatch(said["Source"])
    if match is None:
        raise ValueError(f"its source {said['Source'][:100]!r} is none")
    version = match["version"] or said["Version"]
    entry = _unfold(control.get("Binary-Only-Changes") or "")
    if match["version"] is None and entry:
        version = strip_rebuild(version)
    if fault := find_version_fault(version):
        raise ValueError(f"its version {version[:100]!r} {fault}")
    rows = _FILE.findall(control.get("Checksums-Sha256") or "")
    debs = {file: digest for digest, _size, file in rows if file.endswith(PACKAGES)}
    if not debs:
        raise ValueError("it names no package with its SHA-256")
    exactly = Exactly(
        tuple(_read_installed(control.get("Installed-Build-Depends") or "")),
        _read_place(control.get("Build-Path") or ""),
        dict(_read_environment(control.get("Environment") or "")),
        entry,
    )
    if not exactly.packages:
        raise ValueError("it does not say what was installed")
    if faults := exactly.find_faults():
        raise ValueError(faults[0])
    architecture = said["Build-Architecture"]
    return BuildInfo(name, hashlib.sha256(data).hexdigest(), match["name"], version, architecture, debs, exactly)


def _read_installed(text: str) -> list[str]:
    found = []
    for part in (one.strip() for one in text.split(",")):
        if not part:
            continue
        match = _INSTALLED.fullmatch(part)
        if match is None:
            raise ValueError(f"what was installed is not all said with versions: {part[:100]!r}")
        found.append(f"{match[1]}={match[2]}")
    return found


def _read_environment(text: str) -> list[tuple[str, str]]:
    found = []
    for line in (one.strip() for one in text.splitlines()):
        if not line:
            continue
        match = _VARIABLE.fullmatch(line)
        if match is None:
            raise ValueError(f"the line {line[:100]!r} of its environment is no variable")
        found.append((match[1], re.sub(r"\\(.)", r"\1", match[2])))
    return found


def _read_place(path: str) -> str:
    """The directory above the one that was unpacked."""
    return path.rstrip("/").rpartition("/")[0]


def _unfold(text: str) -> str:
    """An entry of a changelog as it was before it became a field."""
    lines = [line[1:] if line.startswith(" ") else line for line in text.splitlines()]
    return "\n".join("" if line == "." else line for line in lines).strip("\n")


def compare_environments(before: BuildInfo, now: BuildInfo) -> list[str]:
    """In what two builds were not done alike, a sentence each."""
    was, there = set(before.exactly.packages), set(now.exactly.packages)
    names = {one.partition("=")[0] for one in was ^ there}
    told = []
    for name in sorted(names):
        versions = [
            next((one.partition("=")[2] for one in side if one.startswith(f"{name}=")), "") for side in (was, there)
        ]
        told.append(f"{name} was {versions[0] or 'not installed'}, and now {versions[1] or 'not installed'}")
    for name in sorted(before.exactly.environment.keys() | now.exactly.environment.keys()):
        values = [one.exactly.environment.get(name) for one in (before, now)]
        if values[0] != values[1]:
            told.append(f"{name} was {_name(values[0])}, and now {_name(values[1])}")
    if before.exactly.path != now.exactly.path:
        told.append(f"it was built in {before.exactly.path or 'an unknown place'}, and now in {now.exactly.path}")
    return told


def _find_version(name: str, packages: Iterable[str]) -> str:
    return next((one.partition("=")[2] for one in packages if one.startswith(f"{name}=")), "not installed")


def _name(value: str | None) -> str:
    return "not set" if value is None else repr(value[:200])
