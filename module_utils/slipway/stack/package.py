# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make what is released of a stack: its tarball, or the files of its .dsc, and its control YAML.

All of it goes to ``<directory>/<stack>-<version>/``, under the names that it has in the release repository.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import SlipwayError, name_refusals, refuse
from ..escape import escape_line
from ..files import CHUNK, make_directory, make_scratch, move_synced, open_regular, replace_file, write_atomic
from .controlfile import DSC, FORMAT, ROS, check_control, format_control, name_control_files, name_release
from .debian import DebianSource
from .gate import Known, Verdict, check_names, judge_source, read_known
from .htmltext import cut_line, shorten_brief
from .rosdeps import Platform, read_platforms, resolve_keys
from .source import AUTO, Source, read_source
from .tarball import pack_tree
from .tree import LIMITS, Limits

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: The time of every file in a tarball, if nobody says another: the first second of 2000.
EPOCH = 946_684_800
IMPLICIT_PACKAGES = ("build-essential", "cmake")
ATTEMPT = "release"
#: What is before the @ has at most 64 characters; a longer text without one is not searched again from each of its own.
ADDRESS = re.compile(r"[A-Za-z0-9][^\s@<>,/]{0,63}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)


@dataclass(frozen=True)
class Surroundings:
    """What a stack is judged by: the distribution, its stacks, and what keys and packages stand for."""

    distribution: str = ""
    stacks: Sequence[str] = ()
    known: Mapping[str, Known] = field(default_factory=dict)
    platforms: Sequence[Platform] = ()
    rosdep: Mapping[str, Any] = field(default_factory=dict)
    implicit: Sequence[str] = IMPLICIT_PACKAGES


def read_surroundings(options: Mapping[str, Any]) -> Surroundings:
    """The surroundings as modules are given them."""
    return Surroundings(
        distribution=options["distribution"],
        stacks=options["stacks"],
        known=read_known(options["known"]),
        platforms=read_platforms(options["platforms"]),
        rosdep=options["rosdep"],
        implicit=options["implicit"],
    )


@dataclass(frozen=True)
class Request:
    """A stack to be released; ``origin`` (kind, uri, revision) is recorded."""

    stack: str
    version: str
    kind: str = AUTO
    epoch: int = EPOCH
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeFile:
    """A file of a release where it was made."""

    name: str
    path: Path
    size: int
    sha256: str
    md5sum: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The form in results of modules."""
        return {"name": self.name, "path": str(self.path), "size": self.size, "sha256": self.sha256}


@dataclass
class Released:
    """What was made, or would be: the files, the control file last, and the names of those that were not there so."""

    kind: str
    files: list[MadeFile]
    control: dict[str, Any]
    changed: list[str]
    remarks: list[str]
    text: tuple[str, str] = ("", "")
    source_format: str | None = None


class HashingStream(io.RawIOBase):
    """Passes bytes on, to ``target`` if there is one, and knows their number and digests."""

    def __init__(self, target: IO[bytes] | None = None) -> None:
        self.target = target
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.md5sum = hashlib.md5(usedforsecurity=False)

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Take bytes."""
        plain = bytes(data)
        self.size += len(plain)
        self.sha256.update(plain)
        self.md5sum.update(plain)
        if self.target is not None:
            self.target.write(plain)
        return len(plain)

    def describe(self, path: Path) -> MadeFile:
        """The file at ``path`` that has these bytes."""
        return MadeFile(path.name, path, self.size, self.sha256.hexdigest(), self.md5sum.hexdigest())


def release_stack(
    top: Path, request: Request, *, around: Surroundings, directory: Path, write: bool, limits: Limits = LIMITS
) -> Released:
    """Judge the tree ``top`` and make its files in ``directory``; all that is wrong with it is in one failure.

    Without ``write`` everything is computed, digests too, and nothing is left.
    """
    check_names(request.stack, request.version)
    source = read_source(top, request.kind, stack=request.stack, distribution=around.distribution)
    control, remarks = describe_source(source, request, around)
    place = directory / name_release(request.stack, control["version"])
    with name_refusals("write", str(place)):
        if write:
            make_directory(place)
        if source.kind == DSC:
            files, changed = _copy_files(source, place, write=write)
            control |= {"dsc": files[0].name, "files": _list_plain(files)}
        else:
            file, changed = _make_tarball(top, place, request.epoch, write=write, limits=limits)
            files = [file]
            control |= describe_tarball(file)
        return write_control(
            Released(source.kind, files, control, changed, remarks, source_format=_find_format(source)),
            place,
            write=write,
        )


def describe_source(source: Source, request: Request, around: Surroundings) -> tuple[dict[str, Any], list[str]]:
    """The control mapping of a source that passes the gate, still without its tarball, and remarks."""
    keys = {**around.rosdep, **source.rosdep}
    verdict = judge_source(source, request.version, known=around.known, stacks=around.stacks, keys=keys)
    about = _describe(source, verdict)
    rosdeps: dict[str, list[str]] = {platform.name: [] for platform in around.platforms}
    if source.kind == ROS:
        resolved = resolve_keys(verdict.keys, keys, platforms=around.platforms, implicit=around.implicit)
        verdict.faults += resolved.faults
        verdict.remarks += resolved.remarks
        rosdeps = resolved.relations
    if not around.platforms:
        verdict.faults.append("there are no platforms that it could be for")
    refuse(
        ATTEMPT,
        f"{request.stack} {request.version}",
        list(dict.fromkeys(verdict.faults)),
        several="faults",
        do_next="Correct the stack, its version, or the distro file, and run again.",
    )
    origin = {key: request.origin[key] for key in ("kind", "uri", "revision") if request.origin.get(key)}
    return {
        "format": FORMAT,
        "kind": source.kind,
        "stack": request.stack,
        **about,
        "version": request.version if source.kind == ROS else about["version"],
        "priority": "optional",
        "depends": verdict.depends,
        "rosdeps": rosdeps,
        "packages": sorted(package.name for package in source.packages),
        "source": origin or None,
    }, verdict.remarks


def describe_tarball(file: MadeFile) -> dict[str, Any]:
    """What a control file says of its tarball."""
    return {"tarball": file.name, "size": file.size, "md5sum": file.md5sum, "sha256": file.sha256}


def write_control(made: Released, place: Path, *, write: bool) -> Released:
    """Write the control file beside the other files; what was made with it."""
    checked = check_control({key: value for key, value in made.control.items() if value is not None}, on=place.name)
    made.control = dict(checked.mapping)
    data = format_control(made.control)
    stream = HashingStream()
    stream.write(data)
    path = place / name_control_files(made.control["stack"], made.control["version"])[0]
    before = path.read_bytes() if path.is_file() else b""
    if before != data:
        made.changed.append(path.name)
        if write:
            write_atomic(path, data)
    made.files.append(stream.describe(path))
    made.text = before.decode("utf-8", "replace"), data.decode()
    return made


def _describe(source: Source, verdict: Verdict) -> dict[str, Any]:
    """Names, people and descriptions, whatever kind it is."""
    about, debian = source.about, source.debian
    if debian is not None:
        brief = cut_line(debian.brief) or f"the source package {debian.source}"
        found = {"package": debian.source, "version": debian.version, "maintainer": debian.maintainer}
        text = debian.description
        homepage = debian.homepage
    else:
        brief = cut_line(about.brief) or shorten_brief(about.description.partition("\n")[0]) or f"stack {about.name}"
        found = {"package": about.name.replace("_", "-"), "version": about.version, "maintainer": about.maintainer}
        text = about.description
        homepage = about.homepage
    if not found["maintainer"]:
        verdict.faults.append("it names no author or maintainer")
    if " " in homepage:
        verdict.remarks.append(f"its address {homepage!r} is none, and is left out")
        homepage = ""
    text = "\n".join(map(escape_line, text.split("\n"))) if debian is None else text
    addresses = ADDRESS.findall(found["maintainer"])
    return {
        **found,
        "contact": addresses[0] if addresses else None,
        "homepage": homepage or None,
        "description-brief": brief,
        "description-full": text or brief,
    }


def _find_format(source: Source) -> str | None:
    debian: DebianSource | None = source.debian
    return None if debian is None else debian.format


def _list_plain(files: Sequence[MadeFile]) -> list[dict[str, Any]]:
    return [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]


def _make_tarball(top: Path, place: Path, epoch: int, *, write: bool, limits: Limits) -> tuple[MadeFile, list[str]]:
    """The tarball of a tree; it is made beside an older one and replaces it only if it differs."""
    path = place / f"{place.name}.tar.bz2"
    with contextlib.ExitStack() as stack:
        packed = HashingStream()
        new = None
        if write:
            new = stack.enter_context(make_scratch(f".packing-{path.name}-", directory=place)) / path.name
            packed.target = stack.enter_context(open(new, "wb"))
        pack_tree(top, place.name, packed, epoch=epoch, limits=limits)
        made = packed.describe(path)
        if hash_if_there(path) == made:
            return made, []
        if new is not None and packed.target is not None:
            packed.target.close()
            move_synced(new, path)
        return made, [path.name]


def _copy_files(source: Source, place: Path, *, write: bool) -> tuple[list[MadeFile], list[str]]:
    """The .dsc and its files, whose digests were compared; they are compared again as they are copied."""
    found, changed = [], []
    for file in source.debian.files if source.debian else []:
        made, is_new = copy_file(source.top / file.name, place / file.name, write=write)
        if made.sha256 != file.sha256:
            raise SlipwayError(ATTEMPT, place.name, f"{file.name} changes meanwhile", do_next="Run again.")
        found.append(made)
        if is_new:
            changed.append(made.name)
    return found, changed


def copy_file(source: Path, target: Path, *, write: bool) -> tuple[MadeFile, bool]:
    """Copy a regular file, unless its bytes are there already; what it is, and whether it is copied."""
    made = hash_made(source, target)
    is_new = hash_if_there(target) != made
    if write and is_new:
        with open(open_regular(source), "rb") as reader, replace_file(target) as stream:
            copied = HashingStream(stream)
            shutil.copyfileobj(reader, copied, CHUNK)
            made = copied.describe(target)
    return made, is_new


def hash_made(path: Path, target: Path) -> MadeFile:
    """Size and digests of the file at ``path``, as the one at ``target``."""
    hashing = HashingStream()
    with open(open_regular(path, os.O_RDONLY), "rb") as reader:
        shutil.copyfileobj(reader, hashing, CHUNK)
    return hashing.describe(target)


def hash_if_there(path: Path) -> MadeFile | None:
    """What the file at ``path`` is; None if there is none."""
    return hash_made(path, path) if path.is_file() else None
