# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trees of files as they were exported: what is refused in one, its digest, and how it comes to its place whole."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, make_scratch, read_regular, sync_directory, write_atomic
from ..locks import hold_flock

#: What repositories keep beside their files. Tools that work in the tree would obey it.
METADATA = frozenset({".git", ".svn", ".hg", ".bzr"})
_ATTEMPT = "check out into"


@dataclass(frozen=True)
class Marker:
    """What a directory holds: where it is from, at which revision of what time, and the digest of all of it."""

    kind: str
    uri: str
    revision: str
    sha256: str = ""
    epoch: int | None = None


@dataclass(frozen=True)
class Present:
    """What is in a directory now; ``altered`` if that is no more what was once put there."""

    marker: Marker | None
    altered: bool = False


def inspect_directory(directory: Path) -> Present:
    """What is there now; what somebody else put there is refused."""
    marker = _find_marker(directory)
    return Present(marker, altered=marker is not None and digest_tree(directory) != marker.sha256)


def place_tree(export: Callable[[Path], int | None], directory: Path, marker: Marker, *, max_bytes: int) -> Marker:
    """Have ``export`` write a tree beside ``directory`` and put it there as a whole; what it holds then.

    What ``export`` returns is the revision's time. The marker is there first: if this ends between the two, the tree is
    none that it tells of, and is made anew.
    """
    make_directory(directory.parent)
    with make_scratch(f".making-{directory.name}-", directory=directory.parent) as scratch:
        new = scratch / "new"
        epoch = export(new)
        prepare_tree(new, max_bytes=max_bytes)
        placed = Marker(marker.kind, marker.uri, marker.revision, digest_tree(new), epoch)
        with hold_flock(directory.parent, attempt=_ATTEMPT, on=str(directory), timeout=60):
            _find_marker(directory)
            write_atomic(_locate_marker(directory), json.dumps(asdict(placed), indent=1).encode() + b"\n")
            if directory.exists():
                os.replace(directory, scratch / "old")
            os.replace(new, directory)
            sync_directory(directory.parent)
    return placed


def prepare_tree(top: Path, *, max_bytes: int) -> None:
    """Give the files of a tree the modes that readers need, and refuse what does not belong into one."""
    faults, size = [], 0
    for path, found in _walk(top):
        name = os.fsdecode(path)
        if name.rpartition("/")[2].lower() in METADATA:
            faults.append(f"{name} belongs to a repository, and programs would obey it")
        if stat.S_ISREG(found.st_mode):
            size += found.st_size
            (top / name).chmod(0o755 if found.st_mode & 0o100 else 0o644)
        elif stat.S_ISDIR(found.st_mode):
            (top / name).chmod(0o755)
        elif not stat.S_ISLNK(found.st_mode):
            faults.append(f"{name} is neither a file nor a directory nor a link")
    if size > max_bytes:
        faults.append(f"it has {size} bytes, and at most {max_bytes} are allowed")
    top.chmod(0o755)
    refuse("use", "the tree that was checked out", faults, do_next="Correct the source, or the limit, and run again.")


def digest_tree(top: Path) -> str:
    """A digest of all names, contents, targets of links, and which files can be executed."""
    digest = hashlib.sha256()
    for path, found in _walk(top):
        name = os.fsdecode(path)
        if stat.S_ISLNK(found.st_mode):
            kind, value = b"link", os.fsencode(os.readlink(top / name))
        elif stat.S_ISDIR(found.st_mode):
            kind, value = b"directory", b""
        elif stat.S_ISREG(found.st_mode):
            kind, value = b"program" if found.st_mode & 0o100 else b"file", hash_file(top / name).encode()
        else:
            kind, value = b"other", b""
        digest.update(b"%s\0%s\0%s\0" % (path, kind, value))
    return digest.hexdigest()


def _walk(top: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Everything below a directory in the order of its names' bytes; links are not followed."""
    base = os.fsencode(top)
    waiting = [b""]
    found: list[tuple[bytes, os.stat_result]] = []
    while waiting:
        here = waiting.pop()
        for entry in os.scandir(os.path.join(base, here)):
            path = os.path.join(here, entry.name)
            found.append((path, entry.stat(follow_symlinks=False)))
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
    yield from sorted(found, key=lambda each: each[0])


def _locate_marker(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.checkout.json")


def _find_marker(directory: Path) -> Marker | None:
    """What the marker says of a directory; None if nothing is there."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise _refuse_place(directory, "it is there, and is no directory")
    marker = _read_marker(directory)
    if not directory.exists() or (marker is None and not any(directory.iterdir())):
        return None
    if marker is None:
        raise _refuse_place(directory, "there are files that are not known to be of a checkout")
    return marker


def _read_marker(directory: Path) -> Marker | None:
    try:
        found = json.loads(read_regular(_locate_marker(directory)))
    except (FileNotFoundError, ValueError):
        return None
    wanted = ("kind", "uri", "revision", "sha256")
    if not isinstance(found, Mapping) or any(not isinstance(found.get(name), str) for name in wanted):
        return None
    epoch = found.get("epoch")
    texts = {name: found[name] for name in wanted}
    return Marker(**texts, epoch=epoch if isinstance(epoch, int) else None)


def _refuse_place(directory: Path, fault: str) -> SlipwayError:
    return SlipwayError(_ATTEMPT, str(directory), fault, do_next="Move it away, or choose another directory.")
