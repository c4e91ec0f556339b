# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed in the files of a release since the release before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .package import MANIFEST
from .releases import format_size

File = Mapping[str, Any]


def list_file_changes(files: Iterable[File], plan: Mapping[str, Any]) -> dict[str, Any]:
    """The label of the release before, what is told of each file that differs, and how many are the same.

    A file is the same one if only the version in its name differs. Without a release before, nothing is told.
    """
    previous = plan.get("previous")
    if not previous:
        return {"previous": None, "files": [], "same": 0}
    now, before = _by_location(files, plan["version"]), _by_location(previous["files"], previous["version"])
    same = [
        location for location in now if location in before and now[location]["sha256"] == before[location]["sha256"]
    ]
    changed = [
        {"name": now[location]["name"], "text": _tell_change(now[location], before.get(location))}
        for location in sorted(now.keys() - same)
    ]
    gone = [
        {"name": before[location]["name"], "text": "has no successor"}
        for location in sorted(before.keys() - now.keys())
    ]
    return {"previous": previous["label"], "files": [*changed, *gone], "same": len(same)}


def _by_location(files: Iterable[File], version: str) -> dict[str, File]:
    return {str(file["name"]).replace(version, "", 1): file for file in files if file["name"] != MANIFEST}


def _tell_change(file: File, before: File | None) -> str:
    size = file["size"]
    if size is None:
        return "changed" if before else "is new"  # what is not made yet, in check mode
    if before is None:
        return f"is new, {format_size(size)}"
    difference = size - (before["size"] or 0)
    if not difference:
        return f"changed, and has {format_size(size)} as before"
    return (
        f"changed, and has {format_size(size)}, {format_size(abs(difference))} {'more' if difference > 0 else 'less'}"
    )
