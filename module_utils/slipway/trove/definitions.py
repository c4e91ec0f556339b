# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pins in BuildStream elements, and definitions that are published with them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import SlipwayError
from ..git.remote import Person, run_git
from ..git.tree import LINK, Entry, Tree, commit_tree, hash_tree, read_refs, read_tree
from ..yamltext import Node, NotPlainError, Span, read_mapping, replace_scalars


@dataclass(frozen=True)
class Pin:
    """Sources whose URL matches the pattern ``match`` are at ``url``, with ``ref`` (a commit or a SHA-256)."""

    match: str
    url: str
    ref: str


@dataclass(frozen=True)
class PublishedBranch:
    """The branch's head after publication.

    ``changed`` names the files that the branch did not have as they are now; ``foreign`` is a reason not to touch
    the branch, because somebody else committed to it.
    """

    commit: str | None
    changed: Mapping[str, tuple[str, str]]
    foreign: str | None = None


def pin_element(data: bytes, pins: Sequence[Pin], *, file: str) -> bytes:
    """An element, or a file that one includes, with every source that a pin matches at the pin's URL and ref.

    A source is any mapping with a ``url``, also in a conditional. Only the values of ``url`` and ``ref`` change,
    nothing else of the text. A source that would not be at its pin then is refused.
    """
    written: dict[Span, str] = {}
    faults: list[str] = []
    for source in _walk_mappings(read_mapping(data, file=file)):
        url = source["url"].text if "url" in source else None
        pin = next((pin for pin in pins if url is not None and fnmatchcase(url, pin.match)), None)
        if pin is None:
            continue
        fault = _find_pin_fault(source)
        if fault is not None:
            faults.append(f"line {source['url'].line}: {url}: {fault}")
            continue
        written |= {source["url"].span: pin.url, source["ref"].span: pin.ref}
    try:
        text = replace_scalars(data.decode(), written) if written and not faults else ""
    except NotPlainError as error:
        faults.append(str(error))
    if faults:
        raise SlipwayError(
            "pin the sources of",
            file,
            "; ".join(faults),
            do_next="Write url and ref of each side by side, on lines of their own.",
        )
    return text.encode() if written else data


def read_pinned_tree(directory: Path, pins: Sequence[Pin]) -> dict[bytes, Entry]:
    """The files of the definitions in ``directory``, its elements pinned."""
    if not (directory / "project.conf").is_file():
        raise SlipwayError(
            "publish the definitions in", str(directory), "there is no project.conf", do_next="Correct the path."
        )
    return pin_tree(read_tree(directory), pins)


def pin_tree(tree: Tree, pins: Sequence[Pin]) -> dict[bytes, Entry]:
    """The files of definitions, their elements pinned, and the files that these include."""
    done = dict(tree)
    if not pins:
        return done
    conf = tree.get(b"project.conf")
    storage = {} if conf is None else read_mapping(conf.content, file="project.conf")
    if "ref-storage" in storage and storage["ref-storage"].text != "inline":
        raise SlipwayError(
            "pin the sources in",
            "the definitions",
            "BuildStream reads no ref from their elements",
            do_next="Set ref-storage to inline in project.conf.",
        )
    ahead = [(path, "") for path, entry in tree.items() if path.endswith(b".bst") and entry.mode != LINK]
    seen = {path for path, _unused in ahead}
    while ahead:
        path, includer = ahead.pop()
        entry = tree.get(path)
        if entry is None or entry.mode == LINK:
            raise SlipwayError(
                "pin the sources of",
                includer,
                f"it includes {_decode_path(path)}, which is not a file of the definitions",
                do_next="Correct the path.",
            )
        done[path] = Entry(entry.mode, pin_element(entry.content, pins, file=_decode_path(path)))
        included = set(_find_includes(entry.content, file=_decode_path(path))) - seen
        seen |= included
        ahead += [(each, _decode_path(path)) for each in included]
    return done


def publish_definitions(
    tree: Tree, repository: Path, *, branch: str, message: str, person: Person, write: bool = True
) -> PublishedBranch:
    """Publish ``tree`` at the head of ``branch`` of the bare ``repository``, unless somebody else committed there.

    The branch is ours while every commit of it is by ``person``'s name and address.
    """
    ref = f"refs/heads/{branch}"
    head = read_refs(repository).get(ref)
    if head is not None and _run_git(repository, "rev-parse", f"{head}^{{tree}}").strip() == hash_tree(tree):
        return PublishedBranch(head, {})
    foreign = None if head is None else _find_foreign_commit(repository, head, person=person)
    if foreign is not None:
        return PublishedBranch(head, {}, foreign)
    before = {} if head is None else _read_texts(repository, head)
    after = {_decode_path(path): entry.content.decode("utf-8", "replace") for path, entry in tree.items()}
    names = sorted({*before, *after})
    changed = {
        name: (before.get(name, ""), after.get(name, "")) for name in names if before.get(name) != after.get(name)
    }
    if not write:
        return PublishedBranch(head, changed)
    new = commit_tree(repository, tree, refs=[ref], message=message, person=person, parent=head)
    return PublishedBranch(new, changed)


def _find_pin_fault(source: Mapping[str, Node]) -> str | None:
    """Why a source that a pin matches cannot be pinned."""
    ref = source.get("ref")
    if ref is None:
        return "no ref stands beside its url"
    if ref.compound:
        return f"its ref is {ref.kind}"
    choices = {} if "(?)" not in source else {"(?)": source["(?)"]}
    if any("ref" in choice and "url" not in choice for choice in _walk_mappings(choices)):
        return "a conditional gives it another ref, without a url"
    return None


def _walk_mappings(value: Node | Mapping[str, Node]) -> Iterator[Mapping[str, Node]]:
    """A mapping and all below it."""
    mapping = value.mapping if isinstance(value, Node) else value
    if mapping is not None:
        yield mapping
    for below in (value.items or []) if isinstance(value, Node) and mapping is None else (mapping or {}).values():
        yield from _walk_mappings(below)


def _find_includes(data: bytes, *, file: str) -> Iterator[bytes]:
    """The files of the same project that a file includes."""
    for mapping in _walk_mappings(read_mapping(data, file=file)):
        stated = mapping.get("(@)")
        for each in [] if stated is None else stated.items or [stated]:
            if each.text is not None and ":" not in each.text:
                yield posixpath.normpath(each.text).encode()


def _find_foreign_commit(repository: Path, head: str, *, person: Person) -> str | None:
    fields = _run_git(repository, "log", "-z", "--format=tformat:%h%x00%an <%ae>%x00%cn <%ce>", head).split("\0")
    ours = f"{person.name} <{person.email}>"
    for commit, author, committer in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if (author, committer) != (ours, ours):
            return f"commit {commit} is by {author if author != ours else committer}"
    return None


def _read_texts(repository: Path, commit: str) -> dict[str, str]:
    names = [name for name in _run_git(repository, "ls-tree", "-r", "-z", "--name-only", commit).split("\0") if name]
    return {name: _run_git(repository, "cat-file", "blob", f"{commit}:{name}") for name in names}


def _decode_path(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def _run_git(repository: Path, *words: str) -> str:
    return run_git(*words, repository=repository, attempt="read the definitions in", on=str(repository)).stdout
