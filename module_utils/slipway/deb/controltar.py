# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tar that holds a deb's control files: read and written as a stream, and trusted in nothing."""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

#: No real package comes near these. The first keeps memory small whatever dictionary the data was compressed with.
MAX_TAR = 40 << 20
MAX_CONTROL_FILE = 4 << 20
MAX_ENTRIES = 1000
#: The last date that a header can say in octal digits, in the year 2242.
MAX_DATE = 8**11 - 1

#: What dpkg takes as the compression of control.tar: nothing, gzip, xz or zstd.
SUFFIXES = ("", ".gz", ".xz", ".zst")

_PIECE = 64 * 1024
_BLOCK = 512
_RECORD = 20 * _BLOCK
_MEMORY = 128 << 20
#: Whatever lies in DEBIAN/ is packed, backup files of editors too; dpkg takes it and makes nothing of it.
_NAME = re.compile(r"(?!\.\.?\Z)[ -.0-~]+", re.ASCII)
_PAX_RECORD = re.compile(rb"([0-9]+) ([^=]+)=([^\n]*)\n")
#: What a record may say; tar refuses other numbers.
_PAX_TEXT, _PAX_NUMBER, _PAX_TIME = (
    re.compile(pattern) for pattern in (rb".*", rb"[0-9]+", rb"-?[0-9]{1,18}(?:\.[0-9]*)?")
)
_PAX_KEYS = {
    **dict.fromkeys((b"uname", b"gname", b"comment"), _PAX_TEXT),
    **dict.fromkeys((b"uid", b"gid"), _PAX_NUMBER),
    **dict.fromkeys((b"mtime", b"atime", b"ctime"), _PAX_TIME),
}
_IDS, _TIMES = range(2**32), range(-(2**63), 2**63)
#: The numbers of a header besides size and checksum, which tar refuses if they are none.
_NUMBERS = (("mode", 100, 108), ("owner", 108, 116), ("group", 116, 124), ("date", 136, 148))
_OCTAL = re.compile(rb"\0? *[0-7]+(?:[ \0].*)?|\0+", re.DOTALL)


class DebError(Exception):
    """What is wrong with a deb, as the end of a sentence."""


# --- compression ----------------------------------------------------------------------------------------------------


class Decompressor:
    """Expands a whole member named ``name`` from the pieces ``raw``.

    What cannot be expanded, or is followed by other bytes, raises :class:`DebError`. After the end ``check`` is the
    integrity check of an xz stream.
    """

    def __init__(self, name: str, raw: Iterator[bytes]) -> None:
        self._name = name
        self._raw = raw
        self.check = lzma.CHECK_CRC32

    def __iter__(self) -> Iterator[bytes]:
        suffix = self._name.removeprefix("control.tar")
        expand = {"": lambda: self._raw, ".gz": self._read_gzip, ".xz": self._read_xz, ".zst": self._read_zstd}[suffix]
        total = 0
        try:
            for piece in expand():
                total += len(piece)
                if total > MAX_TAR:
                    raise DebError(f"{self._name} unpacks to more than {MAX_TAR >> 20} MiB")
                yield piece
        except (zlib.error, lzma.LZMAError) as error:
            raise DebError(f"{self._name} is damaged ({error})") from None

    def _read_gzip(self) -> Iterator[bytes]:
        """Expand one gzip stream, or several in a row, which are one."""
        expander = zlib.decompressobj(31)
        for piece in self._raw:
            rest = piece
            while rest:
                if expander.eof:
                    self._refuse_trailing(not rest.startswith(b"\x1f"))
                    expander = zlib.decompressobj(31)
                yield expander.decompress(rest, _PIECE)
                rest = expander.unconsumed_tail or expander.unused_data
        yield expander.flush()
        self._require_end(expander.eof, b"")

    def _read_xz(self) -> Iterator[bytes]:
        expander = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)
        for piece in self._raw:
            self._refuse_trailing(expander.eof)
            yield expander.decompress(piece, _PIECE)
            while not expander.eof and not expander.needs_input:
                yield expander.decompress(b"", _PIECE)
        self._require_end(expander.eof, expander.unused_data)
        self.check = expander.check

    def _read_zstd(self) -> Iterator[bytes]:
        zstandard = _import_zstandard()
        expander = zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj()
        try:
            for piece in self._raw:
                # What comes out can only be bounded by what goes in.
                for start in range(0, len(piece), 256):
                    self._refuse_trailing(expander.eof)
                    yield expander.decompress(piece[start : start + 256])
        except zstandard.ZstdError as error:
            raise DebError(f"{self._name} is damaged ({error})") from None
        self._require_end(expander.eof, expander.unused_data)

    def _refuse_trailing(self, ended: bool) -> None:
        if ended:
            raise DebError(f"{self._name} has trailing bytes after its compressed data")

    def _require_end(self, ended: bool, rest: bytes) -> None:
        if not ended:
            raise DebError(f"{self._name} is cut off")
        self._refuse_trailing(bool(rest))


class Compressor(Protocol):
    """A compressor of any kind."""

    def compress(self, data: bytes, /) -> bytes:
        """Compress ``data``; return the output that is ready."""

    def flush(self) -> bytes:
        """Return the rest of the output."""


class _NullCompressor:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def make_compressor(suffix: str, *, size: int, check: int = lzma.CHECK_CRC32) -> Compressor:
    """A compressor for ``size`` bytes whose output depends on nothing else and whose memory is bounded."""
    if not suffix:
        return _NullCompressor()
    if suffix == ".gz":
        return zlib.compressobj(9, zlib.DEFLATED, 31)
    if suffix == ".xz":
        window = max(12, min(20, (size - 1).bit_length()))
        # Hash chains give the same size as preset 6's binary trees on such text, in half the time.
        chain = {
            "id": lzma.FILTER_LZMA2,
            "preset": 6,
            "pb": 0,
            "dict_size": 1 << window,
            "mf": lzma.MF_HC4,
            "nice_len": 64,
        }
        return lzma.LZMACompressor(format=lzma.FORMAT_XZ, check=check, filters=[chain])
    zstandard = _import_zstandard()
    parameters = zstandard.ZstdCompressionParameters.from_level(19, source_size=min(size, 1 << 20))
    compressor: Compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size)
    return compressor


def _import_zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise DebError(
            "its control.tar.zst needs Python's zstandard (Debian's package python3-zstandard), which is not installed"
        ) from None
    return zstandard


# --- tar ------------------------------------------------------------------------------------------------------------


class _ByteReader:
    """Exact amounts of bytes from an iterator of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer only at the end."""
        while len(self._buffer) - self._position < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._buffer = self._buffer[self._position :] + piece
            self._position = 0
        taken = self._buffer[self._position : self._position + count]
        self._position += len(taken)
        return taken


def rewrite_entries(pieces: Iterator[bytes], change: Callable[[bytes], bytes], *, where: str) -> Iterator[bytes]:
    """Pass the entries of a control tar through, the content of the file ``control`` by way of ``change``.

    Headers and other contents stay as they are; the end mark is not passed on, see :func:`make_end`. Anything
    but regular files with plain names of their own raises :class:`DebError`, which names the tar ``where``.
    """
    source = _ByteReader(pieces)
    names: set[str] = set()
    count = 0
    while any(header := source.take(_BLOCK)):
        count += 1
        if len(header) < _BLOCK:
            raise DebError(f"{where} is cut off")
        if count > MAX_ENTRIES:
            raise DebError(f"{where} has more than {MAX_ENTRIES} entries")
        name, size = _read_entry(header, where)
        if name in names:
            raise DebError(f"{where} has {name or 'its directory'} twice")
        if name is not None:
            names.add(name)
        if name == "control":
            if size > MAX_CONTROL_FILE:
                raise DebError(f"its control file is larger than {MAX_CONTROL_FILE >> 20} MiB")
            new = change(b"".join(_read_body(source, size, where))[:size])
            yield resize_header(header, len(new)) + pad(new)
        elif name is None:
            extension = b"".join(_read_body(source, size, where))
            _check_pax(extension[:size], where)
            yield header + extension
        else:
            yield header
            yield from _read_body(source, size, where)
    if not count and not header:
        raise DebError(f"{where} is empty")
    if "control" not in names:
        raise DebError(f"{where} has no control file")
    while rest := source.take(_PIECE):
        if any(rest):
            raise DebError(f"{where} has trailing bytes after its end")


def make_end(size: int) -> bytes:
    """The end mark of a tar whose entries are ``size`` bytes long, with GNU tar's padding."""
    return bytes(2 * _BLOCK + -(size + 2 * _BLOCK) % _RECORD)


def pad(content: bytes) -> bytes:
    """``content`` with the zeros that fill its last block."""
    return content + bytes(-len(content) % _BLOCK)


def resize_header(header: bytes, size: int, *, mtime: int | None = None) -> bytes:
    """A header with another size, and another date if one is given."""
    date = header[136:148] if mtime is None else b"%011o\0" % min(max(mtime, 0), MAX_DATE)
    blank = header[:124] + b"%011o\0" % size + date + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def _read_body(source: _ByteReader, size: int, where: str) -> Iterator[bytes]:
    left = size + -size % _BLOCK
    while left:
        piece = source.take(min(left, _PIECE))
        if not piece:
            raise DebError(f"{where} is cut off")
        left -= len(piece)
        yield piece


def _read_entry(header: bytes, where: str) -> tuple[str | None, int]:
    """Name and size of an entry; the name is empty for the directory itself, ``None`` for a pax extension."""
    if _parse_number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 32:
        raise DebError(f"{where} is damaged (the checksum of a header is wrong)")
    size = _parse_number(header[124:136])
    if size is None or size > MAX_TAR:
        raise DebError(f"{where} has an entry of an impossible size")
    for what, start, end in _NUMBERS:
        if not _is_number(header[start:end], _TIMES if what == "date" else _IDS):
            raise DebError(f"{where} is damaged (the {what} of an entry is not a number)")
    kind = header[156:157]
    if kind in {b"x", b"g"} and size <= _PIECE:
        return None, size
    raw = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0" and header[345]:
        raw = header[345:500].split(b"\0", 1)[0] + b"/" + raw
    name = raw.decode("ascii", "replace")
    printable = "".join(
        character if character.isascii() and character.isprintable() else "?" for character in name[:80]
    )
    if kind == b"5" and name in {".", "./"} and not size:
        return "", 0
    if kind not in {b"0", b"\0"}:
        what = {b"5": "a directory", b"1": "a hard link", b"2": "a symbolic link"}.get(kind, "not a regular file")
        raise DebError(f"{where} has {printable}, which is {what}")
    if not _NAME.fullmatch(name.removeprefix("./")):
        raise DebError(f"{where} has an entry with the name '{printable}', which no control file may have")
    return name.removeprefix("./"), size


def _check_pax(content: bytes, where: str) -> None:
    """Refuse extensions that change the name, the size or the kind of the entry that follows, or are no numbers."""
    position = 0
    while position < len(content):
        record = _PAX_RECORD.match(content, position)
        if record is None or record[1] != b"%d" % (record.end() - position):
            raise DebError(f"{where} is damaged (an extended header is)")
        key = record[2].decode("ascii", "replace")[:40]
        if record[2] not in _PAX_KEYS:
            raise DebError(f"{where} has an extended header with {key!r}")
        pattern, value = _PAX_KEYS[record[2]], record[3]
        if not pattern.fullmatch(value) or (pattern is _PAX_NUMBER and int(value[:20]) not in _IDS):
            raise DebError(f"{where} is damaged (the {key} of an extended header is not a number)")
        position = record.end()


def _is_number(field: bytes, allowed: range) -> bool:
    """Whether tar reads this as a number: octal digits, or a binary number behind a mark."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big") in allowed
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True) in allowed
    return _OCTAL.fullmatch(field) is not None


def _parse_number(digits: bytes) -> int | None:
    text = digits.split(b"\0", 1)[0].strip(b" ")
    try:
        return int(text, 8) if text.isdigit() else None
    except ValueError:
        return None
