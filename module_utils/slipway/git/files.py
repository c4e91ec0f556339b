# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files kept at the head of a remote branch, as a wiki in git has them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import SlipwayError, name_refusals
from ..escape import redacted
from .remote import REFS_TIMEOUT, TIMEOUT, Person, fetch_commit, find_remote_commit, push_ref, run_git
from .tree import FILE, PROGRAM

#: Path -> (text before, text after).
Texts = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class BranchUpdate:
    """The branch's head, and what a commit changed or would change."""

    head: str | None
    changed: Texts


def ensure_files(
    url: str,
    branch: str,
    *,
    files: Mapping[str, str],
    message: str,
    person: Person,
    attempts: int = 5,
    keep: bool = False,
    write: bool = True,
) -> BranchUpdate:
    """Ensure ``files`` (path -> text) at the head of ``branch`` of the remote ``url`` by one commit of what differs.

    Other files of the branch stay, also those that somebody else pushes meanwhile: then it is done anew, as with
    :func:`edit_branch`. With ``keep`` those of ``files`` stay that are there, whatever they say. The branch is made if
    it is absent.
    """
    for path in files:
        _check_path(path)

    def compare(repository: Path, head: str | None) -> Texts:
        before = {path: _read_content(repository, head, path) for path in files}
        wanted = {path: text for path, text in files.items() if not (keep and before[path] is not None)}
        return {path: (before[path] or "", text) for path, text in wanted.items() if before[path] != text}

    return edit_branch(url, branch, edit=compare, message=message, person=person, attempts=attempts, write=write)


def edit_file(
    url: str,
    branch: str,
    path: str,
    *,
    edit: Callable[[str], str],
    message: str,
    person: Person,
    attempts: int = 5,
    absent: bool = False,
    write: bool = True,
) -> BranchUpdate:
    """Commit what ``edit`` makes of the file at the head of ``branch`` of the remote ``url``, as :func:`edit_branch`.

    ``edit`` decides whether what it sees may still be edited. With ``absent`` a file that is not there stays so.
    """
    _check_path(path)

    def edit_one(repository: Path, head: str | None) -> Texts:
        if head is None:
            raise _no_branch_error(url, branch, path)
        if absent and _read_blob(repository, head, path) is None:
            return {}
        text = _read_text(repository, head, path, on=f"{path} of {redacted(url)}")
        edited = edit(text)
        return {path: (text, edited)} if edited != text else {}

    return edit_branch(url, branch, edit=edit_one, message=message, person=person, attempts=attempts, write=write)


def edit_branch(
    url: str,
    branch: str,
    *,
    edit: Callable[[Path, str | None], Texts],
    message: str,
    person: Person,
    attempts: int = 5,
    write: bool = True,
) -> BranchUpdate:
    """Commit what ``edit`` makes of a repository and the head of its ``branch`` (None if it is absent).

    Nothing that is pushed meanwhile is lost: the head is read again then and edited anew, ``attempts`` times in all.
    """
    for number in range(1, attempts + 1):
        head = find_remote_commit(url, f"refs/heads/{branch}")
        with fetch_commit(url, head) as repository:
            changed = edit(repository, head)
            if not changed or not write:
                return BranchUpdate(head, changed)
            new = _commit_files(repository, head, changed=changed, message=message, person=person)
            try:
                push_ref(url, f"refs/heads/{branch}", source=new, expected=head or "", repository=repository)
            except SlipwayError:
                if number == attempts or not has_moved(url, branch, head):
                    raise
            else:
                return BranchUpdate(new, changed)
    raise ValueError(f"{attempts} attempts are none")


def read_file(url: str, branch: str, path: str, *, timeout: float = TIMEOUT) -> tuple[str, str]:
    """The head of ``branch`` of the remote ``url``, and the text of a file there, byte for byte."""
    _check_path(path)
    head = _find_head(url, branch, path, timeout=min(timeout, REFS_TIMEOUT))
    with fetch_commit(url, head, timeout=timeout) as repository:
        return head, _read_text(repository, head, path, on=f"{path} of {redacted(url)}")


def _find_head(url: str, branch: str, path: str, *, timeout: float = REFS_TIMEOUT) -> str:
    head = find_remote_commit(url, f"refs/heads/{branch}", timeout=timeout)
    if head is None:
        raise _no_branch_error(url, branch, path)
    return head


def _no_branch_error(url: str, branch: str, path: str) -> SlipwayError:
    do_next = "Correct the branch's name, or push it, and run again."
    return SlipwayError("read", f"{path} of {redacted(url)}", f"there is no branch {branch}", do_next=do_next)


def has_moved(url: str, branch: str, head: str | None) -> bool:
    """Whether the branch is elsewhere by now; not, if the server does not say so."""
    try:
        return find_remote_commit(url, f"refs/heads/{branch}") != head
    except SlipwayError:
        return False


def _read_text(repository: Path, head: str, path: str, *, on: str) -> str:
    data = _read_blob(repository, head, path)
    if data is None:
        do_next = "Correct the path, or commit the file, and run again."
        raise SlipwayError("read", on, f"it is not there in {head}", do_next=do_next)
    with name_refusals("read", on, do_next="Commit it as UTF-8 and run again.", refusals=(UnicodeDecodeError,)):
        return data.decode()


def _check_path(path: str) -> None:
    """Refuse what would be outside of a work tree, or git's own."""
    if posixpath.isabs(path) or posixpath.normpath(path) != path or path.split("/")[0] in (".", "..", ".git"):
        raise SlipwayError("use the file", path, "it is not a path inside a repository", do_next="Correct it.")


def _read_content(repository: Path, head: str | None, path: str) -> str | None:
    data = None if head is None else _read_blob(repository, head, path)
    return None if data is None else data.decode(errors="replace")


def _read_blob(repository: Path, head: str, path: str) -> bytes | None:
    run_here = partial(run_git, attempt=f"read {path} of", on=head, repository=repository)
    listed = run_here("ls-tree", "--name-only", head, "--", path).stdout
    return run_here("cat-file", "blob", f"{head}:{path}").raw if listed.strip() else None


def _commit_files(repository: Path, head: str | None, *, changed: Texts, message: str, person: Person) -> str:
    """Commit on top of ``head`` through an index of its own; no work tree is needed."""
    index = {"GIT_INDEX_FILE": str(repository / "slipway-index")}
    run_here = partial(run_git, attempt="commit to", on=", ".join(sorted(changed)), repository=repository)
    if head is not None:
        run_here("read-tree", head, env=index)
    for path, (_unused, text) in sorted(changed.items()):
        blob = run_here("hash-object", "-w", "--stdin", stdin=text.encode(errors="surrogateescape")).stdout.strip()
        # It stays a program if it was one.
        mode = run_here("ls-files", "--stage", "--", f":(literal){path}", env=index).stdout[:6]
        mode = mode if mode == PROGRAM else FILE
        run_here("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=index)
    tree = run_here("write-tree", env=index).stdout.strip()
    parents = [] if head is None else ["-p", head]
    made = run_here("commit-tree", tree, *parents, env=person.environment(), stdin=message.encode())
    return made.stdout.strip()
