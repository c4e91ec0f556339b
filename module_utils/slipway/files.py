# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are never half written, links that never dangle, and digests."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import itertools
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

CHUNK = 1 << 20
HOLE = bytes(CHUNK)


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str], *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; on success it is synced and takes the place of ``path``.

    On any failure the temporary file is removed and ``path`` stays as it was. One that a killed process left is
    removed by the next that writes the same file.
    """
    target = Path(path)
    temporary, stream = _open_temporary(target)
    with stream:
        try:
            os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_directory(target.parent)


def _open_temporary(target: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside ``target`` that is locked while it is written, so that one without a lock is a leftover.

    The first choice is always the same name: what was left there is found without a look through the directory.
    """
    usual = target.with_name(f".{target.name}.{0:08x}.tmp")
    for temporary in itertools.chain([usual] * 3, (name_temporary(target) for _unused in itertools.count())):
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            remove_leftover(temporary)
            continue
        if _lock_entry(descriptor, temporary):
            return temporary, open(descriptor, "w+b")
        os.close(descriptor)
    raise AssertionError("there are always further names")


def remove_leftover(path: Path, *, remove: Callable[[Path], object] = shutil.rmtree) -> None:
    """Remove what a killed process left at ``path``: a file, link or directory that no process has locked.

    Directories are removed by ``remove``.
    """
    try:
        if path.is_symlink():
            return path.unlink()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return None  # gone by now, or another account's
    try:
        if not _lock_entry(descriptor, path):
            return None
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            remove(path)
        else:
            path.unlink()
        return None
    finally:
        os.close(descriptor)


def _lock_entry(descriptor: int, path: Path) -> bool:
    """Lock an open file or directory, if nobody has and it still is what its name says."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine, there = os.fstat(descriptor), os.lstat(path)
    except (BlockingIOError, FileNotFoundError):
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


@contextlib.contextmanager
def make_scratch(prefix: str, *, directory: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """A private directory for the time of the block, whose name begins with ``prefix``, which nothing else uses.

    Those that killed processes of this account left beside it are removed first.
    """
    place = Path(tempfile.gettempdir() if directory is None else directory)
    for leftover in place.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(OSError):  # what cannot be removed is in nobody's way
            if stat.S_ISDIR(leftover.lstat().st_mode) and leftover.lstat().st_uid == os.geteuid():
                remove_leftover(leftover)
    while True:
        with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as name:
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # another one took it for a leftover, since it was not locked yet
            try:
                if _lock_entry(descriptor, Path(name)):
                    yield Path(name)
                    return
            finally:
                os.close(descriptor)


def make_directory(path: str | os.PathLike[str], *, mode: int = 0o755) -> None:
    """Make a directory and its parents, each with ``mode`` whatever the umask is; what is there stays as it is."""
    wanted = Path(path)
    absent = list(itertools.takewhile(lambda each: not each.is_dir(), (wanted, *wanted.parents)))
    for directory in reversed(absent):
        try:
            directory.mkdir()
        except FileExistsError:
            if not directory.is_dir():
                raise
        else:
            directory.chmod(mode | stat.S_IMODE(directory.stat().st_mode) & stat.S_ISGID)


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


def move_synced(source: Path, target: Path, *, mode: int = 0o644) -> None:
    """Give a complete file its mode and its place: its content is on the disk before its name is."""
    source.chmod(mode)
    sync_file(source)
    os.replace(source, target)
    sync_directory(target.parent)


def open_regular(
    path: str | os.PathLike[str], flags: int = os.O_RDONLY | os.O_NOFOLLOW, *, directory: int | None = None
) -> int:
    """A descriptor of a regular file; what else is there, such as a FIFO, is refused and not waited for."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644, dir_fd=directory)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "It is not a regular file", os.fspath(path))


def open_log(path: str | os.PathLike[str]) -> int:
    """A descriptor that appends to a log, made if absent; a link, a FIFO, or a file under several names is refused."""
    descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
    if os.fstat(descriptor).st_nlink == 1:
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EMLINK, "It has other names too", os.fspath(path))


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file, or of what a link names."""
    with open(open_regular(path, os.O_RDONLY), "rb") as stream:
        return stream.read()


def open_below(directory: str | os.PathLike[str], path: str) -> int:
    """A descriptor of a regular file below ``directory``; no link inside it is followed, whoever puts one there now."""
    *places, name = path.split("/")
    if not {"", ".", ".."}.isdisjoint((*places, name)):
        raise OSError(errno.EINVAL, "It is not a plain path below the directory", path)
    below = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for place in places:
            inner = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=below)
            os.close(below)
            below = inner
        return open_regular(name, directory=below)
    finally:
        os.close(below)


def copy_hashed(
    reader: IO[bytes], writer: IO[bytes], *, on_read: Callable[[int], None] | None = None
) -> tuple[int, str]:
    """Copy all of ``reader`` to the empty ``writer``, and return the size and the SHA-256 of what was read.

    Where there are only zeros the copy has holes, so that a sparse file takes no more room than it did. ``on_read`` is
    called now and then with the number of bytes read so far.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := reader.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if chunk == HOLE:
            writer.seek(CHUNK, os.SEEK_CUR)
        else:
            writer.write(chunk)
        if on_read is not None:
            on_read(size)
    writer.truncate(size)
    return size, digest.hexdigest()


def hash_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(open_regular(path, os.O_RDONLY), "rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
