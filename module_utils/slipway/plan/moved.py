# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release branch that moved since it was created: until publication it takes fixes, afterwards it never moves."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError
from ..escape import redacted
from ..files import make_directory
from ..git.history import Change, list_between
from ..release.names import Names
from ..release.records import Record, load_record
from .request import DIRECTORIES, name_directories
from .trove import RemoteState

#: The stages after which a release's branch may not move any more.
PUBLIC = ("publication", "current", "tag", "notes", "announcement")
#: What is made anew before anything is set aside.
REPLACED_ALREADY = {"preflight"}
#: Where a release keeps the records that a fix outdated, by the commit that they were made of.
REPLACED = "replaced"
#: What is made of the commit, besides the records. Logs stay.
MADE = ("images", "artifacts")


@dataclass(frozen=True)
class Move:
    """What a release is made of, and what was fixed meanwhile.

    ``before`` is the commit that the records are of, if it is another one, ``fixes`` the commits since, newest first,
    ``outdated`` the stages whose records are made anew. ``earlier`` are the commits that this release was made of
    before it took fixes, the oldest first.
    """

    commit: str
    before: str | None = None
    fixes: list[Change] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)


def judge_move(
    url: str, release_names: Names, *, remote: RemoteState, records: Mapping[str, Record], state_directory: str
) -> Move | None:
    """What the head of the release branch is to a release that was begun; ``None`` if none was.

    A branch that moved forward before anything was published is what the release is made of now. One that is gone,
    moved elsewhere, or moved after publication is refused.
    """
    outputs = records.get("branch", {}).get("outputs", {})
    begun = outputs.get("commit")
    if begun is None:
        return None
    earlier = list(outputs.get("fixed_since", []))
    head = remote.branch_commit
    if head == begun:
        return Move(begun, earlier=earlier)
    directory = name_directories(state_directory, release_names.version)["release"]
    public = next((stage for stage in PUBLIC if stage in records), None)
    if head is None:
        came_back, do_next = "but does not exist any more", f"Put it back; or, {_start_anew(directory)}"
    elif public or remote.tag_commit:
        came_back = f"but is at {head}, and {release_names.label} is {'public' if public else 'tagged'} already"
        do_next = "Put the branch back, and release the fix under another version."
    else:
        fixes = list_between(url, head, since=begun)
        if fixes is not None:
            outdated = sorted(records.keys() - REPLACED_ALREADY)
            return Move(head, before=begun, fixes=fixes, outdated=outdated, earlier=[*earlier, begun])
        came_back = f"but is at {head}, which does not contain that commit: a branch takes fixes, and goes no way back"
        do_next = f"Put it back, or merge that commit into it; or, {_start_anew(directory)}"
    raise SlipwayError(
        "go on with",
        release_names.label,
        f"the branch {release_names.branch} of {redacted(url)} was created at {begun}, {came_back}",
        do_next=f"Nothing was changed. {do_next}",
    )


def _start_anew(directory: str) -> str:
    return f"if the change is wanted and nothing of this version is public, remove {directory} and run again."


def set_aside(release: Path, *, commit: str, stages: Iterable[str], write: bool = True) -> dict[str, str]:
    """Set aside the records of ``stages``, which are of ``commit``, and remove the files made of it.

    Returns what moves, or goes, and where to. The record of the branch is copied: the next one replaces it, so that an
    interrupted run does this again.
    """
    aside = release / REPLACED / commit[:12]
    records = {stage: release / DIRECTORIES[0] / f"{stage}.json" for stage in stages}
    there = {stage: path for stage, path in records.items() if path.exists()}
    moves = {str(path): str(aside / path.name) for path in there.values()}
    gone = [release / name for name in MADE if (release / name).is_dir() and any((release / name).iterdir())]
    if write and there:
        make_directory(aside)
        for directory in gone:
            shutil.rmtree(directory)
        for stage, path in there.items():
            load_record(path)  # one that was edited is no evidence of anything
            if stage == "branch":
                shutil.copyfile(path, aside / path.name)
            else:
                path.replace(aside / path.name)
    return {**moves, **{str(directory): "" for directory in gone}}
