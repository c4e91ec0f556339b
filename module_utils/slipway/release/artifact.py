# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Release artifacts: a name that is safe everywhere, a size and a digest."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..errors import SlipwayError, refuse
from .names import FILE_NAME, MAX_FILE_NAME

#: An image's name with `.gz.sha256` after it.
MAX_NAME = MAX_FILE_NAME + 10
SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, order=True)
class Artifact:
    """One file of a release; ``size`` (bytes) and ``sha256`` are None while they are not known yet."""

    name: str
    size: int | None
    sha256: str | None

    def as_dict(self) -> dict[str, Any]:
        """The form in records and module results."""
        return asdict(self)

    def describe_difference(self, size: int, sha256: str) -> str | None:
        """How bytes of that size and digest are not this artifact; None when they are, or when it is not known."""
        if self.sha256 in {None, sha256}:
            return None
        return f"{self.name} has sha256 {sha256} ({size} bytes) instead of {self.sha256} ({self.size} bytes)"


def find_name_fault(name: object) -> str | None:
    """What is wrong with a file name that came from outside; None for a good one."""
    if isinstance(name, str) and len(name) <= MAX_NAME and FILE_NAME.match(name):
        return None
    return (
        f"{name!r} is not usable as the name of a release file: it must begin with a letter or a digit, hold only "
        f"letters, digits and . _ + ~ - and be at most {MAX_NAME} characters long"
    )


def check_name(name: object, *, attempt: str) -> str:
    """``name`` if it is safe, else a failure."""
    fault = find_name_fault(name)
    if fault is not None:
        raise SlipwayError(attempt, "", fault, do_next="Correct the name and run again.")
    return str(name)


def read_artifacts(values: Iterable[Mapping[str, Any]], *, attempt: str, known: bool = True) -> list[Artifact]:
    """Check a list of ``{name, size, sha256, ...}`` and sort it by name; every fault is listed at once.

    With ``known`` false, sizes and digests may be absent or null: files that do not exist yet.
    """
    found: list[Artifact] = []
    faults: list[str] = []
    for value in values:
        name, size, sha256 = value.get("name"), value.get("size"), value.get("sha256")
        fault = find_name_fault(name)
        if fault is None and (known or sha256 is not None) and not (isinstance(sha256, str) and SHA256.match(sha256)):
            fault = f"{name} has the digest {sha256!r}, which is not a SHA-256 of 64 hexadecimal digits"
        if fault is None and (known or size is not None) and not _is_count(size):
            fault = f"{name} has the size {size!r}, which is not a number of bytes"
        if fault is not None:
            faults.append(fault)
        else:
            found.append(Artifact(str(name), size, sha256))
    names = [artifact.name for artifact in found]
    faults += [f"{name} is listed more than once" for name in sorted({name for name in names if names.count(name) > 1})]
    refuse(attempt, "", faults, summary="the list of files is not usable", do_next="Correct it and run again.")
    return sorted(found)


def inspect_files(
    directory: Path, wanted: Sequence[Artifact], *, on_done: Callable[[Artifact], None] | None = None
) -> dict[str, Artifact]:
    """Size and digest of every wanted file that is in ``directory`` now, by name; symbolic links do not count.

    ``on_done`` is called after each file, from several threads.
    """

    def look(artifact: Artifact) -> Artifact | None:
        path = directory / artifact.name
        if path.is_symlink() or not path.is_file():
            return None
        seen = Artifact(artifact.name, path.stat().st_size, files.hash_file(path))
        if on_done is not None:
            on_done(seen)
        return seen

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return {seen.name: seen for seen in pool.map(look, wanted) if seen is not None}


def find_differences(wanted: Sequence[Artifact], seen: Mapping[str, Artifact]) -> list[str]:
    """A sentence for every wanted file that has other bytes."""
    sentences = (
        artifact.describe_difference(seen[artifact.name].size or 0, seen[artifact.name].sha256 or "")
        for artifact in wanted
        if artifact.name in seen
    )
    return [sentence for sentence in sentences if sentence is not None]


def select_missing(wanted: Sequence[Artifact], seen: Mapping[str, Artifact]) -> list[Artifact]:
    """The wanted files that are not there, or have other bytes."""
    return [file for file in wanted if file.name not in seen or find_differences([file], seen)]


def explain_missing(wanted: Sequence[Artifact], seen: Mapping[str, Artifact]) -> list[str]:
    """A sentence for each of these files."""
    absent = [f"{file.name} is missing" for file in wanted if file.name not in seen]
    return [*find_differences(wanted, seen), *absent]


def verify_deployed(directory: Path, known: Sequence[Artifact], *, do_next: str) -> dict[str, Artifact]:
    """The recorded files that are in ``directory``, by name; one that is not as recorded is a failure."""
    present = inspect_files(directory, known)
    changed = find_differences(known, present)
    refuse("trust the files in", str(directory), changed, summary="they differ from what was deployed", do_next=do_next)
    return present


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
