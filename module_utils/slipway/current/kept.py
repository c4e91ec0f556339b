# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was signed last, kept on the coordinator: the same bytes as on the servers, and which of them all servers had.

A run that is cut off leaves bytes here that not all servers have. They have those of before then, which are known by
their digests: so what an interruption left is told from what somebody else wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_directory, read_regular, write_atomic
from ..release.records import format_json

FORMAT = 1
STATE = "confirmed.json"
FILES = "files"


@dataclass(frozen=True)
class Kept:
    """``files`` by their public paths, and the digests of those that every server had the last time."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    confirmed: Mapping[str, str] = field(default_factory=dict)

    def knows(self, path: str, digest: str) -> bool:
        """Whether a server may have these bytes."""
        data = self.files.get(path)
        return digest == self.confirmed.get(path) or (data is not None and hashlib.sha256(data).hexdigest() == digest)

    def list_view(self, name: str) -> dict[str, bytes]:
        """The files of a view, by their paths in it."""
        prefix = f"{name}/"
        return {path.removeprefix(prefix): data for path, data in self.files.items() if path.startswith(prefix)}


def load_kept(directory: Path) -> Kept:
    """What is on record; nothing, if nothing was signed yet."""
    root = directory / FILES
    files = {
        path.relative_to(root).as_posix(): read_regular(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith(".tmp")
    }
    return Kept(files, _load_confirmed(directory / STATE))


def _load_confirmed(path: Path) -> dict[str, str]:
    try:
        found = json.loads(read_regular(path))
        return {str(name): str(digest) for name, digest in found["files"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SlipwayError(
            "read what was signed last in",
            str(path),
            f"it is damaged ({error})",
            do_next="Restore it from the coordinator's backup; or remove it, and have the servers taken for right "
            "with -e release_current_settle=servers.",
        ) from error


def keep_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Keep these files, and no others, before any server gets them."""
    root = directory / FILES
    for path, data in files.items():
        make_directory((root / path).parent)
        if not (root / path).is_file() or read_regular(root / path) != data:
            write_atomic(root / path, data)
    for each in root.rglob("*"):
        if each.is_file() and each.relative_to(root).as_posix() not in files:
            each.unlink()


def confirm(directory: Path, *, write: bool = True) -> bool:
    """Note that every server has what is kept; whether that was not noted yet."""
    kept = load_kept(directory)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in kept.files.items()}
    if digests == kept.confirmed:
        return False
    if write:
        make_directory(directory)
        write_atomic(directory / STATE, format_json({"format": FORMAT, "files": digests}))
    return True
