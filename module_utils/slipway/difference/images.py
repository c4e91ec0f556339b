# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads images of any kind: archives, disks with a table of partitions, and file systems."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import IO, cast

from ..errors import SlipwayError
from ..process import make_environment, run
from .ext4 import Ext4, is_ext4
from .partitions import list_partitions
from .tree import CAPABILITY, MOST_BYTES, MOST_TIMES, Entry, ImageFaultError, Tree, normalise

READ = 1 << 20
#: What a partition of a disk says of itself where it begins.
SQUASHFS, EROFS_AT, EROFS = b"hsqs", 1024, bytes.fromhex("e2e1f5e0")
KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


def read_tree(image: Path, kind: str, scratch: Path) -> Tree:
    """All files in an image of a deployment type; ``scratch`` is an empty directory."""
    try:
        return _read(image, kind, scratch)
    except (ImageFaultError, tarfile.TarError, struct.error, EOFError, OSError) as error:
        raise SlipwayError(
            "read the files in",
            f"an image of the type {kind}",
            str(error),
            do_next="See whether the deployment makes what it says (release_deploy), and run again.",
        ) from error


def _read(image: Path, kind: str, scratch: Path) -> Tree:
    if kind == "tar":
        with open(image, "rb") as stream:
            return _read_tar(stream, image.stat().st_size)
    if kind == "squashfs":
        return _read_squashfs(image)
    if kind == "erofs":
        return _read_erofs(image, scratch)
    return _read_disk(image, scratch)


def _make_tree(size: int) -> Tree:
    """An empty tree for an image of so many bytes."""
    return Tree(bytes_left=MOST_BYTES + MOST_TIMES * size)


def _read_tar(stream: IO[bytes], size: int) -> Tree:
    tree = _make_tree(size)
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            path = normalise(member.name)
            if not path:
                continue
            mode = KINDS.get(member.type, stat.S_IFREG) | member.mode & 0o7777
            owner = member.uid, member.gid
            capability = member.pax_headers.get(f"SCHILY.xattr.{CAPABILITY}", "").encode("utf-8", "surrogateescape")
            if member.islnk():
                first = tree.entries.get(normalise(member.linkname))
                if first is None:
                    raise ImageFaultError(f"{path!r} is a link to {member.linkname!r}, which was not there before")
                tree.add(path, first)
            elif member.isreg():
                content = cast("IO[bytes]", archive.extractfile(member))
                tree.add_file(
                    path,
                    iter(lambda content=content: content.read(READ), b""),  # type: ignore[misc]
                    lambda size, digest, mode=mode, owner=owner, capability=capability: Entry(  # type: ignore[misc]
                        mode, owner, size, digest, capability
                    ),
                )
            else:
                device = f"{member.devmajor}:{member.devminor}" if member.ischr() or member.isblk() else ""
                target = member.linkname if member.issym() else device
                tree.add(path, Entry(mode, owner, 0, target, capability))
    return tree


def _read_disk(image: Path, scratch: Path) -> Tree:
    """The largest file system on a disk, or the one that fills it."""
    descriptor = os.open(image, os.O_RDONLY)
    try:
        found = [
            (size, offset, name)
            for offset, size in [*list_partitions(descriptor), (0, os.fstat(descriptor).st_size)]
            if (name := _name_filesystem(descriptor, offset))
        ]
        if not found:
            raise ImageFaultError("none of its partitions has an ext4, squashfs or erofs file system")
        size, offset, name = max(found)
        if name == "ext4":
            tree = _make_tree(os.fstat(descriptor).st_size)
            Ext4(descriptor, offset).read_tree(tree)
            return tree
    finally:
        os.close(descriptor)
    part = scratch / "partition"
    with open(image, "rb") as source, open(part, "wb") as target:
        source.seek(offset)
        for begin in range(0, size, READ):
            target.write(source.read(min(READ, size - begin)))
    return _read_squashfs(part) if name == "squashfs" else _read_erofs(part, scratch)


def _name_filesystem(descriptor: int, offset: int) -> str:
    if is_ext4(descriptor, offset):
        return "ext4"
    if os.pread(descriptor, 4, offset) == SQUASHFS:
        return "squashfs"
    return "erofs" if os.pread(descriptor, 4, offset + EROFS_AT) == EROFS else ""


def _read_squashfs(image: Path) -> Tree:
    """What ``sqfs2tar`` makes of it, read as it comes."""
    words = ["sqfs2tar", "--no-hard-links", str(image)]
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=make_environment()
        )
    except FileNotFoundError as error:
        raise ImageFaultError("sqfs2tar was not found: install Debian's package squashfs-tools-ng") from error
    with process:
        try:
            tree = _read_tar(cast("IO[bytes]", process.stdout), image.stat().st_size)
        except BaseException:
            process.kill()
            raise
        said = cast("IO[bytes]", process.stderr).read(4096).decode("utf-8", "replace").strip()
    if process.returncode:
        raise ImageFaultError(f"sqfs2tar ended with status {process.returncode}: {said}")
    return tree


def _read_erofs(image: Path, scratch: Path) -> Tree:
    """What ``fsck.erofs`` takes out of it; owners and capabilities are not known then."""
    root = scratch / "tree"
    run(
        ["fsck.erofs", f"--extract={root}", "--preserve-perms", "--no-preserve-owner", str(image)],
        attempt="take the files out of",
        on="an erofs file system",
        do_next="Install Debian's package erofs-utils, and check that the disk is not full.",
    )
    tree = _make_tree(image.stat().st_size)
    for above, directories, files in os.walk(root):
        for name in (*directories, *files):
            place = Path(above, name)
            status = place.lstat()
            path = str(place.relative_to(root))
            if stat.S_ISREG(status.st_mode):
                with open(place, "rb") as stream:
                    tree.add_file(
                        path,
                        iter(lambda stream=stream: stream.read(READ), b""),  # type: ignore[misc]
                        lambda size, digest, mode=status.st_mode: Entry(mode, None, size, digest),  # type: ignore[misc]
                    )
            else:
                target = os.readlink(place) if place.is_symlink() else ""
                tree.add(path, Entry(status.st_mode, None, 0, target))
    return tree
