# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stack's source in Subversion, where a tag is a copy: of what it is one, and whether anybody changed it since.

Addresses are given with a revision (``URL@7``), so that an ``@`` in a name is none. Changes are single commits by
svnmucc that name the revision they are based on: if somebody else was quicker, the server refuses them.
"""

from __future__ import annotations

import calendar
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from ..errors import SlipwayError
from ..git.remote import Person
from ..process import Completed, summarise_output
from .client import DO_NEXT, Client, provide_client
from .source import Place, Source, Tag, normalise_url

#: Copies of copies are followed this far.
MOST_COPIES = 50
#: How the client says that an address names nothing.
_ABSENT = ("W170000", "W160013", "E160013", "E170000: URL")


@dataclass(frozen=True)
class Node:
    """A directory at a revision: the repository's, that of its last change and its time, and the repository's root."""

    url: str
    root: str
    revision: int
    changed: int
    epoch: int | None

    @property
    def path(self) -> str:
        """Where it is in the repository, as the log writes it."""
        return "/" + unquote(self.url.removeprefix(self.root)).strip("/")


class SvnRepository:
    """A Subversion repository, by the URL of the development line."""

    def __init__(self, url: str, client: Client) -> None:
        self._url, self._client = url, client

    def find_head(self) -> Place:
        """The last change of the development line, so that changes elsewhere in the repository are none."""
        return self._make_place(self.require_node(self._url))

    def find_revision(self, revision: str) -> Place:
        """The development line at a revision of the repository."""
        if not (revision.isascii() and revision.isdecimal()) or revision == "0":
            raise SlipwayError("find", f"{revision!r} in {self._url}", "it is no revision", do_next="Give its number.")
        node = self.require_node(self._url, int(revision))
        return Place(node.url, revision, _identify(node.path, node.changed), node.epoch)

    def find_tag(self, name: str) -> Tag | None:
        """What a copy is of: followed until the development line, or where somebody changed it."""
        node = self.find_node(name)
        return None if node is None else Tag(name, self._find_origin(node))

    def export(self, place: Place, target: Path) -> None:
        """Write the files of a revision: externals are not followed, and keywords stay as they were committed."""
        words = ("--quiet", "--ignore-externals", "--ignore-keywords", "--revision", place.revision)
        on = f"{place.uri} at revision {place.revision}"
        self.run("svn", "export", *words, f"{place.uri}@{place.revision}", str(target), attempt="export", on=on)

    def find_epoch(self, place: Place) -> int | None:
        """The time of the last change."""
        return place.epoch

    def set_tag(self, name: str, place: Place, *, before: Tag | None, message: str, person: Person) -> None:  # noqa: ARG002  # as all kinds are asked
        """Copy a revision to the tag's place, in one commit with the removal of what was there.

        The author is whom the server knows the client as.
        """
        root = self.require_node(self._url)
        actions = [] if before is None else ["rm", name]
        actions += [word for parent in self._list_absent_parents(root, name) for word in ("mkdir", parent)]
        words = ("--revision", str(root.revision), f"--message={message}")
        self.run(
            *("svnmucc", *words, "--", *actions, "cp", place.revision, place.uri, name),
            attempt=f"tag revision {place.revision} of {place.uri} as",
            on=name,
            do_next="If somebody committed there meanwhile, run again; else check your access to it.",
        )

    def find_node(self, url: str, revision: int | None = None) -> Node | None:
        """What an address names at a revision, or now."""
        words = () if revision is None else ("--revision", str(revision))
        done = self.run(
            *("svn", "info", "--xml", *words, f"{url}@{'HEAD' if revision is None else revision}"),
            attempt="look at",
            on=url,
            ok_codes=(0, 1),
        )
        if done.returncode != 0:
            if any(code in done.stderr for code in _ABSENT):
                return None
            raise SlipwayError("look at", url, f"svn says: {summarise_output(done.stderr)}", do_next=DO_NEXT)
        return _read_node(done)

    def require_node(self, url: str, revision: int | None = None) -> Node:
        """The same, if there is something."""
        node = self.find_node(url, revision)
        if node is None:
            at = "" if revision is None else f" at revision {revision}"
            raise SlipwayError("look at", url, f"there is nothing{at}", do_next="Correct the URL and run again.")
        return node

    def run(
        self,
        program: str,
        *words: str,
        attempt: str,
        on: str,
        ok_codes: tuple[int, ...] = (0,),
        do_next: str = DO_NEXT,
    ) -> Completed:
        """Run svn or svnmucc."""
        return self._client.run(program, *words, attempt=attempt, on=on, ok_codes=ok_codes, do_next=do_next)

    def _make_place(self, node: Node) -> Place:
        """A node at its last change, unless it was elsewhere then, since a directory above it was moved."""
        known = node.changed == node.revision or self.find_node(node.url, node.changed) is not None
        revision = str(node.changed if known else node.revision)
        return Place(node.url, revision, _identify(node.path, node.changed), node.epoch)

    def _find_origin(self, node: Node) -> Place:
        """The directory of whose last change a node is an unchanged copy."""
        development = self.require_node(self._url).path
        for _unused in range(MOST_COPIES):
            source = None if node.path == development else self._find_copied(node)
            if source is None:
                return self._make_place(node)
            path, revision = source
            node = self.require_node(normalise_url(node.root + quote(path)), revision)
        raise SlipwayError("find of what", node.url, "is a copy: it is one of too many", do_next="Look at its log.")

    def _find_copied(self, node: Node) -> tuple[str, int] | None:
        """Of what path and revision a node's last change made it a copy; ``None`` if that was another change."""
        words = ("log", "--xml", "--verbose", "--quiet", "--revision", str(node.changed))
        log = self.run("svn", *words, f"{node.url}@{node.revision}", attempt="read the log of", on=node.url)
        copied, changed_below = None, False
        for each in ElementTree.fromstring(log.stdout).iter("path"):  # noqa: S314  # svn writes it, without entities
            path, source, of = each.text or "", each.get("copyfrom-path"), each.get("copyfrom-rev")
            if path.startswith(f"{node.path}/"):
                changed_below = True
            elif source is not None and of is not None and f"{node.path}/".startswith(f"{path}/"):
                copied = source + node.path.removeprefix(path), int(of)
        return None if changed_below else copied

    def _list_absent_parents(self, root: Node, url: str) -> list[str]:
        """The directories above a tag's place that are not there yet, the topmost first."""
        if not url.startswith(f"{root.root}/"):
            do_next = "Correct the distro file: a copy is made within one repository."
            raise SlipwayError("tag", root.url, f"{url} is in another repository than {root.root}", do_next=do_next)
        absent: list[str] = []
        parent = url.rpartition("/")[0]
        while parent != root.root and self.find_node(parent) is None:
            absent.insert(0, parent)
            parent = parent.rpartition("/")[0]
        return absent


@contextlib.contextmanager
def open_svn(source: Source, *, timeout: float) -> Iterator[SvnRepository]:
    """The repository of a source."""
    with provide_client("svn", timeout=timeout) as client:
        yield SvnRepository(source.uri, client)


def _read_node(done: Completed) -> Node:
    entry = ElementTree.fromstring(done.stdout).find("entry")  # noqa: S314  # svn writes it, without entities
    if entry is None:
        raise SlipwayError("look at", "a repository", "svn says nothing of it", do_next=DO_NEXT)
    commit = entry.find("commit")
    return Node(
        url=normalise_url(entry.findtext("url") or ""),
        root=normalise_url(entry.findtext("repository/root") or ""),
        revision=int(entry.get("revision") or 0),
        changed=int(commit.get("revision") or 0) if commit is not None else 0,
        epoch=_read_epoch(entry.findtext("commit/date") or ""),
    )


def _read_epoch(date: str) -> int | None:
    """A date as the server has it, to the second; None if there is none, since whoever may change it can remove it."""
    try:
        return calendar.timegm(time.strptime(date[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None


def _identify(path: str, changed: int) -> str:
    return f"{path}@{changed}"
