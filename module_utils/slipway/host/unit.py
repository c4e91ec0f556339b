# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A unit of systemd that runs with what is written on disk now, whichever run of ours wrote it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..process import run

#: When units were reloaded, which systemd itself forgets when it reads its own files again.
NOTES = Path("/run/slipway/reloaded")
UNITS = Path("/etc/systemd/system")
#: How systemd writes times with --timestamp=us+utc.
TIMES = "%a %Y-%m-%d %H:%M:%S.%f UTC"
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "FragmentPath", "Type")
STARTED = "InactiveExitTimestamp"
RUNNING = ("active", "activating", "reloading")
#: A start may wait for what the unit itself waits for.
TIMEOUT = 600


@dataclass(frozen=True)
class Unit:
    """``reads`` are files that it reads when it starts, and directories that count with all that is in them.

    With ``reload`` it reads them again without being stopped; without, its own unit file is one of them in any case.
    """

    name: str
    reads: tuple[Path, ...] = ()
    reload: bool = False
    enabled: bool = True

    @property
    def others(self) -> list[str]:
        """The units whose files are among what it reads."""
        return [path.name for path in self.reads if path.parent == UNITS]


def ensure_current(unit: Unit, *, written: Sequence[Path] = (), write: bool = True) -> list[str]:
    """Start the unit, and start it anew if it runs with less than what is there; return why something was done.

    ``written`` was written just now, or is not written in check mode, where nothing on disk tells of it.
    """
    shown = _query(unit.name)
    reasons = [f"{each} is new to systemd" for each in _find_unknown(unit, shown)]
    if reasons and write:
        _call_systemctl("daemon-reload", "")
        shown = _query(unit.name)
    if unit.enabled and shown["UnitFileState"] == "disabled":
        reasons.append("it does not start with the host")
        if write:
            _call_systemctl("enable", unit.name)
    verb, whys = judge_unit(unit, shown, written=written)
    if verb and write:
        _start(unit, verb)
    return reasons + whys


def judge_unit(unit: Unit, shown: Mapping[str, str], *, written: Sequence[Path] = ()) -> tuple[str, list[str]]:
    """The word of systemctl that makes the unit current, empty if it is, and why."""
    if shown["ActiveState"] not in RUNNING and shown["Type"] != "oneshot":
        return "start", ["it does not run"]
    since = _read_since(unit, shown)
    if not since:
        return "restart", ["it has not run yet"]
    own = [Path(shown["FragmentPath"])] if shown["FragmentPath"] and not unit.reload else []
    whys = [
        f"{path} is newer than what it runs with"
        for path in (*own, *unit.reads)
        if find_time(path) > since or any(each.is_relative_to(path) for each in written)
    ]
    return ("reload" if unit.reload else "restart") if whys else "", whys


def find_time(path: Path) -> float:
    """When something was last changed at ``path`` or in it, 0 if there is nothing."""
    return max((_read_time(each) for each in _walk(path)), default=0.0)


def _walk(path: Path) -> Iterator[Path]:
    yield path
    for top, directories, names in os.walk(path):
        yield from (Path(top, name) for name in (*directories, *names))


def _read_time(path: Path) -> float:
    try:
        return path.lstat().st_ctime  # it is set by a rename, too, and cannot be set back
    except FileNotFoundError:
        return 0.0


def _read_since(unit: Unit, shown: Mapping[str, str]) -> float:
    """Since when it has run with what was there, 0 if never."""
    stamp = shown[STARTED]
    started = datetime.strptime(stamp, TIMES).replace(tzinfo=UTC).timestamp() if stamp else 0.0
    note = NOTES / unit.name
    return max(started, note.stat().st_mtime if unit.reload and note.exists() else 0.0)


def _find_unknown(unit: Unit, shown: Mapping[str, str]) -> list[str]:
    """Those of its unit files that systemd has not read as they are."""
    known = {unit.name: shown, **{each: _query(each) for each in unit.others}}
    return [name for name, each in known.items() if each["NeedDaemonReload"] == "yes" or each["LoadState"] != "loaded"]


def _start(unit: Unit, verb: str) -> None:
    before = time.time()
    _call_systemctl(verb, unit.name)
    if verb == "reload":
        NOTES.mkdir(parents=True, exist_ok=True)
        note = NOTES / unit.name
        note.touch()
        os.utime(note, (before, before))


def _query(name: str) -> dict[str, str]:
    words = [f"--property={','.join((*PROPERTIES, STARTED))}", "--timestamp=us+utc", "--", name]
    answer = run(["systemctl", "show", *words], attempt="query", on=name, timeout=60).stdout
    found = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    return {each: found.get(each, "") for each in (*PROPERTIES, STARTED)}


def _call_systemctl(verb: str, name: str) -> None:
    run(
        ["systemctl", verb, *([name] if name else [])],
        attempt=verb,
        on=name or "systemd",
        do_next=f"Look at journalctl -u {name}, correct the cause, and run again." if name else "Run again.",
        timeout=TIMEOUT,
    )
