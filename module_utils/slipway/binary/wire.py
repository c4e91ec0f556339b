# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a coordinator and a build host say to each other: lines of JSON, and behind some of them the files they list.

Neither believes the other: a line has a limit, a file the size and the digest that it was announced with, and a name
is one in the directory that it goes to.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from ..files import CHUNK, hash_file, open_regular

#: The bytes that a line may have. A reason is a sentence, and a package has some dozens of files.
MAX_LINE = 1 << 20
#: Files of packages and logs.
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~:%=-]{0,250}", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

Message = dict[str, Any]


class Readable(Protocol):
    """What files are read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""


def list_files(paths: Iterable[Path]) -> list[Message]:
    """Files as a message announces them."""
    return [{"name": path.name, "size": path.stat().st_size, "sha256": hash_file(path)} for path in paths]


def send_message(stream: IO[bytes], message: Mapping[str, Any], paths: Sequence[Path] = ()) -> None:
    """Write a message, and the files that its ``files`` announces, in that order."""
    stream.write(json.dumps(message, sort_keys=True).encode() + b"\n")
    for path in paths:
        with open(open_regular(path), "rb") as content:
            while piece := content.read(CHUNK):
                stream.write(piece)
    stream.flush()


def receive_message(stream: IO[bytes]) -> Message | None:
    """Read a message; None at the end of the stream, also in the middle of a line. ``ValueError`` for anything else."""
    line = stream.readline(MAX_LINE)
    if not line.endswith(b"\n"):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line has more than {MAX_LINE} bytes")
        return None
    try:
        message = json.loads(line)
    except ValueError:
        raise ValueError("a line is no message") from None
    if not isinstance(message, dict):
        raise ValueError("a message is no mapping")
    return message


def receive_files(stream: Readable, rows: object, directory: Path, *, most: int) -> list[Path]:
    """Write into a directory the files that follow a message with these ``rows``; ``ValueError`` with what is wrong.

    All of them together have at most ``most`` bytes.
    """
    files = [_check_row(row) for row in rows] if isinstance(rows, list) else []
    names = [name for name, _size, _digest in files]
    if len(set(names)) != len(names):
        raise ValueError("two files have one name")
    if sum(size for _name, size, _digest in files) > most:
        raise ValueError(f"the files have more than {most} bytes")
    return [_receive_file(stream, directory / name, size, digest) for name, size, digest in files]


def skip_files(stream: Readable, rows: object, *, most: int) -> None:
    """Read past the files that follow a message with these ``rows``; ``ValueError`` with what is wrong."""
    sizes = [_check_row(row)[1] for row in rows] if isinstance(rows, list) else []
    left = sum(sizes)
    if left > most:
        raise ValueError(f"the files have more than {most} bytes")
    while left and (piece := stream.read(min(left, CHUNK))):
        left -= len(piece)


def _check_row(row: object) -> tuple[str, int, str]:
    if isinstance(row, dict):
        name, size, digest = row.get("name"), row.get("size"), row.get("sha256")
        right = isinstance(name, str) and isinstance(size, int) and isinstance(digest, str) and size >= 0
        if right and FILE_NAME.fullmatch(str(name)) and SHA256.fullmatch(str(digest)):
            return str(name), int(str(size)), str(digest)
    raise ValueError("a file has no usable name, size and digest")


def _receive_file(stream: Readable, target: Path, size: int, digest: str) -> Path:
    hasher, left = hashlib.sha256(), size
    with target.open("xb") as sink:
        while left:
            piece = stream.read(min(left, CHUNK))
            if not piece:
                raise EOFError(f"{target.name} ends {left} bytes early")
            hasher.update(piece)
            sink.write(piece)
            left -= len(piece)
    if hasher.hexdigest() != digest:
        raise ValueError(f"{target.name} has the digest {hasher.hexdigest()} instead of {digest}")
    return target
