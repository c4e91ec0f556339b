# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A mirror's copy: contents come first, and one rename has readers find all that is new.

incoming/objects/<digest>    what an account that can do nothing else sends
objects/1a/<digest>          what was hashed here, where nobody else writes
generations/<list>-1a2b3c4d/ a whole directory, of hard links to these
public -> generations/...    what readers find
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError, name_refusals
from ..files import (
    copy_hashed,
    hash_file,
    link_atomic,
    make_directory,
    open_below,
    remove_leftover,
    replace_file,
    sync_directory,
    write_atomic,
)
from ..progress import Progress
from ..publish.directory import lock_directory
from ..room import Place, require_room
from .trace import TRACES, Push, format_trace
from .tree import MOST_BYTES, SHA256, Tree, parse_tree

ARRIVED = "objects"
PUBLIC = "public"
GENERATIONS = "generations"
OBJECTS = "objects"
GENERATION = re.compile(r"(?P<name>[0-9a-f]{64})-[0-9a-f]{8}\Z")
#: Seconds from the rename until what was public before is removed, for readers that are just opening it.
GRACE = 1.0
ATTEMPT = "mirror to"


@dataclass(frozen=True)
class Store:
    """A mirror's directory, and the one that is sent to."""

    directory: Path
    incoming: Path

    @property
    def public(self) -> Path:
        """What readers find."""
        return self.directory / PUBLIC

    @property
    def arrived(self) -> Path:
        """Where contents arrive."""
        return self.incoming / ARRIVED

    def find_object(self, digest: str) -> Path:
        """Where a content is kept."""
        return self.directory / OBJECTS / digest[:2] / digest

    def find_current(self) -> str | None:
        """The list of what is public now."""
        try:
            found = GENERATION.match(os.path.basename(os.readlink(self.public)))
        except OSError:
            return None
        return found["name"] if found and self.public.is_dir() else None


@dataclass
class Publication:
    """What came of it: whether all is public, what has not arrived yet, and whether anything was changed."""

    published: bool = False
    missing: list[str] = field(default_factory=list)
    changed: bool = False


def publish_tree(
    store: Store, name: str, push: Push, *, progress: Progress | None = None, check: bool = False
) -> Publication:
    """Have readers find what the list of that name says, if all of it has arrived; else say what has not.

    What has arrived is hashed and kept, so that it need not be sent again. ``check`` only looks.
    """
    if not SHA256.match(name):
        raise SlipwayError(ATTEMPT, str(store.directory), f"{name!r} is no digest", do_next="Correct it.")
    reporter = progress or Progress(None)
    with name_refusals(ATTEMPT, str(store.directory)):
        if check:
            return _look(store, name, push)
        make_directory(store.directory)
        with lock_directory(store.directory, attempt=ATTEMPT):
            return _publish(store, name, push, reporter)


def _look(store: Store, name: str, push: Push) -> Publication:
    tree = _read_kept_tree(store, name)
    missing = [name] if tree is None else _find_missing(store, tree)
    current = tree is not None and not missing and _is_current(store, tree, name, push)
    return Publication(published=current, missing=[] if current else missing, changed=not current)


def _publish(store: Store, name: str, push: Push, progress: Progress) -> Publication:
    _take([(name, MOST_BYTES, None)], store, progress)
    tree = _read_kept_tree(store, name)
    if tree is None:
        return Publication(missing=[name])
    lacking = _find_missing(store, tree)
    sizes, dates = tree.sizes, tree.dates
    with require_room(
        {digest: sizes[digest] for digest in lacking if (store.arrived / digest).exists()},
        Place(str(store.directory)),
        attempt=ATTEMPT,
        on=str(store.directory),
    ):
        taken = _take([(digest, sizes[digest], dates[digest]) for digest in lacking], store, progress)
    missing = [digest for digest in lacking if digest not in taken]
    if missing:
        return Publication(missing=missing, changed=bool(taken))
    if not taken and _is_current(store, tree, name, push):
        _clean(store, tree, name)
        return Publication(published=True)
    _switch(store, tree, name, push)
    time.sleep(GRACE)
    _clean(store, tree, name)
    return Publication(published=True, changed=True)


def _is_current(store: Store, tree: Tree, name: str, push: Push) -> bool:
    """Whether readers find what the list says and nothing else: what somebody put into its place is another file."""
    if store.find_current() != name:
        return False
    top = store.public.resolve()
    trace = f"{TRACES}/{push.mirror}"
    files = {file.path: file.sha256 for file in tree.files if file.path != trace}
    links = {link.path: link.target for link in tree.links}
    try:
        return (
            set(_list_names(top)) == {*files, *links, trace}
            and all(os.readlink(top / path) == target for path, target in links.items())
            and all(
                os.path.samestat(os.lstat(top / path), os.lstat(store.find_object(digest)))
                for path, digest in files.items()
            )
        )
    except OSError:
        return False


def _list_names(top: Path) -> Iterator[str]:
    """All that is below ``top`` and is no directory."""
    for directory, directories, files in os.walk(top):
        links = [each for each in directories if os.path.islink(os.path.join(directory, each))]
        yield from (os.path.relpath(os.path.join(directory, each), top) for each in [*files, *links])


def _read_kept_tree(store: Store, name: str) -> Tree | None:
    path = store.find_object(name)
    if not _is_kept(path, None, None) or hash_file(path) != name:
        return None
    return parse_tree(path.read_bytes(), on=name)


def _find_missing(store: Store, tree: Tree) -> list[str]:
    """Contents that are not kept, or are not what they were when they came."""
    sizes, dates = tree.sizes, tree.dates

    def look(digest: str) -> str | None:
        path = store.find_object(digest)
        if _is_kept(path, sizes[digest], dates[digest]):
            return None
        # The date may have changed and nothing else: then it is right once more when it was read.
        if _is_kept(path, sizes[digest], None) and hash_file(path) == digest:
            with contextlib.suppress(PermissionError):
                os.utime(path, (dates[digest], dates[digest]))
            return None
        return digest

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return sorted(digest for digest in pool.map(look, sizes) if digest is not None)


def _is_kept(path: Path, size: int | None, modified: int | None) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISREG(found.st_mode)
        and (size is None or found.st_size == size)
        and (modified is None or int(found.st_mtime) == modified)
    )


def _take(wanted: Iterable[tuple[str, int, int | None]], store: Store, progress: Progress) -> set[str]:
    """Copy what has arrived, hash it and keep it; whoever sent it may have it open still. What is wrong is removed."""

    def take(asked: tuple[str, int, int | None]) -> str | None:
        digest, size, modified = asked
        source, target = store.arrived / digest, store.find_object(digest)
        if not os.path.lexists(source):
            return None
        make_directory(target.parent)
        with contextlib.suppress(OSError, _WrongError):
            _copy(store.arrived, digest, target, size)
            if modified is not None:
                os.utime(target, (modified, modified))
            progress.report(f"{digest} is here")
            _remove(source)
            return digest
        _remove(source)  # it is sent again
        return None

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return {digest for digest in pool.map(take, wanted) if digest is not None}


class _WrongError(Exception):
    """What has arrived is not what it is called."""


def _copy(arrived: Path, digest: str, target: Path, size: int) -> None:
    with open(open_below(arrived, digest), "rb", buffering=0) as reader:
        if os.fstat(reader.fileno()).st_size > size:
            raise _WrongError
        with replace_file(target) as writer:
            if copy_hashed(reader, writer)[1] != digest:
                raise _WrongError


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _switch(store: Store, tree: Tree, name: str, push: Push) -> None:
    """Make the whole directory, and then rename the link to it. It is the end of what readers found before."""
    generation = store.directory / GENERATIONS / f"{name}-{secrets.token_hex(4)}"
    make_directory(generation)
    trace = f"{TRACES}/{push.mirror}"
    with _named_directories(generation) as inside:
        for file in tree.files:
            if file.path != trace:
                os.link(store.find_object(file.sha256), inside(file.path))
        for link in tree.links:
            os.symlink(link.target, inside(link.path))
        # Last: where it is, all of the rest is.
        write_atomic(inside(trace), format_trace(push, generation, tree, name))
    if store.public.is_dir() and not store.public.is_symlink():
        raise SlipwayError(ATTEMPT, str(store.public), "it is a directory", do_next="Move it away and run again.")
    link_atomic(store.public, f"{GENERATIONS}/{generation.name}")


@contextlib.contextmanager
def _named_directories(generation: Path) -> Iterator[Callable[[str], Path]]:
    """Make the directories of what is put below ``generation``, and sync them at the end."""
    made = {generation}

    def inside(path: str) -> Path:
        place = generation / path
        if place.parent not in made:
            make_directory(place.parent)
            made.update(each for each in place.parents if each.is_relative_to(generation))
        return place

    yield inside
    for directory in made:
        sync_directory(directory)


def _clean(store: Store, tree: Tree, name: str) -> None:
    """Remove what nobody reads: other directories, contents that are in none, and what arrived and is not asked for."""
    current = os.path.basename(os.readlink(store.public))
    for other in (store.directory / GENERATIONS).iterdir():
        if other.name != current:
            remove_leftover(other)
    kept = {*tree.sizes, name}
    for path in (store.directory / OBJECTS).glob("*/*"):
        if path.name not in kept:
            remove_leftover(path, remove=Path.unlink) if path.name.startswith(".") else path.unlink()
    for path in _list_arrived(store):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _list_arrived(store: Store) -> list[Path]:
    try:
        return [path for path in store.arrived.iterdir() if SHA256.match(path.name) and not path.is_dir()]
    except OSError:
        return []
