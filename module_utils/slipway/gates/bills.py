# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate of bills of materials: what changed since the release before, and under which licences a system is."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..bill.difference import CHANGES, Component, compare_bills, read_bill, tell_names
from ..bill.previous import Earlier
from ..errors import count_of
from ..files import read_regular
from ..policy.gates import BillGate
from .started import Outcome

#: Names that a record keeps of each kind.
MOST_NAMES = 50
SIGNS = {"added": "+", "removed": "-", "changed": "~"}
FIRST = "there is no release before it that has a bill of this system"


def judge_bill(gate: BillGate, path: Path, before: Earlier | None) -> Outcome:
    """Whether a bill is within the bounds."""
    now = _leave_out(gate, read_bill(read_regular(path), on=path.name))
    told: dict[str, Any] = {"components": len(now)}
    faults = _judge_licences(gate, now)
    if before is None:
        return Outcome("; ".join(faults), {**told, "said": FIRST})
    old = _leave_out(gate, read_bill(read_regular(before.path), on=str(before.path)))
    listed = compare_bills(old, now).describe()
    counts = {kind: [each["name"] for each in listed if each["kind"] == kind] for kind in CHANGES}
    told |= {"previous": before.label, "bill": {kind: len(names) for kind, names in counts.items()}}
    told["bill_names"] = [f"{SIGNS[each['kind']]} {each['name']}{_tell(each)}" for each in listed][:MOST_NAMES]
    for kind, names in counts.items():
        most = gate.bounds.get(kind)
        if most is not None and len(names) > most:
            shown = tell_names(Component(name) for name in names)
            count = count_of(len(names), "component")
            faults.append(f"compared with {before.label}, {count} {kind}, at most {most} may be: {shown}")
    summary = ", ".join(f"{len(names)} {kind}" for kind, names in counts.items() if names) or "nothing differs"
    return Outcome("; ".join(faults), {**told, "said": f"compared with {before.label}, components: {summary}"})


def _tell(change: Mapping[str, str]) -> str:
    if change["kind"] != "changed":
        return f" {change['now'] or change['before']}".rstrip()
    if change["before"] != change["now"]:
        return f" {change['before']} -> {change['now']}"
    return f" {change['licence_before'] or 'no known licence'} -> {change['licence_now'] or 'no known licence'}"


def _leave_out(gate: BillGate, components: Mapping[str, Component]) -> dict[str, Component]:
    return {
        name: each
        for name, each in components.items()
        if not any(fnmatchcase(name, pattern) for pattern in gate.ignore)
    }


def _judge_licences(gate: BillGate, components: Mapping[str, Component]) -> list[str]:
    faults = []
    for pattern in gate.forbidden:
        under = [each for each in components.values() if any(fnmatchcase(name, pattern) for name in each.licences)]
        if under:
            verb = "is" if len(under) == 1 else "are"
            faults.append(f"licences: {pattern} is forbidden, and {tell_names(under)} {verb} under it")
    unknown = [each for each in components.values() if each.made and not each.licences]
    if gate.unknown is not None and len(unknown) > gate.unknown:
        count = count_of(len(unknown), "component")
        faults.append(f"licences: of {count} none is known, at most {gate.unknown} may be: {tell_names(unknown)}")
    return faults
