# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tar archives of trees: members in which nothing is by chance, and a list of what a content store does not keep.

The list has a line ``<octal mode> <uid> <gid> <path>`` for each file whose mode or owner is a special one, its path
percent-encoded; ``#`` begins a comment line.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from .errors import refuse
from .files import open_regular

PERMISSION = re.compile(r"(?P<mode>[0-7]{3,5})\s+(?P<uid>\d{1,9})\s+(?P<gid>\d{1,9})\s+(?P<path>\S+)\Z", re.ASCII)
#: What a path may hold as it is.
SAFE = "/!$&'()*+,:;=@[]^{}|~"


@dataclass(frozen=True)
class Ownership:
    """Mode and owner of a file. The mode is the permission bits, with set-uid, set-gid and sticky."""

    mode: int
    uid: int
    gid: int


def make_member(
    name: str,
    *,
    mtime: int,
    mode: int,
    kind: bytes = tarfile.REGTYPE,
    size: int = 0,
    owner: tuple[int, int] = (0, 0),
    names: tuple[str, str] = ("", ""),
    linkname: str = "",
    device: tuple[int, int] = (0, 0),
) -> tarfile.TarInfo:
    """A member of a tar archive with these properties and no others."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.mtime, info.linkname = kind, size, mode, mtime, linkname
    info.uid, info.gid = owner
    info.uname, info.gname = names
    info.devmajor, info.devminor = device
    return info


def add_path(archive: tarfile.TarFile, path: str | os.PathLike[str], name: str, *, mtime: int) -> None:
    """Add what is at a path, root's and with the usual mode: a link as it is, a directory itself, or a file."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(path)
        archive.addfile(make_member(name, kind=tarfile.SYMTYPE, mode=0o777, mtime=mtime, linkname=os.fspath(target)))
    elif stat.S_ISDIR(found.st_mode):
        archive.addfile(make_member(name, kind=tarfile.DIRTYPE, mode=0o755, mtime=mtime))
    else:
        with open(open_regular(path), "rb") as content:
            found = os.fstat(content.fileno())
            mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
            archive.addfile(make_member(name, size=found.st_size, mode=mode, mtime=mtime), content)


def normalise_path(name: str) -> str | None:
    """The plain form of a relative path, ``""`` for the top; ``None`` if it leads out of the tree."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if name.startswith("/") or ".." in parts or "\0" in name else "/".join(parts)


def write_permissions(members: Mapping[str, tarfile.TarInfo]) -> str:
    """The list of the files, by path, that are not root's, 0755 or 0644 (if no program)."""
    lines = []
    for name, info in sorted(members.items()):
        if info.issym():
            continue
        usual = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
        mode = info.mode & 0o7777
        if (mode, info.uid, info.gid) != (usual, 0, 0):
            path = quote(name.encode("utf-8", "surrogateescape"), safe=SAFE)
            lines.append(f"{mode:04o} {info.uid} {info.gid} {path}\n")
    return "".join(lines)


def read_permissions(text: str, *, where: str) -> dict[str, Ownership]:
    """Mode and owner by path, as a list says them."""
    found: dict[str, Ownership] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = PERMISSION.match(line.strip())
        name = None if match is None else normalise_path(unquote(match["path"], errors="surrogateescape").lstrip("/"))
        if match is None or name is None:
            faults.append(f"line {number} is {line.strip()!r}, not <octal mode> <uid> <gid> <path>")
        else:
            found[name] = Ownership(int(match["mode"], 8) & 0o7777, int(match["uid"]), int(match["gid"]))
    refuse(
        "read the permissions in",
        where,
        faults[:20],
        summary="it does not list modes and owners",
        do_next="Correct it in the definitions.",
    )
    return found
