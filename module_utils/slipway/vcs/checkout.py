# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a stack at an exact revision, in a directory that holds nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from ..errors import SlipwayError
from ..escape import redacted
from .bzr import open_bzr
from .dsc import open_dsc
from .git import open_git
from .hg import open_hg
from .source import Place, Repository, Source, Tag, accept_epoch, require_tag
from .svn import open_svn
from .trees import Marker, Present, inspect_directory, place_tree

#: What can be checked out: the development line, the release tag, and a revision by its name.
AT = ("development", "release", "revision")
TIMEOUT = 300.0
MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class CheckedOut:
    """What a directory holds, or would hold, and held before; and the tags there are, by their purpose.

    ``epoch`` is when the revision was made, if it says so credibly.
    """

    place: Place
    before: Present
    changed: bool
    tags: dict[str, Tag | None]
    epoch: int | None


@contextlib.contextmanager
def open_repository(source: Source, *, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES) -> Iterator[Repository]:
    """The repository of a source of any kind, for the time of the block."""
    openers: dict[str, Callable[..., contextlib.AbstractContextManager[Repository]]] = {
        "git": open_git,
        "svn": open_svn,
        "hg": open_hg,
        "bzr": open_bzr,
        "dsc": partial(open_dsc, max_bytes=max_bytes),
    }
    with openers[source.kind](source, timeout=timeout) as repository:
        yield repository


def check_out(
    source: Source,
    directory: Path,
    *,
    at: str = "development",
    revision: str | None = None,
    timeout: float = TIMEOUT,
    max_bytes: int = MAX_BYTES,
    write: bool = True,
) -> CheckedOut:
    """Make ``directory`` hold the files of the source at ``at``.

    If it does already, it stays; a tree that is not as it was put there is made anew, and files that nobody checked
    out are refused.
    """
    before = inspect_directory(directory)
    with open_repository(source, timeout=timeout, max_bytes=max_bytes) as repository:
        find_tag = cache(repository.find_tag)  # what is checked out is the tag that is told of
        place = _find_place(repository, source, find_tag, at=at, revision=revision)
        tags = {purpose: None if name is None else find_tag(name) for purpose, name in source.tags.items()}
        marker = Marker(source.kind, redacted(place.uri), place.revision)
        changed = before.altered or before.marker is None or not _tells_same(before.marker, marker)
        if changed and write:
            epoch = place_tree(partial(_export, repository, place), directory, marker, max_bytes=max_bytes).epoch
        else:
            known = None if changed or before.marker is None else before.marker.epoch
            epoch = repository.find_epoch(place) if known is None else known
    return CheckedOut(place, before, changed, tags, accept_epoch(epoch))


def _find_place(
    repository: Repository, source: Source, find_tag: Callable[[str], Tag | None], *, at: str, revision: str | None
) -> Place:
    if at == "revision":
        if not revision:
            raise SlipwayError("check out", redacted(source.uri), "no revision is given", do_next="Give it.")
        return repository.find_revision(revision)
    if at == "development" or source.kind == "dsc":
        return repository.find_head()
    name = require_tag(source, at)
    tag = find_tag(name)
    if tag is None:
        do_next = "Tag the release first, or correct the version in the distro file."
        raise SlipwayError("check out", f"{name} of {redacted(source.uri)}", "there is no such tag", do_next=do_next)
    return tag.place


def _export(repository: Repository, place: Place, target: Path) -> int | None:
    repository.export(place, target)
    return repository.find_epoch(place)


def _tells_same(one: Marker, other: Marker) -> bool:
    return (one.kind, one.uri, one.revision) == (other.kind, other.uri, other.revision)
