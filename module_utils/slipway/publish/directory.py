# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public directory of a download server: releases appear whole, and their bytes never change.

``private/<label>/`` is where the files of a release arrive, ``public/<label>/`` where readers find them.
Both are on one file system. What arrived whole is gathered in ``private/.<label>.publishing/``, which no
uploader writes to, not even one that outlived its run; one rename of it makes the whole release public.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError
from ..files import sync_directory
from ..locks import flocked
from ..progress import Progress
from ..release.artifact import Artifact, checked_name, different, observed

#: Where an interrupted rsync keeps what it has of a file.
PARTIAL_DIRECTORY = ".partial"
#: Temporary files of ours (``.name.1a2b3c4d.tmp``) and of rsync (``.name.Xy12aB``).
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?:[0-9a-f]{8}\.tmp|[A-Za-z0-9]{6})\Z")
LOCK_WAIT = 600.0

NEVER = "Public bytes never change. Find out which are right; to publish other bytes, release a new version."


@dataclass(frozen=True)
class Server:
    """The two directories, and the release they are asked about."""

    private: Path
    public: Path
    label: str
    files: Sequence[Artifact]
    flat_links: bool = True

    @property
    def staged(self) -> Path:
        """Where the release's files arrive."""
        return self.private / self.label

    @property
    def gathered(self) -> Path:
        """Where they are put together to become public at once."""
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
class Found:
    """How things stand: names not public, names that are neither public nor staged, flat links not made."""

    unpublished: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    leftovers: bool = False

    @property
    def changes(self) -> bool:
        """Whether there is something to do."""
        return bool(self.unpublished or self.links or self.leftovers)


def probe(server: Server, *, progress: Progress | None = None) -> Found:
    """Look and change nothing; other bytes than those wanted, or files nobody knows, are a failure."""
    _check(server)
    faults = _strangers(server)
    seen = _look(server.published, server.files, progress)
    faults += [f"public: {fault}" for fault in different(server.files, seen)]
    faults += _taken_links(server)
    if faults:
        raise SlipwayError("publish", str(server.published), "it is not as it must be", do_next=NEVER, findings=faults)
    unpublished = [file for file in server.files if file.name not in seen]
    staged = _arrived(server, unpublished, progress)
    wrong = {file.name for file in unpublished if file.name in staged and different([file], staged)}
    return Found(
        unpublished=[file.name for file in unpublished],
        missing=[file.name for file in unpublished if file.name not in staged or file.name in wrong],
        links=[name for name in server.links() if not (server.public / name).is_symlink()],
        leftovers=server.staged.exists() or server.gathered.exists(),
    )


def publish(server: Server, *, progress: Progress | None = None) -> Found:
    """Make the staged release public, and prove it by hashing it there; return what was done.

    The first time, the complete directory appears in one step. Later, files that are gone are moved in
    again without overwriting anything.
    """
    shown = progress or Progress(None)
    shown.total = len(server.files)
    _check(server)
    server.public.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        with _locked(server):
            found = probe(server, progress=shown)
            if found.unpublished:
                _require_staged(server, found)
                _move(server, found)
                shown.total += len(server.files)
                shown.say(f"{server.label} is public, hashing it there")
            for name in found.links:
                (server.public / name).symlink_to(server.links()[name])
            sync_directory(server.public)
            if found.unpublished:
                _confirm(server, shown)
            _clear(server)
            return found
    except OSError as error:
        raise SlipwayError("publish", str(server.published), str(error), do_next="Mend it and run again.") from error


def _check(server: Server) -> None:
    checked_name(server.label, attempt="publish the release")
    if not server.files:
        raise SlipwayError("publish", server.label, "it has no files", do_next="Package it first.")
    for path in (server.private, server.public):
        if not path.is_absolute():
            raise SlipwayError("publish", server.label, f"{path} is not an absolute path", do_next="Correct it.")
    if server.published.is_symlink() or (server.published.exists() and not server.published.is_dir()):
        raise SlipwayError("publish", str(server.published), "it exists and is no directory", do_next=NEVER)


def _look(directory: Path, files: Sequence[Artifact], progress: Progress | None) -> dict[str, Artifact]:
    return observed(directory, files, on_done=lambda seen: progress.step(f"hashed {seen.name}") if progress else None)


def _arrived(server: Server, files: Sequence[Artifact], progress: Progress | None = None) -> dict[str, Artifact]:
    """What is in private. A run that was killed may have gathered some of it; what arrived since then replaces that."""
    return {**_look(server.gathered, files, progress), **_look(server.staged, files, progress)}


@contextlib.contextmanager
def _locked(server: Server) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for directory in (server.public, server.private):
            if directory.is_dir():
                stack.enter_context(flocked(directory, attempt="publish", on=str(server.published), timeout=LOCK_WAIT))
        yield


def _strangers(server: Server) -> list[str]:
    """Files in the release's directories that are neither of the release nor our own leftovers."""
    known = {file.name for file in server.files}
    faults = [f"public: {name} is no file of this release" for name in _names(server.published) if name not in known]
    faults += [
        f"{server.gathered}: {name} is no file of this release" for name in _names(server.gathered) if name not in known
    ]
    for name in _names(server.staged):
        temporary = TEMPORARY.match(name)
        if not (name in known or name == PARTIAL_DIRECTORY or (temporary and temporary["name"] in known)):
            faults.append(f"{server.staged}: {name} is no file of this release")
    return faults


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def _taken_links(server: Server) -> list[str]:
    """Flat names that are something else already."""
    faults = []
    for name, target in server.links().items():
        path = server.public / name
        if path.is_symlink():
            if os.readlink(path) != target:
                faults.append(f"{path} is a link to {os.readlink(path)} instead of {target}")
        elif path.exists():
            faults.append(f"{path} exists and is no link to {target}")
    return faults


def _require_staged(server: Server, found: Found) -> None:
    if not found.missing:
        return
    absent = [file for file in server.files if file.name in found.missing]
    staged = _arrived(server, absent)
    raise SlipwayError(
        "publish",
        str(server.published),
        f"{len(absent)} of {len(server.files)} files did not arrive whole in {server.staged}",
        do_next="Upload them again and run again.",
        findings=[
            *different(absent, staged),
            *(f"{file.name} is missing" for file in absent if file.name not in staged),
        ],
    )


def _move(server: Server, found: Found) -> None:
    """Everything wanted is staged and has its digest: make it public."""
    if server.private.stat().st_dev != server.public.stat().st_dev:
        raise SlipwayError(
            "publish",
            str(server.published),
            f"{server.private} and {server.public} are on different file systems, so it would not appear at once",
            do_next="Put both on one file system and run again.",
        )
    server.gathered.mkdir(mode=0o755, exist_ok=True)
    server.gathered.chmod(0o755)
    for name in found.unpublished:
        if (server.staged / name).exists():
            os.replace(server.staged / name, server.gathered / name)
        _settle_file(server.gathered / name)
    sync_directory(server.gathered)
    if len(found.unpublished) < len(server.files):
        for name in found.unpublished:
            # link(2), unlike rename(2), never overwrites.
            os.link(server.gathered / name, server.published / name, follow_symlinks=False)
        sync_directory(server.published)
    else:
        # Of what could be there, rename(2) replaces nothing but an empty directory.
        os.rename(server.gathered, server.published)
        sync_directory(server.private)
    sync_directory(server.public)


def _settle_file(path: Path) -> None:
    """Let the file belong to the publisher, so that the account that uploaded it has no say in public bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            os.fchown(descriptor, os.geteuid(), os.getegid())
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _confirm(server: Server, progress: Progress) -> None:
    seen = _look(server.published, server.files, progress)
    faults = different(server.files, seen)
    faults += [f"{file.name} is not there" for file in server.files if file.name not in seen]
    if faults:
        raise SlipwayError(
            "confirm", str(server.published), "it has other bytes than were moved there", do_next=NEVER, findings=faults
        )


def _clear(server: Server) -> None:
    """Remove the release's private directories; all of it is known to be ours."""
    for directory in (server.staged, server.gathered):
        if directory.exists():
            shutil.rmtree(directory)
            sync_directory(server.private)
