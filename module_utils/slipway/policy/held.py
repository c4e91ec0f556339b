# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes that are held back until a release is made: those that the release before it could not build."""

from __future__ import annotations

from dataclasses import dataclass

from ..release.names import VERSION, find_ref_fault
from .values import describe_kind, find_key_faults, show

KEYS = ("branch", "until", "why")


@dataclass(frozen=True)
class Held:
    """A branch of the definitions that is merged when the version ``until`` is released."""

    branch: str
    until: str
    why: str = ""


def read_held(value: object, where: str) -> tuple[list[Held], list[str]]:
    """The branches that wait, and the faults; ``None`` is none."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [f"{where}: it is {describe_kind(value)}, not a list of branches"]
    found: list[Held] = []
    faults: list[str] = []
    for number, entry in enumerate(value):
        held, wrong = _read_entry(entry, f"{where}[{number}]")
        faults += wrong
        if held is not None and held.branch in {each.branch for each in found}:
            faults.append(f"{where}[{number}].branch: {held.branch} is named twice")
        elif held is not None:
            found.append(held)
    return found, faults


def _read_entry(entry: object, where: str) -> tuple[Held | None, list[str]]:
    if not isinstance(entry, dict):
        example = '{branch: sam/format-9, until: "26.47"}'
        return None, [f"{where}: it is {describe_kind(entry)}, not a branch and the version it waits for, {example}"]
    faults = find_key_faults(entry, KEYS, where)
    branch, until, why = entry.get("branch"), entry.get("until"), entry.get("why") or ""
    if not isinstance(branch, str) or branch.startswith("refs/") or (branch and find_ref_fault(branch)) or not branch:
        said = "missing" if branch is None else show(branch)
        faults.append(f"{where}.branch: it is {said}, not the name of a branch")
    if isinstance(until, (int, float)) and not isinstance(until, bool):
        faults.append(f"{where}.until: {until!r} is a number, so what was written may be lost; quote it")
    elif not isinstance(until, str) or not VERSION.match(until):
        said = "missing" if until is None else show(until)
        faults.append(f'{where}.until: it is {said}, not the version that it waits for, such as "26.47"')
    if not isinstance(why, str) or not why.isprintable():
        faults.append(f"{where}.why: it is {describe_kind(why)}, not one line of text")
    return (None if faults else Held(str(branch), str(until), str(why))), faults
