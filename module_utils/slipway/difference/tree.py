# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a system as an image has them, whatever kind of image it is."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

#: No system has more, and no reader goes on for longer.
MOST_ENTRIES = 4_000_000
MOST_BYTES = 1 << 28
#: Files may have so many times the bytes of their image, since they may be compressed or have holes, and MOST_BYTES.
MOST_TIMES = 32
#: What is kept of files that tell something of the system.
MOST_KEPT = 64 << 20
#: The capabilities that a program is started with.
CAPABILITY = "security.capability"
DPKG = ("var/lib/dpkg/status", "var/lib/dpkg/status.d/")


TOO_MUCH = f"its files say that they have more than {MOST_TIMES} times its bytes"


class ImageFaultError(Exception):
    """An image cannot be read; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A file, directory, link or device. ``content`` is a digest, the target of a link, or the numbers of a device.

    ``owner`` is ``None`` where the kind of image does not tell it.
    """

    mode: int
    owner: tuple[int, int] | None = (0, 0)
    size: int = 0
    content: str = ""
    capability: bytes = b""

    @property
    def is_file(self) -> bool:
        """Whether it has bytes of its own."""
        return stat.S_ISREG(self.mode)


@dataclass
class Tree:
    """All entries by their paths, which begin with no slash; ``kept`` are the bytes of files that tell something."""

    entries: dict[str, Entry] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    bytes_left: int = MOST_BYTES

    def add(self, path: str, entry: Entry) -> None:
        """Add an entry."""
        if len(self.entries) >= MOST_ENTRIES:
            raise ImageFaultError(f"it has more than {MOST_ENTRIES} files")
        self.entries[path] = entry

    def add_file(self, path: str, chunks: Iterable[bytes], make: Callable[[int, str], Entry]) -> None:
        """Add a file with its content."""
        digest, size, keep = hashlib.sha256(), 0, path.startswith(DPKG)
        kept = bytearray()
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if keep and len(kept) < MOST_KEPT:
                kept += chunk
            self.bytes_left -= len(chunk)
            if self.bytes_left < 0:
                raise ImageFaultError(TOO_MUCH)
        if keep:
            self.kept[path] = bytes(kept)
        self.add(path, make(size, digest.hexdigest()))


def normalise(path: str) -> str:
    """A path of an archive without what means nothing: ``./usr/`` is ``usr``."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))
