# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A work tree at one commit, for programs that read files and no repository."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from ..escape import redacted
from ..files import write_atomic
from ..locks import hold_flock
from .remote import COMMIT, TIMEOUT, run_git

#: Seconds after which a lock of git's, in a work tree that we alone use, is one that a killed process left.
LEFTOVER_AGE = 10.0
#: Filters are programs that a person's settings name; what is checked out is what was committed.
ATTRIBUTES = b"* -filter\n"


def find_checked_out(directory: Path) -> str | None:
    """The commit that a work tree is at; None if it is at none."""
    if not (directory / ".git" / "HEAD").is_file():
        return None
    words = ("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return _run_git(directory, *words, ok_codes=(0, 1)).strip() or None


def check_out(
    url: str, commit: str, directory: Path, *, discard: bool = False, timeout: float = TIMEOUT, write: bool = True
) -> str | None:
    """Make the work tree in ``directory`` that of ``commit`` of ``url``; the commit that it was at before.

    Submodules are not fetched: their addresses are not ours. What somebody changed in the work tree is a failure, or
    is lost with ``discard``, with which untracked files are removed as well.
    """
    on = f"{commit} of {redacted(url)} into {directory}"
    if not COMMIT.match(commit):
        raise SlipwayError("check out", on, f"{commit!r} is not a commit", do_next="Give 40 hex digits.")
    before = find_checked_out(directory)
    if not write or (before == commit and not discard and not _list_changes(directory)):
        return before
    (directory / ".git").mkdir(parents=True, exist_ok=True)
    with hold_flock(directory / ".git" / "slipway.lock", attempt="check out", on=on, timeout=timeout):
        _remove_locks(directory)
        _run_git(directory, "init", "--quiet")
        write_atomic(directory / ".git" / "info" / "attributes", ATTRIBUTES)
        if before is not None and not discard:
            _refuse_changes(directory, on=on)
        run_here = partial(run_git, attempt="check out", on=on, repository=directory / ".git", timeout=timeout)
        run_here("fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit)
        force = ["--force"] if discard or before is None else []
        run_here("checkout", "--quiet", *force, "--detach", commit, tree=directory)
        if discard:
            run_here("clean", "--quiet", "-ffdx", tree=directory)
    return before


def _list_changes(directory: Path) -> list[str]:
    """The tracked files that are not as they were committed."""
    answer = _run_git(directory, "status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all")
    return [entry[3:] for entry in answer.split("\0") if entry]


def _refuse_changes(directory: Path, *, on: str) -> None:
    changed = _list_changes(directory)
    if changed:
        raise SlipwayError(
            "check out",
            on,
            f"somebody changed {', '.join(changed[:5])} there",
            do_next="Commit the change to the definitions or remove the directory, and run again.",
        )


def _remove_locks(directory: Path) -> None:
    """Remove the locks that a killed git left; one that is still at work is given some time to end."""
    for lock in (directory / ".git").glob("*.lock"):
        if lock.name == "slipway.lock":
            continue
        while lock.exists() and time.time() - os.stat(lock).st_mtime < LEFTOVER_AGE:
            time.sleep(0.2)
        lock.unlink(missing_ok=True)


def _run_git(directory: Path, *words: str, ok_codes: tuple[int, ...] = (0,)) -> str:
    return run_git(
        *words,
        attempt="look at the work tree in",
        on=str(directory),
        repository=directory / ".git",
        tree=None if words[0] == "rev-parse" else directory,
        ok_codes=ok_codes,
        do_next="Remove the directory and run again.",
    ).stdout
