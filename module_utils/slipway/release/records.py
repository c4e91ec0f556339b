# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The records that stages leave: one sealed JSON file a stage, in the release's directory."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import make_directory, read_regular, write_atomic

Record = dict[str, Any]

#: The fields that say what a stage saw and made; times and tool versions may differ from run to run.
CONTENT = ("stage", "project", "version", "inputs", "outputs")
STAGE_NAME = re.compile(r"[a-z][a-z0-9_.+~-]*\Z", re.IGNORECASE)


def seal_record(content: Mapping[str, Any]) -> Record:
    """``content`` with the seal that shows later edits."""
    sealed = {name: value for name, value in content.items() if name != "seal"}
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"))
    return {**content, "seal": hashlib.sha256(text.encode()).hexdigest()}


def load_record(path: Path) -> Record:
    """Read one record; a file that is not one, or was edited, is a failure that names it."""
    fault = None
    record: Any = None
    try:
        record = json.loads(read_regular(path))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        fault = f"it is not readable as JSON ({error})"
    if fault is None and not (isinstance(record, dict) and {*CONTENT, "seal"} <= record.keys()):
        fault = "it is not a record"
    elif fault is None and record != seal_record(record):
        fault = "it was edited after it was written: its seal does not match"
    if fault is not None:
        raise SlipwayError(
            "trust the record",
            str(path),
            fault,
            do_next="Restore it, or remove it so that its stage inspects the real state again, and run again.",
        )
    return dict(record)


def load_records(directory: Path) -> dict[str, Record]:
    """Every record of a release by its stage; an absent directory holds none."""
    return {path.stem: load_record(path) for path in sorted(directory.glob("*.json"))}


def keep_record(
    directory: Path, record: Record, *, replace: bool = False, write: bool = True
) -> tuple[Record, Record | None]:
    """Keep ``record`` as its stage's record; return what is kept and what stood there before, if anything did.

    A record that says the same is left as it is, with its times. One that says something else is
    drift: it fails and names each difference, because the result of a finished stage never changes. With
    ``replace`` it is replaced, which suits a stage that nothing was built on yet.
    """
    if not STAGE_NAME.match(record["stage"]):
        raise ValueError(f"not a stage name: {record['stage']!r}")
    path = directory / f"{record['stage']}.json"
    before = load_record(path) if path.exists() else None
    if before is not None:
        found = find_drift(before, record)
        if found and not replace:
            raise SlipwayError(
                f"confirm the stage {record['stage']} of",
                f"{record['project']} {record['version']}",
                f"the present state differs from {path}",
                do_next="Restore what drifted; or, if the change is wanted and nothing of this version is public, "
                f"remove {directory.parent} and run again.",
                findings=found,
            )
        if not found:
            return before, before
    kept = seal_record(record)
    if write:
        make_directory(directory)
        write_atomic(path, format_json(kept))
    return kept, before


def find_drift(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two records say differently, one sentence each, by the path of the value."""
    return [
        difference
        for name in CONTENT
        for difference in find_differences(name, before[name], json.loads(json.dumps(now[name])))
    ]


def format_json(value: Mapping[str, Any]) -> bytes:
    """The JSON form of records and manifests: sorted, indented, one newline at the end."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def find_differences(where: str, before: Any, now: Any) -> list[str]:
    """What two plain values say differently, one sentence each, by the path below ``where``."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            difference
            for key in sorted({*before, *now})
            for difference in find_differences(f"{where}.{key}" if where else key, before.get(key), now.get(key))
        ]
    if before != now:
        return [f"{where} was {_format_value(before)}, is {_format_value(now)}"]
    return []


def _format_value(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
