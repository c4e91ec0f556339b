# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Source packages that are to go into an archive: what they are, and whether they are whole and allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..deb.control import Control
from ..deb.dsc import Dsc, find_wrong_files, read_dsc
from ..deb.names import PRIORITY, SECTION, WORD
from ..deb.version import compare_versions


@dataclass(frozen=True)
class SourceUpload:
    """A .dsc whose files are there; ``sha256`` is of the .dsc itself."""

    path: Path
    dsc: Dsc
    sha256: str

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of all its files, the .dsc too, by name."""
        return {**{file.name: file.sha256 for file in self.dsc.files}, self.path.name: self.sha256}

    def choose_place(self) -> tuple[str, str]:
        """Section and priority: those of its first binary package."""
        rows = (Control(self.dsc.text).get("Package-List") or "").split("\n")
        words = next((row.split() for row in rows if len(row.split()) >= 4), [])
        usable = words and words[2] != "unknown" and all(WORD.fullmatch(word) for word in words[2:4])
        return (words[2], words[3]) if usable else (SECTION, PRIORITY)


@dataclass(frozen=True)
class IncludedSource:
    """A source package as a suite's index lists it: the SHA-256 of its files by name, and the directory with them."""

    name: str
    version: str
    directory: str
    digests: Mapping[str, str]

    @property
    def dsc(self) -> str:
        """The name of its .dsc."""
        return next((name for name in self.digests if name.endswith(".dsc")), "")


def read_upload(path: Path, *places: Path, keyring: Path | None = None) -> SourceUpload:
    """Read and check a source package, whose files are in one of ``places``; ``ValueError`` with the fault.

    With a ``keyring`` it must have a good signature of one of the keys in that file.
    """
    data, dsc = read_dsc(path, keyring=keyring)
    if faults := find_wrong_files(dsc, *places):
        raise ValueError("; ".join(faults))
    return SourceUpload(path, dsc, hashlib.sha256(data).hexdigest())


def find_source_conflict(upload: SourceUpload, there: IncludedSource | None, public: Path) -> str | None:
    """Why a suite that has ``there`` cannot have an upload; None if it can, or has it.

    A .dsc that differs in its signature alone is the same one: what is public stays.
    """
    if there is None:
        return None
    name, order = upload.dsc.source, compare_versions(upload.dsc.version, there.version)
    if order < 0:
        return f"{name} {upload.dsc.version} is older than {there.version}, which the sources have"
    if order > 0:
        return None
    for file, digest in upload.digests.items():
        other = there.digests.get(file)
        if other != digest and not (file == there.dsc and _is_same_text(upload, public / there.directory / file)):
            what = f"{name} {there.version} is there with other content"
            return f"{what}: {file} has the digest {other or 'of no file there'}, the one that was uploaded {digest}"
    return None


def find_pool_conflict(upload: SourceUpload, known: Mapping[str, str], *, component: str) -> str | None:
    """Why the pool, whose digests are ``known`` by path, cannot have the files of an upload; None if it can."""
    directory = upload.dsc.locate_pool(component)
    for file, digest in upload.digests.items():
        other = known.get(f"{directory}/{file}", digest)
        if other != digest:
            return (
                f"{directory}/{file} is there with other content: it has the digest {other}, "
                f"the one that was uploaded {digest}"
            )
    return None


def _is_same_text(upload: SourceUpload, path: Path) -> bool:
    try:
        return read_dsc(path)[1].text.rstrip() == upload.dsc.text.rstrip()
    except (OSError, ValueError):
        return False
