# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the gates of a release are to judge, by its plan."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from ..bill.previous import list_bills
from ..boot.machines import FORMATS, KERNEL, MACHINES, OF_DISKS, choose_firmware, find_missing
from ..policy.gates import BillGate, BootGate, Gates, UpgradeGate, read_gates
from ..policy.values import to_plain
from ..policy.waivers import Waiver, find_expired, read_waivers
from .preflight import Report

BOOT, UPGRADE, DIFFERENCE, BILL = "boot", "upgrade", "difference", "bill"
#: By which firmwares a disk starts, by its setting BOOT.
BOOTS = {"bios": ("bios",), "efi": ("efi",), "uboot": ("uboot",), "both": OF_DISKS}
#: Types of files whose trees can be read.
TREES = ("tar", "rawdisk", "squashfs", "erofs")

Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One gate that one deployment has to pass. ``files`` are deployments by what they are for."""

    gate: str
    subject: str
    system: str
    architecture: str
    product: str
    settings: Any
    files: Mapping[str, str]
    way: str = ""
    version: str = ""
    ids: tuple[str, ...] = ()
    #: Whether a system that was started is asked what listens in it.
    listening: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.subject} ({self.way})" if self.way else self.subject

    @property
    def log_name(self) -> str:
        """The file that has what was said."""
        return "-".join(["gate", self.gate, self.subject, *([self.way] if self.way else [])]) + ".log"

    def make_key(self, digests: Mapping[str, str]) -> str:
        """The same for what is judged in the same way from the same bytes."""
        said = [self.gate, self.subject, self.way, self.version, self.ids, self.listening, to_plain(self.settings)]
        said.append(dict(digests))
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass
class Checks:
    """All that is to be judged, and what is wrong with what was asked for."""

    checks: list[Check] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    waivers: list[Waiver] = field(default_factory=list)


def list_checks(plan: Plan) -> Checks:
    """The checks of a release in the order of its products."""
    found = Checks()
    found.waivers, found.faults = read_waivers((plan.get("policy") or {}).get("waivers"), "release_policy.waivers")
    for product in plan.get("products") or []:
        name = str(product["name"])
        gates, faults = read_gates(product.get("gates"), f"release_policy.products.{name}.gates")
        found.faults += faults
        if not faults:
            mine = [each for each in plan["deployments"] if each.get("product", plan["project"]) == name]
            _list_product(found, plan, gates, mine, where=f"release_policy.products.{name}.gates")
            if gates.bill is not None:
                _list_bill_checks(found, plan, gates.bill, product=name, where=f"release_policy.products.{name}.gates")
    return found


def _list_bill_checks(found: Checks, plan: Plan, gate: BillGate, *, product: str, where: str) -> None:
    bills = [each for each in _select(list_bills(plan), gate.systems) if each["product"] == product]
    if not bills:
        found.faults.append(
            f"{where}.bill: no system of it has a bill of materials; set release_bills to true, or bills of the product"
        )
    found.checks += [
        Check(
            gate=BILL,
            subject=str(each["system_name"]),
            system=str(each["system_name"]),
            architecture=str(each["architecture"]),
            product=product,
            settings=gate,
            files={"bill": str(each["name"])},
            version=make_identifier(str(plan["version"])),
        )
        for each in bills
    ]


def find_obstacles(plan: Plan, *, today: datetime.date) -> Report:
    """What keeps the gates from judging, before anything is begun: programs, firmware, and what was asked for."""
    found = list_checks(plan)
    started = [(check.architecture, check.way) for check in found.checks if check.gate in (BOOT, UPGRADE)]
    faults = [*found.faults, *find_expired(found.waivers, today, str(plan["version"])), *find_missing(started)]
    return Report(findings=faults)


def _list_product(found: Checks, plan: Plan, gates: Gates, mine: Sequence[Plan], *, where: str) -> None:
    for name, gate in ((BOOT, gates.boot), (UPGRADE, gates.upgrade)):
        if gate is None:
            continue
        checks = [
            _make_check(plan, each, name, gate, way=way)
            for each in _select(mine, gate.systems)
            for way in _list_ways(each, gate)
        ]
        if isinstance(gate, BootGate):
            checks += _list_kernel_checks(found, plan, mine, gate, where=f"{where}.{name}")
        if not checks:
            found.faults.append(
                f"{where}.{name}: there is nothing to start: no raw disk, qcow2 or initramfs of its systems starts by "
                f"{_name_ways(gate.firmware)} on a machine that is known ({', '.join(MACHINES)})"
            )
        found.checks += checks
    if gates.difference is not None:
        if "listening" in gates.difference.bounds:
            compared = {each["system_name"] for each in _select(mine, gates.difference.systems)}
            found.checks = [
                replace(each, listening=True) if each.gate == BOOT and each.system in compared else each
                for each in found.checks
            ]
        found.checks += [
            _make_check(plan, each, DIFFERENCE, gates.difference)
            for each in _select(mine, gates.difference.systems)
            if each["type"] in TREES
        ]


def _list_ways(deployment: Plan, gate: BootGate | UpgradeGate) -> list[str]:
    if deployment["type"] not in FORMATS:
        return []
    ways = choose_firmware(str(deployment["architecture"]), gate.firmware)
    return [way for way in ways if way in _list_firmware(deployment.get("settings"))]


def _list_firmware(settings: Plan | None) -> Sequence[str]:
    """The firmware that starts a disk; any may, if that is not said."""
    return BOOTS.get(str((settings or {}).get("BOOT") or "").lower(), OF_DISKS)


def find_obstacle(kind: str, settings: Plan, way: str, *, boots: bool) -> str:
    """Why a deployment of an earlier release cannot be started; empty if it can.

    ``boots`` is whether the setting BOOT says by what those of today are started.
    """
    if kind not in FORMATS:
        return f"is of the type {kind}, which is not started by itself"
    if boots and not settings.get("BOOT"):
        return "does not boot"
    return "" if way in _list_firmware(settings) else f"does not boot by {way}"


def _list_kernel_checks(found: Checks, plan: Plan, mine: Sequence[Plan], gate: BootGate, *, where: str) -> list[Check]:
    checks = []
    for each in _select(mine, gate.systems):
        if each["type"] != "initramfs" or KERNEL not in choose_firmware(str(each["architecture"]), gate.firmware):
            continue
        kernels = [
            other
            for other in plan["deployments"]
            if other["type"] == "kernel" and other["architecture"] == each["architecture"]
        ]
        own = [other for other in kernels if other["system_name"] == each["system_name"]]
        if len(own or kernels) != 1:
            there = ", ".join(other["name"] for other in own or kernels) or "none"
            found.faults.append(
                f"{where}: the initramfs {each['name']} needs one kernel of its architecture, and there are: {there}"
            )
            continue
        kernel = str((own or kernels)[0]["name"])
        files = {"initramfs": str(each["name"]), "kernel": kernel}
        checks.append(_make_check(plan, each, BOOT, gate, way=KERNEL, files=files))
    return checks


def _make_check(
    plan: Plan, deployment: Plan, name: str, gate: Any, *, way: str = "", files: Mapping[str, str] | None = None
) -> Check:
    system = str(deployment.get("system_name") or deployment["name"])
    subject = str(deployment["name"])
    version, label = str(plan["version"]), str(plan["label"])
    said = gate.ids.get(system, gate.ids.get("*")) if isinstance(gate, BootGate) else None
    ids = [make_identifier(system), make_identifier(label)] if said is None else [said] if said else []
    return Check(
        gate=name,
        subject=subject,
        system=system,
        architecture=str(deployment["architecture"]),
        product=str(deployment.get("product", plan["project"])),
        settings=gate,
        files=files or {"image": subject},
        way=way,
        version=make_identifier(version),
        ids=tuple(ids) if name != DIFFERENCE else (),
    )


def make_identifier(text: str) -> str:
    """A name as os-release(5) allows it: lower case, digits, dot, underscore, hyphen."""
    return re.sub(r"[^a-z0-9._-]", "-", text.lower())


def _select(mine: Iterable[Plan], patterns: Sequence[str]) -> list[Plan]:
    return [
        each
        for each in mine
        if any(
            fnmatchcase(str(each.get(key) or ""), pattern) for pattern in patterns for key in ("system_name", "name")
        )
    ]


def _name_ways(firmware: Any) -> str:
    ways = firmware.values() if isinstance(firmware, Mapping) else [firmware]
    return " or ".join(dict.fromkeys(way for each in ways for way in each))
