# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at a place: its small files, and the digests of all others, with what is wrong as findings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from ..progress import Progress
from .finding import Report
from .reader import MOST_BYTES, Body, Digest, Mark, Reader, UnreadableError

#: How many files are read at once: as many as there are processors, since hashing is what takes long.
AT_ONCE = min(8, max(2, os.cpu_count() or 1))
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
    """A look at what a reader reads, with what is found."""

    reader: Reader
    report: Report
    progress: Progress = field(default_factory=lambda: Progress(None))
    memory: Memory | None = None

    def read(self, path: str, *, size: int = MOST_BYTES) -> Body | None:
        """A small file, or ``None``; that it cannot be read is a finding, that it is not there is none."""
        try:
            return self.reader.read(path, size=size)
        except UnreadableError as error:
            self.tell_unreachable(path, error)
            return None

    def require(self, path: str, *, size: int = MOST_BYTES, do_next: str = FETCH_AGAIN) -> Body | None:
        """A small file that has to be there."""
        try:
            body = self.reader.read(path, size=size)
        except UnreadableError as error:
            self.tell_unreachable(path, error)
            return None
        if body is None:
            self.report.add("missing", path, expected="a file", seen="nothing", do_next=do_next, meaning=LAG)
        return body

    def is_there(self, path: str) -> bool:
        """Whether there is a file."""
        try:
            return self.reader.look(path) is not None
        except UnreadableError as error:
            self.tell_unreachable(path, error)
            return False

    def list_directory(self, path: str) -> set[str] | None:
        """The names in a directory, if it shows them."""
        try:
            return self.reader.list_directory(path)
        except UnreadableError as error:
            self.tell_unreachable(path or "its list of files", error)
            return None

    def tell_unreachable(self, path: str, error: UnreadableError) -> None:
        """A finding for what did not answer."""
        self.report.add(
            "unreachable", path, expected="a whole answer", seen=error.came_back.rstrip("."), do_next=error.do_next
        )

    def verify_files(self, files: Sequence[Wanted], *, kind: str = "file") -> dict[str, Digest]:
        """Read files, several at once, and compare their digests; those that were read, by their paths."""
        self.progress.total += len(files)
        self.progress.total_bytes += sum(file.size or 0 for file in files)
        with ThreadPoolExecutor(AT_ONCE if self.memory is None else ASKED_AT_ONCE) as pool:
            # The longest first, so that none is left alone at the end.
            ordered = sorted(files, key=lambda file: -(file.size or 0))
            found = list(pool.map(self._hash, ordered))
        seen = {}
        for file, digest in sorted(zip(ordered, found, strict=True), key=lambda pair: pair[0].path):
            if isinstance(digest, UnreadableError):
                self.tell_unreachable(file.path, digest)
            elif digest is None:
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
            if self.memory is not None and (known := self._recall(file.path)) is not None:
                self.progress.step(f"{file.path} is unchanged", size=file.size)
                return known
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

    def _recall(self, path: str) -> Digest | None:
        mark = self.reader.look(path)
        return self.memory.recall(path, mark) if self.memory is not None and mark is not None and mark.tells else None

    def verify_links(self, links: Iterable[tuple[str, Wanted]], *, read: bool) -> None:
        """Verify that other names lead to files; those that are the same files are read again only on demand."""
        pairs = list(links)

        def find_same(pair: tuple[str, Wanted]) -> bool | UnreadableError:
            try:
                return not read and bool(self.reader.are_same(pair[0], pair[1].path))
            except UnreadableError as error:
                return error

        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            found = list(pool.map(find_same, pairs))
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
