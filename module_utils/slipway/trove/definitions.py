# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pins in BuildStream elements, and definitions that are published with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import SlipwayError
from ..git import tree as snapshot
from ..git.remote import Person, git

URL = re.compile(r"(?P<indent>\s*(?:- )?)url:\s*(?P<quote>['\"]?)(?P<url>[^'\"#\s]+)(?P=quote)\s*\Z")
REF = re.compile(r"(?P<indent>\s*(?:- )?)ref:\s*(?P<ref>.*?)\s*\Z")


@dataclass(frozen=True)
class Pin:
    """Sources whose URL matches the pattern ``match`` are at ``url``, with ``ref`` (a commit or a SHA-256)."""

    match: str
    url: str
    ref: str


@dataclass(frozen=True)
class Published:
    """The branch's head after publication.

    ``changed`` names the files that the branch did not have as they are now; ``foreign`` is a reason not to touch
    the branch, because somebody else committed to it.
    """

    commit: str | None
    changed: Mapping[str, tuple[str, str]]
    foreign: str | None = None


def write_pins(text: str, pins: Sequence[Pin]) -> str:
    """The text of an element with every source that a pin matches at the pin's URL and ref.

    Only the values of ``url`` and ``ref`` change, nothing else of the text: comments, order and quotes of other
    lines stay. ``ref`` must follow its ``url`` in the same mapping.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = URL.match(line)
        pin = match and next((pin for pin in pins if fnmatchcase(match["url"], pin.match)), None)
        if match is None or pin is None:
            continue
        lines[number] = f"{match['indent']}url: {pin.url}"
        where = _ref_line(lines, number, column=len(match["indent"]))
        if where is None:
            raise SlipwayError(
                "pin the source", match["url"], "no ref follows its url", do_next="Write a line `ref: ''` below it."
            )
        lines[where] = f"{' ' * len(match['indent'])}ref: {_scalar(pin.ref)}"
    return "\n".join(lines)


def pinned_tree(directory: Path, pins: Sequence[Pin]) -> dict[bytes, snapshot.Entry]:
    """The files of the definitions in ``directory``, its elements pinned."""
    if not (directory / "project.conf").is_file():
        raise SlipwayError(
            "publish the definitions in", str(directory), "there is no project.conf", do_next="Correct the path."
        )
    return pinned(snapshot.read_tree(directory), pins)


def pinned(tree: snapshot.Tree, pins: Sequence[Pin]) -> dict[bytes, snapshot.Entry]:
    """The files of definitions, their elements pinned."""
    return {path: _pinned(path, entry, pins) for path, entry in tree.items()}


def publish(
    tree: snapshot.Tree, repository: Path, *, branch: str, message: str, person: Person, write: bool = True
) -> Published:
    """Have ``tree`` at the head of ``branch`` of the bare ``repository``, as long as nobody else committed there.

    The branch is ours while every commit of it is by ``person``'s name and address.
    """
    ref = f"refs/heads/{branch}"
    head = snapshot.resolve(repository).get(ref)
    if head is not None and _tree_of(repository, head) == snapshot.tree_id(tree):
        return Published(head, {})
    foreign = None if head is None else _foreign(repository, head, person=person)
    if foreign is not None:
        return Published(head, {}, foreign)
    before = {} if head is None else _texts(repository, head)
    after = {_name(path): entry.content.decode("utf-8", "replace") for path, entry in tree.items()}
    names = sorted({*before, *after})
    changed = {
        name: (before.get(name, ""), after.get(name, "")) for name in names if before.get(name) != after.get(name)
    }
    if not write:
        return Published(head, changed)
    new = snapshot.commit(repository, tree, refs=[ref], message=message, person=person, parent=head)
    return Published(new, changed)


def _pinned(path: bytes, entry: snapshot.Entry, pins: Sequence[Pin]) -> snapshot.Entry:
    if not path.endswith(b".bst") or entry.mode == snapshot.LINK:
        return entry
    return snapshot.Entry(entry.mode, write_pins(entry.content.decode(), pins).encode())


def _ref_line(lines: Sequence[str], start: int, *, column: int) -> int | None:
    for number in range(start + 1, len(lines)):
        line = lines[number]
        indent = len(line) - len(line.lstrip())
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = REF.match(line)
        if match is not None and match["indent"] == " " * column:
            return number
        if indent < column:
            return None
    return None


def _scalar(ref: str) -> str:
    # Digits alone would be read as a number, digits around one e as another.
    return f"'{ref}'" if re.fullmatch(r"[0-9]+(e[0-9]+)?", ref) else ref


def _tree_of(repository: Path, commit: str) -> str:
    return _ask(repository, "rev-parse", f"{commit}^{{tree}}").strip()


def _foreign(repository: Path, head: str, *, person: Person) -> str | None:
    answer = _ask(repository, "log", "--format=%h%x00%an <%ae>%x00%cn <%ce>", head)
    ours = f"{person.name} <{person.email}>"
    for line in answer.splitlines():
        commit, author, committer = line.split("\0")
        if (author, committer) != (ours, ours):
            return f"commit {commit} is by {author if author != ours else committer}"
    return None


def _texts(repository: Path, commit: str) -> dict[str, str]:
    names = [name for name in _ask(repository, "ls-tree", "-r", "-z", "--name-only", commit).split("\0") if name]
    return {name: _ask(repository, "cat-file", "blob", f"{commit}:{name}") for name in names}


def _name(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def _ask(repository: Path, *words: str) -> str:
    return git(*words, cwd=repository, attempt="read the definitions in", on=str(repository))
