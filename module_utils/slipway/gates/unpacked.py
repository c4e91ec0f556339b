# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was packaged, unpacked again: gates judge the bytes that will be public."""

from __future__ import annotations

import gzip
import lzma
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..errors import SlipwayError
from ..files import copy_hashed, hash_file
from ..process import make_environment

DO_NEXT = "Restore it, or remove the release's directory, and run again. Nothing is public."


@dataclass(frozen=True)
class Packed:
    """A file of a release before it was packaged (``name``, ``sha256``), and as it was packaged."""

    name: str
    sha256: str
    packed: str
    packed_sha256: str
    directory: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.directory / self.packed


def match_packed(
    deployed: Iterable[Mapping[str, Any]], packaged: Iterable[Mapping[str, Any]], directory: Path
) -> dict[str, Packed]:
    """What was packaged of each deployment, by its name; files are those of the records of the two stages."""
    there = {str(file["name"]): file for file in packaged}
    found = {}
    for file in deployed:
        name = str(file["name"])
        packed = next((each for each in (f"{name}{ending}" for ending in ENDINGS) if each in there), None)
        if packed is not None and file.get("sha256") and there[packed].get("sha256"):
            found[str(file["deployment"])] = Packed(
                name, str(file["sha256"]), packed, str(there[packed]["sha256"]), directory
            )
    return found


class Unpacked:
    """A directory of unpacked files, each made once, whoever asks for it first. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def get(self, file: Packed) -> Path:
        """The unpacked file, whose digest is the recorded one."""
        target = self._directory / file.sha256
        with self._lock:
            lock = self._locks.setdefault(file.sha256, threading.Lock())
        with lock:
            if not target.exists():
                unpack(file, target)
        return target


def unpack(file: Packed, target: Path) -> None:
    """Unpack what was packaged; other bytes than the recorded ones, before or after, are a failure."""
    attempt, temporary = "unpack", target.with_name(f"{target.name}.part")
    try:
        seen = hash_file(file.path)
        if seen != file.packed_sha256:
            raise SlipwayError(
                attempt,
                str(file.path),
                f"it has the SHA-256 {seen}, and its record says {file.packed_sha256}",
                do_next=DO_NEXT,
            )
        ending = file.packed.removeprefix(file.name)
        with ENDINGS[ending](file.path) as reader, open(temporary, "wb") as writer:
            _size, digest = copy_hashed(reader, writer)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise SlipwayError(attempt, str(file.path), str(error), do_next=DO_NEXT) from error
    if digest != file.sha256:
        came_back = f"it unpacks to the SHA-256 {digest}, and what was deployed has {file.sha256}"
        raise SlipwayError(attempt, str(file.path), came_back, do_next=DO_NEXT)
    temporary.rename(target)


def _open_plain(path: Path) -> AbstractContextManager[IO[bytes]]:
    return open(path, "rb")


def _open_gzip(path: Path) -> AbstractContextManager[IO[bytes]]:
    return cast("AbstractContextManager[IO[bytes]]", gzip.open(path, "rb"))


def _open_xz(path: Path) -> AbstractContextManager[IO[bytes]]:
    return cast("AbstractContextManager[IO[bytes]]", lzma.open(path, "rb"))


@contextmanager
def _open_zstd(path: Path) -> Iterator[IO[bytes]]:
    words = ["zstd", "--decompress", "--stdout", "--quiet", "--no-progress", "--", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=make_environment()) as process:
        try:
            yield cast("IO[bytes]", process.stdout)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise OSError(f"zstd ended with status {process.returncode}")


ENDINGS = {"": _open_plain, ".gz": _open_gzip, ".xz": _open_xz, ".zst": _open_zstd}
