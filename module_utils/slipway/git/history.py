# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed in a repository since the release before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

from ..escape import redacted
from ..release.names import find_previous_version, find_tagged_versions
from .remote import fetch_commit, list_remote_refs, run_git

#: So many commits are listed of what was fixed on a branch.
MOST_FIXES = 200
#: Fields of one commit in the log. They and, by ``-z``, the commits are ended by NUL, which no field of a commit holds.
FORMAT = "%H%x00%an%x00%s"


class Change(TypedDict):
    """One commit."""

    commit: str
    author: str
    subject: str


@dataclass(frozen=True)
class History:
    """The release before (its tag, or ``None`` if this is the first), and the commits since, newest first."""

    previous: str | None
    changes: list[Change]
    total: int


def list_changes(url: str, commit: str, *, project: str, version: str, limit: int = 200) -> History:
    """The commits that ``commit`` of ``url`` has and the release before has not, without merges, at most ``limit``."""
    refs = list_remote_refs(url, f"refs/tags/{project}-*")
    tags = find_tagged_versions(project, (ref.removeprefix("refs/tags/") for ref in refs if not ref.endswith("^{}")))
    before_this = find_previous_version(version, tags)
    tag = None if before_this is None else tags[before_this]
    with fetch_commit(url, commit, depth=None) as repository:
        run_here = partial(run_git, attempt="read the history of", on=redacted(url), repository=repository)
        wanted = [commit]
        if tag is not None:
            before = refs.get(f"refs/tags/{tag}^{{}}", refs[f"refs/tags/{tag}"])
            run_here("fetch", "--quiet", "--no-tags", "--", url, before)
            wanted.append(f"^{before}")
        total = int(run_here("rev-list", "--count", "--no-merges", *wanted).stdout)
        changes = _read_log(repository, url, *wanted, limit=limit)
    return History(previous=tag, changes=changes, total=total)


def list_between(url: str, commit: str, *, since: str) -> list[Change] | None:
    """The commits that ``commit`` of ``url`` has and ``since`` has not, newest first; ``None`` if it lacks that one."""
    with fetch_commit(url, commit, depth=None) as repository:
        done = run_git(
            *("merge-base", "--is-ancestor", since, commit),
            attempt="read the history of",
            on=redacted(url),
            repository=repository,
            ok_codes=(0, 1, 128),  # 128: the commit is not there at all
        )
        if done.returncode:
            return None
        return _read_log(repository, url, commit, f"^{since}", limit=MOST_FIXES)


def _read_log(repository: Path, url: str, *wanted: str, limit: int) -> list[Change]:
    words = ("log", "-z", "--no-merges", f"--max-count={limit}", f"--format=tformat:{FORMAT}")
    done = run_git(*words, *wanted, attempt="read the history of", on=redacted(url), repository=repository)
    fields = done.stdout.split("\0")
    return [
        {"commit": commit, "author": author, "subject": subject}
        for commit, author, subject in zip(fields[0::3], fields[1::3], fields[2::3], strict=False)
    ]
