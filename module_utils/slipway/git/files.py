# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files kept at the head of a remote branch, as a wiki in git has them."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from .remote import Person, git, remote_commit, shown


@dataclass(frozen=True)
class Kept:
    """The branch's head, and what a commit changed or would change: path -> (text before, text after)."""

    head: str | None
    changed: Mapping[str, tuple[str, str]]


def keep_files(
    url: str, branch: str, *, files: Mapping[str, str], message: str, person: Person, write: bool = True
) -> Kept:
    """Have ``files`` (path -> text) at the head of ``branch`` of the remote ``url``; commit what differs, once.

    Other files of the branch stay. If somebody else pushes meanwhile, the push is refused and nothing is lost.
    """
    for path in files:
        if posixpath.isabs(path) or posixpath.normpath(path) != path or path.split("/")[0] in (".", "..", ".git"):
            raise SlipwayError("commit the file", path, "it is no path inside a repository", do_next="Correct it.")
    ref = f"refs/heads/{branch}"
    head = remote_commit(url, ref)
    with tempfile.TemporaryDirectory(prefix="slipway-git-") as name:
        repository = Path(name)
        git("init", "--quiet", "--bare", name, attempt="make a scratch repository in", on=name)
        if head is not None:
            git("fetch", "--quiet", "--depth=1", "--", url, head, attempt="fetch", on=shown(url), cwd=repository)
        before = {path: _content(repository, head, path) for path in files}
        changed = {path: (before[path] or "", text) for path, text in files.items() if before[path] != text}
        if not changed or not write:
            return Kept(head, changed)
        new = _commit(repository, head, changed=changed, message=message, person=person)
        git(
            *("push", "--quiet", f"--force-with-lease={ref}:{head or ''}", "--", url, f"{new}:{ref}"),
            attempt=f"push {branch} to",
            on=shown(url),
            cwd=repository,
            do_next="If somebody pushed there meanwhile, run again; else check your access to it.",
        )
    return Kept(new, changed)


def _content(repository: Path, head: str | None, path: str) -> str | None:
    if head is None:
        return None
    ask = partial(git, attempt=f"read {path} of", on=head, cwd=repository)
    listed = ask("ls-tree", "--name-only", head, "--", path)
    return ask("cat-file", "blob", f"{head}:{path}") if listed.strip() else None


def _commit(
    repository: Path, head: str | None, *, changed: Mapping[str, tuple[str, str]], message: str, person: Person
) -> str:
    """Commit on top of ``head`` through an index of its own; no work tree is needed."""
    index = {"GIT_INDEX_FILE": str(repository / "slipway-index")}
    ask = partial(git, attempt="commit to", on=", ".join(sorted(changed)), cwd=repository)
    if head is not None:
        ask("read-tree", head, env=index)
    for path, (_unused, text) in sorted(changed.items()):
        blob = ask("hash-object", "-w", "--stdin", stdin=text.encode()).strip()
        ask("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = ask("write-tree", env=index).strip()
    parents = [] if head is None else ["-p", head]
    return ask("commit-tree", tree, *parents, env=person.environment(), stdin=message.encode()).strip()
