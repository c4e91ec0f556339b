# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at a place: its small files, and the digests of all others, with what is wrong as findings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from ..progress import Progress
from .finding import Report
from .reader import MOST_BYTES, Body, Digest, LateError, Mark, Reader, UnreadableError

#: How many files are read at once: as many as there are processors, since hashing is what takes long.
AT_ONCE = min(8, max(2, os.cpu_count() or 1))
#: A watch keeps what is smaller for the time of a round, so that nothing is asked for twice.
KEPT_BYTES = 256 << 10
#: How many questions are on the way at once where nothing is read.
ASKED_AT_ONCE = 8
LAG = "Either the mirror is behind and has a part of it already, or somebody changed it."
FETCH_AGAIN = "Do not use it. Fetch it from another mirror; tell the project if it is the same there."


@dataclass(frozen=True)
class Wanted:
    """A file that is to be there: its path, its digest, and its size if that is known."""

    path: str
    sha256: str
    size: int | None = None


class Memory(Protocol):
    """What is remembered of files that were read before."""

    def recall(self, path: str, mark: Mark) -> Digest | None:
        """The digest of a file that has this mark still, unless it is to be read again."""

    def keep(self, path: str, digest: Digest) -> None:
        """Remember a file that was read."""


@dataclass
class Look:
    """A look at what a reader reads, with what is found.

    ``trail`` has the marks of all that was asked for since it was emptied, ``None`` for what was not there; ``late``
    counts what there was no time for.
    """

    reader: Reader
    report: Report
    progress: Progress = field(default_factory=lambda: Progress(None))
    memory: Memory | None = None
    trail: dict[str, Mark | None] = field(default_factory=dict)
    late: int = 0

    def __post_init__(self) -> None:
        # Threads are kept, since each of them keeps its connection.
        self._asking = ThreadPoolExecutor(ASKED_AT_ONCE)
        self._reading = ThreadPoolExecutor(AT_ONCE)
        self._bodies: dict[str, Body | None] = {}

    def __enter__(self) -> Look:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._asking.shutdown()
        self._reading.shutdown()

    def read(self, path: str, *, size: int = MOST_BYTES) -> Body | None:
        """A small file, or ``None``; that it cannot be read is a finding, that it is not there is none."""
        return self._read(path, size)[0]

    def read_again(self, path: str) -> bytes | None:
        """A small file as this look read it before, if it is kept, or as it is now."""
        body = self._bodies[path] if path in self._bodies else self.read(path)
        return None if body is None else body.data

    def require(self, path: str, *, size: int = MOST_BYTES, do_next: str = FETCH_AGAIN) -> Body | None:
        """A small file that has to be there."""
        body, answered = self._read(path, size)
        if body is None and answered:
            self.report.add("missing", path, expected="a file", seen="nothing", do_next=do_next, meaning=LAG)
        return body

    def read_all(self, paths: Sequence[str], *, required: bool = False) -> list[Body | None]:
        """Small files, several at once."""
        return list(self._asking.map(self.require if required else self.read, paths))

    def _read(self, path: str, size: int) -> tuple[Body | None, bool]:
        """A file, and whether it is known whether it is there."""
        try:
            body = self.reader.read(path, size=size)
        except UnreadableError as error:
            self.tell_unreachable(path, error)
            return None, False
        self.trail[path] = None if body is None else body.mark
        if self.memory is not None and (body is None or len(body.data) <= KEPT_BYTES):
            self._bodies[path] = body
        return body, True

    def look(self, path: str) -> Mark | None:
        """By what a file is known; raises :class:`UnreadableError`."""
        mark = self.trail[path] = self.reader.look(path)
        return mark

    def is_there(self, path: str) -> bool:
        """Whether there is a file."""
        try:
            return self.look(path) is not None
        except UnreadableError as error:
            self.tell_unreachable(path, error)
            return False

    def is_unchanged(self, trail: Mapping[str, Mark | None]) -> bool:
        """Whether all that was asked for once has the marks that it had."""

        def has_mark(path: str) -> bool:
            known = trail[path]
            try:
                return (known is None or known.tells) and self.look(path) == known
            except UnreadableError:
                return False

        return all(self._asking.map(has_mark, trail))

    def list_directory(self, path: str) -> set[str] | None:
        """The names in a directory, if it shows them."""
        try:
            return self.reader.list_directory(path)
        except UnreadableError as error:
            self.tell_unreachable(path or "its list of files", error)
            return None

    def tell_unreachable(self, path: str, error: UnreadableError) -> None:
        """A finding for what did not answer."""
        if isinstance(error, LateError):
            self.late += 1
            return
        self.report.add(
            "unreachable", path, expected="a whole answer", seen=error.came_back.rstrip("."), do_next=error.do_next
        )

    def verify_files(self, files: Sequence[Wanted], *, kind: str = "file") -> dict[str, Digest]:
        """Read files, several at once, and compare their digests; those that were read, by their paths."""
        self.progress.total += len(files)
        self.progress.total_bytes += sum(file.size or 0 for file in files)
        # The longest first, so that none is left alone at the end.
        ordered = sorted(files, key=lambda file: -(file.size or 0))
        known = [None] * len(ordered) if self.memory is None else list(self._asking.map(self._recall, ordered))
        unread = [file for file, digest in zip(ordered, known, strict=True) if digest is None]
        read = dict(zip(unread, self._reading.map(self._hash, unread), strict=True))
        seen = {}
        for file, before in sorted(zip(ordered, known, strict=True), key=lambda pair: pair[0].path):
            digest = before or read[file]
            if isinstance(digest, UnreadableError):
                self.tell_unreachable(file.path, digest)
                continue
            self.trail[file.path] = None if digest is None else digest.mark
            if digest is None:
                self.report.add(
                    "missing", file.path, expected="a file", seen="nothing", do_next=FETCH_AGAIN, meaning=LAG
                )
            else:
                seen[file.path] = digest
                self._compare(file, digest, kind)
        return seen

    def _compare(self, file: Wanted, digest: Digest, kind: str) -> None:
        self.report.count("files")
        self.report.count("bytes", digest.size)
        if digest.sha256 != file.sha256:
            size = "" if file.size is None else f" ({file.size} bytes)"
            self.report.add(
                kind,
                file.path,
                expected=f"sha256 {file.sha256}{size}",
                seen=f"{digest.sha256} ({digest.size} bytes)",
                do_next=FETCH_AGAIN,
            )

    def _hash(self, file: Wanted) -> Digest | UnreadableError | None:
        try:
            digest = self.reader.hash(
                file.path, size=file.size, on_read=lambda size: self.progress.meter(f"reading {file.path}", size)
            )
        except UnreadableError as error:
            return error
        if digest is not None:
            self.progress.step(f"read {file.path}", size=file.size)
            if self.memory is not None:
                self.memory.keep(file.path, digest)
        return digest

    def _recall(self, file: Wanted) -> Digest | None:
        """What is remembered of a file that did not change."""
        try:
            mark = self.reader.look(file.path)
        except UnreadableError:
            return None  # it is asked for once more, and told then
        return self.memory.recall(file.path, mark) if self.memory is not None and mark is not None else None

    def verify_links(self, links: Iterable[tuple[str, Wanted]], *, read: bool) -> None:
        """Verify that other names lead to files; those that are the same files are read again only on demand."""
        pairs = list(links)

        def find_same(pair: tuple[str, Wanted]) -> bool | UnreadableError:
            try:
                self.look(pair[0])
                return not read and bool(self.reader.are_same(pair[0], pair[1].path))
            except UnreadableError as error:
                return error

        found = list(self._asking.map(find_same, pairs))
        others = []
        for (name, wanted), same in zip(pairs, found, strict=True):
            if isinstance(same, UnreadableError):
                self.tell_unreachable(name, same)
            elif same:
                self.report.count("links")
            else:
                others.append(Wanted(name, wanted.sha256, wanted.size))
        self.report.count("links", len(others))
        self.verify_files(others, kind="link")
