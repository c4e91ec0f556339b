# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long the stages of a release took, by its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from .records import Record, load_records

#: The stage that leaves a record of another name.
STAGES = {"promotion": "promote", "publication": "publish", "announcement": "announce"}
#: What stages that leave one record for each thing begin its name with.
PREFIXES = {"build-": "build", "deploy-": "deploy"}
#: All of them, in the order in which they run.
ORDER = ("preflight", "branch", "promote", "build", "deploy", "package", "publish", "tag", "notes", "announce")


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
    directories = [path for path in _list_directories(releases) if path.parent.name != version]
    for directory in sorted(directories, key=_read_age, reverse=True):
        try:
            records = load_records(directory)
        except (OSError, SlipwayError):
            continue  # it is the business of a run that is about it
        if "publication" in records:
            return {"version": _read_version(records), "seconds": measure_stages(records)}
    return {}


def _list_directories(releases: Path) -> Iterable[Path]:
    return releases.glob("*/records")


def _read_age(directory: Path) -> float:
    try:
        return directory.stat().st_mtime
    except OSError:
        return 0.0


def _read_version(records: Mapping[str, Record]) -> str:
    return str(records["publication"]["version"])
