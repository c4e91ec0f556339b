# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file of build hosts that a run reads again whenever it changes: hosts are drained and added by it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from .line import REFUSED, LostError, ask_host, find_host_faults
from .schedule import Host

#: Hosts that are asked at the same time.
AT_ONCE = 16


def read_host(row: Mapping[str, Any]) -> Host:
    """A host as the options of modules have it, and the file."""
    return Host(
        str(row["name"]),
        {str(name): str(chroot) for name, chroot in row["chroots"].items()},
        str(row.get("destination", "")),
        tuple(map(str, row.get("options", ()))),
        int(row.get("slots", 1)) or len(os.sched_getaffinity(0)),
        bool(row.get("drained", False)),
    )


class HostsFile:
    """The hosts in a file, when it is read first and whenever it has changed; None when it has not.

    While a run lasts, a file that cannot be read, or is not what it should be, is told of once, and the hosts stay.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self.say = path, say
        self._seen: tuple[int, int] | None = None
        self._fault = ""

    def __call__(self) -> Sequence[Host] | None:
        """Read it, if it is another than the last time."""
        try:
            state = self.path.stat()
            now = (state.st_mtime_ns, state.st_ino)
            if now == self._seen:
                return None
            rows = json.loads(self.path.read_text(encoding="utf-8"))
            hosts = [read_host(row) for row in rows]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            fault = f"{type(error).__name__}: {error}"
            if self._seen is None:
                raise SlipwayError(
                    "read the build hosts", str(self.path), fault, do_next="Correct the file, and run again."
                ) from error
            if fault != self._fault:
                self.say(f"{self.path} cannot be read, so that the hosts stay as they were: {fault}")
            self._fault = fault
            return None
        self._seen, self._fault = now, ""
        return hosts


def format_roster(rows: Sequence[Any]) -> str:
    """The text of such a file."""
    return json.dumps(list(rows), indent=2, sort_keys=True) + "\n"


def read_drained(path: Path) -> list[str]:
    """The names in a file of hosts that are drained by command; none if it is not there."""
    try:
        return [str(name) for name in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise SlipwayError(
            "read the hosts that are drained", str(path), str(error), do_next="Remove the file, and run again."
        ) from error


def change_drained(
    names: Collection[str], before: Collection[str], *, drain: Collection[str], resume: Collection[str]
) -> list[str]:
    """Which of the hosts with these ``names`` are drained by command now."""
    refuse(
        "change the build hosts",
        ", ".join(sorted(names)) or "of an empty list",
        [f"there is no host {name}" for name in sorted({*drain, *resume} - {*names})]
        + [f"{name} cannot be drained and take builds" for name in sorted({*drain} & {*resume})],
        do_next="Name hosts of the inventory's group, as they are called there.",
    )
    return sorted((({*before} & {*names}) | {*drain}) - {*resume})


def mark_drained(rows: Sequence[Mapping[str, Any]], drained: Collection[str]) -> list[dict[str, Any]]:
    """The hosts, of which those are drained that are so by themselves or by command."""
    return [{**row, "drained": bool(row.get("drained")) or row["name"] in drained} for row in rows]


@dataclass(frozen=True)
class Answer:
    """What a host told when it was asked; ``lost`` says why it is of no use now, ``faults`` what is wrong with it."""

    host: Host
    told: Mapping[str, Any]
    lost: str = ""
    faults: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": self.host.name, "lost": self.lost, "faults": list(self.faults), **self.told}


def ask_hosts(hosts: Sequence[Host], platforms: Collection[str], *, timeout: float) -> list[Answer]:
    """Ask all hosts at once what they have."""

    def ask(host: Host) -> Answer:
        try:
            told = ask_host(host, timeout=timeout)
        except LostError as lost:
            refused = REFUSED.search(str(lost))
            return Answer(host, {}, "" if refused else str(lost), (str(lost),) if refused else ())
        free, wanted = told.get("free", 0), told.get("wanted", 0)
        full = f"{free} bytes are free on its disk, and {wanted} must be" if free < wanted else ""
        return Answer(host, told, full, tuple(find_host_faults(host, told, platforms)))

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(ask, hosts))
