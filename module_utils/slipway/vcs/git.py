# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stack's source in git. The distro tag moves by a push that names what it was; the distro branch that older tools
forced along with it is not touched.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..errors import SlipwayError
from ..escape import redacted
from ..git.checkout import check_out
from ..git.remote import (
    COMMIT,
    Annotation,
    ensure_ref,
    fetch_commit,
    find_ref_fault,
    list_remote_refs,
    make_repository,
    make_tag,
    push_ref,
    run_git,
)
from ..process import Completed
from .source import Place, Source, Tag

_SIGNATURE = re.compile(rb"^-----BEGIN (?:PGP|SSH) SIGNATURE-----$|^-----BEGIN SIGNED MESSAGE-----$", re.MULTILINE)


class GitRepository:
    """A remote git repository."""

    def __init__(self, source: Source, timeout: float) -> None:
        self._url, self._branch, self._timeout = source.uri, source.branch or "", timeout
        self._epochs: dict[str, int | None] = {}  # of commits that were fetched for something else

    def find_head(self) -> Place:
        """The branch's head."""
        ref = f"refs/heads/{self._branch}"
        commit = list_remote_refs(self._url, ref, timeout=self._timeout).get(ref)
        if commit is None:
            do_next = "Correct dev-branch in the distro file."
            raise SlipwayError(
                f"find the branch {self._branch} of", redacted(self._url), "there is none", do_next=do_next
            )
        return self._make_place(commit)

    def find_revision(self, revision: str) -> Place:
        """A commit."""
        if not COMMIT.match(revision):
            do_next = "Give 40 hex digits."
            raise SlipwayError("find", f"{revision!r} in {redacted(self._url)}", "it is no commit", do_next=do_next)
        return self._make_place(revision)

    def find_tag(self, name: str) -> Tag | None:
        """A tag, through the annotation if it has one."""
        ref = f"refs/tags/{name}"
        refs = list_remote_refs(self._url, ref, f"{ref}^{{}}", timeout=self._timeout)
        if ref not in refs:
            return None
        peeled = refs.get(f"{ref}^{{}}")
        if peeled is None:
            return Tag(name, self._make_place(refs[ref]), "lightweight", signed=False)
        with self._fetch(refs[ref], attempt="read the tag", on=f"{name} of {redacted(self._url)}") as run_here:
            self._epochs[peeled] = _read_epoch(run_here, peeled)
            signed = bool(_SIGNATURE.search(run_here("cat-file", "tag", refs[ref]).raw))
        return Tag(name, self._make_place(peeled), "annotated", signed=signed)

    def export(self, place: Place, target: Path) -> None:
        """Write the files of a commit; what submodules would add is not there."""
        check_out(place.uri, place.revision, target, timeout=self._timeout)
        run_here = partial(run_git, attempt="look at", on=str(target), repository=target / ".git")
        self._epochs[place.revision] = _read_epoch(run_here, place.revision)
        shutil.rmtree(target / ".git")

    def find_epoch(self, place: Place) -> int | None:
        """The committer's date; a commit that was not fetched yet is."""
        commit = place.revision
        if commit not in self._epochs:
            with self._fetch(commit, attempt="read the date of", on=f"{commit} of {redacted(self._url)}") as run_here:
                self._epochs[commit] = _read_epoch(run_here, commit)
        return self._epochs[commit]

    def _make_place(self, commit: str) -> Place:
        return Place(self._url, commit, commit)

    @contextlib.contextmanager
    def _fetch(self, wanted: str, *, attempt: str, on: str) -> Iterator[Callable[..., Completed]]:
        """How to run git in a repository that holds a tag or a commit."""
        with make_repository() as repository:
            run_here = partial(run_git, attempt=attempt, on=on, repository=repository, timeout=self._timeout)
            run_here("fetch", "--quiet", "--no-tags", "--depth=1", "--", self._url, wanted)
            yield run_here


@contextlib.contextmanager
def open_git(source: Source, *, timeout: float) -> Iterator[GitRepository]:
    """The repository of a source."""
    yield GitRepository(source, timeout)


def _read_epoch(run_here: Callable[..., Completed], commit: str) -> int | None:
    """The committer's date; None if it has none that can be read, or a tag is of a tree or a file."""
    words = ("log", "-1", "--no-show-signature", "--format=%ct", commit, "--")
    said = run_here(*words, ok_codes=(0, 128)).stdout.strip()
    return int(said) if said.isascii() and said.isdecimal() else None


def ensure_git_tag(
    repository: GitRepository, name: str, *, place: Place, move: bool, annotation: Annotation | None, write: bool
) -> tuple[Tag | None, str | None, bool]:
    """Ensure a tag at a commit; what it was before, the object that the tag is now, and whether it was made or moved.

    One that is not to be moved fails where it names another commit, or is not of the kind or by the key that is wanted;
    one that is to be moved is made anew then.
    """
    ref, url, commit = f"refs/tags/{name}", place.uri, place.revision
    expected = list_remote_refs(url, ref).get(ref, "")  # first: what is pushed from here on is not overwritten
    before = repository.find_tag(name)
    if not move:
        changed = ensure_ref(url, ref, commit=commit, annotation=annotation, write=write)[1]
    else:
        changed = before is None or find_ref_fault(url, ref, commit=commit, annotation=annotation) is not None
        if changed and write:
            _move_tag(url, ref, commit=commit, expected=expected, annotation=annotation)
    now = list_remote_refs(url, ref).get(ref) if changed and write else expected
    return before, now or None, changed


def _move_tag(url: str, ref: str, *, commit: str, expected: str, annotation: Annotation | None) -> None:
    """Push a tag over the one that is expected there, and no other that somebody pushed meanwhile; read it back."""
    with fetch_commit(url, commit) as repository:
        source = commit if annotation is None else make_tag(repository, ref, commit=commit, annotation=annotation)
        push_ref(url, ref, source=source, expected=expected, repository=repository)
    fault = find_ref_fault(url, ref, commit=commit, annotation=annotation)
    if fault is not None:
        do_next = "Somebody else moved it just now: find out who, and run again."
        raise SlipwayError(f"move {ref} of", redacted(url), fault, do_next=do_next)
