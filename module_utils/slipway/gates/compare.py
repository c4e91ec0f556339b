# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate of differences: how a system differs from that of the release before, and whether that is within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..difference.facts import Change, Facts, compare_facts, list_words, parse_growth, tell_facts
from ..difference.images import read_tree
from ..errors import count_of
from ..policy.gates import DifferenceGate
from .started import Outcome

#: Names that a record keeps of each kind.
MOST_NAMES = 50
#: What is more dangerous changed than new.
CHANGED_IS_NEW = {"setuid"}


def compare(
    gate: DifferenceGate,
    images: tuple[Path, Path],
    kinds: tuple[str, str],
    before: str,
    scratch: Path,
    *,
    listening: tuple[Sequence[str] | None, Sequence[str] | None] | None = None,
) -> Outcome:
    """Compare two images, the one of the release ``before`` first.

    ``listening`` is what listened in each, if that is asked for; ``None`` is unknown.
    """
    facts = []
    for number, (image, kind) in enumerate(zip(images, kinds, strict=True)):
        place = scratch / f"image{number}"
        place.mkdir()
        facts.append(tell_facts(read_tree(image, kind, place), ignore=gate.ignore))
    if listening is not None:
        for each, sockets in zip(facts, listening, strict=True):
            if sockets is not None:
                each.kinds["listening"] = dict.fromkeys(sockets, "")
    return judge_facts(gate, facts[0], facts[1], before)


def judge_facts(gate: DifferenceGate, before: Facts, now: Facts, label: str) -> Outcome:
    """Whether the differences are within the bounds."""
    faults: list[str] = []
    told: dict[str, Any] = {"previous": label, "size": [before.size, now.size]}
    for kind in now.kinds:
        change = compare_facts(before.kinds.get(kind, {}), now.kinds[kind])
        told[kind] = {name: len(getattr(change, name)) for name in ("added", "removed", "changed")}
        told[f"{kind}_names"] = [
            *(f"+ {name}" for name in change.added),
            *(f"- {name}" for name in change.removed),
            *(f"~ {name}" for name in change.changed),
        ][:MOST_NAMES]
        faults += _find_faults(kind, change, gate.bounds.get(kind) or {})
    for kind in gate.bounds:
        if kind == "listening" and not ({"listening"} <= before.kinds.keys() & now.kinds.keys()):
            faults.append("it is not known what listens in both releases, since one of them was not started")
    faults += _judge_size(gate.bounds.get("size") or {}, before.size, now.size)
    if faults:
        return Outcome(f"compared with {label}, {'; '.join(faults)}", told)
    return Outcome("", {**told, "said": f"compared with {label}, {_summarise(now.kinds, told)}"})


def _summarise(kinds: Iterable[str], told: Mapping[str, Any]) -> str:
    """What differs, by numbers: files: 2 added, 1 changed; 512 bytes more."""
    parts = []
    for kind in kinds:
        changes = [f"{number} {name}" for name, number in told[kind].items() if number]
        parts += [f"{kind.replace('_', ' ')}: {', '.join(changes)}"] if changes else []
    before, now = told["size"]
    parts += [_tell_growth(before, now)] if before != now else []
    return "; ".join(parts) or "nothing differs"


def _tell_growth(before: int, now: int) -> str:
    return f"{count_of(abs(now - before), 'byte')} {'more' if now > before else 'less'}"


def _find_faults(kind: str, change: Change, bounds: Mapping[str, Any]) -> list[str]:
    faults = []
    for name, most in bounds.items():
        there = list(getattr(change, name))
        if name == "added" and kind in CHANGED_IS_NEW:
            there = sorted([*there, *change.changed])
        if len(there) > int(most):
            what = kind.replace("_", " ")
            faults.append(f"{what}: {len(there)} {name}, at most {most} may be: {list_words(there)}")
    return faults


def _judge_size(bounds: Mapping[str, Any], before: int, now: int) -> list[str]:
    faults = []
    for name, difference in (("grows", now - before), ("shrinks", before - now)):
        if name in bounds and difference > parse_growth(bounds[name], before):
            faults.append(
                f"its files have {_tell_growth(before, now)} "
                f"({before} before, {now} now), at most {bounds[name]} may be"
            )
    return faults
