# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What views are made of: the public files of the releases that readers may still take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Facts of a file that stand in a view's own files, and what a link in it leads to, by path below the view.
Links = Mapping[str, str]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class ViewFile:
    """A public file: ``path`` below the public directory, and the name under which the newest of its kind is found."""

    path: str
    size: int
    sha256: str
    type: str = ""
    current: str = ""

    @property
    def name(self) -> str:
        """Its name without the directory."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class View:
    """A directory of small files and of links to public files. Links are relative to the public directory."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


def select_types(files: Sequence[ViewFile], types: Sequence[str]) -> list[ViewFile]:
    """Those of certain types, by name."""
    return sorted((file for file in files if file.type in types), key=lambda file: file.name)
