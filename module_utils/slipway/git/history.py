# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed in a repository since the release before."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
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
class Releases:
    """The commits of the project's releases before this one, by version, and their tags."""

    commits: Mapping[str, str]
    tags: Mapping[str, str]

    def find_before(self, version: str, among: Collection[str] | None = None) -> str | None:
        """The release before this version, of all or of some."""
        return find_previous_version(version, [each for each in self.tags if among is None or each in among])


def list_releases(url: str, project: str) -> Releases:
    """What is tagged as a release of the project."""
    refs = list_remote_refs(url, f"refs/tags/{project}-*")
    tags = find_tagged_versions(project, (ref.removeprefix("refs/tags/") for ref in refs if not ref.endswith("^{}")))
    commits = {version: refs.get(f"refs/tags/{tag}^{{}}", refs[f"refs/tags/{tag}"]) for version, tag in tags.items()}
    return Releases(commits, tags)


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
        return None if done.returncode else list_commits(repository, commit, before=since, limit=MOST_FIXES)[0]


@contextlib.contextmanager
def fetch_history(url: str, commit: str, others: Collection[str]) -> Iterator[Path]:
    """A temporary bare repository that holds a commit and ``others`` of ``url``, with all that came before them."""
    with fetch_commit(url, commit, depth=None) as repository:
        if others:
            run_git(
                *("fetch", "--quiet", "--no-tags", "--", url, *dict.fromkeys(others)),
                attempt="read the history of",
                on=redacted(url),
                repository=repository,
            )
        yield repository


def list_commits(
    repository: Path, commit: str, *, before: str | None, limit: int, paths: Collection[str] | None = None
) -> tuple[list[Change], int]:
    """The newest commits that ``commit`` has and ``before`` has not, without merges, and how many there are.

    With ``paths`` they are those that changed one of these files, or something below.
    """
    if paths is not None and not paths:
        return [], 0
    run_here = partial(run_git, attempt="read the history of", on=commit, repository=repository)
    wanted = [commit, *([f"^{before}"] if before else []), "--", *sorted(paths or ())]
    literal = {"GIT_LITERAL_PATHSPECS": "1"}
    total = int(run_here("rev-list", "--count", "--no-merges", *wanted, env=literal).stdout)
    words = ("log", "-z", "--no-merges", f"--max-count={limit}", f"--format=tformat:{FORMAT}")
    fields = run_here(*words, *wanted, env=literal).stdout.split("\0")
    changes: list[Change] = [
        {"commit": commit, "author": author, "subject": subject}
        for commit, author, subject in zip(fields[0::3], fields[1::3], fields[2::3], strict=False)
    ]
    return changes, total
