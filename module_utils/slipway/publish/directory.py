# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public directory of a download server: releases appear whole, and their bytes never change.

``private/<label>/`` is where the files of a release arrive, ``public/<label>/`` where readers find them.
Both are on one file system. Complete files are moved to ``private/.<label>.publishing/``, the staging directory,
which no uploader writes to, not even one that outlived its run; one rename of it makes the whole release public.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..files import make_directory, sync_directory
from ..locks import hold_flock
from ..progress import Progress
from ..release.artifact import Artifact, check_name, explain_missing, find_differences, inspect_files, select_missing

#: Where an interrupted rsync keeps what it has of a file.
PARTIAL_DIRECTORY = ".partial"
#: Temporary files of ours (``.name.1a2b3c4d.tmp``) and of rsync (``.name.Xy12aB``).
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?:[0-9a-f]{8}\.tmp|[A-Za-z0-9]{6})\Z")
LOCK_WAIT = 600.0

NEVER = "Public bytes never change. Find out which are right; to publish other bytes, release a new version."


def lock_directory(directory: Path, *, attempt: str, on: str = "", check: bool = False) -> AbstractContextManager[None]:
    """Hold the lock of a public or private directory; in check mode, none."""
    if check:
        return contextlib.nullcontext()
    return hold_flock(directory, attempt=attempt, on=on or str(directory), timeout=LOCK_WAIT)


@dataclass(frozen=True)
class Server:
    """The two directories of a server, and a release."""

    private: Path
    public: Path
    label: str
    files: Sequence[Artifact]
    flat_links: bool = True

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

    @property
    def changes(self) -> bool:
        """Whether there is something to do."""
        return bool(self.unpublished or self.links or self.leftovers)


def probe_release(server: Server, *, progress: Progress | None = None) -> PublicationState:
    """Inspect the directories; other bytes than those wanted, or unexpected files, are a failure."""
    _check_server(server)
    faults = _find_unexpected_files(server)
    seen = _inspect_files(server.published, server.files, progress)
    faults += [f"public: {fault}" for fault in find_differences(server.files, seen)]
    faults += _find_taken_links(server)
    refuse("publish", str(server.published), faults, summary="it differs from the release", do_next=NEVER)
    unpublished = [file for file in server.files if file.name not in seen]
    missing = select_missing(unpublished, _find_arrived(server, unpublished, progress))
    return PublicationState(
        unpublished=[file.name for file in unpublished],
        missing=[file.name for file in missing],
        links=[name for name in server.links() if not (server.public / name).is_symlink()],
        leftovers=server.incoming.exists() or server.staging.exists(),
    )


def publish_release(server: Server, *, progress: Progress | None = None) -> PublicationState:
    """Publish the release that arrived, and verify it by hashing it there; return what was done.

    The first time, the complete directory appears in one step. Later, files that are gone are moved in
    again without overwriting anything.
    """
    reporter = progress or Progress(None)
    reporter.total = len(server.files)
    _check_server(server)
    make_directory(server.public)
    with name_refusals("publish", str(server.published)), _lock_directories(server):
        found = probe_release(server, progress=reporter)
        if found.unpublished:
            _require_arrived(server, found)
            _move_files(server, found)
            reporter.total += len(server.files)
            reporter.report(f"{server.label} is public, hashing it there")
        for name in found.links:
            (server.public / name).symlink_to(server.links()[name])
        sync_directory(server.public)
        if found.unpublished:
            _verify_published(server, reporter)
        _remove_private(server)
        return found


def _check_server(server: Server) -> None:
    check_name(server.label, attempt="publish the release")
    if not server.files:
        raise SlipwayError("publish", server.label, "it has no files", do_next="Package it first.")
    for path in (server.private, server.public):
        if not path.is_absolute():
            raise SlipwayError("publish", server.label, f"{path} is not an absolute path", do_next="Correct it.")
    if server.published.is_symlink() or (server.published.exists() and not server.published.is_dir()):
        raise SlipwayError("publish", str(server.published), "it exists and is not a directory", do_next=NEVER)


def _inspect_files(directory: Path, files: Sequence[Artifact], progress: Progress | None) -> dict[str, Artifact]:
    return inspect_files(
        directory, files, on_done=lambda seen: progress.step(f"hashed {seen.name}") if progress else None
    )


def _find_arrived(server: Server, files: Sequence[Artifact], progress: Progress | None = None) -> dict[str, Artifact]:
    """The private files. A killed run may have moved some to staging; what arrived since then replaces them."""
    return {**_inspect_files(server.staging, files, progress), **_inspect_files(server.incoming, files, progress)}


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
        if name not in known and not (directory == server.incoming and _is_temporary(name, known))
    ]


def _is_temporary(name: str, known: set[str]) -> bool:
    temporary = TEMPORARY.match(name)
    return name == PARTIAL_DIRECTORY or (temporary is not None and temporary["name"] in known)


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


def _require_arrived(server: Server, found: PublicationState) -> None:
    absent = [file for file in server.files if file.name in found.missing]
    refuse(
        "publish",
        str(server.published),
        explain_missing(absent, _find_arrived(server, absent)) if absent else [],
        summary=f"{len(absent)} of {len(server.files)} files did not arrive whole in {server.incoming}",
        do_next="Upload them again and run again.",
    )


def _move_files(server: Server, found: PublicationState) -> None:
    """Make the files public; all of them have arrived with the right digests."""
    if server.private.stat().st_dev != server.public.stat().st_dev:
        raise SlipwayError(
            "publish",
            str(server.published),
            f"{server.private} and {server.public} are on different file systems, so it would not appear at once",
            do_next="Put both on one file system and run again.",
        )
    server.staging.mkdir(mode=0o755, exist_ok=True)
    server.staging.chmod(0o755)
    for name in found.unpublished:
        if (server.incoming / name).exists():
            os.replace(server.incoming / name, server.staging / name)
        _take_ownership(server.staging / name)
    sync_directory(server.staging)
    if len(found.unpublished) < len(server.files):
        for name in found.unpublished:
            # link(2), unlike rename(2), never overwrites.
            os.link(server.staging / name, server.published / name, follow_symlinks=False)
        sync_directory(server.published)
    else:
        # Of what could be there, rename(2) replaces nothing but an empty directory.
        os.rename(server.staging, server.published)
        sync_directory(server.private)
    sync_directory(server.public)


def _take_ownership(path: Path) -> None:
    """Change the owner to the publisher, so that the account that uploaded the file cannot change public bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            os.fchown(descriptor, os.geteuid(), os.getegid())
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
