# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One stack's version in a distro file, and not a byte besides.

Comments, order, indentation, quotes and line ends are a person's, so only the characters of the version are replaced,
or put in where there is none. What comes out is read again: it must differ in this one value, else the edit is refused.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..deb.version import compare_versions, find_version_fault
from ..errors import SlipwayError
from ..yamltext import BYTE_ORDER_MARK, Node, NotPlainError, is_plain_text, read, to_plain
from .file import load_distro

#: What stands between a mapping's key and its first one, on lines of their own: nothing, or a comment.
_BETWEEN = re.compile(r"[ \t]*(#[^\r\n]*)?")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass
class VersionChange:
    """A stack's new version, for a distro file that others may change meanwhile.

    ``before`` is the version that the file had when it was read first.
    """

    path: str
    stack: str
    version: str
    allow_downgrade: bool = False
    before: str | None = None
    _is_read: bool = field(default=False, init=False)

    def apply(self, text: str) -> str:
        """The text with the version.

        A lower version than the present one is refused, and so is another present one than when it was read first.
        """
        present = load_distro(self.path, text=text, needs_sources=False).stacks
        now = present[self.stack].version if self.stack in present else None
        if self._is_read and now not in (self.before, self.version):
            raise self._refuse(
                f"somebody set it from {self.before} to {now} meanwhile", "Find out which is right and run again."
            )
        if not self._is_read:
            self.before, self._is_read = now, True
        edited = set_version(text, self.stack, self.version)
        if now is not None and not self.allow_downgrade and compare_versions(self.version, now) < 0:
            do_next = "Release a higher version, or allow the downgrade."
            raise self._refuse(f"{self.version} is lower than {now}, which it has now", do_next)
        load_distro(self.path, text=edited)
        return edited

    def _refuse(self, found: str, do_next: str) -> SlipwayError:
        return SlipwayError("set the version of", f"{self.stack} in {self.path}", found, do_next=do_next)


def set_version(text: str, stack: str, version: str) -> str:
    """The distro file with this version of a stack, and all else as it is; what cannot be edited is refused."""
    fault = find_version_fault(version)
    if fault is not None:
        raise _refuse(stack, f"the version {version!r} {fault}", "Give a version that Debian's packages can have.")
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    body = text.removeprefix(BYTE_ORDER_MARK)
    root = _read_whole(body, stack)
    entry = _find_entry(root, stack)
    old = None if entry.mapping is None else entry.mapping.get("version")
    if old is not None and old.text == version:
        return text
    target = entry if old is None else old
    if _is_shared(root, target, body):
        found = f"what line {target.line} says is shared through an anchor, an alias or a merge key"
        raise _refuse(stack, found, "Write the stack's own values out in its place and run again.")
    wanted = _expect(root, stack, version)
    for edited in _list_edits(body, entry, version):
        with contextlib.suppress(NotPlainError):
            new, twice = read(edited.encode())
            if not twice and to_plain(new) == wanted:
                return mark + edited
    found = f"line {target.line} is written in a way in which it cannot be changed alone"
    raise _refuse(stack, found, f"Write '{stack}: {{version: {version}}}' by hand.")


def _refuse(stack: str, found: str, do_next: str) -> SlipwayError:
    return SlipwayError("set the version of", f"{stack} in the distro file", found, do_next=do_next)


def _read_whole(body: str, stack: str) -> Node:
    try:
        root, twice = read(body.encode())
    except (NotPlainError, UnicodeEncodeError) as error:
        raise _refuse(stack, str(error), "Correct the distro file and run again.") from error
    if twice:
        raise _refuse(stack, twice[0], "Correct the distro file and run again.")
    return root


def _find_entry(root: Node, stack: str) -> Node:
    """What the distro file says of the stack."""
    stacks = (root.mapping or {}).get("stacks")
    if stack == "_rules" or stacks is None or stack not in (stacks.mapping or {}):
        do_next = "Add it by hand, with the rules that say where its source is: that is a person's decision."
        raise _refuse(stack, "there is no such stack", do_next)
    entry = (stacks.mapping or {})[stack]
    version = (entry.mapping or {}).get("version")
    found = None
    if entry.value is not None and entry.mapping is None:
        found = f"it is {entry.kind}, not a mapping"
    elif version is not None and version.compound:
        found = f"its version is {version.kind}, not text"
    if found is not None:
        raise _refuse(stack, found, "Correct the distro file and run again.")
    return entry


def _is_shared(root: Node, target: Node, body: str) -> bool:
    """Whether a value is there by an anchor, or is part of another value as well."""
    if body[target.span[0] : target.span[0] + 1] in ("&", "!"):
        return True
    places, ahead = 0, [root]
    while ahead:
        node = ahead.pop()
        places += node is target
        ahead += node.items or []
        ahead += (node.mapping or {}).values()
    return places != 1


def _expect(root: Node, stack: str, version: str) -> object:
    """What the whole file shall say."""
    plain = to_plain(root)
    if not isinstance(plain, dict):
        return None
    stacks = dict(plain["stacks"])
    stacks[stack] = {**(stacks[stack] or {}), "version": version}
    return {**plain, "stacks": stacks}


def _list_edits(body: str, entry: Node, version: str) -> Iterator[str]:
    """Ways to write the version, the plainest first; which of them are right is found out by reading them."""
    old = None if entry.mapping is None else entry.mapping.get("version")
    for scalar in _format_version(version, body[old.span[0] : old.span[1]] if old is not None else ""):
        if old is not None:
            yield from _put(body, old, scalar)
        elif entry.mapping is None:
            yield from _put(body, entry, f"{{version: {scalar}}}")
        elif body[entry.span[0]] == "{":
            yield _put_into_braces(body, entry, scalar)
        else:
            yield from _put_before_block(body, entry, scalar)


def _format_version(version: str, old: str) -> Iterator[str]:
    """The version in the quotes that it had; else plain, unless that would be a number or a time to other readers."""
    quotes = [old[:1]] if old[:1] in ("'", '"') else []
    if not quotes and is_plain_text(version):
        yield version
    yield from (f"{quote}{version}{quote}" for quote in [*quotes, "'"])


def _put(body: str, old: Node, written: str) -> Iterator[str]:
    """Replace a value; where nothing was written, behind its key."""
    start, end = old.span
    if start < end:
        yield body[:start] + written + body[end:]
        return
    key = body[:start].rstrip(" \t")
    yield from (key + gap + written + body[len(key) :] for gap in (" ", ": "))


def _put_into_braces(body: str, entry: Node, scalar: str) -> str:
    start = entry.span[0] + 1
    separator = "," if entry.mapping else ""
    if separator and body[start] == " ":
        start, separator = start + 1, ", "
    elif separator and not body[start].isspace():
        separator = ", "
    return f"{body[:start]}version: {scalar}{separator}{body[start:]}"


def _put_before_block(body: str, entry: Node, scalar: str) -> Iterator[str]:
    """Add a line before the first of a block, and before the comments above it, which are the first line's."""
    first = max(body.rfind("\n", 0, entry.span[0]), body.rfind("\r", 0, entry.span[0])) + 1
    indent = body[first : entry.span[0]]
    ends = [found.span() for found in _LINE_END.finditer(body, 0, first)]
    while len(ends) > 1 and _BETWEEN.fullmatch(body, ends[-2][1], ends[-1][0]):
        ends.pop()
    for start, end in ends[-1:]:
        yield f"{body[:end]}{indent}version: {scalar}{body[start:end]}{body[end:]}"
