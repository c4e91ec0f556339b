# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The definitions at one commit, read without a working tree."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..errors import SlipwayError
from ..git.remote import TIMEOUT, fetch_commit, run_git
from ..policy.values import suggest


@contextlib.contextmanager
def open_commit(
    url: str,
    commit: str,
    *,
    attempt: str = "find the commit to release in",
    do_next: str = "Set release_definitions_ref to a branch, a tag or a commit that is there, and run again.",
    timeout: float = TIMEOUT,
) -> Iterator[Path]:
    """A repository that holds ``commit``: the one of ``url`` itself if it is a directory here, else a copy of it."""
    if not Path(url).is_dir():
        with fetch_commit(url, commit, timeout=timeout) as repository:
            yield repository
        return
    repository = Path(url, ".git") if Path(url, ".git").is_dir() else Path(url)
    run_git(
        *("cat-file", "-e", f"{commit}^{{commit}}"),
        attempt=attempt,
        on=url,
        repository=repository,
        do_next=do_next,
    )
    yield repository


def list_uncommitted(url: str) -> list[str]:
    """The files that differ from the last commit, if ``url`` is a work tree on this machine."""
    repository = Path(url, ".git")
    if not repository.is_dir():
        return []
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal")
    done = run_git(*words, attempt="look at what is not committed in", on=url, repository=repository, tree=url)
    return [entry[3:] for entry in done.stdout.split("\0") if entry]


class Definitions:
    """The files of one commit in a repository that holds it."""

    def __init__(self, repository: Path, commit: str, name: str) -> None:
        self.repository = repository
        self.commit = commit
        self.name = name

    def read(self, paths: Iterable[str]) -> dict[str, bytes | None]:
        """The contents of files, ``None`` for what is not a file; links inside the repository are followed."""
        wanted = list(dict.fromkeys(paths))
        return dict(zip(wanted, self._read_objects([f"{self.commit}:{path}" for path in wanted]), strict=True))

    def read_cluster(self, path: str) -> bytes:
        """The cluster file; when it is missing, the failure names what may have been meant."""
        data = self.read([path])[path]
        if data is None:
            same = [name for name in self.list_paths() if posixpath.basename(name) == posixpath.basename(path)]
            hint = f" (did you mean {same[0]}?)" if same else suggest(path, self.list_paths())
            raise SlipwayError(
                "read the cluster",
                path,
                f"there is no such file in {self.name}{hint}",
                do_next="Nothing was changed. Set release_cluster to a cluster file of the definitions and run again.",
            )
        return data

    def read_epoch(self) -> int:
        """When the commit was made, in seconds since the epoch."""
        (data,) = self._read_objects([self.commit])
        stamp = re.search(rb"^committer .* (-?\d+) [+-]\d{4}$", data or b"", re.MULTILINE)
        return max(0, int(stamp[1])) if stamp else 0

    def list_paths(self) -> list[str]:
        """Every file of the commit."""
        done = self._run_git("ls-tree", "-r", "-z", "--name-only", self.commit)
        return [os.fsdecode(name) for name in done.split(b"\0") if name]

    def _read_objects(self, specs: Sequence[str]) -> list[bytes | None]:
        rest = self._run_git(
            "cat-file", "--batch", "--follow-symlinks", stdin="".join(f"{spec}\n" for spec in specs).encode()
        )
        found: list[bytes | None] = []
        for _unused in specs:
            header, _newline, rest = rest.partition(b"\n")
            words = header.split(b" ")
            if header.endswith((b" missing", b" ambiguous")):
                found.append(None)
                continue
            size = int(words[-1])
            found.append(rest[:size] if len(words) == 3 and words[1] in (b"blob", b"commit") else None)
            rest = rest[size + 1 :]
        return found

    def _run_git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        return run_git(
            *arguments, attempt="read", on=self.name, repository=self.repository, stdin=stdin, timeout=60
        ).raw
