# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags of stacks, each kind of repository's own way: one of a release is made once, that of a distribution moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ..errors import SlipwayError
from ..escape import redacted
from ..git.remote import Annotation, Person
from .checkout import TIMEOUT, open_repository
from .git import GitRepository, ensure_git_tag
from .source import Place, Source, Tag, TagRepository, require_tag

#: The purposes of tags.
PURPOSES = ("release", "distro")


@dataclass(frozen=True)
class TagRequest:
    """The tag of that ``purpose`` at a revision. ``annotation`` is for git alone, ``message`` for svn and hg."""

    purpose: str
    revision: str
    message: str
    person: Person
    annotation: Annotation | None = None


@dataclass(frozen=True)
class TagOutcome:
    """The tag's name, what it was before, and whether it was made or moved. In git, ``object`` is what it is now."""

    name: str
    before: Tag | None
    changed: bool
    object: str | None = None


def ensure_tag(source: Source, request: TagRequest, *, timeout: float = TIMEOUT, write: bool = True) -> TagOutcome:
    """Ensure a tag, and read it back. A release's tag that is on another revision fails with both, and stays."""
    name = require_tag(source, request.purpose)
    move = request.purpose != "release"
    with open_repository(source, timeout=timeout) as found:
        place = found.find_revision(request.revision)
        if isinstance(found, GitRepository):
            before, now, changed = ensure_git_tag(
                found, name, place=place, move=move, annotation=request.annotation, write=write
            )
            return TagOutcome(name, before, changed, now)
        repository = cast(TagRepository, found)
        before = repository.find_tag(name)
        if before is not None and before.place.identity == place.identity:
            return TagOutcome(name, before, changed=False)
        if before is not None and not move:
            raise _make_error(source, name, before, place)
        if write:
            repository.set_tag(name, place, before=before, message=request.message, person=request.person)
            after = repository.find_tag(name)
            if after is None or after.place.identity != place.identity:
                raise _make_error(source, name, after, place)
    return TagOutcome(name, before, changed=True)


def _make_error(source: Source, name: str, found: Tag | None, wanted: Place) -> SlipwayError:
    is_ = "nothing" if found is None else _describe(found.place)
    return SlipwayError(
        f"set the tag {name} of",
        redacted(source.uri),
        f"it should name {_describe(wanted)}, but it names {is_}",
        do_next="Nothing of it was changed. Find out who set it, or release under another version.",
    )


def _describe(place: Place) -> str:
    return place.revision if place.identity == place.revision else f"revision {place.revision} of {place.uri}"
