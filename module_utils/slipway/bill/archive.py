# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bills of a release of debs, one for each platform and architecture, in a directory that appears whole and stays."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, make_scratch, read_regular, sync_directory, sync_file, write_atomic
from ..openpgp.keys import find_signing_key
from ..openpgp.signing import sign_detached
from .make import find_python, make_bills
from .parts import Job

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.asc"
FORMATS = ("spdx", "cdx")
LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[A-Za-z0-9][A-Za-z0-9.+~_-]*)\Z")
#: Those who serve the archive read it.
MODE = 0o755


@dataclass(frozen=True)
class DebRelease:
    """A published release of debs: its label, its moment, and the index of each ``suite/architecture``.

    ``stacks`` say by the name of a source package where its source is from: ``repository tag commit``.
    """

    label: str
    release: str
    moment: int
    indexes: Mapping[str, Path]
    stacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def name_files(self) -> list[str]:
        """The names of its bills."""
        return [f"{name.replace('/', '-')}.{form}.json" for name in sorted(self.indexes) for form in FORMATS]


def publish_bills(
    directory: Path,
    released: DebRelease,
    *,
    gnupghome: Path,
    signing_key: str | None = None,
    python: str = "",
    write: bool = True,
) -> tuple[dict[str, str], bool]:
    """Ensure the bills of a release in a directory; the digests of the files, and whether they were made now.

    What is there is verified, and is never made again.
    """
    if directory.is_dir():
        return _verify(directory, released), False
    if not write:
        return dict.fromkeys(released.name_files(), ""), True
    make_directory(directory.parent)
    _remove_unfinished(directory)
    with make_scratch(f".{directory.name}-", directory=directory.parent) as scratch:
        made = scratch / directory.name
        made.mkdir()
        digests = _make(made, released, python or find_python("bst"))
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
        write_atomic(made / SUMS, lines.encode())
        key = find_signing_key(gnupghome, signing_key)
        sign_detached(gnupghome, key.fingerprint, data=made / SUMS, signature=made / SIGNATURE)
        for path in made.iterdir():
            path.chmod(0o644)
            sync_file(path)
        made.chmod(MODE)
        sync_directory(made)
        made.rename(directory)
    sync_directory(directory.parent)
    return digests, True


def _make(made: Path, released: DebRelease, python: str) -> dict[str, str]:
    jobs = []
    for name, index in sorted(released.indexes.items()):
        plain = name.replace("/", "-")
        # What is no UTF-8 in an index is replaced, as in the bill of a system.
        text = read_regular(index).decode("utf-8", "replace")
        copy = made.parent / f"{plain}.Packages"
        copy.write_text(text, encoding="utf-8")
        jobs.append(
            Job(
                name=f"{released.label}-{plain}",
                version=released.release,
                epoch=released.moment,
                spdx=made / f"{plain}.spdx.json",
                cdx=made / f"{plain}.cdx.json",
                index=copy,
                architecture=name.rpartition("/")[2],
                stacks=released.stacks,
            )
        )
    failures = list(make_bills(jobs, python=python).values())
    if len(failures) == 1:
        raise failures[0]
    refuse(
        "make the bills of materials of",
        released.label,
        [str(error) for error in failures],
        do_next="Correct what is wrong, and run again.",
    )
    return {name: hash_file(made / name) for name in released.name_files()}


def _verify(directory: Path, released: DebRelease) -> dict[str, str]:
    """The digests of bills that are there; one that is not as it was is a failure."""
    attempt, do_next = "confirm the bills of materials of", "Restore them from a copy: they are never made again."
    try:
        lines = read_regular(directory / SUMS).decode("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise SlipwayError(attempt, released.label, f"{directory / SUMS}: {error}", do_next=do_next) from error
    said = {found["name"]: found["sha256"] for line in lines if (found := LINE.match(line))}
    faults = [f"{name} is not in {SUMS}" for name in released.name_files() if name not in said]
    for name, digest in said.items():
        path = directory / name
        there = hash_file(path) if path.is_file() and not path.is_symlink() else "no such file"
        if there != digest:
            faults.append(f"{name}: {there}, and {SUMS} says {digest}")
    refuse(attempt, f"{released.label} in {directory}", faults, do_next=do_next)
    return said


def _remove_unfinished(directory: Path) -> None:
    """Remove what an interrupted run left beside a directory of bills."""
    for leftover in directory.parent.glob(f".{directory.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
