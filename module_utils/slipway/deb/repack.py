# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The changelog inside a file of a source package is replaced; all other bytes of the tar archive or diff stay.

Nothing is unpacked: patches need not be applied, and names, modes and dates of other files cannot change.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from ..tar import normalise_path
from .controltar import pad, resize_header

#: Suffixes of what can be rewritten.
SUFFIXES = (".gz", ".xz", ".bz2", ".lzma")
#: What a file may become when it is decompressed, and what of it stays in memory.
MAX_PLAIN = 4 << 30
MAX_TEXT = 256 << 20
SPOOL = 8 << 20
CHUNK = 1 << 18

#: How a changelog is changed: the new one, and its date.
Change = Callable[[bytes], "tuple[bytes, int]"]

_BLOCK = 512
_CHANGED_FILE = re.compile(rb"\+\+\+ [^/]+/debian/changelog(?:\t.*)?")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")


def repack_tar(path: Path, target: Path, *, native: bool, change: Change) -> None:
    """Write ``target`` from the archive ``path``.

    Its changelog is ``debian/changelog``, in a ``native`` package below the directory that all is in. ``ValueError``
    with the fault.
    """
    with tempfile.SpooledTemporaryFile(max_size=SPOOL, dir=str(target.parent)) as spool:
        plain = cast("IO[bytes]", spool)
        with _open_plain(path) as source:
            size = _copy(source, plain, limit=MAX_PLAIN, name=path.name)
        info = _find_changelog(plain, native=native, name=path.name)
        plain.seek(info.offset_data)
        content, moment = change(plain.read(info.size))
        plain.seek(info.offset_data - _BLOCK)
        header = resize_header(plain.read(_BLOCK), len(content), mtime=moment)
        with open(target, "wb") as sink, _compress(sink, target.name, size=size) as packed:
            plain.seek(0)
            _copy(plain, packed, count=info.offset_data - _BLOCK)
            packed.write(header + pad(content))
            plain.seek(info.offset_data + -(-info.size // _BLOCK) * _BLOCK)
            _copy(plain, packed)


def repack_diff(path: Path, target: Path, *, change: Change) -> None:
    """Write ``target`` from the diff ``path``, which makes all of the changelog; ``ValueError`` with the fault."""
    plain = io.BytesIO()
    with _open_plain(path) as source:
        _copy(source, plain, limit=MAX_TEXT, name=path.name)
    content = _edit_diff(plain.getvalue(), change)
    with open(target, "wb") as sink, _compress(sink, target.name, size=len(content)) as packed:
        packed.write(content)


def pack_plain(plain: IO[bytes], target: Path) -> None:
    """Compress what ``plain`` holds as the suffix of ``target`` says, to the same bytes each time."""
    size = plain.seek(0, io.SEEK_END)
    plain.seek(0)
    with open(target, "wb") as sink, _compress(sink, target.name, size=size) as packed:
        _copy(plain, packed)


def _find_changelog(plain: IO[bytes], *, native: bool, name: str) -> tarfile.TarInfo:
    plain.seek(0)
    found: list[tuple[list[str], tarfile.TarInfo]] = []
    tops = set()
    try:
        with tarfile.open(fileobj=plain, mode="r:", errorlevel=2) as tar:
            for info in tar:
                path = normalise_path(info.name)
                if path is None or (info.islnk() and normalise_path(info.linkname) is None):
                    raise ValueError(f"{name} holds {info.name!r}, which leads out of it")
                parts = path.split("/")
                tops.add(parts[0])
                linked = (normalise_path(info.linkname) or "").split("/") if info.islnk() else []
                found += [(each, info) for each in (parts, linked) if each[-2:] == ["debian", "changelog"]]
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{name} is not a whole tar archive ({error})") from None
    tops.discard("")
    depth = 3 if native and len(tops) == 1 else 2
    mine = [info for parts, info in found if len(parts) == depth]
    if len(mine) != 1:
        raise ValueError(f"{name} has {len(mine) or 'no'} debian/changelog" + (", also as a link" if mine else ""))
    if not mine[0].isreg() or mine[0].sparse is not None or "size" in mine[0].pax_headers:
        raise ValueError(f"the debian/changelog in {name} is not a plain file")
    if mine[0].size > MAX_TEXT:
        raise ValueError(f"the debian/changelog in {name} has more than {MAX_TEXT >> 20} MiB")
    return mine[0]


def _edit_diff(text: bytes, change: Change) -> bytes:
    """The changelog is one hunk that adds all its lines, as it is where upstream has none."""
    lines = text.split(b"\n")
    starts = [number for number, line in enumerate(lines) if _CHANGED_FILE.fullmatch(line)]
    if len(starts) != 1:
        raise ValueError(f"the diff names debian/changelog {len(starts)} times")
    at = starts[0] + 1
    hunk = _HUNK.fullmatch(lines[at]) if at < len(lines) else None
    if hunk is None or (hunk[1], hunk[2]) != (b"0", b"0"):
        raise ValueError("the diff changes a debian/changelog that is upstream's")
    end = at + 1 + int(hunk[4] or b"1")
    body = lines[at + 1 : end]
    goes_on = any(line[:1] in (b"@", b"+", b"-", b" ", b"\\") and line[:4] != b"--- " for line in lines[end : end + 1])
    if end > len(lines) or goes_on or not all(line.startswith(b"+") for line in body):
        raise ValueError("the diff does not make debian/changelog in one piece")
    content, _moment = change(b"".join(line[1:] + b"\n" for line in body))
    made = [b"+" + line for line in content.removesuffix(b"\n").split(b"\n")]
    lines[at:end] = [b"@@ -0,0 +1,%d @@%s" % (len(made), hunk[5]), *made]
    return b"\n".join(lines)


@contextmanager
def _open_plain(path: Path) -> Iterator[IO[bytes]]:
    """A compressed file to be read; ``ValueError`` if it turns out not to be one."""
    try:
        with open(path, "rb") as raw, _decompress(raw, path) as stream:
            yield stream
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the machine; what bz2 and gzip say of content has no number
        raise ValueError(f"{path.name} cannot be read ({error})") from None


def _decompress(raw: IO[bytes], path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="rb"))
    if path.suffix == ".bz2":
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if path.suffix in (".xz", ".lzma"):
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    raise ValueError(f"{path.name} is compressed in a way that is not known ({', '.join(SUFFIXES)} are)")


def _compress(sink: IO[bytes], name: str, *, size: int) -> IO[bytes]:
    """Compress into ``sink``; a dictionary larger than the ``size`` of all takes memory and gains nothing."""
    suffix = Path(name).suffix
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile("", "wb", 9, sink, 0))
    if suffix == ".bz2":
        return cast("IO[bytes]", bz2.BZ2File(sink, "wb", compresslevel=9))
    kind = lzma.FILTER_LZMA2 if suffix == ".xz" else lzma.FILTER_LZMA1
    filters = [{"id": kind, "preset": 6, "dict_size": 1 << min(23, max(16, size.bit_length() + 1))}]
    form = lzma.FORMAT_XZ if suffix == ".xz" else lzma.FORMAT_ALONE
    return cast("IO[bytes]", lzma.LZMAFile(sink, "wb", format=form, filters=filters))


def _copy(
    source: IO[bytes], sink: IO[bytes], *, count: int | None = None, limit: int | None = None, name: str = ""
) -> int:
    """Copy ``count`` bytes, or all; how many they were. More than ``limit`` raise ``ValueError``."""
    done = 0
    while count is None or done < count:
        piece = source.read(CHUNK if count is None else min(CHUNK, count - done))
        if not piece:
            break
        done += len(piece)
        if limit is not None and done > limit:
            raise ValueError(f"{name} holds more than {limit >> 20} MiB")
        sink.write(piece)
    return done
