# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A system's tree as one canonical tar archive: the same tree gives the same bytes."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

from ..errors import SlipwayError, refuse
from ..tar import Ownership, make_member, normalise_path, read_permissions

OS_RELEASE = ("usr/lib/os-release", "etc/os-release")
NODES = (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


@dataclass(frozen=True)
class Changes:
    """What makes a built tree a deployed one.

    ``epoch`` becomes the time of every file. ``permissions`` is the path of a file in the tree that lists the
    modes and owners which a build engine's store does not keep. ``os_release`` are settings for the tree's
    os-release; ``added`` are files by the path that they get in the tree.
    """

    epoch: int
    permissions: str | None = None
    os_release: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Path] = field(default_factory=dict)


#: The content of a regular file: in the old archive (its member), in a file, or given.
Content: TypeAlias = "tarfile.TarInfo | Path | bytes"


@dataclass(frozen=True)
class Member:
    """One file of a tree."""

    info: tarfile.TarInfo
    content: Content | None = None


def rewrite_tree(source: Path, target: Path, *, changes: Changes) -> None:
    """Write the tree in the tar file ``source`` to ``target``: sorted, with fixed times, owners and modes.

    Regular files become files of their own; hard links are not kept. Names that lead out of the tree, or
    through something that is not a directory, are refused.
    """
    with tarfile.open(source, "r:") as old, tarfile.open(target, "x:", format=tarfile.PAX_FORMAT) as new:
        members = _read_members(old)
        permissions = {} if changes.permissions is None else _read_permissions(old, members, changes.permissions)
        if changes.os_release:
            _mark_os_release(old, members, changes.os_release)
        for path, file in changes.added.items():
            _add_file(members, path, file)
        for name in sorted(members):
            with _open_content(old, members[name].content) as (content, size):
                info = _make_member(
                    name, members[name].info, size=size, owned=permissions.get(name), epoch=changes.epoch
                )
                new.addfile(info, content)


def _read_members(tar: tarfile.TarFile) -> dict[str, Member]:
    """Every file of a tree by its plain path, with all its parents."""
    members: dict[str, Member] = {}
    faults = []
    for info in tar:
        name = normalise_path(info.name)
        if name is None:
            faults.append(f"{info.name!r} leads out of the tree")
        elif not (info.isreg() or info.islnk() or info.type in NODES):
            faults.append(f"{info.name!r} is of a type that no system has")
        elif name:
            members[name] = Member(info, info if info.isreg() or info.islnk() else None)
    for name in list(members):
        faults += _add_parents(members, name)
    refuse(
        "take over the tree in",
        str(tar.name),
        faults[:20],
        summary="it holds what a system cannot have",
        do_next="Find out which element makes it, and correct that in the definitions.",
    )
    return members


def _add_parents(members: dict[str, Member], name: str) -> list[str]:
    """Add the missing parents of ``name``; return what is wrong with the others."""
    parts = name.split("/")[:-1]
    parents = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for parent in parents:
        if parent not in members:
            members[parent] = Member(make_member(parent, kind=tarfile.DIRTYPE, mode=0o755, mtime=0))
    return [
        f"{name!r} is below {parent!r}, which is not a directory"
        for parent in parents
        if not members[parent].info.isdir()
    ]


def _read_permissions(old: tarfile.TarFile, members: Mapping[str, Member], path: str) -> dict[str, Ownership]:
    name = normalise_path(path.lstrip("/"))
    if name is None or name not in members or members[name].content is None:
        raise SlipwayError(
            "read the permissions in",
            f"{path} of {old.name!s}",
            "the system has no such file",
            do_next="Correct the deployment's setting PERMISSIONS in the cluster file.",
        )
    with _open_content(old, members[name].content) as (content, _unused):
        return read_permissions(content.read().decode("utf-8", "surrogateescape"), where=path)


def _mark_os_release(old: tarfile.TarFile, members: dict[str, Member], settings: Mapping[str, str]) -> None:
    """Add ``settings`` to the tree's os-release, if it has one."""
    name = next((each for each in OS_RELEASE if each in members and members[each].content is not None), None)
    if name is None:
        return
    with _open_content(old, members[name].content) as (content, _unused):
        lines = content.read().decode("utf-8", "surrogateescape").splitlines()
    kept = [line for line in lines if line.partition("=")[0].strip() not in settings]
    text = "\n".join([*kept, *(f"{key}={value}" for key, value in settings.items()), ""])
    members[name] = Member(members[name].info, text.encode("utf-8", "surrogateescape"))


def _add_file(members: dict[str, Member], path: str, file: Path) -> None:
    name = normalise_path(path.lstrip("/"))
    faults = ["it leads out of the tree"] if not name else _add_parents(members, name)
    if name in members and members[name].content is None:
        faults.append("the system has something else there")
    if not name or faults:
        raise SlipwayError(
            "put a subsystem into its system at",
            path,
            "; ".join(faults),
            do_next="Correct the subsystem's location in the cluster file.",
        )
    members[name] = Member(make_member(name, mode=0o644, mtime=0), file)


@contextlib.contextmanager
def _open_content(old: tarfile.TarFile, content: Content | None) -> Iterator[tuple[IO[bytes], int]]:
    """A member's content, open for reading, and its size; what is not a file has none."""
    stream: IO[bytes] | None
    if isinstance(content, Path):
        stream = content.open("rb")
    else:
        stream = old.extractfile(content) if isinstance(content, tarfile.TarInfo) else io.BytesIO(content or b"")
    with stream or io.BytesIO() as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        yield opened, size


def _make_member(name: str, was: tarfile.TarInfo, *, size: int, owned: Ownership | None, epoch: int) -> tarfile.TarInfo:
    uid, gid = (0, 0) if owned is None else (owned.uid, owned.gid)
    return make_member(
        name,
        kind=was.type if was.type in NODES else tarfile.REGTYPE,
        size=size,
        mtime=epoch,
        mode=0o777 if was.issym() else was.mode & 0o7777 if owned is None else owned.mode,
        owner=(uid, gid),
        names=("" if uid else "root", "" if gid else "root"),
        linkname=was.linkname if was.issym() else "",
        device=(was.devmajor, was.devminor),
    )


def read_members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """The members of a canonical tar, parents first, each with its content if it is a regular file."""
    with tarfile.open(archive, "r:") as tar:
        for info in tar:
            yield info, tar.extractfile(info) if info.isreg() else None
