# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tarballs of sources: written with the same bytes each time, and read as what a stranger may have made.

Both keep the same shape: one directory at the top, files, directories and links that stay inside. What is read is
judged while it is decompressed, and becomes visible as a whole or not at all.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import os
import re
import shutil
import stat
import tarfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import name_refusals, refuse
from ..files import CHUNK, make_directory, make_scratch, open_regular
from ..tar import add_path, make_member, normalise_path
from .tree import LIMITS, Limits, walk_tree

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LEVEL = 9
#: So many bytes tell how something is compressed.
MAGIC = 6
#: A header that names a member; no path is longer.
MAX_HEADER = 1 << 20
MAX_LINKS = 40
MEMORY = 256 << 20
MAX_TIME = (1 << 32) - 1
HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME),
    tarfile.GNUTYPE_LONGLINK,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class HostileError(ValueError):
    """A tarball that is not taken; the message says why."""


def pack_tree(top: Path, name: str, stream: IO[bytes] | io.RawIOBase, *, epoch: int, limits: Limits = LIMITS) -> None:
    """Write the tree ``top`` to ``stream`` as a ``.tar.bz2`` below the directory ``name``; equal trees, equal bytes.

    Every time is ``epoch``. Everything in the tree that no tarball may hold is named in one failure.
    """
    links: dict[str, str] = {}
    members: dict[str, os.DirEntry[str]] = {}
    faults = []
    size = 0
    with name_refusals("pack", str(top)):
        for path, entry in walk_tree(top, limits=limits):
            members[path] = entry
            if fault := _find_name_fault(path):
                faults.append(fault)
            elif entry.is_symlink():
                links[path] = os.readlink(entry.path)
            elif entry.is_file():
                size += entry.stat().st_size
            elif not entry.is_dir():
                faults.append(f"{path} is neither a file, a directory nor a link")
        faults += _find_link_faults(links)
        if size > limits.size:
            faults.append(f"it holds {size} bytes, and at most {limits.size} may be packed")
        refuse("pack", str(top), faults, several="faults", do_next="Correct the sources, and run again.")
        with (
            bz2.BZ2File(stream, "wb", compresslevel=LEVEL) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.addfile(make_member(name, kind=tarfile.DIRTYPE, mode=0o755, mtime=epoch))
            for path in sorted(members):
                add_path(archive, members[path], f"{name}/{path}", mtime=epoch)


def unpack_tarball(
    tarball: Path, directory: Path, *, top: str | None = None, limits: Limits = LIMITS, attempt: str = "unpack"
) -> Path:
    """Unpack a ``.tar.bz2``, ``.tar.gz`` or ``.tar.xz`` into ``directory``; the path of its one top directory.

    ``top`` is the name that this must have. Nothing is there afterwards if the tarball is refused: one that is damaged,
    is too large, or has a member that leads elsewhere, comes twice, or is no file, directory or link.
    """
    do_next = "Get a whole and honest tarball, and run again."
    with name_refusals(attempt, str(tarball), do_next=do_next, refusals=(OSError, HostileError)):
        make_directory(directory)
        with make_scratch(f".unpacking-{tarball.name}-", directory=directory) as scratch:
            found = _unpack_members(tarball, scratch, limits)
            if top not in (None, found):
                raise HostileError(f"its top directory is {found!r} instead of {top!r}")
            target = directory / found
            if target.exists() or target.is_symlink():
                raise HostileError(f"{target} is there already")
            (scratch / found).rename(target)
    return target


def _unpack_members(tarball: Path, scratch: Path, limits: Limits) -> str:
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open(open_regular(tarball, os.O_RDONLY), "rb", buffering=0))
        meter = _Meter(raw, limits)
        try:
            archive = stack.enter_context(tarfile.open(fileobj=meter, mode="r|", tarinfo=_BoundedInfo))
            unpacking = _Unpacking(scratch, limits)
            for info in archive:
                unpacking.take(archive, info)
            meter.drain()
        except (tarfile.TarError, EOFError) as error:
            raise HostileError(f"it is damaged, or no tarball ({error})") from error
    if meter.count - unpacking.end < tarfile.BLOCKSIZE or meter.last > unpacking.end:
        raise HostileError("it is damaged: after its last whole member there is no end")
    return unpacking.finish()


@dataclass
class _Unpacking:
    """What of a tarball is on the disk so far, by path with the top directory."""

    scratch: Path
    limits: Limits
    kinds: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    end: int = 0
    copied: int = 0

    def take(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        """Write one member, unless it must not be."""
        name = self.check_member(info)
        if not name:
            return
        self.add_parents(name)
        target = self.scratch / name
        if info.isdir():
            if self.kinds.get(name) == "implied":
                self.kinds[name] = "directory"
                return
            self.add(name, "directory")
            target.mkdir(mode=0o755)
        elif info.issym():
            self.add(name, "link")
            self.links[name] = info.linkname
        else:
            self.add(name, "file")
            self.write_file(archive, info, target)

    def check_member(self, info: tarfile.TarInfo) -> str:
        """The plain path of a member; the failure says what is wrong with it."""
        self.end = info.offset_data
        shown = repr(info.name)
        if not (info.isdir() or info.issym() or info.islnk() or info.isreg()) or info.issparse() or info.size < 0:
            raise HostileError(f"its member {shown} is neither a file, a directory nor a link")
        if info.isreg():
            self.end += -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        name = normalise_path(info.name)
        if name is None:
            raise HostileError(f"its member {shown} leads out of it")
        if fault := _find_name_fault(name):
            raise HostileError(f"its member {fault}")
        if len(self.kinds) >= self.limits.members:
            raise HostileError(f"it has more than {self.limits.members} members")
        if name.count("/") > self.limits.depth:
            raise HostileError(f"its member {shown} is more than {self.limits.depth} levels deep")
        first = name.partition("/")[0]
        if name and self.kinds and first not in self.kinds:
            raise HostileError(f"its member {shown} is not below the top directory {next(iter(self.kinds))!r}")
        if name == first and name and not info.isdir():
            raise HostileError(f"its member {shown} is not below a top directory")
        return name

    def add(self, name: str, kind: str) -> None:
        if name in self.kinds:
            raise HostileError(f"its member {name!r} is there twice")
        self.kinds[name] = kind

    def add_parents(self, name: str) -> None:
        """Make the directories above a member that the tarball does not name, or not yet."""
        parts = name.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            parent = "/".join(parts[:count])
            kind = self.kinds.get(parent)
            if kind is None:
                self.add(parent, "implied")
                (self.scratch / parent).mkdir(mode=0o755)
            elif kind not in ("implied", "directory"):
                raise HostileError(f"its member {name!r} is below {parent!r}, which is a {kind}")

    def write_file(self, archive: tarfile.TarFile, info: tarfile.TarInfo, target: Path) -> None:
        mode = 0o755 if info.mode & stat.S_IXUSR else 0o644
        with open(target, "xb") as writer:
            if info.islnk():
                self.copy_earlier(info, writer)
            elif (content := archive.extractfile(info)) is not None:
                shutil.copyfileobj(content, writer, CHUNK)
            if info.isreg() and writer.tell() != info.size:
                raise HostileError(f"it is damaged: its member {info.name!r} is cut off")
        target.chmod(mode)
        os.utime(target, (_limit_time(info.mtime),) * 2)

    def copy_earlier(self, info: tarfile.TarInfo, writer: IO[bytes]) -> None:
        """A hard link becomes a file of its own, with the content of one that came before it."""
        name = normalise_path(info.linkname)
        if name is None or self.kinds.get(name) != "file":
            raise HostileError(f"its member {info.name!r} is a hard link to {info.linkname!r}, no earlier file of it")
        with open(self.scratch / name, "rb") as content:
            self.copied += os.fstat(content.fileno()).st_size
            if self.copied > self.limits.size:
                raise HostileError(f"it unpacks to more than {self.limits.size} bytes")
            shutil.copyfileobj(content, writer, CHUNK)

    def finish(self) -> str:
        """Make the links, which nothing can be written through any more; the name of the top directory."""
        if not self.kinds:
            raise HostileError("it is empty")
        top = next(iter(self.kinds)).partition("/")[0]
        inner = {name.partition("/")[2]: target for name, target in self.links.items()}
        if faults := _find_link_faults(inner):
            raise HostileError(f"its member {faults[0]}")
        for name, target in self.links.items():
            (self.scratch / name).symlink_to(target)
        return top


class _BoundedInfo(tarfile.TarInfo):
    """A header of a tar, which is kept in memory only if it is short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        info = super().frombuf(buf, encoding, errors)
        if info.type in HEADERS and not 0 <= info.size <= MAX_HEADER:
            raise HostileError(f"it has a header of {info.size} bytes")
        return info


def _limit_time(mtime: float) -> int:
    """A time that every file system takes, of what a header says."""
    return int(min(mtime, MAX_TIME)) if mtime > 0 else 0  # nothing is more than no number


def _find_name_fault(path: str) -> str | None:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return f"{path!a} has a name that is not UTF-8"
    if _CONTROL.search(path):
        return f"{path!r} has a control character in its name"
    if len(encoded) > 4000 or any(len(part.encode()) > 255 for part in path.split("/")):
        return f"{path[:80]!r}... has a name that is too long"
    return None


def _find_link_faults(links: Mapping[str, str]) -> list[str]:
    """What is wrong with the symbolic links of a tree, by path; each must stay in it whatever the others do."""
    faults = []
    for name, target in links.items():
        if fault := _find_name_fault(target):
            faults.append(f"{name!r} is a link to what {fault}")
        elif not target or not _stays_inside(name, target, links):
            faults.append(f"{name!r} is a link to {target!r}, out of the tree")
    return faults


def _stays_inside(name: str, target: str, links: Mapping[str, str]) -> bool:
    """Whether a link is followed to a place in the tree, or to none, as the kernel would."""
    here = name.split("/")[:-1]
    waiting = target.split("/")
    followed = 0
    if target.startswith("/"):
        return False
    while waiting:
        part = waiting.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return False
            here.pop()
            continue
        here.append(part)
        inner = links.get("/".join(here))
        if inner is not None:
            followed += 1
            if inner.startswith("/") or followed > MAX_LINKS:
                return False
            here.pop()
            waiting = inner.split("/") + waiting
    return True


class _Meter(io.RawIOBase):
    """The decompressed bytes of a file, counted, and refused as soon as they are too many."""

    def __init__(self, raw: IO[bytes], limits: Limits) -> None:
        self.chunks = _decompress(raw)
        self.limits = limits
        self.raw = raw
        self.rest = memoryview(b"")
        #: How many bytes there were, and where the last that is not zero ended.
        self.count = self.last = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if not self.rest:
            self.rest = memoryview(self.take_chunk())
        given = self.rest[: len(view)]
        self.rest = self.rest[len(given) :]
        view[: len(given)] = given
        return len(given)

    def take_chunk(self) -> bytes:
        chunk = next(self.chunks, b"")
        if plain := chunk.rstrip(b"\0"):
            self.last = self.count + len(plain)
        self.count += len(chunk)
        if self.count > self.limits.size:
            raise HostileError(f"it unpacks to more than {self.limits.size} bytes")
        if self.count > self.limits.free + self.raw.tell() * self.limits.ratio:
            raise HostileError(f"it unpacks to more than {self.limits.ratio} times its size")
        return chunk

    def drain(self) -> None:
        """Read to the end: only there is it known whether all of it is sound."""
        self.rest = memoryview(b"")
        while self.take_chunk():
            pass


def _decompress(raw: IO[bytes]) -> Iterator[bytes]:
    """The content of a file of one or several compressed streams, in pieces of bounded size."""
    data = raw.read(CHUNK)
    first = True
    while data or first:
        if len(data) < MAGIC:  # where one stream ends, what was read may end too
            data += raw.read(CHUNK)
        make = _find_decompressor(data)
        if make is None:
            what = (
                "it is compressed neither by bzip2, gzip nor xz" if first else "after its end there is something else"
            )
            raise HostileError(what)
        first = False
        try:
            data = yield from _decompress_stream(raw, make(), data)
        except (OSError, lzma.LZMAError, zlib.error) as error:
            raise HostileError(f"it is damaged ({error})") from error


def _decompress_stream(raw: IO[bytes], decompressor: Any, data: bytes) -> Generator[bytes, None, bytes]:
    """One stream; returns what comes after it."""
    while True:
        plain = decompressor.decompress(data, CHUNK)
        if plain:
            yield plain
        if decompressor.eof:
            rest: bytes = decompressor.unused_data
            return rest or raw.read(CHUNK)
        data = getattr(decompressor, "unconsumed_tail", b"")
        if not data and getattr(decompressor, "needs_input", True):
            data = raw.read(CHUNK)
            if not data:
                raise HostileError("it is damaged: it is cut off")


def _find_decompressor(data: bytes) -> Any:
    if data.startswith(b"BZh"):
        return bz2.BZ2Decompressor
    if data.startswith(b"\x1f\x8b\x08"):
        return lambda: zlib.decompressobj(wbits=31)
    if data.startswith(b"\xfd7zXZ\0"):
        return lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)
    return None
