# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases that were published before one, as their records tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import names
from .tombstone import find_tombstone


def list_earlier(releases: Path, *, version: str) -> list[str]:
    """The versions that were published and are below a version, newest first; of a final one, the final ones."""
    published = {path.parent.parent.name for path in releases.glob("*/records/publication.json")}
    found = sorted(
        (
            each
            for each in published
            if names.VERSION.match(each) and names.version_key(each) < names.version_key(version)
        ),
        key=names.version_key,
        reverse=True,
    )
    return [each for each in found if names.is_final(each)] if names.is_final(version) else found


def is_withdrawn(label: str, public: Sequence[Path]) -> bool:
    """Whether one of these directories of public files says that a release was withdrawn."""
    return any(find_tombstone(directory, label) for directory in public)
