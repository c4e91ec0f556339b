# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trees of files as git commits whose names depend on nothing but what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_directory, make_scratch
from .remote import Person, run_git

FILE = "100644"
PROGRAM = "100755"
LINK = "120000"
#: What editors and tools leave beside the files that somebody wrote.
LEFTOVER = re.compile(r"(\.git|\.bst|__pycache__|.*~|\..*\.sw[op])\Z")


@dataclass(frozen=True)
class Entry:
    """A file of a tree: git's mode, and its content or, for a link, its target."""

    mode: str
    content: bytes


#: Path below the top (bytes, separated by slashes) -> file.
Tree = Mapping[bytes, Entry]


def read_tree(directory: Path) -> dict[bytes, Entry]:
    """The files below ``directory``, without what editors and tools leave there."""
    found: dict[bytes, Entry] = {}
    for parent, directories, files in os.walk(directory):
        kept = [name for name in directories if not LEFTOVER.match(name)]
        links = [name for name in kept if (Path(parent) / name).is_symlink()]
        directories[:] = [name for name in kept if name not in links]
        for name in [*links, *(name for name in files if not LEFTOVER.match(name))]:
            path = Path(parent) / name
            found[os.fsencode(path.relative_to(directory))] = _read_entry(path)
    return found


def hash_tree(tree: Tree) -> str:
    """The name that git gives to a tree."""
    children: dict[bytes, dict[bytes, Entry]] = {}
    lines: list[tuple[bytes, bytes]] = []
    for path, entry in tree.items():
        top, slash, rest = path.partition(b"/")
        if slash:
            children.setdefault(top, {})[rest] = entry
        else:
            lines.append((top, b"%s %s\0%s" % (entry.mode.encode(), top, _hash_object("blob", entry.content))))
    for top, below in children.items():
        # git sorts a directory as if its name ended with a slash.
        lines.append((top + b"/", b"40000 %s\0%s" % (top, bytes.fromhex(hash_tree(below)))))
    return _hash_object("tree", b"".join(line for _unused, line in sorted(lines))).hex()


def commit_tree(
    repository: Path,
    tree: Tree,
    *,
    refs: Sequence[str],
    message: str,
    person: Person,
    parent: str | None = None,
) -> str:
    """Commit ``tree`` to the bare ``repository`` (made if absent), make each of ``refs`` name it, and return it.

    Without a ``parent`` it is the first of a history of its own.
    """
    first, *others = refs
    stream = b"".join(_format_import(tree, first, message=message, person=person, parent=parent))
    stream += b"".join(b"reset %s\nfrom :1\n\n" % ref.encode() for ref in others)
    if (repository / "HEAD").exists():
        _import_stream(repository, stream)
    else:
        _create_repository(repository, stream, branch=first.removeprefix("refs/heads/"))
    return read_refs(repository)[first]


def read_refs(repository: Path) -> dict[str, str]:
    """The refs of a local repository and the commits that they name; of an absent one, none."""
    if not (repository / "HEAD").exists():
        return {}
    answer = _run_git("for-each-ref", "--format=%(refname) %(objectname)", on=repository)
    return dict(line.split(" ", 1) for line in answer.splitlines())


def _format_import(tree: Tree, ref: str, *, message: str, person: Person, parent: str | None) -> Iterator[bytes]:
    who = f"{person.name} <{person.email}> {person.date} +0000".encode()
    yield b"commit %s\nmark :1\nauthor %s\ncommitter %s\n%s" % (ref.encode(), who, who, _format_data(message.encode()))
    if parent is not None:
        yield b"from %s\n" % parent.encode()
    yield b"deleteall\n"
    for path, entry in sorted(tree.items()):
        yield b"M %s inline %s\n%s" % (entry.mode.encode(), _quote_path(path), _format_data(entry.content))
    yield b"\n"


def _create_repository(repository: Path, stream: bytes, *, branch: str) -> None:
    """Create the repository beside its place and move it there when it is complete."""
    make_directory(repository.parent)
    with make_scratch(f".making-{repository.name}-", directory=repository.parent) as scratch:
        new = scratch / "new"
        _run_git("init", "--quiet", "--bare", f"--initial-branch={branch}", on=new)
        _import_stream(new, stream)
        if repository.is_dir() and not any(repository.iterdir()):
            repository.rmdir()
        shutil.move(new, repository)


def _import_stream(repository: Path, stream: bytes) -> None:
    words = ("fast-import", "--quiet", "--force", "--date-format=raw")
    _run_git(*words, on=repository, stdin=stream)


def _run_git(*words: str, on: Path, stdin: bytes | None = None) -> str:
    return run_git(
        *words,
        attempt="keep the repository",
        on=str(on),
        repository=on,
        stdin=stdin,
        do_next="Check whether it is a git repository that you may write to, and run again.",
    ).stdout


def _read_entry(path: Path) -> Entry:
    if path.is_symlink():
        return Entry(LINK, os.fsencode(path.readlink()))
    if not path.is_file():
        raise SlipwayError(
            "take the file", str(path), "it is neither a file nor a link", do_next="Move it away and run again."
        )
    return Entry(PROGRAM if path.stat().st_mode & 0o100 else FILE, path.read_bytes())


def _hash_object(kind: str, content: bytes) -> bytes:
    header = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).digest()


def _format_data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quote_path(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%s"' % escaped
