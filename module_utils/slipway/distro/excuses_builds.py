# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the directory of builds has for the excuses: results, and logs, which are published beside the page.

A result is in ``<platform>-<architecture>/<source>_<version>/result.json``, and its log beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ..errors import name_refusals
from ..files import make_directory, open_regular, read_regular, write_atomic
from .excuses_input import BUILD_STATES

RESULT = "result.json"
#: Where published logs are, below the directory of the page.
LOGS = "logs"
#: Of a log that is longer, this much of its beginning and of its end is published.
MOST_BEGIN, MOST_END = 1 << 18, 3 << 18
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_%-]*", re.ASCII)


def read_results(directory: Path) -> list[dict[str, Any]]:
    """All results, with the logs that are there. One that cannot be read is none."""
    found = []
    for path in sorted(directory.glob(f"*/*/{RESULT}")):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            row = json.loads(read_regular(path))
            if isinstance(row, dict) and _is_usable(row):
                log = path.with_name(PurePosixPath(str(row.get("log") or "")).name)
                there = log.suffix == ".log" and log.is_file() and not log.is_symlink()
                found.append({**row, "stack": row.get("stack") or row["source"], "log": str(log) if there else ""})
    return found


def _is_usable(row: Mapping[str, Any]) -> bool:
    texts = all(isinstance(row.get(name), str) and row[name] for name in ("platform", "architecture", "source"))
    return texts and row.get("state") in BUILD_STATES and isinstance(row.get("at", 0), int)


def name_logs(directory: Path, logs: Collection[str]) -> dict[str, str]:
    """The names under which logs of results are published, relative to the page, by their paths."""
    named = {}
    for log in logs:
        parts = Path(log).relative_to(directory).parts[:-1]
        if len(parts) == 2 and all(map(_PLAIN.fullmatch, parts)):
            named[log] = f"{LOGS}/{'/'.join(parts)}.txt"
    return named


def make_link(name: str) -> str:
    """The relative address of a published log."""
    return quote(name, safe="/+~")


def publish_logs(directory: Path, names: Mapping[str, str], *, write: bool) -> list[str]:
    """Copy logs to their names below the directory of the page, and tell which are new."""
    made = []
    with name_refusals("publish logs in", str(directory / LOGS)):
        for log, name in sorted(names.items()):
            target = directory / name
            with open(open_regular(log), "rb") as stream:
                stamp = os.fstat(stream.fileno()).st_mtime_ns
                if _find_stamp(target) == stamp:
                    continue
                made.append(name)
                if write:
                    make_directory(target.parent)
                    write_atomic(target, _cut_log(stream.fileno()))
                    os.utime(target, ns=(stamp, stamp))
    return made


def remove_logs(directory: Path, names: Collection[str], *, write: bool) -> list[str]:
    """Remove published logs that have none of these names any more, and tell which."""
    gone = [name for name in _list_published(directory) if name not in names]
    if write:
        with name_refusals("remove old logs from", str(directory / LOGS)):
            for name in gone:
                (directory / name).unlink(missing_ok=True)
    return gone


def _list_published(directory: Path) -> Iterator[str]:
    for path in sorted((directory / LOGS).glob("*/*.txt")):
        yield path.relative_to(directory).as_posix()


def _find_stamp(path: Path) -> int | None:
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return None


def _cut_log(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if size <= MOST_BEGIN + MOST_END:
        return os.pread(descriptor, size, 0)
    left = size - MOST_BEGIN - MOST_END
    note = f"\n\n[{left} bytes are left out here. The whole log is where it was built.]\n\n".encode()
    return os.pread(descriptor, MOST_BEGIN, 0) + note + os.pread(descriptor, MOST_END, size - MOST_END)
