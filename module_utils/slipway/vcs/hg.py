# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stack's source in Mercurial. All is asked of a temporary clone, since a server's answers do not tell a tag from a
branch or the beginning of another's name. No working directory is made: subrepositories are not looked for.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import SlipwayError
from ..git.remote import Person
from ..process import Completed
from .client import Client, provide_client
from .source import Place, Source, Tag

NODE = re.compile(r"[0-9a-f]{40}\Z")
#: So many commits that did nothing but tag are passed over on the way from a branch's head to its last change.
MOST_TAGS = 1000
TAGS = ".hgtags"


class HgRepository:
    """A clone, and the repository that it is of."""

    def __init__(self, source: Source, client: Client, clone: Path) -> None:
        self._url, self._branch = source.uri, source.branch or "default"
        self._client, self._clone = client, clone

    def find_head(self) -> Place:
        """The branch's last change that did more than tag: whoever tags a revision makes no new one to be tagged."""
        node = self._find_branch_head()
        for _unused in range(MOST_TAGS):
            template = r"{date|hgdate}\n{p1node}\n{p2node}\n{join(files, '\n')}"
            date, parent, other, files = (self._log(node, template) + "\n\n").split("\n", 3)
            if files.strip("\n") != TAGS or set(parent) == {"0"} or set(other) != {"0"}:
                return Place(self._url, node, node, int(date.split()[0]))
            node = parent
        raise self._make_error(f"it has more than {MOST_TAGS} tags in a row", do_next="Give the revision.")

    def find_revision(self, revision: str) -> Place:
        """A changeset."""
        if not NODE.match(revision):
            do_next = "Give 40 hex digits."
            raise SlipwayError("find", f"{revision!r} in {self._url}", "it is no changeset", do_next=do_next)
        node, date = self._log(revision, r"{node}\n{date|hgdate}").split("\n")
        if node != revision:  # a tag, a branch or a bookmark may be called as a changeset that is not there
            do_next = "Find out who named something so, and give a revision that is there."
            raise SlipwayError("find", f"{revision} in {self._url}", f"it is a name of {node}", do_next=do_next)
        return Place(self._url, node, node, int(date.split()[0]))

    def find_tag(self, name: str) -> Tag | None:
        """A tag as all heads together have it."""
        listed = json.loads(self._run("tags", "--template=json(tag, node, date)").stdout)
        places = {each["tag"]: Place(self._url, each["node"], each["node"], int(each["date"][0])) for each in listed}
        return Tag(name, places[name]) if name in places else None

    def export(self, place: Place, target: Path) -> None:
        """Write the files of a changeset."""
        plain = ("--config=ui.archivemeta=False", "archive", "--type=files", f"--rev={place.revision}")
        self._run(*plain, "--", str(target), attempt=f"export {place.revision} of")

    def find_epoch(self, place: Place) -> int | None:
        """The date of the changeset."""
        return place.epoch

    def set_tag(self, name: str, place: Place, *, before: Tag | None, message: str, person: Person) -> None:
        """Commit the tag at the branch's head, as ``hg tag`` does, and push that commit alone."""
        head = self._find_branch_head()
        lines = [f"{before.place.revision} {name}"] if before is not None else []
        patch = make_patch(self._read_tags(head), [*lines, f"{place.revision} {name}"])
        self._run("debugsetparents", head)
        who = (f"--user={person.name} <{person.email}>", f"--date={person.date} 0")
        self._run("import", "--bypass", "--quiet", *who, f"--message={message}", "-", stdin=patch)
        self._run("debugsetparents", "null")  # else the push would look for subrepositories
        self._run(
            *("push", "--quiet", "--rev=tip", "--", self._url),
            attempt=f"push the tag {name} to",
            do_next="If somebody pushed there meanwhile, run again; else check your access to it.",
        )
        self._run("pull", "--quiet", "--", self._url, attempt=f"read back the tag {name} of")

    def _find_branch_head(self) -> str:
        heads = self._log(f"head() and branch('literal:{self._branch}') and not closed()", r"{node}\n").split()
        if len(heads) != 1:
            what = f"it has {len(heads)} heads: {', '.join(heads)}" if heads else "it is closed"
            raise self._make_error(what, do_next="Merge or close all but one, or give the revision, and run again.")
        return heads[0]

    def _read_tags(self, node: str) -> bytes:
        # Asked first: of a file that is not there, `hg cat` talks about subrepositories where the content would be.
        listed = self._run("files", f"--rev={node}", f"path:{TAGS}", ok_codes=(0, 1)).stdout
        return self._run("cat", f"--rev={node}", f"path:{TAGS}").raw if TAGS in listed.split() else b""

    def _log(self, revision: str, template: str) -> str:
        return self._run("log", f"--rev={revision}", f"--template={template}", attempt=f"find {revision} in").stdout

    def _run(
        self,
        *words: str,
        attempt: str = "look at the clone of",
        stdin: bytes | None = None,
        ok_codes: tuple[int, ...] = (0,),
        do_next: str = "Check the repository's address and your access to it, and run again.",
    ) -> Completed:
        return self._client.run(
            "hg",
            *words,
            attempt=attempt,
            on=self._url,
            cwd=self._clone,
            stdin=stdin,
            ok_codes=ok_codes,
            do_next=do_next,
        )

    def _make_error(self, fault: str, *, do_next: str) -> SlipwayError:
        return SlipwayError(f"find the head of the branch {self._branch} of", self._url, fault, do_next=do_next)


@contextlib.contextmanager
def open_hg(source: Source, *, timeout: float) -> Iterator[HgRepository]:
    """The repository of a source, cloned."""
    with provide_client("hg", timeout=timeout) as client:
        clone = client.home / "clone"
        words = ("clone", "--quiet", "--noupdate", "--pull", "--", source.uri, str(clone))
        client.run("hg", *words, attempt="clone", on=source.uri)
        yield HgRepository(source, client, clone)


def make_patch(before: bytes, lines: list[str]) -> bytes:
    """A patch that appends lines to the file of tags, whose last line may be unended."""
    old = before.split(b"\n")
    unended = bool(old.pop())
    if unended:
        old = before.split(b"\n")
    new = [*old, *(line.encode() for line in lines)]
    patch = [b"diff --git a/%s b/%s" % (TAGS.encode(), TAGS.encode())]
    patch += [b"--- a/" + TAGS.encode()] if old else [b"new file mode 100644", b"--- /dev/null"]
    patch += [b"+++ b/" + TAGS.encode(), b"@@ -%d,%d +1,%d @@" % (1 if old else 0, len(old), len(new))]
    patch += [b"-" + line for line in old]
    patch += [b"\\ No newline at end of file"] if unended else []
    return b"".join(line + b"\n" for line in [*patch, *(b"+" + line for line in new)])
