# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a tree by patterns and through links, by the names of what is in it alone."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

#: How many links may lead to a file.
MOST_LINKS = 8
#: Every path of a tree that is a file or a link, and where it leads to if it is a link.
Paths: TypeAlias = Mapping[str, "str | None"]


def find_files(paths: Paths, pattern: str) -> dict[str, str | None]:
    """The paths that a pattern as shells have them is for, each with the file that it is or leads to, if any."""
    return {path: follow_links(paths, path) for path in paths if _matches(path, pattern)}


def follow_links(paths: Paths, path: str) -> str | None:
    """The file that ``path`` is or leads to; no link leads out of the tree."""
    for _unused in range(MOST_LINKS):
        if path not in paths:
            return None
        link = paths[path]
        if link is None:
            return path
        parent = "" if link.startswith("/") else path.rpartition("/")[0]
        path = _resolve(f"{parent}/{link}")
    return None


def _matches(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _resolve(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
