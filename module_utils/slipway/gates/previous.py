# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release before, as it was published: what a new one is compared with, and what it is upgraded from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..release.history import is_withdrawn, list_earlier
from ..release.records import Record, load_records
from .unpacked import Packed, match_packed


@dataclass(frozen=True)
class Previous:
    """One file of the release before: its deployment, as the records have it, and the published file."""

    version: str
    label: str
    file: Packed
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    gates: Sequence[Mapping[str, Any]]


class History:
    """The releases of a project that were published before a version, newest first, read when they are asked for."""

    def __init__(self, releases: Path, *, project: str, version: str, public: Sequence[Path] = ()) -> None:
        self._releases = releases
        self._project = project
        self._public = public
        self._versions = list_earlier(releases, version=version)
        self._records: dict[str, dict[str, Record]] = {}

    def find(self, deployment: str) -> Previous | None:
        """The file of the newest version that has this deployment; ``None`` if it is new."""
        for version in self._versions:
            records = self._read(version)
            deployed = records.get(f"deploy-{deployment}")
            label = f"{self._project}-{version}"
            if deployed is None or is_withdrawn(label, self._public) or deployed["project"] != self._project:
                continue
            places = [*(public / label for public in self._public), self._releases / version / "artifacts"]
            packaged = (records.get("package") or {"outputs": {}})["outputs"].get("files") or []
            packed = match_packed([deployed["outputs"]], packaged, places[-1]).get(deployment)
            if packed is None:
                continue
            place = next((place for place in places if (place / packed.packed).is_file()), places[-1])
            file = Packed(packed.name, packed.sha256, packed.packed, packed.packed_sha256, place)
            judged = (records.get("gate") or {"outputs": {}})["outputs"].get("gates") or []
            settings = deployed["inputs"].get("settings") or {}
            return Previous(version, label, file, deployed["outputs"], settings, judged)
        return None

    def _read(self, version: str) -> dict[str, Record]:
        if version not in self._records:
            try:
                self._records[version] = load_records(self._releases / version / "records")
            except (OSError, SlipwayError):
                self._records[version] = {}  # it is the business of a run that is about it
        return self._records[version]
