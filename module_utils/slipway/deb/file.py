# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The deb format: an ar archive that is read, rewritten and made as a stream, its data never unpacked."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, TypeAlias

from ..errors import SlipwayError, count_of, refuse
from ..tar import make_member
from . import controltar
from .control import Control, encode_control, identify_package
from .controltar import DebError
from .relations import check_relations

Piece: TypeAlias = "bytes | memoryview"

#: How much is read, hashed and written at once: little enough to stay in the processor's cache.
CHUNK = 256 * 1024
#: What a compressed control.tar may take in memory before it goes to a temporary file.
SPOOL = 4 << 20

MAX_MEMBERS = 32

_MAGIC = b"!<arch>\n"
_HEADER = 60
_VERSION_LINE = re.compile(rb"2\.[0-9]{1,3}\n")
_DATA_MAGIC = {
    "": b"",
    ".gz": b"\x1f\x8b",
    ".xz": b"\xfd7zXZ\0",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".bz2": b"BZh",
    ".lzma": b"",
}


@dataclass(frozen=True)
class ArMember:
    """A member of the archive: its content is ``size`` bytes at ``offset``, behind its ``header``."""

    name: str
    header: bytes
    offset: int
    size: int

    @property
    def start(self) -> int:
        """Where the header begins."""
        return self.offset - _HEADER

    @property
    def end(self) -> int:
        """Where the next member begins."""
        return self.offset + self.size + self.size % 2


@dataclass(frozen=True)
class Deb:
    """A deb of which everything but the data has been read.

    ``control`` is the content of the control file and ``entries`` the size of control.tar without its end mark;
    ``before`` and ``after`` are the parts (start, end) of the file around control.tar that are kept, ``dropped``
    the names of members that are not.
    """

    path: str
    member: ArMember
    control: bytes
    entries: int
    check: int = field(repr=False)
    before: tuple[tuple[int, int], ...]
    after: tuple[tuple[int, int], ...]
    dropped: tuple[str, ...]
    size: int
    identity: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True)
class Digests:
    """What an archive's index says of a file."""

    size: int
    md5: str
    sha1: str
    sha256: str


class Hasher:
    """Makes the digests of what passes through it, all at once."""

    def __init__(self) -> None:
        self._size = 0
        self._all = (
            hashlib.md5(usedforsecurity=False),
            hashlib.sha1(usedforsecurity=False),
            hashlib.sha256(),
        )

    def update(self, piece: Piece) -> None:
        """Add the next piece."""
        self._size += len(piece)
        for digest in self._all:
            digest.update(piece)

    def digests(self) -> Digests:
        """The digests of all that came."""
        return Digests(self._size, *(digest.hexdigest() for digest in self._all))


def unusable_deb(path: str | os.PathLike[str], fault: str) -> SlipwayError:
    """The error for a deb that cannot be used; ``fault`` says why."""
    return SlipwayError(
        "use the deb", os.fspath(path), fault, do_next="Nothing was written; replace that file and run again."
    )


def refuse_faulty_debs(faults: Sequence[SlipwayError], *, total: int) -> None:
    """Fail with the faults of some of ``total`` debs; a failure to write is reported alone."""
    unwritable = [fault for fault in faults if fault.attempted == "write"]
    if unwritable or len(faults) == 1:
        raise (unwritable or faults)[0]
    refuse(
        "use",
        count_of(total, "deb"),
        [f"{fault.on}: {fault.came_back}" for fault in faults],
        several="of them are faulty",
        do_next="Nothing was written; replace these files and run again.",
    )


@contextlib.contextmanager
def _open_deb(path: str) -> Iterator[int]:
    try:
        with open(path, "rb", buffering=0) as stream:
            yield stream.fileno()
    except DebError as fault:
        raise unusable_deb(path, str(fault)) from None
    except OSError as error:
        raise unusable_deb(path, error.strerror or str(error)) from error


def inspect_deb(path: str | os.PathLike[str], *, drop_signatures: bool = False) -> Deb:
    """Read a deb, all but its data.

    What dpkg-deb would not read, or is hostile, raises :class:`SlipwayError`. So does a deb that is signed inside
    (``_gpgorigin`` and its like), since rewriting makes the signature void, unless signatures are to be dropped.
    """
    with _open_deb(os.fspath(path)) as descriptor:
        size = os.fstat(descriptor).st_size
        members = list(_read_members(descriptor, size))
        _check_version(descriptor, members)
        control, data = _find_parts(members)
        if not os.pread(descriptor, 8, data.offset).startswith(_DATA_MAGIC[data.name.removeprefix("data.tar")]):
            raise DebError(f"its {data.name} is not what it is called")
        signatures = [member for member in members if member.name.startswith("_gpg")]
        if signatures and not drop_signatures:
            raise DebError(f"it is signed inside ({signatures[0].name}), and another control file makes that void")
        kept = [member for member in members if member not in signatures]
        place = kept.index(control)
        content, entries, check = _read_control(descriptor, control)
        return Deb(
            path=os.fspath(path),
            member=control,
            control=content,
            entries=entries,
            check=check,
            before=((0, len(_MAGIC)), *((member.start, member.end) for member in kept[:place])),
            after=tuple((member.start, min(member.end, size)) for member in kept[place + 1 :]),
            dropped=tuple(member.name for member in signatures),
            size=size,
            identity=_identify_file(descriptor),
        )


def rewrite_deb(deb: Deb, control: bytes) -> Iterator[Piece]:
    """The deb with another control file, in pieces; each is valid until the next is asked for."""
    with _open_deb(deb.path) as descriptor:
        if _identify_file(descriptor) != deb.identity:
            raise DebError("it has changed since it was read")
        yield from _read_ranges(descriptor, deb.before)
        with tempfile.SpooledTemporaryFile(SPOOL) as spool:
            size = _write_control(descriptor, deb, control, spool)
            yield b"%s%-10d`\n" % (deb.member.header[:48], size)
            while piece := spool.read(CHUNK):
                yield piece
        yield b"\n" * (size % 2)
        yield from _read_ranges(descriptor, deb.after)
        yield b"\n" * (sum(end - start for start, end in deb.after) % 2)


def build_deb(control: str, contents: Mapping[str, bytes], *, mtime: int) -> bytes:
    """A small deb, whole; the same arguments give the same bytes.

    ``contents`` are the package's files by path (``usr/share/doc/...``, mode 0644); everything is root's and as old as
    ``mtime`` (seconds since 1970). md5sums and Installed-Size are added. What dpkg would refuse raises
    :class:`SlipwayError`.
    """
    inside = dict(sorted(contents.items()))
    try:
        stanza = Control(control)
        identify_package(stanza)
        check_relations(stanza)
        directories = _list_directories(inside)
        if stanza.get("Installed-Size") is None:
            blocks = sum(-(-len(content) // 1024) for content in inside.values()) + len(directories)
            stanza.set("Installed-Size", str(blocks), after="Architecture")
        named = [("control", encode_control(str(stanza)), 0o644)]
        if inside:
            digests = {path: hashlib.md5(content, usedforsecurity=False) for path, content in inside.items()}
            sums = "".join(f"{digest.hexdigest()}  {path}\n" for path, digest in digests.items())
            named.append(("md5sums", sums.encode(), 0o644))
        control_tar = _make_tar([""], named, mtime)
        data_tar = _make_tar(directories, [(path, content, 0o644) for path, content in inside.items()], mtime)
    except ValueError as error:
        raise SlipwayError("build", "a package", str(error), do_next="Correct what it is made of.") from None
    parts = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", _compress(control_tar)),
        ("data.tar.xz", _compress(data_tar)),
    )
    return _MAGIC + b"".join(_format_member(name, content, mtime) for name, content in parts)


# --- reading --------------------------------------------------------------------------------------------------------


def _identify_file(descriptor: int) -> tuple[int, ...]:
    state = os.fstat(descriptor)
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


def _read_members(descriptor: int, size: int) -> Iterator[ArMember]:
    begin = os.pread(descriptor, len(_MAGIC), 0)
    if begin != _MAGIC:
        raise DebError("it is a deb of the format before 1995" if begin.startswith(b"0.9") else "it is not a deb")
    position = len(_MAGIC)
    last = "its beginning"
    for _number in range(MAX_MEMBERS):
        if position >= size:
            return
        header = os.pread(descriptor, _HEADER, position)
        digits = header[48:58].rstrip(b" ")
        name = header[:16].rstrip(b" ").removesuffix(b"/").decode("ascii", "replace")
        if header[58:] != b"`\n" or not digits.isdigit() or not name.isascii() or not name.isprintable():
            raise DebError(f"it is damaged or has trailing bytes after {last}")
        member = ArMember(name, header, position + _HEADER, int(digits))
        if member.offset + member.size > size:
            raise DebError(f"it is cut off in {name}")
        if member.size % 2 and os.pread(descriptor, 1, member.end - 1) not in {b"\n", b""}:
            raise DebError(f"it is damaged after {name}")
        yield member
        last = name
        position = member.end
    raise DebError(f"it has more than {MAX_MEMBERS} members")


def _check_version(descriptor: int, members: list[ArMember]) -> None:
    if not members or members[0].name != "debian-binary":
        raise DebError("its first member is not debian-binary")
    content = os.pread(descriptor, min(members[0].size, 64), members[0].offset)
    if not _VERSION_LINE.match(content):
        raise DebError("its format is not 2.x" if b"\n" in content else "its debian-binary is damaged")


def _find_parts(members: list[ArMember]) -> tuple[ArMember, ArMember]:
    names = [member.name for member in members]
    for part in ("debian-binary", "control.tar", "data.tar"):
        count = sum(name.startswith(part) for name in names)
        if count != 1:
            raise DebError(f"it has {'more than one' if count else 'no'} {part} ({', '.join(names)})")
    control, data = [member for member in members[1:] if not member.name.startswith("_")][:2]
    if not control.name.startswith("control.tar") or not data.name.startswith("data.tar"):
        raise DebError(f"its members are in the wrong order ({', '.join(names)})")
    if control.name.removeprefix("control.tar") not in controltar.SUFFIXES:
        raise DebError(f"{control.name} is in a compression that dpkg does not take there")
    if data.name.removeprefix("data.tar") not in _DATA_MAGIC:
        raise DebError(f"{data.name} is in a compression that dpkg does not take")
    return control, data


def _read_control(descriptor: int, member: ArMember) -> tuple[bytes, int, int]:
    """Content of the control file, size of all entries, and the check of the compression."""
    seen: list[bytes] = []

    def look(content: bytes) -> bytes:
        seen.append(content)
        return content

    decompressor = controltar.Decompressor(member.name, _read_member(descriptor, member))
    entries = sum(len(piece) for piece in controltar.rewrite_entries(iter(decompressor), look, where=member.name))
    return seen[0], entries, decompressor.check


def _read_member(descriptor: int, member: ArMember) -> Iterator[bytes]:
    position, end = member.offset, member.offset + member.size
    while position < end:
        piece = os.pread(descriptor, min(16384, end - position), position)
        if not piece:
            raise DebError("it was cut off while it was read")
        yield piece
        position += len(piece)


# --- writing --------------------------------------------------------------------------------------------------------


def _write_control(descriptor: int, deb: Deb, control: bytes, spool: IO[bytes]) -> int:
    """Write the new control.tar, in its old compression, into ``spool``, ready to be read; returns its size."""
    entries = deb.entries - len(controltar.pad(deb.control)) + len(controltar.pad(control))
    end = controltar.make_end(entries)
    decompressor = controltar.Decompressor(deb.member.name, _read_member(descriptor, deb.member))
    suffix = deb.member.name.removeprefix("control.tar")
    compressor = controltar.make_compressor(suffix, size=entries + len(end), check=deb.check)
    for piece in controltar.rewrite_entries(iter(decompressor), lambda _old: control, where=deb.member.name):
        spool.write(compressor.compress(piece))
    spool.write(compressor.compress(end) + compressor.flush())
    size = spool.tell()
    spool.seek(0)
    return size


def _read_ranges(descriptor: int, ranges: tuple[tuple[int, int], ...]) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(CHUNK, max((end - start for start, end in ranges), default=0))))
    for start, end in ranges:
        while start < end:
            count = os.preadv(descriptor, [buffer[: end - start]], start)
            if not count:
                raise DebError("it was cut off while it was read")
            yield buffer[:count]
            start += count


def _list_directories(contents: Mapping[str, bytes]) -> list[str]:
    """All directories of ``contents``, each after its parent; the top one is empty."""
    found = {""}
    for path in contents:
        pure = PurePosixPath(path)
        if pure.is_absolute() or str(pure) != path or ".." in pure.parts or path == ".":
            raise ValueError(f"the path '{path}' is not one inside the package")
        found |= {str(parent) for parent in pure.parents if str(parent) != "."}
    if found & set(contents):
        raise ValueError(f"the path '{min(found & set(contents))}' is a file and a directory")
    return sorted(found)


def _make_tar(directories: list[str], entries: list[tuple[str, bytes, int]], mtime: int) -> bytes:
    """A tar of the ustar form, owned by root; a name that does not fit raises ``ValueError``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as tar:
        for name, content, mode, kind in (
            *((f"./{path}/" if path else "./", b"", 0o755, tarfile.DIRTYPE) for path in directories),
            *((f"./{path}", content, mode, tarfile.REGTYPE) for path, content, mode in entries),
        ):
            if len(name.encode()) > 100:
                raise ValueError(f"the path {name} is longer than 100 bytes")
            member = make_member(name, kind=kind, size=len(content), mode=mode, mtime=mtime, names=("root", "root"))
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _compress(tar: bytes) -> bytes:
    compressor = controltar.make_compressor(".xz", size=len(tar))
    return compressor.compress(tar) + compressor.flush()


def _format_member(name: str, content: bytes, mtime: int) -> bytes:
    header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), mtime, 0, 0, b"100644", len(content))
    return header + content + b"\n" * (len(content) % 2)
