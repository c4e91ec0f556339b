# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A kernel out of a system's archive, or out of a disk image, which is not mounted for it."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, cast

from ..difference.partitions import list_partitions
from ..errors import SlipwayError
from ..files import copy_hashed
from ..image.job import program_path
from ..image.paths import Paths, find_files
from ..process import run
from ..tar import normalise_path

#: Where the magic numbers of file systems are, and what they are.
EXT, BTRFS = (1080, b"\x53\xef"), (65600, b"_BHRfS_M")
DO_NEXT = "Set the paths of the kernel in the policy (paths), or correct the system, and run again."


def take_kernel(source: Path, target: Path, *, kind: str, patterns: Sequence[str], name: str) -> str:
    """Write the kernel in an archive (``kind`` tar) or a disk image to ``target``; its path in the system."""
    take = _take_from_tar if kind == "tar" else _take_from_disk
    found = take(source, target, patterns, name)
    if target.stat().st_size == 0:
        raise _failure(name, f"{found} in {source.name} is empty")
    return found


def choose_path(paths: Paths, patterns: Sequence[str], *, name: str, where: str) -> str:
    """The file that the first pattern matches that matches one; links within the tree are followed."""
    for pattern in patterns:
        matching = find_files(paths, pattern)
        real = {path for path in matching.values() if path is not None}
        if len(real) > 1:
            listed = ", ".join(sorted(matching))
            raise _failure(name, f"{where} has {len(real)} files that {pattern} is for: {listed}")
        if real:
            return real.pop()
        if matching:
            raise _failure(name, f"{next(iter(matching))} in {where} is a link to something that is not there")
    raise _failure(name, f"{where} has none of {', '.join(patterns)}")


def _failure(name: str, came_back: str) -> SlipwayError:
    return SlipwayError("take the kernel out of", name, came_back, do_next=DO_NEXT)


def _take_from_tar(source: Path, target: Path, patterns: Sequence[str], name: str) -> str:
    try:
        with tarfile.open(source, "r:*") as tar:
            members = {path: info for info in tar if (path := normalise_path(info.name)) and not info.isdir()}
            links = {path: info.linkname if info.issym() else None for path, info in members.items()}
            found = choose_path(links, patterns, name=name, where=source.name)
            content = tar.extractfile(members[found])
            if content is None:
                raise _failure(name, f"{found} in {source.name} is no regular file")
            with content, open(target, "xb") as writer:
                copy_hashed(content, writer)
    except (tarfile.TarError, EOFError) as error:
        raise _failure(name, f"{source.name} is no whole tar archive: {error}") from error
    return found


def _take_from_disk(source: Path, target: Path, patterns: Sequence[str], name: str) -> str:
    """From the first file system of the disk that has one; Linux's own ones are read, by their own tools."""
    work = target.with_name(f"{target.name}.disk")
    work.mkdir()
    complaints = []
    try:
        for number, (offset, size) in enumerate(_find_places(source)):
            reader = _find_reader(source, offset)
            if reader is None:
                continue
            inner = work / str(number)
            inner.mkdir()
            try:
                return reader(source, target, (offset, size), patterns, name, inner)
            except SlipwayError as error:
                complaints.append(error)
    finally:
        shutil.rmtree(work)
    if complaints:
        raise complaints[-1]
    raise _failure(name, f"{source.name} has no file system that can be read without mounting it: ext4 or btrfs")


def _find_places(disk: Path) -> list[tuple[int, int]]:
    """Where file systems may begin, and how long they are: the disk itself, and its partitions."""
    with open(disk, "rb") as stream:
        return [(0, disk.stat().st_size), *list_partitions(stream.fileno())]


_Reader = Callable[[Path, Path, tuple[int, int], Sequence[str], str, Path], str]


def _find_reader(disk: Path, offset: int) -> _Reader | None:
    with open(disk, "rb") as stream:
        for (place, magic), reader in ((EXT, _take_from_ext), (BTRFS, _take_from_btrfs)):
            stream.seek(offset + place)
            if stream.read(len(magic)) == magic:
                return reader
    return None


def _take_from_ext(
    disk: Path, target: Path, place: tuple[int, int], patterns: Sequence[str], name: str, work: Path
) -> str:
    # What is behind a question mark in the path debugfs takes for options: it runs where the disk has a plain name.
    (work / "disk").symlink_to(disk.absolute())
    device = f"disk?offset={place[0]}"

    def ask(request: str) -> str:
        words = ["debugfs", "-R", request, device]
        where = f"{name} in {disk.name}"
        env = {"PATH": program_path()}
        done = run(words, attempt="look for the kernel of", on=where, cwd=work, env=env, do_next=DO_NEXT, timeout=300)
        return done.stdout

    paths = dict[str, str | None]()
    for pattern in patterns:
        for path, is_link in _list_ext("", pattern.split("/"), ask):
            leads = re.search(r'^Fast link dest: "(.*)"$', ask(f'stat "/{path}"'), re.MULTILINE) if is_link else None
            paths[path] = leads[1] if leads else None
    for path, link in list(paths.items()):  # what links lead to may have another name
        if link is not None and not link.startswith("/"):
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
            for other, is_link in _list_ext("", beside.split("/"), ask):
                paths.setdefault(other, None if not is_link else "")
    found = choose_path(paths, patterns, name=name, where=disk.name)
    ask(f'dump "/{found}" kernel')
    if not (work / "kernel").is_file():
        raise _failure(name, f"debugfs did not read {found} of {disk.name}")
    os.replace(work / "kernel", target)
    return found


def _list_ext(directory: str, parts: Sequence[str], ask: Callable[[str], str]) -> Iterator[tuple[str, bool]]:
    """The files that the parts of a pattern are for, and whether each is a link."""
    for line in ask(f'ls -p "/{directory}"').splitlines():
        fields = line.split("/")
        if len(fields) < 7 or fields[1] == "0" or not fnmatchcase(fields[5], parts[0]) or fields[5] in (".", ".."):
            continue
        path = f"{directory}/{fields[5]}".lstrip("/")
        kind = int(fields[2], 8) & 0o170000
        if len(parts) > 1 and kind == 0o040000:
            yield from _list_ext(path, parts[1:], ask)
        elif len(parts) == 1 and kind in (0o100000, 0o120000):
            yield path, kind == 0o120000


def _take_from_btrfs(
    disk: Path, target: Path, place: tuple[int, int], patterns: Sequence[str], name: str, work: Path
) -> str:
    """As Morph's disks have it; ``btrfs`` reads what begins where its file begins."""
    source = disk.absolute()
    if place[0]:
        source = work / "partition"
        with open(disk, "rb") as reader, open(source, "xb") as writer:
            reader.seek(place[0])
            copy_hashed(cast("IO[bytes]", _Part(reader, place[1])), writer)
    tree = work / "tree"
    tree.mkdir()
    for pattern in dict.fromkeys(patterns):
        words = ["btrfs", "restore", "--symlink", "--path-regex", _format_regex(pattern), str(source), str(tree)]
        env = {"PATH": program_path()}
        do_next = "Install Debian's package btrfs-progs, see that the image is whole, and run again."
        run(words, attempt="look for the kernel of", on=f"{name} in {disk.name}", env=env, do_next=do_next, timeout=900)
    files = [Path(parent, each) for parent, _directories, names in os.walk(tree) for each in names]
    paths = {str(each.relative_to(tree)): os.readlink(each) if each.is_symlink() else None for each in files}
    found = choose_path(paths, patterns, name=name, where=disk.name)
    os.replace(tree / found, target)
    return found


def _format_regex(pattern: str) -> str:
    """A pattern as ``btrfs restore`` wants it: each directory on the way matches too."""
    parts = [re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for part in pattern.split("/")]
    inner = ""
    for depth, part in enumerate(reversed(parts)):
        inner = f"(|{'' if depth == len(parts) - 1 else '/'}{part}{inner})"
    return f"^/{inner}$"


class _Part:
    """So many bytes of an open file."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data
