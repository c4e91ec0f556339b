# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A view in the public directory: all of it is behind one link, which is renamed when any of it is another one.

updates -> .updates-1a2b3c4d/        .updates-1a2b3c4d/SHA256SUMS, SHA256SUMS.gpg
                                     .updates-1a2b3c4d/x-26.47.img -> ../x-26.47/x-26.47.img
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..files import link_atomic, make_directory, read_regular, remove_leftover, sync_directory, write_atomic
from ..publish.directory import lock_directory
from .subject import View

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
PART = re.compile(r"[A-Za-z0-9_+~][A-Za-z0-9._+~-]*\Z")
#: Seconds that a reader may take from one file of a view to the next.
ON_THE_WAY = 600.0
#: Bytes of a view's own file that are read back.
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Found:
    """What is there: the digests of a view's own files, and where its links lead, below the public directory."""

    files: dict[str, str]
    links: dict[str, str]


def read_view(public: Path, name: str) -> Found:
    """The view as readers find it now; nothing, if it is not there."""
    root, files, links = public / _check_name(name), {}, {}
    for top, directories, names in os.walk(root) if root.is_dir() else ():
        for each in sorted((*directories, *names)):
            path = Path(top, each)
            where = path.relative_to(root).as_posix()
            if path.is_symlink():
                links[where] = _read_link(path, where)
            elif each in names:
                files[where] = _hash(path)
    return Found(files, links)


def _read_link(path: Path, where: str) -> str:
    """What a link leads to below the public directory; as it stands, if it leads elsewhere."""
    up = "../" * (where.count("/") + 1)
    target = os.readlink(path)
    return target.removeprefix(up) if target.startswith(up) else f"/{target}"


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(read_regular(path)).hexdigest()
    except OSError:
        return ""  # no file of ours


def describe_view(view: View) -> Found:
    """What :func:`read_view` is to find."""
    return Found({path: hashlib.sha256(data).hexdigest() for path, data in view.files.items()}, dict(view.links))


def write_view(public: Path, name: str, view: View, *, check: bool = False) -> bool:
    """Have readers find this view, by one rename; whether anything was another one. ``check`` only looks.

    One without anything in it is taken away.
    """
    _check_view(name, view)
    if read_view(public, name) == describe_view(view):
        return False
    if not check:
        with (
            name_refusals("write the view", str(public / name)),
            lock_directory(public, attempt="write the view", on=name, check=False),
        ):
            _write(public, name, view)
    return True


def _write(public: Path, name: str, view: View) -> None:
    link = public / name
    if link.exists() and not link.is_symlink():
        raise SlipwayError("replace", str(link), "it is not a link", do_next="Move it away and run again.")
    _remove_generations(public, name)
    if not view.files and not view.links:
        link.unlink(missing_ok=True)
        return sync_directory(public)
    generation = public / f".{name}-{secrets.token_hex(4)}"
    make_directory(generation)
    for path, data in view.files.items():
        make_directory((generation / path).parent)
        write_atomic(generation / path, data)
    for path, target in view.links.items():
        make_directory((generation / path).parent)
        (generation / path).symlink_to("../" * (path.count("/") + 1) + target)
    for top, _directories, _names in os.walk(generation):
        sync_directory(top)
    before = os.readlink(link) if link.is_symlink() else ""
    link_atomic(link, generation.name)
    if before:
        with contextlib.suppress(FileNotFoundError):
            os.utime(public / before)  # it is left now, by readers too within a while
    return None


def _remove_generations(public: Path, name: str) -> None:
    """Remove those that no reader can be in: of killed runs, and those that were left a while ago."""
    link = public / name
    kept = os.readlink(link).rstrip("/") if link.is_symlink() else ""
    for path in public.glob(f".{name}-*"):
        old = time.time() - path.lstat().st_mtime > ON_THE_WAY
        ours = re.fullmatch(rf"\.{name}-[0-9a-f]{{8}}", path.name) and path.is_dir() and not path.is_symlink()
        if ours and old and path.name != kept:
            remove_leftover(path)


def _check_name(name: str) -> str:
    if not NAME.match(name):
        raise SlipwayError("look at the view", repr(name), "it is no name of a view", do_next="Correct it.")
    return name


def _check_view(name: str, view: View) -> None:
    """Refuse what would leave the view's directory, or the public one."""
    _check_name(name)
    paths = [*view.files, *view.links, *view.links.values()]
    faults = [f"{path!r} is no path" for path in paths if not all(map(PART.match, path.split("/")))]
    faults += [f"{path} is a file and a link" for path in view.files.keys() & view.links.keys()]
    refuse("write the view", name, faults, summary="not all of it can be written", do_next="Correct it.")
