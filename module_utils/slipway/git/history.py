# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed in a repository since the release before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from ..escape import redacted
from ..release.names import find_previous_version, find_tagged_versions
from .remote import fetch_commit, list_remote_refs, run_git

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
        words = ("log", "-z", "--no-merges", f"--max-count={limit}", f"--format=tformat:{FORMAT}")
        fields = run_here(*words, *wanted).stdout.split("\0")
    changes: list[Change] = [
        {"commit": commit, "author": author, "subject": subject}
        for commit, author, subject in zip(fields[0::3], fields[1::3], fields[2::3], strict=False)
    ]
    return History(previous=tag, changes=changes, total=total)
