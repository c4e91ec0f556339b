# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bill of a system in the release before, and what changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import hash_file, read_regular
from ..release.history import is_withdrawn, list_earlier
from ..release.records import load_record
from .difference import compare_bills, read_bill

TYPE, SPDX = "bill", "spdx"
STAGE = "extra-{name}"
#: So many changes of one system people read.
MOST = 200


@dataclass(frozen=True)
class Earlier:
    """The bill of a system in an earlier release, and its digest."""

    label: str
    path: Path
    sha256: str


class EarlierBills:
    """Bills of the releases of a project that were published before a version."""

    def __init__(self, releases: Path, *, project: str, version: str, public: Sequence[Path] = ()) -> None:
        self._releases, self._project, self._public = releases, project, public
        self._versions = list_earlier(releases, version=version)

    def find(self, name: str) -> Earlier | None:
        """The bill that an extra file of this name was in the newest release that has it; its bytes are verified."""
        for version in self._versions:
            label = f"{self._project}-{version}"
            if is_withdrawn(label, self._public):
                continue
            try:
                record = load_record(self._releases / version / "records" / f"{STAGE.format(name=name)}.json")
            except (OSError, SlipwayError):
                continue  # it has none, or it is the business of a run that is about it
            said = record["outputs"]
            if record["project"] != self._project or not said.get("sha256"):
                continue
            places = [*(public / label for public in self._public), self._releases / version / "artifacts"]
            found = next((place / said["name"] for place in places if (place / said["name"]).is_file()), None)
            if found is not None and hash_file(found) == said["sha256"]:
                return Earlier(label, found, said["sha256"])
        return None


def find_bill_changes(plan: Mapping[str, Any], *, public: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """What changed in each system since the release before: ``system product previous total changes``.

    Systems without a bill, here or there, are left out, and so are those in which nothing changed.
    """
    directories = plan["directories"]
    releases = Path(directories["release"]).parent
    earlier = EarlierBills(releases, project=str(plan["project"]), version=str(plan["version"]), public=public)
    found = []
    for entry in list_bills(plan):
        path = next(
            (
                place
                for place in (Path(directories[name], entry["file"]) for name in ("artifacts", "images"))
                if place.is_file()
            ),
            None,
        )
        before = None if path is None else earlier.find(str(entry["name"]))
        if path is None or before is None:
            continue
        old = read_bill(read_regular(before.path), on=str(before.path))
        now = read_bill(read_regular(path), on=str(path))
        changes = compare_bills(old, now).describe()
        if changes:
            found.append(
                {
                    "system": entry["system_name"],
                    "product": entry["product"],
                    "previous": before.label,
                    "total": len(changes),
                    "changes": changes[:MOST],
                }
            )
    return found


def list_bills(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The bills in SPDX that a plan has."""
    return [
        each
        for each in plan.get("extras") or []
        if each["type"] == TYPE and (each.get("settings") or {}).get("format") == SPDX
    ]
