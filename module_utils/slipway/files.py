# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are never half written, links that never dangle, and digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

CHUNK = 1 << 20


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str], *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; on success it is synced and takes the place of ``path``.

    On any failure the temporary file is removed and ``path`` stays as it was.
    """
    target = Path(path)
    temporary = name_temporary(target)
    try:
        with open(temporary, "xb") as stream:
            os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def write_atomic(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o644) -> None:
    """Write ``data`` to ``path`` so that readers see the old or the new content, whole."""
    with replace_file(path, mode=mode) as stream:
        stream.write(data)


def link_atomic(path: str | os.PathLike[str], target: str) -> None:
    """Replace ``path`` by a symbolic link to ``target`` in one step."""
    link = Path(path)
    temporary = name_temporary(link)
    os.symlink(target, temporary)
    try:
        os.replace(temporary, link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(link.parent)


def name_temporary(path: Path) -> Path:
    """A free name in the same directory, hidden and marked as temporary."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Sync the entries of a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: str | os.PathLike[str]) -> None:
    """Sync the content of a file to disk."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def move_synced(source: Path, target: Path) -> None:
    """Give a complete file its place: its content is on the disk before its name is."""
    sync_file(source)
    os.replace(source, target)
    sync_directory(target.parent)


def hash_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
