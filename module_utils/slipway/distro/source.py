# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a distro file is kept: in a git repository, or on this machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..errors import name_refusals
from ..escape import redacted
from ..files import write_atomic
from ..git.files import BranchUpdate, edit_file, read_file
from ..git.remote import TIMEOUT, Person
from .edit import VersionChange
from .file import Distro, load_distro


@dataclass(frozen=True)
class Place:
    """A file by its ``path`` in the ``branch`` of a ``repository``; without that, a file of this machine."""

    path: str
    repository: str | None = None
    branch: str = "master"

    def __str__(self) -> str:
        return self.path if self.repository is None else f"{self.path} of {redacted(self.repository)}"


def fetch_distro(
    place: Place, *, required: Collection[str] = (), timeout: float = TIMEOUT
) -> tuple[Distro, str, str | None]:
    """A distro file without faults, its text, and the commit that it was read at (none of a file of this machine)."""
    commit: str | None = None
    if place.repository is None:
        text = _read_local(place)
    else:
        commit, text = read_file(place.repository, place.branch, place.path, timeout=timeout)
    return load_distro(str(place), text=text, required=required), text, commit


def commit_version(
    place: Place, change: VersionChange, *, message: str, person: Person, write: bool = True
) -> BranchUpdate:
    """Give a stack its new version in the distro file, by one commit where it is in a repository.

    If others push meanwhile, the change is made to what they pushed.
    """
    if place.repository is not None:
        return edit_file(
            place.repository,
            place.branch,
            place.path,
            edit=change.apply,
            message=message,
            person=person,
            write=write,
        )
    text = _read_local(place)
    edited = change.apply(text)
    changed = {place.path: (text, edited)} if edited != text else {}
    if changed and write:
        path = Path(place.path).resolve()
        write_atomic(path, edited.encode(), mode=path.stat().st_mode & 0o7777)
    return BranchUpdate(None, changed)


def _read_local(place: Place) -> str:
    with name_refusals(
        "read",
        f"the distro file {place}",
        do_next="Correct its path or its text and run again.",
        refusals=(OSError, UnicodeDecodeError),
    ):
        return Path(place.path).read_bytes().decode()
