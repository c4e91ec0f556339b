# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files with certain texts, each written whole or not at all; what a program refuses of them is taken back."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, name_refusals
from ..files import write_atomic
from ..process import run

#: The permissions of directories that are made, whatever the umask is.
DIRECTORY_MODE = 0o755
VALIDATION_TIMEOUT = 60.0


@dataclass(frozen=True)
class TextFile:
    """``text`` at ``path`` with ``mode``; without ``owner`` and ``group`` these are left as they are."""

    path: Path
    text: str
    mode: int = 0o644
    owner: str | None = None
    group: str | None = None

    def resolve_owners(self) -> tuple[int, int]:
        """The ids of owner and group, -1 where they are not given; an unknown name is a LookupError."""
        uid = -1 if self.owner is None else pwd.getpwnam(self.owner).pw_uid
        gid = -1 if self.group is None else grp.getgrnam(self.group).gr_gid
        return uid, gid


@dataclass(frozen=True)
class FileState:
    """A file as it is on the host."""

    text: str
    mode: int
    uid: int
    gid: int

    def matches(self, file: TextFile) -> bool:
        """Whether ``file`` needs no change; an owner that is not known yet is one that this file does not have."""
        try:
            uid, gid = file.resolve_owners()
        except LookupError:
            return False
        return (self.text, self.mode) == (file.text, file.mode) and uid in (-1, self.uid) and gid in (-1, self.gid)


def ensure_text_files(files: Sequence[TextFile], *, validate: Sequence[str] = (), dry: bool = False) -> dict[str, Any]:
    """Write the files that differ, and say which; ``texts`` are before and after by path.

    ``validate`` is a command that judges the files in their places. What was there before comes back when it fails.
    """
    before = {file: read_file(file.path) for file in files}
    changed = [file for file, found in before.items() if found is None or not found.matches(file)]
    if not dry:
        for file in changed:
            with name_in_errors(file.path):
                write_file(file.path, FileState(file.text, file.mode, *file.resolve_owners()))
        if validate:
            validate_files({file.path: before[file] for file in changed}, validate)
    return {
        "changed": bool(changed),
        "written": [str(file.path) for file in changed],
        "texts": {str(file.path): (found.text if (found := before[file]) else "", file.text) for file in changed},
    }


def read_file(path: Path) -> FileState | None:
    """Read the file at ``path``, if there is one."""
    with name_in_errors(path):
        if not path.exists():
            return None
        status = path.stat()
        return FileState(path.read_text(encoding="utf-8"), status.st_mode & 0o7777, status.st_uid, status.st_gid)


def write_file(path: Path, wanted: FileState) -> None:
    """Write the file and create the directories above it."""
    for directory in reversed(path.parents):
        if not directory.exists():
            directory.mkdir(exist_ok=True)
            directory.chmod(DIRECTORY_MODE)
    write_atomic(path, wanted.text.encode(), mode=wanted.mode)
    if (wanted.uid, wanted.gid) != (-1, -1):
        os.chown(path, wanted.uid, wanted.gid)


def validate_files(before: Mapping[Path, FileState | None], command: Sequence[str]) -> None:
    """Run ``command``; where it fails, take back what was written over ``before``."""
    names = " and ".join(map(str, before))
    taken_back = "What was there before is back. Correct the text" if before else "Correct what the message names"
    do_next = f"{taken_back}, and run again."
    try:
        run(command, attempt="use", on=names or "the files as they are", timeout=VALIDATION_TIMEOUT, do_next=do_next)
    except SlipwayError:
        for path, found in before.items():
            with name_in_errors(path):
                write_file(path, found) if found else path.unlink()
        raise


def name_in_errors(path: Path) -> AbstractContextManager[None]:
    """Name the file in errors of the operating system."""
    refusals = (OSError, UnicodeDecodeError, LookupError)
    return name_refusals("write", str(path), do_next="Check who may write there, and run again.", refusals=refusals)
