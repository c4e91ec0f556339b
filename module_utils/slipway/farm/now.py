# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of builds does now, for those who watch: what runs where, what waits for a host, and what hosts do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import count_of
from ..files import make_directory
from ..statuspage import (
    publish_status,
    render_cell,
    render_page,
    render_state,
    render_table,
    render_time,
    render_time_cell,
)
from .schedule import Host, Schedule, Unit

#: Seconds between two states; between two that differ only in the sizes of logs.
SOON, LATER = 1.0, 10.0
#: How much of the queue is told; all of it is counted.
MOST_READY = 200
FORMAT = 1


class Board:
    """Keeps ``index.html`` and ``status.json`` in ``directory``; without one it does nothing.

    It is there to be looked at: where it cannot be written, ``complain`` hears it once, and builds go on.
    """

    def __init__(
        self,
        directory: Path | None,
        distribution: str,
        complain: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self.directory, self.distribution, self.complain = directory, distribution, complain
        self.clock, self.calendar = clock, calendar
        self.begun: dict[Unit, int] = {}
        self.heard: dict[Unit, Mapping[str, Any]] = {}
        self.shown: dict[str, Any] = {}
        self.written = float("-inf")

    def hear(self, unit: Unit, message: Mapping[str, Any]) -> None:
        """What a host says of a build: the step that it is ``at``, and the bytes of its ``log``."""
        self.heard[unit] = message

    def show(self, schedule: Schedule, ready: Sequence[Unit], *, left: int) -> None:
        """Tell what is so now, if that is something else than before and not too soon after it."""
        if self.directory is None:
            return
        now = self.clock()
        self.begun = {unit: self.begun.get(unit, int(self.calendar())) for unit in schedule.running}
        for unit in [unit for unit in list(self.heard) if unit not in schedule.running]:
            self.heard.pop(unit, None)
        waiting = [unit for unit in ready if unit not in schedule.running]
        status = {
            "state": "building",
            "left": left,
            "running": [self.describe(unit, host) for unit, host in schedule.running.items()],
            "queue": len(waiting),
            "ready": [asdict(unit) for unit in waiting[:MOST_READY]],
            "hosts": [self.describe_host(host, schedule, now) for host in schedule.hosts.values()],
        }
        pause = SOON if _drop_sizes(status) != _drop_sizes(self.shown) else LATER
        if status != self.shown and now - self.written >= pause:
            self.write(status)

    def end(self) -> None:
        """Nothing runs any more."""
        if self.directory is not None:
            idle = {"state": "idle", "running": [], "queue": 0, "ready": []}
            hosts = [{**host, "busy": 0} for host in self.shown.get("hosts", ())]
            self.write({"left": self.shown.get("left", 0), **idle, "hosts": hosts})

    def describe(self, unit: Unit, host: str) -> dict[str, Any]:
        """A build that runs."""
        said = self.heard.get(unit, {})
        step, size = said.get("at"), said.get("log")
        return {
            **asdict(unit),
            "host": host,
            "step": step if isinstance(step, str) else "",
            "since": self.begun[unit],
            "log_bytes": size if isinstance(size, int) else 0,
        }

    def describe_host(self, host: Host, schedule: Schedule, now: float) -> dict[str, Any]:
        """What a host does, and until when it rests after it was lost."""
        rest = schedule.find_rest(host.name)
        rests = rest > now
        return {
            "name": host.name,
            "slots": host.slots,
            "busy": list(schedule.running.values()).count(host.name),
            "architectures": sorted(host.chroots),
            "state": "drained" if host.drained else "rests" if rests else "takes builds",
            "until": round(self.calendar() + rest - now) if rests else None,
        }

    def write(self, status: dict[str, Any]) -> None:
        """Write both files; readers see each whole."""
        self.shown, self.written = status, self.clock()
        whole = {"format": FORMAT, "distribution": self.distribution, "at": int(self.calendar()), **status}
        try:
            if self.directory is not None:
                make_directory(self.directory)
                publish_status(self.directory, whole, render_now(whole))
        except OSError as error:
            self.complain(f"What runs now cannot be shown in {self.directory}: {error.strerror or error}")
            self.directory = None


def _drop_sizes(status: Mapping[str, Any]) -> dict[str, Any]:
    """What is told at once if it changes; the end of a rest is computed anew each time, and may differ by a second."""
    rows = [{name: value for name, value in row.items() if name != "log_bytes"} for row in status.get("running", ())]
    return {**status, "running": rows, "hosts": [{**host, "until": None} for host in status.get("hosts", ())]}


def render_now(status: Mapping[str, Any]) -> str:
    """The page."""
    running, left, queue = status["running"], status["left"], status["queue"]
    said = "Nothing is being built."
    if status["state"] != "idle":
        said = f"{count_of(left, 'build')} left: {len(running)} now, and {queue} could begin if a host were free."
    intro = (
        f"<p>{said} This was so on {render_time(format_time(status['at']))}. "
        "A run that was killed does not tell its end.</p>\n"
        f"{_render_hosts(status['hosts'])}\n"
        '<p><a href="../excuses.html">What holds up the distribution</a></p>'
    )
    columns = ["Source", "Version", "Where", "State", "Host", "Since", "Log"]
    rows = [*map(_render_running, running), *map(_render_ready, status["ready"])]
    return render_page(f"Builds of {status['distribution']} now", intro=intro, trouble=(), columns=columns, rows=rows)


def format_time(moment: int) -> str:
    """A time in Greenwich, for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


def _render_hosts(hosts: Sequence[Mapping[str, Any]]) -> str:
    return render_table(("Host", "Builds", "Architectures", "State"), map(_render_host, hosts)) if hosts else ""


def _render_host(host: Mapping[str, Any]) -> list[str]:
    until = f" until {format_time(host['until'])}" if host["until"] else ""
    cells = (host["name"], f"{host['busy']} of {host['slots']}", " ".join(host["architectures"]), host["state"] + until)
    return [render_cell(cell) for cell in cells]


def _render_running(row: Mapping[str, Any]) -> list[str]:
    since, log = render_time_cell(format_time(row["since"])), render_cell(f"{row['log_bytes'] / 1e3:.0f} kB")
    return [*_render_unit(row), render_state("building", row["step"]), render_cell(row["host"]), since, log]


def _render_ready(row: Mapping[str, Any]) -> list[str]:
    return [*_render_unit(row), render_state("queued", ""), *[render_cell(None)] * 3]


def _render_unit(row: Mapping[str, Any]) -> list[str]:
    return [render_cell(text) for text in (row["source"], row["version"], f"{row['platform']}-{row['architecture']}")]
