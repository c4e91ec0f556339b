# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A source package as its ``.dsc`` describes it: the text, whether signed or not, and the files that it names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..files import CHUNK, open_regular
from ..openpgp.verifying import open_clearsigned
from .control import Control, decode_control, encode_control, make_word
from .file import Digests, Hasher
from .names import SOURCE_NAME, locate_pool
from .version import find_version_fault, strip_epoch

#: The bytes that a .dsc may have; the largest of Debian have some 100 kB.
MAX_DSC = 4 << 20
MAX_FILES = 100

_SIGNED = re.compile(
    rb"\s*-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:[A-Z][A-Za-z-]*: [^\n]*\n)*\r?\n(?P<text>.*?\n)"
    rb"-----BEGIN PGP SIGNATURE-----\r?\n(?:(?!-----)[^\n]*\n)*-----END PGP SIGNATURE-----\s*\Z",
    re.DOTALL,
)
_FILE_NAME = re.compile(r"[a-z0-9][A-Za-z0-9.+_~:%-]*", re.ASCII)
_FILE_LINE = re.compile(r"(?P<digest>[0-9a-f]+)\s+(?P<size>[0-9]{1,15})\s+(?P<name>\S+)", re.ASCII)
#: The fields that list the files, and how long their digests are.
_LISTS = {"Files": 32, "Checksums-Sha1": 40, "Checksums-Sha256": 64}


@dataclass(frozen=True)
class SourceFile:
    """A file of a source package; ``sha1`` is empty where the .dsc has none."""

    name: str
    size: int
    md5: str
    sha1: str
    sha256: str


@dataclass(frozen=True)
class Dsc:
    """What a .dsc says; ``text`` is all of it without a signature."""

    text: str
    source: str
    version: str
    format: str
    files: tuple[SourceFile, ...]

    @property
    def file_name(self) -> str:
        """What the .dsc itself is called."""
        return f"{self.source}_{strip_epoch(self.version)}.dsc"

    def locate_pool(self, component: str) -> str:
        """The directory where it is fetched."""
        return locate_pool(component, self.source)


def strip_signature(data: bytes) -> bytes:
    """The text of a .dsc; ``ValueError`` where there is more than one signed text."""
    if b"-----BEGIN PGP" not in data:
        return data
    inside = _SIGNED.match(data)
    if inside is None or b"-----BEGIN PGP" in inside["text"]:
        raise ValueError("it is neither one signed text nor a text without a signature")
    return re.sub(rb"(?m)^- ", b"", inside["text"])


def parse_dsc(data: bytes) -> Dsc:
    """Read a .dsc; ``ValueError`` with the fault if it cannot be used, or names files that it must not."""
    if len(data) > MAX_DSC:
        raise ValueError(f"it has more than {MAX_DSC} bytes")
    text = decode_control(strip_signature(data))
    try:
        control = Control(text)
    except ValueError as fault:
        raise ValueError(str(fault).replace("its control file", "its text")) from None
    source, version = control.get("Source") or "", control.get("Version") or ""
    if not SOURCE_NAME.fullmatch(source):
        raise ValueError(f"its Source is '{make_word(source)}', which is not a name")
    if fault_found := find_version_fault(version):
        raise ValueError(f"the version '{make_word(version)}' {fault_found}")
    return Dsc(text, source, version, control.get("Format") or "1.0", _read_files(control, source))


def read_dsc(path: str | os.PathLike[str], *, keyring: str | os.PathLike[str] | None = None) -> tuple[bytes, Dsc]:
    """The content of a file, and :func:`parse_dsc` of it; its name must be the one that its text gives it.

    With a ``keyring`` it must have a good signature of one of the keys in that file.
    """
    with open(open_regular(path), "rb") as stream:
        data = stream.read(MAX_DSC + 1)
    found = parse_dsc(data)
    if Path(path).name != found.file_name:
        raise ValueError(f"it describes {found.source} {found.version}, which would be {found.file_name}")
    if keyring is not None and (fault := find_signature_fault(data, keyring)):
        raise ValueError(fault)
    return data, found


def find_wrong_files(dsc: Dsc, *directories: str | os.PathLike[str]) -> list[str]:
    """What of the files that a .dsc names is missing, or is another file; the first directory that has one counts."""
    faults = []
    for file in dsc.files:
        paths = [Path(directory) / file.name for directory in directories]
        faults += _find_wrong_file(file, next((path for path in paths if os.path.lexists(path)), paths[0]))
    return faults


def digest_content(version: str, digests: Mapping[str, str]) -> str:
    """One digest of a source package, whose files have ``digests`` by name.

    The .dsc does not count. It says what is in the other files, and its signature is another one each time.
    """
    rows = [version, *(f"{digest} {name}" for name, digest in sorted(digests.items()) if not name.endswith(".dsc"))]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def digest_file(path: str | os.PathLike[str]) -> Digests:
    """All digests of a regular file."""
    hasher = Hasher()
    with open(open_regular(path), "rb", buffering=0) as stream:
        while piece := stream.read(CHUNK):
            hasher.update(piece)
    return hasher.digests()


def describe_file(path: Path) -> SourceFile:
    """A file as a .dsc lists it."""
    found = digest_file(path)
    return SourceFile(path.name, found.size, found.md5, found.sha1, found.sha256)


def _fold(lines: str, _before: str) -> str:
    return f"\n{lines}"


def rewrite_dsc(dsc: Dsc, *, version: str, files: Iterable[SourceFile]) -> Dsc:
    """The same source package in another version, with other files; ``Dgit``, true of the old ones only, goes."""
    control = Control("".join(_drop_field(dsc.text, "Dgit")))
    rows = list(files)
    control.set("Version", version)
    for field, length in _LISTS.items():
        lines = [f" {_digest_of(file, length)} {file.size} {file.name}\n" for file in rows]
        control.edit(field, partial(_fold, "".join(lines)))
    return parse_dsc(encode_control(str(control)))


def find_signature_fault(data: bytes, keyring: str | os.PathLike[str]) -> str | None:
    """Why a .dsc is not what the owner of a key in a file of keys signed; None if it is."""
    opened = open_clearsigned(data, keyring=keyring)
    if opened is None:
        signed = b"-----BEGIN PGP SIGNED MESSAGE-----" in data
        return "its signature is not a good one of an allowed key" if signed else "it is not signed"
    same = opened[1].rstrip() == strip_signature(data).rstrip()
    return None if same else "what is signed in it is not all of it"


def _drop_field(text: str, name: str) -> Iterable[str]:
    dropped = False
    for line in text.splitlines(keepends=True):
        dropped = dropped if line[:1] in (" ", "\t") else line.lower().startswith(f"{name.lower()}:")
        if not dropped:
            yield line


def _digest_of(file: SourceFile, length: int) -> str:
    return {32: file.md5, 40: file.sha1, 64: file.sha256}[length]


def _read_files(control: Control, source: str) -> tuple[SourceFile, ...]:
    lists = {field: _read_list(control, field, length) for field, length in _LISTS.items() if control.get(field)}
    for field in ("Files", "Checksums-Sha256"):
        if field not in lists:
            raise ValueError(f"it has no {field}")
    names = list(lists["Checksums-Sha256"])
    for field, rows in lists.items():
        if {name: row[1] for name, row in rows.items()} != {n: r[1] for n, r in lists["Checksums-Sha256"].items()}:
            raise ValueError(f"its {field} and its Checksums-Sha256 name other files or sizes")
    for name in names:
        if not _FILE_NAME.fullmatch(name) or not name.startswith(f"{source}_") or name.endswith((".dsc", ".deb")):
            raise ValueError(f"it names a file '{make_word(name)}', which is not a name for a file of {source}")
    sha1 = lists.get("Checksums-Sha1", {})
    return tuple(
        SourceFile(name, size, lists["Files"][name][0], sha1[name][0] if name in sha1 else "", sha256)
        for name, (sha256, size) in lists["Checksums-Sha256"].items()
    )


def _read_list(control: Control, field: str, length: int) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    lines = [line.strip() for line in (control.get(field) or "").split("\n") if line.strip()]
    if len(lines) > MAX_FILES:
        raise ValueError(f"its {field} names more than {MAX_FILES} files")
    for line in lines:
        row = _FILE_LINE.fullmatch(line)
        if row is None or len(row["digest"]) != length:
            raise ValueError(f"its {field} has '{make_word(line)}', which is not a digest, a size and a name")
        if row["name"] in found:
            raise ValueError(f"its {field} names {make_word(row['name'])} twice")
        found[row["name"]] = (row["digest"], int(row["size"]))
    return found


def _find_wrong_file(file: SourceFile, path: Path) -> list[str]:
    try:
        found = digest_file(path)
    except FileNotFoundError:
        return [f"{file.name} is missing"]
    except OSError as error:
        return [f"{file.name} cannot be read ({error.strerror})"]
    if found.size != file.size:
        return [f"{file.name} has {found.size} bytes instead of {file.size}"]
    for there, wanted in ((found.sha256, file.sha256), (found.md5, file.md5), (found.sha1, file.sha1 or found.sha1)):
        if there != wanted:
            return [f"{file.name} has the digest {there} instead of {wanted}"]
    return []
