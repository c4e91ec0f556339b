# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gates that a release may pass without, why, and until when."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..release.names import VERSION
from .values import describe_kind, find_key_faults, read_date, read_line, show, suggest

KEYS = ("gate", "subject", "version", "reason", "until")
NEEDED = ("gate", "subject", "reason", "until")
#: The gates that can be waived: those that judge what was packaged.
GATES = ("boot", "upgrade", "difference", "bill")
MOST_REASON = 1000


@dataclass(frozen=True)
class Waiver:
    """Who trips ``gate`` passes up to the end of the day ``until``, perhaps in one version only.

    ``subject`` is a deployment, or a pattern of deployments or systems.
    """

    gate: str
    subject: str
    reason: str
    until: datetime.date
    version: str = ""

    def covers(self, gate: str, names: tuple[str, ...], version: str) -> bool:
        """Whether it is about this gate and one of these names, in this version."""
        if gate != self.gate or self.version not in ("", version):
            return False
        return any(fnmatchcase(name, self.subject) for name in names)

    def describe(self) -> str:
        """It, in a sentence about it."""
        return f"the waiver of the gate {self.gate} for {self.subject}"


def read_waivers(value: object, where: str) -> tuple[list[Waiver], list[str]]:
    """The waivers, and the faults; ``None`` is what a policy has that says nothing."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [f"{where}: it is {describe_kind(value)}, not a list of waivers"]
    found, faults = [], []
    for number, each in enumerate(value):
        waiver, wrong = _read_waiver(each, f"{where}[{number}]")
        found += [waiver] if waiver is not None else []
        faults += wrong
    return found, faults


def _read_waiver(value: object, where: str) -> tuple[Waiver | None, list[str]]:
    if not isinstance(value, dict):
        return None, [f"{where}: it is {describe_kind(value)}, not a mapping"]
    faults = find_key_faults(value, KEYS, where)
    texts = {}
    for key in ("gate", "subject", "reason"):
        text, wrong = read_line(value.get(key), f"{where}.{key}", most=MOST_REASON)
        faults += [f"{fault}; a waiver says {', '.join(NEEDED)}" for fault in wrong]
        texts[key] = text.strip()
    if texts["gate"] and texts["gate"] not in GATES:
        hint = suggest(texts["gate"], GATES)
        faults.append(f"{where}.gate: there is no gate {show(texts['gate'])}{hint}; known are {', '.join(GATES)}")
    version = value.get("version")
    if version is not None and not isinstance(version, str):
        faults.append(
            f'{where}.version: {show(version)} is {describe_kind(version)}; write it in quotes, as "{version}"'
        )
    elif version and not VERSION.match(version):
        faults.append(f"{where}.version: {show(version)} is no version, such as 26.47")
    until, wrong = (None, [f"{where}.until: it is missing; a waiver has an end"])
    if value.get("until") is not None:
        until, wrong = read_date(value["until"], f"{where}.until")
    faults += wrong
    if faults or until is None:
        return None, faults
    return Waiver(texts["gate"], texts["subject"], texts["reason"], until, version or ""), []


def find_expired(waivers: list[Waiver], today: datetime.date, version: str) -> list[str]:
    """A sentence for each waiver that has ended, and might count for this version."""
    return [
        f"{waiver.describe()} ended on {waiver.until}: mend what it is about, or decide anew and give it a later end"
        for waiver in waivers
        if waiver.until < today and waiver.version in ("", version)
    ]
