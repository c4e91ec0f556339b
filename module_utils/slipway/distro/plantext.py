# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan for people: what is built, in which order, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import count_of
from ..escape import escape_terminal

#: How many entries of a wave are shown with their reasons, and how many of the waves.
MOST_ENTRIES, MOST_WAVES = 12, 40


def format_plan(plan: Mapping[str, Any], *, most: int = MOST_ENTRIES) -> list[str]:
    """The lines of a plan; of each wave, and of what is blocked, at most ``most`` are shown."""
    counts = plan["counts"]
    title = f"{plan['distribution'] or 'the sources'}: {count_of(counts['build'], 'build')}"
    lines = [
        f"{title} in {count_of(counts['waves'], 'wave')}, {counts['blocked']} blocked, {counts['current']} current, "
        f"{counts['excluded']} excluded (policy {plan['policy']})"
    ]
    if counts["build"]:
        rows = [f"{policy} {number}" for policy, number in plan["policies"].items()]
        lines.append(f"builds under each policy: {', '.join(rows)}")
    lines += _format_waves([entry for entry in plan["entries"] if entry["state"] == "build"], most)
    lines += _format_blocked(plan["blocked"], most)
    for cycle in plan["cycle_details"]:
        lines.append(f"cycle on {cycle['platform']}: {_format_cycle(cycle)}; {cycle['remark']}")
    lines += [f"remark: {remark}" for remark in plan["remarks"]]
    return [escape_terminal(line) for line in lines]


def _format_waves(entries: Sequence[Mapping[str, Any]], most: int) -> Iterator[str]:
    places = sorted({entry["platform"] for entry in entries})
    for platform in places:
        waves: dict[int, list[Mapping[str, Any]]] = {}
        for entry in entries:
            if entry["platform"] == platform:
                waves.setdefault(entry["order"], []).append(entry)
        for wave in sorted(waves)[:MOST_WAVES]:
            yield f"{platform}, wave {wave}: {count_of(len(waves[wave]), 'build')}"
            for entry in waves[wave][:most]:
                yield f"  {_format_entry(entry)}"
            if len(waves[wave]) > most:
                yield f"  and {len(waves[wave]) - most} more"
        if len(waves) > MOST_WAVES:
            yield f"{platform}: and {len(waves) - MOST_WAVES} more waves"


def _format_entry(entry: Mapping[str, Any]) -> str:
    version = entry["binary_version"] or entry["version"]
    reasons = "; ".join(reason["text"] for reason in entry["reasons"])
    line = f"{entry['source']} {version} [{entry['architecture']}] {reasons}"
    if entry["invalidates"]:
        line += f"; its success invalidates {len(entry['invalidates'])}"
    return line


def _format_blocked(blocked: Sequence[Mapping[str, Any]], most: int) -> Iterator[str]:
    if blocked:
        yield f"blocked: {len(blocked)}"
    for one in blocked[:most]:
        yield f"  {one['source']} [{one['platform']}/{one['architecture']}] {one['why']}"
    if len(blocked) > most:
        yield f"  and {len(blocked) - most} more"


def _format_cycle(cycle: Mapping[str, Any]) -> str:
    parts = []
    for edge in cycle["edges"]:
        through = f" ({' > '.join(edge['through'])})" if edge["through"] else ""
        parts.append(f"{edge['source']} needs {edge['needs']}{through}")
    return ", ".join(parts)
