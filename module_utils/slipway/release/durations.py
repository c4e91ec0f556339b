# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long the stages of a release took, by its records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from .records import Record, load_records

#: The stage that leaves a record of another name.
STAGES = {
    "promotion": "promote",
    "approval": "publish",
    "publication": "publish",
    "reproduction": "current",
    "attestation": "current",
    "announcement": "announce",
}
#: What stages that leave one record for each thing begin its name with.
PREFIXES = {"build-": "build", "deploy-": "deploy", "extra-": "extras"}
#: All of them, in the order in which they run.
ORDER = (
    *("preflight", "branch", "promote", "build", "deploy", "extras", "package", "gate"),
    *("publish", "current", "tag", "notes", "announce"),
)
#: Those that are about definitions, and not about files that something else made.
OF_DEFINITIONS = {"branch", "promote", "build", "extras", "tag"}
#: Those that a release has only if its policy asks for something.
OF_POLICIES = {"extras", "gate"}


def list_stages(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The stages that a release with these records has, in their order."""
    made_from = (records.get("preflight", {}).get("inputs") or {}).get("made_from")
    stages = [stage for stage in ORDER if made_from is None or stage not in OF_DEFINITIONS]
    seen = {name_stage(record) for record in records}
    return [stage for stage in stages if stage not in OF_POLICIES or stage in seen]


def name_stage(record: str) -> str:
    """The stage that left the record."""
    prefixed = (stage for prefix, stage in PREFIXES.items() if record.startswith(prefix))
    return STAGES.get(record) or next(prefixed, record)


def measure_stages(records: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The seconds of each stage; what a record does not say is left out."""
    spans: dict[str, list[float]] = {}
    for name, record in records.items():
        try:
            begun, ended = (datetime.fromisoformat(str(record[key])).timestamp() for key in ("started", "ended"))
        except (KeyError, ValueError):
            continue
        spans.setdefault(name_stage(name), []).extend((begun, ended))
    return {stage: max(times) - min(times) for stage, times in spans.items()}


def find_last_durations(releases: Path, *, version: str) -> dict[str, Any]:
    """``version`` and ``seconds`` of the release that was published last, but for this one; empty if there is none."""
    records = find_last_records(releases, version=version)
    if not records:
        return {}
    return {"version": str(records["publication"]["version"]), "seconds": measure_stages(records)}


def find_last_records(releases: Path, *, version: str, before: str = "") -> dict[str, Record]:
    """The records of the release that was published last, but for this one; empty if there is none.

    With ``before``, a time as records have it, of those that were published until then.
    """
    directories = [path for path in releases.glob("*/records") if path.parent.name != version]
    for directory in sorted(directories, key=_read_age, reverse=True):
        try:
            records = load_records(directory)
        except (OSError, SlipwayError):
            continue  # it is the business of a run that is about it
        if "publication" in records and (not before or str(records["publication"]["ended"]) <= before):
            return records
    return {}


def _read_age(directory: Path) -> float:
    try:
        return directory.stat().st_mtime
    except OSError:
        return 0.0
