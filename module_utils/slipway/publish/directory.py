# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public directory of a download server: releases appear whole, and their bytes never change.

``private/<label>/`` is where the files of a release arrive, ``public/<label>/`` where readers find them. Both are on
one file system. ``private/.<label>.publishing/`` between them, the staging directory, is the publisher's: files become
his own there, and are hashed only then; one rename of it makes the whole release public.

A file belongs to another account, if that one uploads. It may have the file open still, and then writes to it whoever
owns it meanwhile: so its bytes are copied. What the publisher himself put into a directory of his own is moved.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..errors import SlipwayError, name_refusals, refuse
from ..files import CHUNK, hash_file, make_directory, open_regular, replace_file, sync_directory
from ..locks import hold_flock
from ..progress import Progress
from ..release.artifact import Artifact, check_name, explain_missing, find_differences, inspect_files, select_missing
from ..release.tombstone import find_tombstone, lift_tombstone, refuse_withdrawn

#: Where an interrupted rsync keeps what it has of a file.
PARTIAL_DIRECTORY = ".partial"
#: Where an upload account receives files.
SESSION_DIRECTORY = ".arriving"
#: What a file system without copies by reference answers; the bytes are read and written then.
NO_COPIES = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)
#: Temporary files of ours (``.name.1a2b3c4d.tmp``) and of rsync (``.name.Xy12aB``).
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?:[0-9a-f]{8}\.tmp|[A-Za-z0-9]{6})\Z")
#: The digests of all other files of a release.
SUMS = "SHA256SUMS"
SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[^/\n]+)\Z")
LOCK_WAIT = 600.0
COPY = 1 << 30

NEVER = "Public bytes never change. Find out which are right; to publish other bytes, release a new version."


def lock_directory(directory: Path, *, attempt: str, on: str = "", check: bool = False) -> AbstractContextManager[None]:
    """Hold the lock of a public or private directory; in check mode, none."""
    if check:
        return contextlib.nullcontext()
    return hold_flock(directory, attempt=attempt, on=on or str(directory), timeout=LOCK_WAIT)


def parse_sums(text: str) -> dict[str, str]:
    """The digests in the text of a ``SHA256SUMS``, by the names of the files."""
    return {found["name"]: found["sha256"] for line in text.splitlines() if (found := SUM.match(line))}


@dataclass(frozen=True)
class Server:
    """The two directories of a server, and a release."""

    private: Path
    public: Path
    label: str
    files: Sequence[Artifact]
    flat_links: bool = True
    #: Whether a release that was withdrawn comes back, with the bytes that it had.
    reinstate: bool = False

    @property
    def incoming(self) -> Path:
        """Where the release's files arrive."""
        return self.private / self.label

    @property
    def staging(self) -> Path:
        """The staging directory, which becomes public by one rename."""
        return self.private / f".{self.label}.publishing"

    @property
    def published(self) -> Path:
        """Where readers find them."""
        return self.public / self.label

    def links(self) -> dict[str, str]:
        """The flat names beside the release directory: files that bear the label, and what they link to."""
        if not self.flat_links:
            return {}
        return {file.name: f"{self.label}/{file.name}" for file in self.files if file.name.startswith(f"{self.label}-")}


@dataclass
class PublicationState:
    """What remains to be done: names not public, names that have not arrived either, missing flat links."""

    unpublished: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    leftovers: bool = False
    withdrawn: bool = False

    @property
    def changes(self) -> bool:
        """Whether there is something to do."""
        return bool(self.unpublished or self.links or self.leftovers or self.withdrawn)


def probe_release(server: Server, *, progress: Progress | None = None) -> PublicationState:
    """Inspect the directories; other bytes than those wanted, or unexpected files, are a failure."""
    _check_server(server)
    unpublished = _find_unpublished(server, progress)
    return _describe_state(
        server, unpublished, missing=select_missing(unpublished, _find_arrived(server, unpublished, progress))
    )


def publish_release(server: Server, *, progress: Progress | None = None) -> PublicationState:
    """Publish the release that arrived, and verify it by hashing it there; return what was done.

    The first time, the complete directory appears in one step. Later, files that are gone are moved in
    again without overwriting anything.
    """
    reporter = progress or Progress(None)
    reporter.total, reporter.total_bytes = len(server.files), sum(file.size or 0 for file in server.files)
    _check_server(server)
    make_directory(server.public)
    with name_refusals("publish", str(server.published)), _lock_directories(server):
        unpublished = _find_unpublished(server, reporter)
        found = _describe_state(server, unpublished)
        if unpublished:
            _require_arrived(server, unpublished)
            _take_files(server, unpublished, reporter)
            _make_public(server, unpublished)
            reporter.total += len(server.files)
            reporter.total_bytes *= 2
            reporter.report(f"{server.label} is public, hashing it there")
        for name in found.links:
            (server.public / name).symlink_to(server.links()[name])
        sync_directory(server.public)
        if unpublished:
            _verify_published(server, reporter)
        if found.withdrawn:
            lift_tombstone(server.public, server.label)
        _remove_private(server)
        return found


def _find_unpublished(server: Server, progress: Progress | None) -> list[Artifact]:
    """The files that are not public; what is there and does not belong to the release is a failure."""
    faults = _find_unexpected_files(server)
    seen = _inspect_files(server.published, server.files, progress)
    faults += [f"public: {fault}" for fault in find_differences(server.files, seen)]
    faults += _find_taken_links(server)
    refuse("publish", str(server.published), faults, summary="it differs from the release", do_next=NEVER)
    return [file for file in server.files if file.name not in seen]


def _describe_state(
    server: Server, unpublished: Sequence[Artifact], *, missing: Sequence[Artifact] = ()
) -> PublicationState:
    return PublicationState(
        unpublished=[file.name for file in unpublished],
        missing=[file.name for file in missing],
        links=[name for name in server.links() if not (server.public / name).is_symlink()],
        leftovers=server.incoming.exists() or server.staging.exists(),
        withdrawn=find_tombstone(server.public, server.label) is not None,
    )


def _check_server(server: Server) -> None:
    check_name(server.label, attempt="publish the release")
    if not server.files:
        raise SlipwayError("publish", server.label, "it has no files", do_next="Package it first.")
    for path in (server.private, server.public):
        if not path.is_absolute():
            raise SlipwayError("publish", server.label, f"{path} is not an absolute path", do_next="Correct it.")
    for path, do_next in (
        (server.published, NEVER),
        (server.incoming, "Remove it, and find out who put it there."),
        (server.staging, "Remove it, and find out who put it there."),
    ):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise SlipwayError("publish", str(path), "it exists and is not a directory", do_next=do_next)
    _refuse_withdrawn(server)


def _refuse_withdrawn(server: Server) -> None:
    """What was withdrawn comes back only when that is asked for, and never with other bytes."""
    tombstone = find_tombstone(server.public, server.label)
    if tombstone is None:
        return
    if not server.reinstate:
        refuse_withdrawn(server.public, server.label, attempt="publish")
    sums = next((file.sha256 for file in server.files if file.name == SUMS), None)
    if None not in (sums, tombstone.sums) and sums != tombstone.sums:
        raise SlipwayError(
            "bring back",
            server.label,
            f"its {SUMS} has sha256 {sums}, and when it was withdrawn it had {tombstone.sums}",
            do_next=NEVER,
        )


def _inspect_files(directory: Path, files: Sequence[Artifact], progress: Progress | None) -> dict[str, Artifact]:
    def note(seen: Artifact) -> None:
        if progress:
            progress.step(f"hashed {seen.name}", size=seen.size)

    return inspect_files(directory, files, on_done=note)


def _find_arrived(server: Server, files: Sequence[Artifact], progress: Progress | None = None) -> dict[str, Artifact]:
    """The private files. A killed run may have moved some to staging; what arrived since then replaces them.

    What is longer than it should be is not read: it may have any length.
    """
    taken = [file for file in files if _find_size(server.staging / file.name, owner=os.geteuid()) is not None]
    arrived = [
        file for file in files if file.size is None or (_find_size(server.incoming / file.name) or 0) <= file.size
    ]
    return {**_inspect_files(server.staging, taken, progress), **_inspect_files(server.incoming, arrived, progress)}


def _find_size(path: Path, *, owner: int | None = None) -> int | None:
    """The size of a regular file, which belongs to ``owner``."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) and owner in {None, found.st_uid} else None


@contextlib.contextmanager
def _lock_directories(server: Server) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for directory in (server.public, server.private):
            if directory.is_dir():
                stack.enter_context(lock_directory(directory, attempt="publish", on=str(server.published)))
        yield


def _find_unexpected_files(server: Server) -> list[str]:
    """Files in the release's directories that are neither of the release nor our own leftovers."""
    known = {file.name for file in server.files}
    places = {server.published: "public", server.staging: server.staging, server.incoming: server.incoming}
    return [
        f"{place}: {name} is not a file of this release"
        for directory, place in places.items()
        for name in _list_names(directory)
        if name not in known and not (directory != server.published and _is_temporary(name, known))
    ]


def _is_temporary(name: str, known: set[str]) -> bool:
    temporary = TEMPORARY.match(name)
    return name in {PARTIAL_DIRECTORY, SESSION_DIRECTORY} or (temporary is not None and temporary["name"] in known)


def _list_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def _find_taken_links(server: Server) -> list[str]:
    """Flat names that are something else already."""
    faults = []
    for name, target in server.links().items():
        path = server.public / name
        if path.is_symlink():
            if os.readlink(path) != target:
                faults.append(f"{path} is a link to {os.readlink(path)} instead of {target}")
        elif path.exists():
            faults.append(f"{path} exists and is not a link to {target}")
    return faults


def _require_arrived(server: Server, files: Sequence[Artifact]) -> None:
    """Refuse what can be seen to be wrong, before anything is changed."""
    _refuse_arrived(server, files, [fault for file in files if (fault := _find_absence(server, file))])
    if server.private.stat().st_dev != server.public.stat().st_dev:
        raise SlipwayError(
            "publish",
            str(server.published),
            f"{server.private} and {server.public} are on different file systems, so it would not appear at once",
            do_next="Put both on one file system and run again.",
        )


def _refuse_arrived(server: Server, files: Sequence[Artifact], faults: Sequence[str]) -> None:
    refuse(
        "publish",
        str(server.published),
        faults,
        summary=f"{len(faults)} of {len(files)} files did not arrive whole in {server.incoming}",
        do_next="Upload them again and run again.",
    )


def _find_absence(server: Server, file: Artifact) -> str | None:
    """Why a file cannot be taken, as far as that is seen without reading it."""
    path, size = server.incoming / file.name, file.size or 0
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        taken = _find_size(server.staging / file.name, owner=os.geteuid())
        return None if taken is not None else f"{file.name} is missing"
    if not stat.S_ISREG(found.st_mode):
        return f"{file.name} is missing: {path} is not a regular file"
    if found.st_nlink != 1:
        return f"{file.name} has {found.st_nlink} names, and only a file with one is published"
    if found.st_size > size:
        return f"{file.name} has {found.st_size} bytes instead of {size}"
    return "".join(explain_missing([file], inspect_files(server.incoming, [file]))) if found.st_size < size else None


def _take_files(server: Server, files: Sequence[Artifact], progress: Progress) -> None:
    """Make the files the publisher's own in the staging directory, and hash them there; all are right, or it fails."""
    with _open_incoming(server) as incoming:
        _require_own_private(server, files)
        _prepare_staging(server)

        def take(file: Artifact) -> str | None:
            fault = _take_file(server, file, incoming)
            progress.step(f"hashed {file.name}", size=file.size)
            return fault

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            faults = [fault for fault in pool.map(take, files) if fault]
    sync_directory(server.staging)
    _refuse_arrived(server, files, faults)


@contextlib.contextmanager
def _open_incoming(server: Server) -> Iterator[int | None]:
    """The directory of what arrived, whatever bears its name later; None if all was taken from it before."""
    try:
        descriptor = os.open(server.incoming, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _require_own_private(server: Server, files: Sequence[Artifact]) -> None:
    """Refuse a private directory in which another account, which uploads, could exchange the staging directory."""
    places = [server.incoming, *(server.incoming / file.name for file in files)]
    if all(os.lstat(place).st_uid == os.geteuid() for place in places if os.path.lexists(place)):
        return
    found = server.private.stat()
    open_to_others = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    if found.st_uid not in {0, os.geteuid()} or open_to_others:
        raise SlipwayError(
            "publish",
            str(server.published),
            f"others can rename what is in {server.private} ({stat.filemode(found.st_mode)}, user {found.st_uid}), and "
            "so could the account that uploads exchange what is published",
            do_next=f"Give {server.private} to root, the group of that account and the mode 1770, and run again.",
        )


def _prepare_staging(server: Server) -> None:
    """Create the staging directory, or remove from it what a killed run left half made."""
    with contextlib.suppress(FileExistsError):
        server.staging.mkdir(mode=0o700)
    found = os.lstat(server.staging)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise SlipwayError(
            "publish",
            str(server.published),
            f"{server.staging} is not the publisher's",
            do_next="Remove it, find out who put it there, and run again.",
        )
    server.staging.chmod(0o700)
    known = {file.name for file in server.files}
    for path in server.staging.iterdir():
        if path.name not in known or _find_size(path, owner=os.geteuid()) is None:
            path.unlink()


def _take_file(server: Server, file: Artifact, incoming: int | None) -> str | None:
    """Take one file, or undo it and say what is wrong. Without a new one that of a killed run is looked at."""
    target = server.staging / file.name
    arrived = None if incoming is None else _open_arrived(incoming, file)
    if incoming is None or arrived is None:
        return _find_fault(file, target)
    with arrived:
        own = _is_own(incoming) and _is_own(arrived.fileno())
        if own:
            os.rename(file.name, target, src_dir_fd=incoming)
        else:
            _copy_file(arrived, target, file.size or 0)
    fault = _find_fault(file, target)
    if own and fault:
        os.rename(target, file.name, dst_dir_fd=incoming)
    elif fault:
        target.unlink()
    elif not own:
        os.unlink(file.name, dir_fd=incoming)
    return fault


def _open_arrived(incoming: int, file: Artifact) -> IO[bytes] | None:
    try:
        return open(open_regular(file.name, directory=incoming), "rb", buffering=0)
    except FileNotFoundError:
        return None


def _is_own(descriptor: int) -> bool:
    """Whether nobody but the publisher writes to a file, or a directory, or can have it open to do so."""
    found = os.fstat(descriptor)
    return (
        found.st_uid == os.geteuid()
        and not found.st_mode & 0o022
        and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1)
    )


def _copy_file(source: IO[bytes], target: Path, size: int) -> None:
    """Copy ``size`` bytes, or what there is, into a new file; by reference, where the file system can."""
    left = size
    with replace_file(target) as writer:
        while left:
            try:
                copied = os.copy_file_range(source.fileno(), writer.fileno(), min(left, COPY))
            except OSError as error:
                if error.errno not in NO_COPIES:
                    raise
                copied = os.write(writer.fileno(), source.read(min(left, CHUNK)))
            if not copied:
                return
            left -= copied


def _find_fault(file: Artifact, path: Path) -> str | None:
    """What is wrong with a file in the staging directory, read from there; it has the permissions of a public one."""
    descriptor = open_regular(path)
    try:
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return file.describe_difference(path.stat().st_size, hash_file(path))


def _make_public(server: Server, files: Sequence[Artifact]) -> None:
    """Make the files public; all of them are in the staging directory with the right digests."""
    server.staging.chmod(0o755)
    if len(files) < len(server.files):
        for file in files:
            # link(2), unlike rename(2), never overwrites.
            os.link(server.staging / file.name, server.published / file.name, follow_symlinks=False)
        sync_directory(server.published)
    else:
        # Of what could be there, rename(2) replaces nothing but an empty directory.
        os.rename(server.staging, server.published)
        sync_directory(server.private)
    sync_directory(server.public)


def _verify_published(server: Server, progress: Progress) -> None:
    seen = _inspect_files(server.published, server.files, progress)
    faults = explain_missing(server.files, seen)
    refuse(
        "confirm", str(server.published), faults, summary="its files changed while they were published", do_next=NEVER
    )


def _remove_private(server: Server) -> None:
    """Remove the release's private directories; all of it is known to be ours."""
    for directory in (server.incoming, server.staging):
        if directory.exists():
            shutil.rmtree(directory)
            sync_directory(server.private)
