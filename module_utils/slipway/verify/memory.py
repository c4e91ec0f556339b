# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a watch remembers of a place, so that a round in which nothing changed reads nothing again.

A file that has the mark that it had is taken for what it was, for a while: each is read again within a bounded time,
the one first that was read longest ago.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import read_regular, write_atomic
from ..release.artifact import SHA256
from .reader import Digest, Mark

FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """A file that was read, and when (seconds since the epoch)."""

    digest: Digest
    read: float


@dataclass(frozen=True)
class KeptRelease:
    """A release in which nothing was wrong: what that was judged by, and all that was asked for."""

    seal: str
    trail: Mapping[str, Mark | None]
    names: frozenset[str] | None
    sums: Mapping[str, str]
    sums_sha256: str
    sizes: Mapping[str, int]
    counts: Mapping[str, int] = field(default_factory=dict)


class FileMemory:
    """What is remembered, in a file; ``reread`` is how many seconds a file is taken for what it was.

    ``share`` is which part of that time passes from one round to the next: so much of all is read again in each.
    """

    def __init__(
        self, path: Path, *, reread: float, share: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._path, self._reread, self._clock = path, reread, clock
        self._lock = threading.Lock()
        self._files, self.releases, self.serials, self.dates = _load(path)
        self.asked: set[str] = set()
        self.due = self._choose_due(share)

    def _choose_due(self, share: float) -> set[str]:
        """The files that are read again in this round."""
        now, total = self._clock(), sum(kept.digest.size for kept in self._files.values())
        due, size = set(), 0
        for path, kept in sorted(self._files.items(), key=lambda item: (item[1].read, item[0])):
            # A round more than its share, so that all of them have had their turn before their time is over.
            if size >= total * share and now - kept.read < self._reread:
                break
            if not 0 <= now - kept.read < self._reread or size < total * share:
                due.add(path)
                size += kept.digest.size
        return due

    def recall(self, path: str, mark: Mark) -> Digest | None:
        """The digest of a file that has this mark still, unless it is to be read again."""
        with self._lock:
            self.asked.add(path)
            kept = self._files.get(path)
            known = kept is not None and mark.tells and kept.digest.mark == mark and path not in self.due
            return kept.digest if known and kept is not None else None

    def keep(self, path: str, digest: Digest) -> None:
        """Remember a file that was read."""
        with self._lock:
            self.asked.add(path)
            self.due.discard(path)
            self._files[path] = Kept(digest, self._clock())

    def list_due(self, paths: Mapping[str, Any]) -> list[str]:
        """Which of these files are to be read again in this round."""
        with self._lock:
            return sorted(path for path in paths if path in self.due)

    def skip(self, paths: Mapping[str, Any]) -> None:
        """These are asked for still, though not in this round."""
        with self._lock:
            self.asked.update(path for path in paths if path in self._files)

    def save(self, *, whole: bool) -> None:
        """Write it; after a ``whole`` round what was not asked for is forgotten."""
        with self._lock:
            files = {path: kept for path, kept in self._files.items() if not whole or path in self.asked}
            text = {
                "format": FORMAT,
                "serials": dict(self.serials),
                "dates": dict(self.dates),
                "files": {path: _write_kept(kept) for path, kept in sorted(files.items())},
                "releases": {label: _write_release(kept) for label, kept in sorted(self.releases.items())},
            }
        write_atomic(self._path, json.dumps(text, separators=(",", ":")).encode() + b"\n")


def _load(
    path: Path,
) -> tuple[dict[str, Kept], dict[str, KeptRelease], dict[str, int], dict[str, int]]:
    """What was remembered; of what cannot be read, nothing, so that all is read again."""
    try:
        found = json.loads(read_regular(path))
        if found["format"] != FORMAT:
            return {}, {}, {}, {}
        return (
            {name: _read_kept(entry) for name, entry in found["files"].items()},
            {label: _read_release(entry) for label, entry in found["releases"].items()},
            {project: int(serial) for project, serial in found["serials"].items()},
            {suite: int(date) for suite, date in found["dates"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, {}, {}, {}


def _write_mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.size, mark.tag, mark.modified]


def _read_mark(entry: Any) -> Mark | None:
    return None if entry is None else Mark(None if entry[0] is None else int(entry[0]), str(entry[1]), str(entry[2]))


def _write_kept(kept: Kept) -> list[Any]:
    return [kept.digest.size, kept.digest.sha256, _write_mark(kept.digest.mark), int(kept.read)]


def _read_kept(entry: Any) -> Kept:
    if not SHA256.match(entry[1]):
        raise ValueError(entry[1])
    return Kept(Digest(int(entry[0]), entry[1], _read_mark(entry[2]) or Mark()), float(entry[3]))


def _write_release(kept: KeptRelease) -> dict[str, Any]:
    return {
        "seal": kept.seal,
        "trail": {path: _write_mark(mark) for path, mark in sorted(kept.trail.items())},
        "names": None if kept.names is None else sorted(kept.names),
        "sums": dict(kept.sums),
        "sums_sha256": kept.sums_sha256,
        "sizes": dict(kept.sizes),
        "counts": dict(kept.counts),
    }


def _read_release(entry: Any) -> KeptRelease:
    names = entry["names"]
    return KeptRelease(
        str(entry["seal"]),
        {path: _read_mark(mark) for path, mark in entry["trail"].items()},
        None if names is None else frozenset(names),
        {name: str(digest) for name, digest in entry["sums"].items()},
        str(entry["sums_sha256"]),
        {name: int(size) for name, size in entry["sizes"].items()},
        {name: int(count) for name, count in entry["counts"].items()},
    )
