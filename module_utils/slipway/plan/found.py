# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a directory is to be released: the regular files that patterns select, and nothing that leads elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import SlipwayError, count_of

KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
MAGIC = frozenset("*?[")
#: So many names are listed in a sentence, and so many faults of a directory.
NAMED, MOST = 5, 20


@dataclass(frozen=True)
class Wanted:
    """Files by a pattern for their path, with what is known of them; ``name`` is for one file alone."""

    path: str
    name: str = ""
    system: str = ""
    architecture: str = ""
    type: str = ""
    compression: str = ""


@dataclass(frozen=True)
class Found:
    """A selected file: its path below the directory, its size, and what selected it."""

    path: str
    size: int
    wanted: Wanted


@dataclass
class Selection:
    """The selected files in the order of their paths; what is wrong, and what was left out, in a few words each.

    ``absent`` are patterns that match nothing, ``faults`` whatever else is wrong.
    """

    files: list[Found] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def select_files(directory: Path, wanted: Sequence[Wanted], exclude: Sequence[str] = ()) -> Selection:
    """Select the files; the first pattern that matches one counts. A ``*`` stands for no slash and no leading point."""
    selection = Selection()
    patterns = [each.path for each in wanted]
    entries = dict(_list_entries(directory, depth=max(pattern.count("/") for pattern in [*patterns, ""])))
    taken: dict[str, Wanted] = {}
    links: dict[str, Wanted] = {}
    judged: set[str] = set()
    for each in wanted:
        matching = [path for path in entries if matches(path, each.path)]
        free = [path for path in matching if not any(matches(path, pattern) for pattern in exclude)]
        if not matching:
            selection.absent.append(f"{each.path!r} matches no file there{_tell_names(entries)}")
        elif not free:
            selection.absent.append(f"all that {each.path!r} matches is excluded")
        for path in free:
            if path not in judged:
                _sort_entry(selection, path, entries[path], each, taken=taken, links=links)
        judged.update(free)
    selection.left_out += [f"{path} (hidden)" for path in entries if _is_only_hidden(path, patterns, exclude)]
    for path, each in links.items():
        _judge_link(selection, directory, path, each, taken)
    _take(selection, directory, entries, taken)
    return selection


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern as a shell has them matches a path."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        fnmatchcase(part, each) and (each.startswith(".") or not part.startswith("."))
        for part, each in zip(parts, patterns, strict=True)
    )


def _list_entries(directory: Path, *, depth: int, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory / below) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        status = entry.stat(follow_symlinks=False)
        yield f"{below}{entry.name}", status
        if depth and stat.S_ISDIR(status.st_mode) and not entry.name.startswith("."):
            yield from _list_entries(directory, depth=depth - 1, below=f"{below}{entry.name}/")


def _tell_names(entries: Mapping[str, os.stat_result]) -> str:
    names = [path for path in entries if "/" not in path]
    if not names:
        return ", which is empty"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f", which has {', '.join(map(repr, names[:NAMED]))}{more}"


def _sort_entry(
    selection: Selection,
    path: str,
    status: os.stat_result,
    wanted: Wanted,
    *,
    taken: dict[str, Wanted],
    links: dict[str, Wanted],
) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        taken[path] = wanted
    elif kind == stat.S_IFLNK:
        links[path] = wanted
    elif kind == stat.S_IFDIR and MAGIC & set(wanted.path):
        selection.left_out.append(f"{path} (a directory)")
    else:
        hint = f"; files in it are {path + '/*'!r}" if kind == stat.S_IFDIR else ""
        selection.faults.append(f"{path!r} is {KINDS.get(kind, 'of an unknown kind')} and not a regular file{hint}")


def _is_only_hidden(path: str, patterns: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a hidden file would be selected under a name without the point."""
    if not path.startswith(".") or any(matches(path, pattern) for pattern in [*patterns, *exclude]):
        return False
    return any(matches(path.lstrip(".") or path, pattern) for pattern in patterns if MAGIC & set(pattern))


def _judge_link(selection: Selection, directory: Path, path: str, wanted: Wanted, taken: Mapping[str, Wanted]) -> None:
    """Leave out a link that is another name of a selected file; whatever else it leads to is a fault."""
    real = os.path.relpath(os.path.realpath(directory / path), directory)
    if real in taken and MAGIC & set(wanted.path):
        selection.left_out.append(f"{path} (a link to {real})")
    elif real == ".." or real.startswith("../"):
        selection.faults.append(f"{path!r} is a link that leads out of it: bring the file itself")
    elif not (directory / real).is_file():
        selection.faults.append(f"{path!r} is a link to {os.readlink(directory / path)!r}, which is no file there")
    else:
        selection.faults.append(f"{path!r} is a link to {real!r}: name that file in place of the link")


def _take(
    selection: Selection, directory: Path, entries: Mapping[str, os.stat_result], taken: Mapping[str, Wanted]
) -> None:
    for path in sorted(taken):
        if not entries[path].st_size:
            selection.faults.append(f"{path!r} is empty")
        elif not os.access(directory / path, os.R_OK):
            selection.faults.append(f"{path!r} is not readable for this user")
        else:
            selection.files.append(Found(path, entries[path].st_size, taken[path]))


def clip_faults(faults: Sequence[str], most: int = MOST) -> list[str]:
    """The first faults, and how many more there are: others may have put anything there."""
    more = len(faults) - most
    return [*faults[:most], f"and {count_of(more, 'more fault')}"] if more > 0 else list(faults)


def open_directory(path: str, *, label: str) -> Path:
    """The directory with links resolved, so that one that is turned meanwhile does not mix two builds."""
    fault = None
    if not path or not os.path.isabs(path):
        fault = "it is not an absolute path"
    elif not os.path.isdir(path):
        fault = "it is not a directory" if os.path.lexists(path) else "it is not there"
    elif not os.access(path, os.R_OK | os.X_OK):
        fault = "it is not readable for this user"
    if fault is not None:
        raise SlipwayError(
            f"find the files of {label} in",
            repr(path),
            fault,
            do_next="Nothing was changed. Name the directory of the files (release_files_directory), and run again.",
        )
    return Path(os.path.realpath(path))
