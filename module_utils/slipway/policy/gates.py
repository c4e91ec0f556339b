# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must hold of a product before anything of it becomes public.

What was read is, as plain data, what can be read again: so a plan carries it to the stage that judges.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..boot.machines import FIRMWARE, MACHINES, OF_DISKS
from ..boot.shell import find_command_fault
from .values import describe_kind, find_key_faults, read_count, read_texts, show

MEMORY = re.compile(r"[1-9][0-9]{0,5}[MG]\Z")
PATH = re.compile(r"/[A-Za-z0-9._/+-]{1,200}\Z")
GROWTH = re.compile(r"([0-9]{1,12})([KMG%]?)\Z")
#: What can differ between two images, and how.
CHANGES = {
    "files": ("added", "removed", "changed"),
    "packages": ("added", "removed", "changed"),
    "size": ("grows", "shrinks"),
    "setuid": ("added",),
    "world_writable": ("added",),
    "listening": ("added", "removed"),
    "units": ("added", "removed"),
}
#: How components of a bill of materials can differ.
OF_BILLS = ("added", "removed", "changed")
#: Kinds of which nobody can say without having started the system.
OF_RUNNING = {"listening"}
#: Seconds until a system reports that is emulated on a busy machine.
BOOT_LIMIT, UPGRADE_LIMIT, COMMAND_LIMIT = 300, 300, 30


@dataclass(frozen=True)
class Smoke:
    """A command that is typed on the console; its output has the text ``expect``, and its exit status is ``status``."""

    run: str
    expect: str = ""
    status: int = 0
    limit: int = COMMAND_LIMIT


@dataclass(frozen=True)
class BootGate:
    """Images start by each of these firmwares that their architecture has, and report within ``limit`` seconds.

    ``firmware`` may be a mapping by architecture. ``ids`` is what systems call themselves, by their names.
    """

    systems: tuple[str, ...] = ("*",)
    firmware: Any = OF_DISKS
    limit: int = BOOT_LIMIT
    memory: str = "256M"
    append: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    smoke: tuple[Smoke, ...] = ()


@dataclass(frozen=True)
class UpgradeGate:
    """The previous release's disk is started with the new one as second disk, and becomes the new release.

    ``run`` is typed, then ``restart``, unless that is empty because ``run`` restarts. ``keeps`` is a file that stays.
    """

    run: str
    systems: tuple[str, ...] = ("*",)
    firmware: Any = OF_DISKS
    restart: str = "sync; reboot -f"
    keeps: str = "/home/slipway-gate"
    limit: int = UPGRADE_LIMIT
    memory: str = "256M"


@dataclass(frozen=True)
class DifferenceGate:
    """At most so much differs from the previous release; ``bounds`` has the kinds of :data:`CHANGES`."""

    bounds: Mapping[str, Mapping[str, Any]]
    systems: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class BillGate:
    """At most so many components are added, removed or changed since the previous release (``bounds``).

    None is under a licence of ``forbidden``, and of at most ``unknown`` the licence is not known.
    """

    bounds: Mapping[str, int] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    unknown: int | None = None
    systems: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gates:
    """The gates of a product; what it does not ask for is ``None``."""

    boot: BootGate | None = None
    upgrade: UpgradeGate | None = None
    difference: DifferenceGate | None = None
    bill: BillGate | None = None


def read_gates(value: object, where: str) -> tuple[Gates, list[str]]:
    """What is asked for, and the faults; ``None`` is what a policy has that says nothing."""
    if value is None:
        return Gates(), []
    if not isinstance(value, dict):
        return Gates(), [f"{where}: it is {describe_kind(value)}, not a mapping of gates"]
    reader = _Reader(where)
    reader.check_keys(value, ("boot", "upgrade", "difference", "bill"), "")
    boot = reader.read_boot(value["boot"]) if value.get("boot") is not None else None
    upgrade = reader.read_upgrade(value["upgrade"]) if value.get("upgrade") is not None else None
    difference = reader.read_difference(value["difference"]) if value.get("difference") is not None else None
    if difference is not None and OF_RUNNING & difference.bounds.keys() and boot is None:
        reader.faults.append(f"{where}.difference.listening: only a system that was started tells it; ask for boot too")
    bill = reader.read_bill(value["bill"]) if value.get("bill") is not None else None
    return Gates(boot, upgrade, difference, bill), reader.faults


class _Reader:
    def __init__(self, where: str) -> None:
        self._where = where
        self.faults: list[str] = []

    def check_keys(self, value: Mapping[Any, Any], known: Collection[str], place: str) -> None:
        self.faults += find_key_faults(value, known, f"{self._where}{place}")

    def read_boot(self, value: object) -> BootGate | None:
        known = ("systems", "firmware", "limit", "memory", "append", "ids", "smoke")
        said = self._read_mapping(value, ".boot", known)
        if said is None:
            return None
        return BootGate(
            systems=self._read_patterns(said, ".boot.systems"),
            firmware=self._read_firmware(said.get("firmware"), ".boot.firmware"),
            limit=self._read_limit(said.get("limit"), ".boot.limit", BOOT_LIMIT),
            memory=self._read_memory(said.get("memory"), ".boot.memory"),
            append=self._read_line(said.get("append"), ".boot.append"),
            ids=self._read_ids(said.get("ids"), ".boot.ids"),
            smoke=self._read_smoke(said.get("smoke"), ".boot.smoke"),
        )

    def read_upgrade(self, value: object) -> UpgradeGate | None:
        known = ("run", "systems", "firmware", "restart", "keeps", "limit", "memory")
        said = self._read_mapping(value, ".upgrade", known)
        if said is None:
            return None
        if (fault := find_command_fault(said.get("run"))) is not None:
            self._tell(".upgrade.run", f"{fault}; say how a system is upgraded from its second disk")
        restart = said.get("restart", UpgradeGate.restart)
        if restart != "" and (fault := find_command_fault(restart)) is not None:
            self._tell(".upgrade.restart", fault)
        keeps = said.get("keeps", UpgradeGate.keeps)
        if not isinstance(keeps, str) or (keeps and not PATH.match(keeps)):
            self._tell(".upgrade.keeps", f"{show(keeps)} is no path of a file, such as /home/kept")
        return UpgradeGate(
            run=str(said.get("run")),
            systems=self._read_patterns(said, ".upgrade.systems"),
            firmware=self._read_firmware(said.get("firmware"), ".upgrade.firmware"),
            restart=str(restart),
            keeps=str(keeps),
            limit=self._read_limit(said.get("limit"), ".upgrade.limit", UPGRADE_LIMIT),
            memory=self._read_memory(said.get("memory"), ".upgrade.memory"),
        )

    def read_difference(self, value: object) -> DifferenceGate | None:
        said = self._read_mapping(value, ".difference", ("systems", "ignore", "bounds", *CHANGES))
        if said is None:
            return None
        place = ".difference"
        if isinstance(said.get("bounds"), dict):  # as a plan has it
            said = {**said, **said["bounds"]}
        bounds = {}
        for kind, changes in CHANGES.items():
            if said.get(kind) is not None:
                limits = self._read_mapping(said[kind], f"{place}.{kind}", changes) or {}
                for change, limit in limits.items():
                    self._check_bound(kind, limit, f"{place}.{kind}.{change}")
                bounds[kind] = dict(limits)
        if not bounds:
            self._tell(place, f"it bounds nothing; give some of {', '.join(CHANGES)}, such as {{setuid: {{added: 0}}}}")
        return DifferenceGate(
            bounds=bounds,
            systems=self._read_patterns(said, f"{place}.systems"),
            ignore=self._read_list(said.get("ignore"), f"{place}.ignore"),
        )

    def read_bill(self, value: object) -> BillGate | None:
        planned = isinstance(value, dict) and isinstance(value.get("bounds"), dict)
        known = ("systems", "ignore", *(("bounds", "forbidden", "unknown") if planned else ("licences", *OF_BILLS)))
        said = self._read_mapping(value, ".bill", known)
        if said is None:
            return None
        if planned:  # as a plan has it
            said = {
                **said,
                **said["bounds"],
                "licences": {name: said.get(name) for name in ("forbidden", "unknown")},
            }
        bounds = {}
        for change in OF_BILLS:
            if said.get(change) is not None:
                bounds[change] = self._read_number(said[change], f".bill.{change}")
        stated = said.get("licences")
        licences = (
            (self._read_mapping(stated, ".bill.licences", ("forbidden", "unknown")) or {}) if stated is not None else {}
        )
        forbidden = self._read_list(licences.get("forbidden"), ".bill.licences.forbidden")
        unknown = licences.get("unknown")
        most = None if unknown is None else self._read_number(unknown, ".bill.licences.unknown")
        if not bounds and not forbidden and most is None:
            self._tell(
                ".bill",
                "it bounds nothing; give some of added, removed, changed, licences, such as "
                "{removed: 0, licences: {forbidden: [AGPL-*]}}",
            )
        return BillGate(
            bounds=bounds,
            forbidden=forbidden,
            unknown=most,
            systems=self._read_patterns(said, ".bill.systems"),
            ignore=self._read_list(said.get("ignore"), ".bill.ignore"),
        )

    def _read_number(self, value: object, place: str) -> int:
        count, wrong = read_count(value, f"{self._where}{place}", least=0)
        self.faults += wrong
        return count or 0

    def _check_bound(self, kind: str, limit: object, place: str) -> None:
        if kind == "size":
            if not GROWTH.match(str(limit)) or isinstance(limit, bool):
                self._tell(
                    place, f"{show(limit)} is neither bytes, such as 20M, nor a part of what there was, such as 20%"
                )
        else:
            _count, wrong = read_count(limit, f"{self._where}{place}", least=0)
            self.faults += wrong

    def _tell(self, place: str, fault: str) -> None:
        self.faults.append(f"{self._where}{place}: {fault}")

    def _read_mapping(self, value: object, place: str, known: Collection[str]) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self._tell(place, f"it is {describe_kind(value)}, not a mapping")
            return None
        self.check_keys(value, known, place)
        return value

    def _read_list(self, value: object, place: str) -> tuple[str, ...]:
        listed, faults = read_texts(value, f"{self._where}{place}", "patterns")
        self.faults += faults
        return tuple(listed)

    def _read_patterns(self, value: Mapping[str, Any], place: str) -> tuple[str, ...]:
        return self._read_list(value.get("systems"), place) or ("*",)

    def _read_firmware(self, value: object, place: str) -> Any:
        if value is None:
            return OF_DISKS
        if isinstance(value, dict):
            for architecture in value:
                if architecture not in MACHINES:
                    self._tell(place, f"there is no machine for {architecture!r}, known are {', '.join(MACHINES)}")
            return {
                architecture: self._read_ways(ways, f"{place}.{architecture}", architecture)
                for architecture, ways in value.items()
            }
        return self._read_ways(value, place, "")

    def _read_ways(self, value: object, place: str, architecture: str) -> tuple[str, ...]:
        ways = self._read_list(value, place)
        known = MACHINES[architecture].firmware if architecture in MACHINES else FIRMWARE
        if not ways or not set(ways) <= set(known):
            self._tell(place, f"it is {show(value)}, not a list of some of {', '.join(known)}")
        return ways

    def _read_limit(self, value: object, place: str, default: int) -> int:
        if value is None:
            return default
        limit, wrong = read_count(value, f"{self._where}{place}")
        self.faults += wrong
        return limit or default

    def _read_memory(self, value: object, place: str) -> str:
        memory = "256M" if value is None else value
        if not isinstance(memory, str) or not MEMORY.match(memory):
            self._tell(place, f"{show(memory)} is no size of a memory, such as 512M or 2G")
            return "256M"
        return memory

    def _read_line(self, value: object, place: str) -> str:
        line = "" if value is None else value
        if not isinstance(line, str) or (line and not line.isprintable()):
            self._tell(place, f"it is {describe_kind(value)}, not one line of text")
            return ""
        return line

    def _read_ids(self, value: object, place: str) -> dict[str, str]:
        said = {} if value is None else self._read_mapping(value, place, value if isinstance(value, dict) else ())
        return {str(name): self._read_line(each, f"{place}.{name}") for name, each in (said or {}).items()}

    def _read_smoke(self, value: object, place: str) -> tuple[Smoke, ...]:
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)):
            self._tell(place, f"it is {describe_kind(value)}, not a list such as [{{run: uname -m, expect: x86_64}}]")
            return ()
        found = []
        for number, each in enumerate(value):
            here = f"{place}[{number}]"
            said = self._read_mapping(each, here, ("run", "expect", "status", "limit"))
            if said is None:
                continue
            if (fault := find_command_fault(said.get("run"))) is not None:
                self._tell(f"{here}.run", fault)
            status, wrong = read_count(said.get("status", 0), f"{self._where}{here}.status", least=0)
            self.faults += wrong
            expect = said.get("expect")
            if expect is not None and not isinstance(expect, (str, int, float)):
                self._tell(f"{here}.expect", f"it is {describe_kind(expect)}, not text")
            limit = self._read_limit(said.get("limit"), f"{here}.limit", COMMAND_LIMIT)
            found.append(Smoke(str(said.get("run")), "" if expect is None else str(expect), status or 0, limit))
        return tuple(found)
