# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stack's source in Bazaar, read and tagged by Breezy in the branch itself.

The rule's ``dev-branch`` is a directory below ``uri``; without it, or as ``.``, the branch is ``uri``. Tags are kept by
each branch. Bazaar knows no way to move a tag only if it still is where it was.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import SlipwayError
from ..git.remote import Person
from ..process import Completed
from .client import Client, provide_client
from .source import Place, Source, Tag, join_branch

_TIMESTAMP = re.compile(r"^timestamp: (-?[0-9]{1,15})$", re.MULTILINE)


class BzrRepository:
    """A branch."""

    def __init__(self, source: Source, client: Client) -> None:
        self._url, self._client = join_branch(source.uri, source.branch), client

    def find_head(self) -> Place:
        """The branch's last revision."""
        return self._read_revision()

    def find_revision(self, revision: str) -> Place:
        """A revision by its id."""
        if not revision or not revision.isprintable() or " " in revision:
            do_next = "Give a revision id, as `brz revision-info` shows it."
            raise SlipwayError("find", f"{revision!r} in {self._url}", "it is no revision id", do_next=do_next)
        return self._read_revision(f"--revision=revid:{revision}")

    def find_tag(self, name: str) -> Tag | None:
        """A tag of the branch."""
        listed = self._run("tags", f"--directory={self._url}", "--show-ids", attempt="read the tags of").stdout
        tags = {
            line[: -len(line.split()[-1])].rstrip(): line.split()[-1] for line in listed.splitlines() if line.strip()
        }
        return Tag(name, self._make_place(tags[name])) if name in tags else None

    def export(self, place: Place, target: Path) -> None:
        """Write the files of a revision."""
        words = ("export", "--format=dir", f"--revision=revid:{place.revision}", "--", str(target), place.uri)
        self._run(*words, attempt=f"export {place.revision} of")

    def find_epoch(self, place: Place) -> int | None:
        """The time of a revision, of which nothing else tells."""
        words = ("testament", "--long", f"--revision=revid:{place.revision}", "--", place.uri)
        # With 4, brz gives up on revisions that have no testament, such as with line breaks in a name.
        said = self._run(*words, attempt=f"read the date of {place.revision} of", ok_codes=(0, 4)).stdout
        found = _TIMESTAMP.search(said)
        return None if found is None else int(found[1])

    def set_tag(self, name: str, place: Place, *, before: Tag | None, message: str, person: Person) -> None:  # noqa: ARG002  # as all kinds are asked
        """Set the tag, which has neither author nor message; one that came to be meanwhile is not replaced."""
        force = [] if before is None else ["--force"]
        words = ("tag", f"--directory={place.uri}", f"--revision=revid:{place.revision}", *force, "--", name)
        self._run(*words, attempt=f"set the tag {name} of")

    def _read_revision(self, *words: str) -> Place:
        said = self._run("revision-info", f"--directory={self._url}", *words, attempt="find the revision in").stdout
        revision = said.split()[-1] if said.strip() else "null:"
        if revision == "null:":
            raise SlipwayError("find the revision in", self._url, "the branch is empty", do_next="Commit to it.")
        return self._make_place(revision)

    def _make_place(self, revision: str) -> Place:
        return Place(self._url, revision, revision)

    def _run(self, *words: str, attempt: str, ok_codes: tuple[int, ...] = (0,)) -> Completed:
        return self._client.run("brz", *words, attempt=attempt, on=self._url, ok_codes=ok_codes)


@contextlib.contextmanager
def open_bzr(source: Source, *, timeout: float) -> Iterator[BzrRepository]:
    """The repository of a source."""
    with provide_client("bzr", timeout=timeout) as client:
        yield BzrRepository(source, client)
