# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a directory that is mirrored: its files by digest, and its links.

The same directory is the same text, whoever writes it down, so that its digest names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import SlipwayError, name_refusals, refuse
from ..files import hash_file, open_below, read_regular, write_atomic

FORMAT = 1
MOST_BYTES = 256 << 20
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
#: Written while something else is, and gone afterwards.
TEMPORARY = re.compile(r"\..*\.tmp\Z")
#: Up, and then down only: so that no link on the way changes where "up" is.
TARGET = re.compile(r"(?:\.\./)*(?!\.\.?(?:/|\Z))[^/]+(?:/(?!\.\.?(?:/|\Z))[^/]+)*/?\Z")
MOST_NAME = 255
#: How often a directory may change while it is read.
TRIES = 5
ATTEMPT = "read what is to be mirrored of"


@dataclass(frozen=True, order=True)
class TreeFile:
    """A file: its path below the directory, and what is in it; ``modified`` are whole seconds since the epoch."""

    path: str
    size: int
    sha256: str
    modified: int


@dataclass(frozen=True, order=True)
class TreeLink:
    """A symbolic link, to something in the same directory."""

    path: str
    target: str


@dataclass(frozen=True)
class Tree:
    """All that is in a directory."""

    files: tuple[TreeFile, ...] = ()
    links: tuple[TreeLink, ...] = ()

    def format(self) -> bytes:
        """All of it as one text."""
        said = {
            "format": FORMAT,
            "files": [[each.path, each.size, each.sha256, each.modified] for each in sorted(self.files)],
            "links": [[each.path, each.target] for each in sorted(self.links)],
        }
        return json.dumps(said, separators=(",", ":")).encode("ascii") + b"\n"

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each content, by digest."""
        return {each.sha256: each.size for each in self.files}

    @property
    def dates(self) -> dict[str, int]:
        """Of each content the first date that it has under any name, by digest."""
        found: dict[str, int] = {}
        for each in self.files:
            found[each.sha256] = min(each.modified, found.get(each.sha256, each.modified))
        return found


def parse_tree(data: bytes, *, on: str) -> Tree:
    """Read such a text; whatever could reach out of a directory is refused."""
    attempt, do_next = "read the list of what is mirrored,", "Push to the mirror again."
    try:
        said = json.loads(data)
        if said["format"] != FORMAT:
            raise ValueError(f"its format is {said['format']!r}")
        files = tuple(TreeFile(*_typed(each, (str, int, str, int))) for each in said["files"])
        links = tuple(TreeLink(*_typed(each, (str, str))) for each in said["links"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SlipwayError(attempt, on, f"it is no such list: {error}", do_next=do_next) from None
    tree = Tree(files, links)
    refuse(attempt, on, list(_find_faults(tree)), do_next=do_next)
    return tree


def _typed(values: Any, types: Sequence[type]) -> Sequence[Any]:
    if not isinstance(values, list) or [type(value) for value in values] != list(types):
        raise TypeError(f"{values!r} is no entry")
    return values


def _find_faults(tree: Tree) -> Iterator[str]:
    places = [*(each.path for each in tree.files), *(each.path for each in tree.links)]
    taken = set(places)
    if len(taken) != len(places):
        yield "a path comes twice in it"
    for path in places:
        if fault := find_path_fault(path):
            yield fault
        elif inside := next((str(above) for above in PurePosixPath(path).parents if str(above) in taken), None):
            yield f"{path!r} would be in {inside!r}, which is no directory"
    for link in tree.links:
        if fault := find_target_fault(link.path, link.target):
            yield fault
    for file in tree.files:
        if not SHA256.match(file.sha256) or file.size < 0 or not 0 <= file.modified < 1 << 40:
            yield f"{file.path!r} has no digest, size or date"


def find_path_fault(path: str) -> str | None:
    """What is wrong with a path; None if nothing is."""
    names = path.split("/")
    if any(name in {"", ".", ".."} or len(os.fsencode(name)) > MOST_NAME for name in names) or not path.isprintable():
        return f"{path!r} is no path that a mirror can have"
    return None


def find_target_fault(path: str, target: str) -> str | None:
    """Why a link leads out of the directory, or might; None if it does not."""
    up = re.match(r"(?:\.\./)*", target)
    if not TARGET.match(target) or not target.isprintable() or (up and up[0].count("../") > path.count("/")):
        return f"the link {path!r} leads to {target!r}, which is not plainly inside the directory"
    return None


@dataclass
class _Seen:
    """What one walk through a directory has found."""

    files: dict[str, os.stat_result] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def read_tree(
    directory: Path, *, digests: Path | None = None, on_hash: Callable[[str, int], None] | None = None
) -> Tree:
    """What is in a directory now, without what is hidden, unless a link leads to it.

    ``digests`` is a file that remembers those of files that are the same as before. A file is another one when its
    inode, size or time is: public files are replaced, and never written to.
    """
    known = _read_digests(digests)
    for _try in range(TRIES):
        with name_refusals(ATTEMPT, str(directory), do_next="Check what is there, and run again."):
            seen = _walk(directory)
            tree = _hash_all(directory, seen, known, on_hash)
            if _walk(directory).links == seen.links and tree is not None:
                if digests is not None:
                    _write_digests(digests, seen, tree)
                return tree
    raise SlipwayError(
        ATTEMPT, str(directory), "it changed each time while it was read", do_next="Wait until it does not."
    )


def _walk(directory: Path) -> _Seen:
    whole = _Seen()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(directory / below) as entries:
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                status = entry.stat(follow_symlinks=False)
                if TEMPORARY.match(entry.name):
                    continue
                if stat.S_ISLNK(status.st_mode):
                    whole.links[path] = os.readlink(entry.path)
                elif stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                elif stat.S_ISREG(status.st_mode):
                    whole.files[path] = status
    seen = _select_reachable(whole)
    faults = [fault for path in [*seen.files, *seen.links] if (fault := find_path_fault(path))]
    faults += [fault for path, target in seen.links.items() if (fault := find_target_fault(path, target))]
    refuse(ATTEMPT, str(directory), faults, do_next="Rename or remove what is named, and run again.")
    return seen


def _select_reachable(whole: _Seen) -> _Seen:
    """Without what is hidden, except for what links that are not hidden lead to, perhaps by others."""
    reached = {""}
    while True:
        links = {path: target for path, target in whole.links.items() if _hidden_part(path) in reached}
        leading = {_hidden_part(os.path.normpath(f"{path}/../{target}")) for path, target in links.items()}
        if leading <= reached:
            files = {path: status for path, status in whole.files.items() if _hidden_part(path) in reached}
            return _Seen(files, links)
        reached |= leading


def _hidden_part(path: str) -> str:
    """The path as far as the last part of it that is hidden; empty if none is."""
    names = path.split("/")
    hidden = [number for number, name in enumerate(names, 1) if name.startswith(".")]
    return "/".join(names[: hidden[-1]]) if hidden else ""


def _hash_all(
    directory: Path, seen: _Seen, known: Mapping[str, list[Any]], on_hash: Callable[[str, int], None] | None
) -> Tree | None:
    """The tree; None if a file went meanwhile."""

    def look(found: tuple[str, os.stat_result]) -> TreeFile:
        path, status = found
        *mark, digest = known.get(path, [""])
        if mark != _mark(status):
            digest = hash_file(directory / path)
            if on_hash is not None:
                on_hash(path, status.st_size)
        return TreeFile(path, status.st_size, digest, max(0, int(status.st_mtime)))

    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            files = tuple(sorted(pool.map(look, seen.files.items())))
    except FileNotFoundError:
        return None
    return Tree(files, tuple(sorted(TreeLink(*each) for each in seen.links.items())))


def _mark(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def _read_digests(path: Path | None) -> dict[str, list[Any]]:
    try:
        found = json.loads(read_regular(path)) if path is not None else {}
    except (OSError, ValueError):
        return {}
    usable = isinstance(found, dict) and all(isinstance(each, list) and len(each) == 5 for each in found.values())
    return found if usable else {}


def _write_digests(path: Path, seen: _Seen, tree: Tree) -> None:
    marks = {each.path: [*_mark(seen.files[each.path]), each.sha256] for each in tree.files}
    write_atomic(path, json.dumps(marks).encode("ascii"), mode=0o600)


def read_file(directory: Path, path: str, *, size: int) -> bytes | None:
    """A small file of a directory that is mirrored; None if there is none."""
    try:
        with open(open_below(directory, path), "rb") as stream:
            data = stream.read(size + 1)
    except OSError:
        return None
    return data if len(data) <= size else None


def name_tree(text: bytes) -> str:
    """The name of a list: its digest."""
    return hashlib.sha256(text).hexdigest()
