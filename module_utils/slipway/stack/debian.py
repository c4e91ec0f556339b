# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian sources: a tree with ``debian/``, and a ``.dsc`` with the files that it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..deb.control import Control, decode_control, encode_control, make_printable
from ..deb.dsc import strip_signature
from ..deb.version import find_version_fault
from ..escape import escape_line
from ..release.artifact import Artifact, explain_missing, find_name_fault, inspect_files
from .tree import is_file, read_inside

SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*\Z", re.ASCII)
CHANGELOG, CONTROL, FORMAT = "debian/changelog", "debian/control", "debian/source/format"
_ENTRY = re.compile(r"(?P<source>\S+) \((?P<version>[^()\s]+)\)(?P<places>(?: [^\s;]+)+);", re.ASCII)
_SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})\s+(?P<size>[0-9]{1,18})\s+(?P<name>\S+)\Z", re.ASCII)


@dataclass(frozen=True)
class DebianSource:
    """What a Debian source says of itself; of a .dsc the files, itself the first."""

    source: str = ""
    version: str = ""
    format: str = "1.0"
    maintainer: str = ""
    homepage: str = ""
    brief: str = ""
    description: str = ""
    files: Sequence[Artifact] = field(default_factory=list)


def read_debian_tree(top: Path) -> tuple[DebianSource, list[str]]:
    """What ``debian/`` of a tree says, and every fault of it."""
    faults: list[str] = []
    texts = {name: _read_text(top, name, faults) for name in (CHANGELOG, CONTROL)}
    source, version = _read_changelog(texts[CHANGELOG], faults)
    stanzas = _read_stanzas(texts[CONTROL], faults)
    about = stanzas[0] if stanzas else Control("\n")
    named = about.get("Source") or ""
    if stanzas and named != source:
        faults.append(f"{CONTROL} is of the source {escape_line(named)!r}, and {CHANGELOG} of {source!r}")
    text = next((value for stanza in stanzas[1:] if (value := stanza.get("Description"))), "")
    brief, _newline, rest = make_printable(text).partition("\n")
    style = "1.0"
    if is_file(top, FORMAT):
        style = escape_line(_read_text(top, FORMAT, faults)) or style
    return DebianSource(
        source=source,
        version=version,
        format=style,
        maintainer=escape_line(make_printable(about.get("Maintainer") or "")),
        homepage=escape_line(make_printable(about.get("Homepage") or "")),
        brief=escape_line(brief),
        description=_read_extended(rest),
    ), faults


def read_dsc(path: Path) -> tuple[DebianSource, list[str]]:
    """What a .dsc says, signed or not, and every fault of it and of the files beside it that it names."""
    faults: list[str] = []
    try:
        text = encode_control(_read_text(path.parent, path.name, faults))
        control = Control(decode_control(strip_signature(text)))
    except ValueError as error:
        return DebianSource(), [*faults, f"{path.name}: {error}"]
    for name in ("Source", "Version", "Format", "Maintainer", "Checksums-Sha256"):
        if not control.get(name):
            faults.append(f"{path.name} has no {name}")
    files = _read_sums(control.get("Checksums-Sha256") or "", path.name, faults)
    faults += explain_missing(files, inspect_files(path.parent, files))
    found = DebianSource(
        source=control.get("Source") or "",
        version=control.get("Version") or "",
        format=control.get("Format") or "",
        maintainer=escape_line(make_printable(control.get("Maintainer") or "")),
        homepage=escape_line(make_printable(control.get("Homepage") or "")),
        files=[*inspect_files(path.parent, [Artifact(path.name, None, None)]).values(), *files],
    )
    faults += [f"{path.name}: {fault}" for fault in _find_identity_faults(found.source, found.version)]
    return found, faults


def _read_text(top: Path, name: str, faults: list[str]) -> str:
    try:
        return decode_control(read_inside(top, name))
    except OSError as error:
        faults.append(f"{name}: {error.strerror}")
        return ""


def _read_changelog(text: str, faults: list[str]) -> tuple[str, str]:
    """Source and version of the newest entry."""
    if not text:
        return "", ""
    number, line = next(((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()), (1, ""))
    match = _ENTRY.match(line)
    if match is None:
        faults.append(f"{CHANGELOG} line {number}: it is no heading <source> (<version>) <distribution>;")
        return "", ""
    source, version = match["source"], match["version"]
    faults += [f"{CHANGELOG} line {number}: {fault}" for fault in _find_identity_faults(source, version)]
    return source, version


def _find_identity_faults(source: str, version: str) -> list[str]:
    faults = []
    if source and not SOURCE_NAME.match(source):
        faults.append(f"{escape_line(make_printable(source))!r} cannot name a source package")
    if version and (fault := find_version_fault(version)):
        faults.append(f"the version {escape_line(make_printable(version))!r} {fault}")
    return faults


def _read_stanzas(text: str, faults: list[str]) -> list[Control]:
    lines = [line.rstrip() for line in text.split("\n") if not line.startswith("#")]
    stanzas = []
    for part in re.split(r"\n{2,}", "\n".join(lines)):
        if not part.strip():
            continue
        try:
            stanzas.append(Control(part.strip("\n") + "\n"))
        except ValueError as error:
            faults.append(f"{CONTROL}: {error}")
    if text and not stanzas and not faults:
        faults.append(f"{CONTROL} is empty")
    return stanzas


def _read_extended(text: str) -> str:
    """The lines of an extended description as paragraphs, its own layout kept."""
    lines = [line[1:] if line[:1] in (" ", "\t") else line for line in text.split("\n")]
    return "\n".join("" if line == "." else line.rstrip() for line in lines).strip("\n")


def _read_sums(text: str, where: str, faults: list[str]) -> list[Artifact]:
    files: dict[str, Artifact] = {}
    for line in filter(None, (each.strip() for each in text.split("\n"))):
        match = _SUM.match(line)
        name = match["name"] if match else ""
        if match is None:
            faults.append(f"{where}: {escape_line(make_printable(line))!r} in Checksums-Sha256 is no file")
        elif fault := find_name_fault(name):
            faults.append(f"{where}: {fault}")
        elif name in files:
            faults.append(f"{where}: {name} is listed more than once")
        else:
            files[name] = Artifact(name, int(match["size"]), match["sha256"])
    return sorted(files.values())
