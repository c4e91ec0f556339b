# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tree of sources that somebody else wrote: what of it counts, read without following a link out of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import open_regular

#: What version control keeps beside the files; a file for some work trees.
VERSION_CONTROL = frozenset({".git", ".svn", ".hg", ".bzr", "CVS"})
#: What is made in the tree by a build.
BUILD = "build"
#: Files that say that there are no packages in a directory, and no further ones.
IGNORED = frozenset({"CATKIN_IGNORE", "AMENT_IGNORE", "COLCON_IGNORE"})
LAST = "rospack_nosubdirs"
#: More than any stack has; a tree without end ends here.
MAX_MEMBERS = 200_000
MAX_BYTES = 4 << 30
MAX_DEPTH = 64
MAX_TEXT = 4 << 20


@dataclass(frozen=True)
class Limits:
    """What a tree or a tarball may hold.

    ``ratio`` is how many times its compressed bytes a tarball may become, once that is more than ``free`` bytes.
    """

    members: int = MAX_MEMBERS
    size: int = MAX_BYTES
    depth: int = MAX_DEPTH
    ratio: int = 500
    free: int = 64 << 20


LIMITS = Limits()


def walk_tree(top: Path, *, limits: Limits = LIMITS) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What is below ``top``, parents first, by path: without version control, and without ``build`` at the top."""
    waiting = [("", 0)]
    members = 0
    while waiting:
        below, depth = waiting.pop()
        with os.scandir(top / below) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.name in VERSION_CONTROL or (not below and entry.name == BUILD):
                continue
            members += 1
            path = f"{below}/{entry.name}" if below else entry.name
            if members > limits.members or depth >= limits.depth:
                what = f"{limits.members} files" if members > limits.members else f"{limits.depth} levels"
                raise SlipwayError(
                    "read the sources in", str(top), f"there are more than {what}", do_next="Check what it is."
                )
            yield path, entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append((path, depth + 1))


def find_directories(top: Path, name: str, *, other: str) -> list[str]:
    """The directories, top first, with a file ``name`` or ``other``; those below such a one do not count."""
    files: dict[str, set[str]] = {"": set()}
    for path, entry in walk_tree(top):
        parent, _slash, last = path.rpartition("/")
        if entry.is_dir(follow_symlinks=False):
            files[path] = set()
        else:
            files[parent].add(last)
    found: list[str] = []
    closed: str | None = None  # what is below a directory follows it at once
    for path in sorted(files, key=lambda path: path.split("/") if path else []):
        if closed is not None and (not closed or path.startswith(f"{closed}/")):
            continue
        if files[path] & {name, other, LAST, *IGNORED}:
            closed = path
        if files[path] & {name, other} and not files[path] & IGNORED:
            found.append(path)
    return found


def is_file(top: Path, path: str) -> bool:
    """Whether there is a regular file at ``path`` in the tree."""
    return (top / path).is_file() and _is_inside(top, path)


def read_inside(top: Path, path: str, *, limit: int = MAX_TEXT) -> bytes:
    """The content of a regular file of the tree; ``OSError`` for one that is elsewhere, no file, or larger."""
    if not _is_inside(top, path):
        raise OSError(errno.EINVAL, "It is a link out of the tree", path)
    with open(open_regular(top / path, os.O_RDONLY), "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"It is larger than {limit >> 20} MiB", path)
    return data


def _is_inside(top: Path, path: str) -> bool:
    # Of a link to itself, this makes a path that cannot be opened; Path.resolve() would raise what is no OSError.
    return Path(os.path.realpath(top / path)).is_relative_to(os.path.realpath(top))
