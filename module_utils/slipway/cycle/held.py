# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The list of held changes that definitions keep in a file of their own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import refuse
from ..policy.held import Held, read_held
from ..release.names import version_key
from ..yamltext import Node, NotPlainError, read

EMPTY = "[]\n"


def read_held_file(data: bytes | None, *, where: str) -> list[Held]:
    """The changes in such a file; one that is not there, or is empty, has none."""
    found, faults = _read(data, where=where)
    refuse("read the held changes in", where, faults, several="faults", do_next="Correct the file, and run again.")
    return found


def _read(data: bytes | None, *, where: str) -> tuple[list[Held], list[str]]:
    if data is None or not data.strip():
        return [], []
    try:
        node = read(data)[0]
    except NotPlainError as error:
        return [], [f"{where}: {error}"]
    return read_held(_to_plain(node), where)


def _to_plain(node: Node) -> Any:
    if node.items is not None:
        return [_to_plain(each) for each in node.items]
    if node.mapping is not None:
        return {key: _to_plain(each) for key, each in node.mapping.items()}
    return node.text


def merge_lists(*lists: list[Held]) -> list[Held]:
    """Several lists as one, in the order of the versions that are waited for; the first that names a branch counts."""
    every: dict[str, Held] = {}
    for each in (held for part in lists for held in part):
        every.setdefault(each.branch, each)
    return sorted(every.values(), key=lambda held: version_key(held.until))


def remove_held(data: bytes, branches: Collection[str], *, where: str) -> bytes | None:
    """The file without the entries for these branches, all else as it is; ``None`` if that cannot be done safely."""
    before, faults = _read(data, where=where)
    if faults or not {each.branch for each in before} & {*branches}:
        return None if faults else data
    left = [each for each in before if each.branch not in branches]
    lines = data.decode().splitlines(keepends=True)
    items = read(data)[0].items or []
    ends = [item.line - 1 for item in items[1:]] + [len(lines)]
    for item, held, end in reversed(list(zip(items, before, ends, strict=True))):
        if held.branch in branches:
            lines[item.line - 1 : end] = []
    text = "".join(lines)
    if not left:
        text += EMPTY
    edited = text.encode()
    return edited if _read(edited, where=where) == (left, []) else None
