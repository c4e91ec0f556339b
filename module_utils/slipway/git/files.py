# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files kept at the head of a remote branch, as a wiki in git has them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from .remote import Person, fetch_commit, find_remote_commit, push_ref, run_git


@dataclass(frozen=True)
class BranchUpdate:
    """The branch's head, and what a commit changed or would change: path -> (text before, text after)."""

    head: str | None
    changed: Mapping[str, tuple[str, str]]


def ensure_files(
    url: str, branch: str, *, files: Mapping[str, str], message: str, person: Person, write: bool = True
) -> BranchUpdate:
    """Ensure ``files`` (path -> text) at the head of ``branch`` of the remote ``url`` by one commit of what differs.

    Other files of the branch stay. If somebody else pushes meanwhile, the push is refused and nothing is lost.
    """
    for path in files:
        if posixpath.isabs(path) or posixpath.normpath(path) != path or path.split("/")[0] in (".", "..", ".git"):
            raise SlipwayError("commit the file", path, "it is not a path inside a repository", do_next="Correct it.")
    ref = f"refs/heads/{branch}"
    head = find_remote_commit(url, ref)
    with fetch_commit(url, head) as repository:
        before = {path: _read_content(repository, head, path) for path in files}
        changed = {path: (before[path] or "", text) for path, text in files.items() if before[path] != text}
        if not changed or not write:
            return BranchUpdate(head, changed)
        new = _commit_files(repository, head, changed=changed, message=message, person=person)
        push_ref(url, ref, source=new, expected=head or "", repository=repository)
    return BranchUpdate(new, changed)


def _read_content(repository: Path, head: str | None, path: str) -> str | None:
    if head is None:
        return None
    run_here = partial(run_git, attempt=f"read {path} of", on=head, repository=repository)
    listed = run_here("ls-tree", "--name-only", head, "--", path).stdout
    return run_here("cat-file", "blob", f"{head}:{path}").stdout if listed.strip() else None


def _commit_files(
    repository: Path, head: str | None, *, changed: Mapping[str, tuple[str, str]], message: str, person: Person
) -> str:
    """Commit on top of ``head`` through an index of its own; no work tree is needed."""
    index = {"GIT_INDEX_FILE": str(repository / "slipway-index")}
    run_here = partial(run_git, attempt="commit to", on=", ".join(sorted(changed)), repository=repository)
    if head is not None:
        run_here("read-tree", head, env=index)
    for path, (_unused, text) in sorted(changed.items()):
        blob = run_here("hash-object", "-w", "--stdin", stdin=text.encode()).stdout.strip()
        run_here("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = run_here("write-tree", env=index).stdout.strip()
    parents = [] if head is None else ["-p", head]
    made = run_here("commit-tree", tree, *parents, env=person.environment(), stdin=message.encode())
    return made.stdout.strip()
