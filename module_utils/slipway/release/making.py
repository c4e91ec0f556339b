# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a release that are made here: each once and whole.

A file that is there as recorded stays; one that is not as recorded is a failure and stays too; one that nobody recorded
was interrupted and is made again.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, move_synced
from ..locks import hold_flock
from .artifact import Artifact, verify_deployed

#: Where files are made, so that nobody takes half a file for a whole one.
WORK = ".making-"
#: Seconds to wait for another process that makes files in the same directory; those of an ended release may do so.
LOCK_WAIT = 600.0


@dataclass
class Making:
    """The files in ``directory`` that are ``present``, and the names of those ``todo``."""

    directory: Path
    previous: Mapping[str, Artifact]
    present: dict[str, Artifact]
    todo: list[str]

    @contextlib.contextmanager
    def open_work(self) -> Iterator[Path]:
        """A directory to make files in, on the file system that they go to."""
        with tempfile.TemporaryDirectory(prefix=WORK, dir=self.directory) as work:
            yield Path(work)

    def put(self, path: Path, *, same: bool = True) -> Artifact:
        """Move a file that is complete into place; one that is made again must be the ``same`` as its record says."""
        made = Artifact(path.name, path.stat().st_size, hash_file(path))
        known = self.previous.get(made.name, made)
        if same and made.sha256 != known.sha256:
            raise SlipwayError(
                "make again",
                made.name,
                f"it got the SHA-256 {made.sha256}, but its record says {known.sha256}",
                do_next="Nothing was put in place. Use the tools of the first time, or release under another version.",
            )
        move_synced(path, self.directory / made.name)
        self.present[made.name] = made
        return made


@contextlib.contextmanager
def open_making(
    directory: Path, names: Sequence[str], previous: Mapping[str, Artifact], *, do_next: str, write: bool
) -> Iterator[Making]:
    """Verify what is there of these files, and hold the directory while the others are made.

    ``do_next`` says what to do about changed files. Without ``write`` nothing is touched.
    """
    if write:
        make_directory(directory)
    lock = hold_flock(directory, attempt="make files in", on=str(directory), timeout=LOCK_WAIT) if write else None
    with lock or contextlib.nullcontext():
        known = [previous[name] for name in names if name in previous]
        present = verify_deployed(directory, known, do_next=do_next)
        if write:
            for leftover in directory.glob(f"{WORK}*"):
                shutil.rmtree(leftover)
        yield Making(directory, previous, present, [name for name in names if name not in present])


def refuse_failed(
    attempt: str,
    what: str,
    errors: Sequence[SlipwayError],
    *,
    do_next: str = "Correct them and run again; the other files are made.",
) -> None:
    """Fail with the only error, or with all of them."""
    if len(errors) == 1:
        raise errors[0]
    refuse(
        attempt,
        f"{len(errors)} {what}",
        [str(error) for error in errors],
        summary="each for a reason of its own",
        do_next=do_next,
    )


def describe_made(entries: Iterable[Mapping[str, Any]], there: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """What is told of the files that are there, each with what the plan says of it."""
    return [
        {
            **there[entry["file"]].as_dict(),
            "deployment": entry["name"],
            **{name: entry.get(name) or "" for name in ("system", "architecture", "type")},
        }
        for entry in entries
        if entry["file"] in there
    ]
