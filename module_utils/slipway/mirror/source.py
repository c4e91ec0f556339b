# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server that is mirrored: what it has now is kept under its digests until it was sent.

work/objects/<digest>   the contents, as hard links, and the list of them: what is replaced stays here as it was
work/digests.json       what need not be read again
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, name_refusals
from ..files import hash_file, make_directory, sync_directory, write_atomic
from ..progress import Progress
from ..publish.directory import lock_directory
from ..publish.upload import SshHost, upload_files
from ..release.artifact import Artifact
from .tree import MOST_BYTES, Tree, name_tree, parse_tree, read_tree

OBJECTS = "objects"
DIGESTS = "digests.json"


@dataclass(frozen=True)
class Kept:
    """What is kept to be sent: the name of its list, and whether it is another one than before."""

    name: str
    tree: Tree
    changed: bool


def keep_tree(directory: Path, work: Path, *, progress: Progress | None = None, check: bool = False) -> Kept:
    """Keep what ``directory`` has now in ``work``, which is on the same file system. ``check`` only reads."""
    reporter = progress or Progress(None)

    def on_hash(path: str, _size: int) -> None:
        reporter.report(f"{path} is read")

    digests = work / DIGESTS
    with lock_directory(directory, attempt="read what is to be mirrored of", check=check):
        if check:
            tree = read_tree(directory)
            return Kept(name_tree(tree.format()), tree, changed=True)
        make_directory(work, mode=0o700)
        tree = read_tree(directory, digests=digests, on_hash=on_hash)
        text = tree.format()
        name = name_tree(text)
        if len(text) > MOST_BYTES:
            raise SlipwayError("mirror", str(directory), "it has too many files", do_next="Mirror parts of it.")
        with name_refusals("keep what is to be mirrored in", str(work)):
            changed = _keep(directory, work / OBJECTS, tree, name)
            if not (work / OBJECTS / name).is_file():
                write_atomic(work / OBJECTS / name, text)
    return Kept(name, tree, changed)


def _keep(directory: Path, objects: Path, tree: Tree, name: str) -> bool:
    """Link what is wanted, and remove what is not any more."""
    make_directory(objects, mode=0o700)
    wanted = {each.sha256: each for each in tree.files}
    there = set(os.listdir(objects))
    for each in there - wanted.keys() - {name}:
        (objects / each).unlink()
    for digest in wanted.keys() - there:
        _link(directory / wanted[digest].path, objects / digest)
    sync_directory(objects)
    return name not in there


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        raise SlipwayError(
            "keep what is to be mirrored in",
            str(target.parent),
            f"{source} cannot be there under another name: {error.strerror}",
            do_next="Put it on the same file system as the public directory.",
        ) from error


def send_objects(
    work: Path,
    name: str,
    wanted: Collection[str],
    *,
    directory: Path,
    host: SshHost | None,
    timeout: float,
    limit: str = "",
    progress: Progress | None = None,
    check: bool = False,
) -> list[str]:
    """Send contents that are kept to ``directory`` of a mirror, or of this machine; those that were sent.

    ``name`` is that of the list, which can be sent too.
    """
    objects = work / OBJECTS
    if check:
        return sorted(wanted)
    text = _read_kept(objects, name)
    sizes = {**parse_tree(text, on=name).sizes, name: len(text)}
    unknown = sorted(set(wanted) - sizes.keys())
    if unknown:
        raise SlipwayError(
            "send to a mirror", str(directory), f"{unknown[0]} is not kept here", do_next="Push to the mirror again."
        )
    _forget_changed(work, objects, wanted)
    files: Sequence[Artifact] = [Artifact(digest, sizes[digest], digest) for digest in sorted(wanted)]
    return upload_files(objects, files, directory=directory, host=host, timeout=timeout, limit=limit, progress=progress)


def _read_kept(objects: Path, name: str) -> bytes:
    with contextlib.suppress(OSError):
        text = (objects / name).read_bytes()
        if name_tree(text) == name:
            return text
    raise SlipwayError("send to a mirror", name, "its list is not kept here any more", do_next="Push again.")


def _forget_changed(work: Path, objects: Path, wanted: Collection[str]) -> None:
    """Public bytes never change; if some did all the same, nothing that is remembered of them counts."""
    changed = [digest for digest in wanted if hash_file(objects / digest) != digest]
    if changed:
        for digest in changed:
            (objects / digest).unlink()
        (work / DIGESTS).unlink(missing_ok=True)
        raise SlipwayError(
            "send to a mirror",
            changed[0],
            "the file of that digest was written to, which public ones never are",
            do_next="Verify the public directory (playbooks/verify.yml), and push again.",
        )
