# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the extra files of a release, each once and whole, with the same bytes in every run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, move_synced
from ..locks import hold_flock
from ..progress import Progress
from ..release.artifact import Artifact, verify_deployed
from .site import Site, Wanted
from .writers import WRITERS

WORK = ".extras-"
LOCK_WAIT = 600.0
CHANGED = "Find out who changed them; remove them to make them again from the same systems."


def make_files(
    extras: Sequence[Wanted],
    site: Site,
    *,
    directory: Path,
    previous: Mapping[str, Artifact],
    progress: Progress | None = None,
    write: bool = True,
) -> tuple[dict[str, Artifact], list[str]]:
    """Ensure the extra files in ``directory``; return the files, and the names of those made now.

    A file that is there as recorded (``previous``) stays; one that is not as recorded is a failure and stays too; one
    that nobody recorded was interrupted and is made again. What is made again must come out with the recorded bytes.
    """
    unknown = [
        f"{each.name}: there is no type {each.type!r}, known are {', '.join(WRITERS)}"
        for each in extras
        if each.type not in WRITERS
    ]
    refuse("make", "the extra files", unknown, do_next="Correct the policy and run again. Nothing was made.")
    if not write:
        return _look(extras, directory, previous)
    make_directory(directory)
    with hold_flock(directory, attempt="make files in", on=str(directory), timeout=LOCK_WAIT):
        present, todo = _look(extras, directory, previous)
        for leftover in directory.glob(f"{WORK}*"):
            shutil.rmtree(leftover)
        reporter = progress or Progress(None)
        missing = [each for each in extras if each.file in todo]
        reporter.total += len(missing)
        errors = []
        for each in missing:
            reporter.report(f"making {each.file}")
            try:
                present[each.file] = _make_file(each, site, directory=directory, previous=previous)
            except SlipwayError as error:
                errors.append(error)
            else:
                reporter.step(f"{each.file} is made")
    if len(errors) == 1:
        raise errors[0]
    refuse(
        "make",
        f"{len(errors)} extra files",
        [str(error) for error in errors],
        summary="each for a reason of its own",
        do_next="Correct them and run again; the other files are made.",
    )
    return present, todo


def _look(
    extras: Sequence[Wanted], directory: Path, previous: Mapping[str, Artifact]
) -> tuple[dict[str, Artifact], list[str]]:
    known = [previous[each.file] for each in extras if each.file in previous]
    present = verify_deployed(directory, known, do_next=CHANGED)
    return present, [each.file for each in extras if each.file not in present]


def _make_file(wanted: Wanted, site: Site, *, directory: Path, previous: Mapping[str, Artifact]) -> Artifact:
    with tempfile.TemporaryDirectory(prefix=WORK, dir=directory) as work:
        target = Path(work, wanted.file)
        try:
            WRITERS[wanted.type](wanted, site, target)
        except OSError as error:
            do_next = "Check that the disk is not full, and run again."
            raise SlipwayError("make", wanted.file, str(error), do_next=do_next) from error
        made = Artifact(wanted.file, os.stat(target).st_size, hash_file(target))
        known = previous.get(made.name, made)
        if made.sha256 != known.sha256:
            raise SlipwayError(
                "make again",
                made.name,
                f"it got the SHA-256 {made.sha256}, but its record says {known.sha256}",
                do_next="Nothing was put in place. Use the tools of the first time, or release under another version.",
            )
        move_synced(target, directory / made.name)
    return made


def read_tools(extras: Sequence[Wanted], site: Site) -> dict[str, str]:
    """The versions of the programs whose words are in these files."""
    judged = any(each.type == "licence-manifest" or each.settings.get("format") == "csv" for each in extras)
    return {"licensecheck": site.tool} if judged else {}
