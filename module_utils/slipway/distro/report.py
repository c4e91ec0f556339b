# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of the source packages of a run, for people, for the excuses, and for the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class SourceReport:
    """Lines for people, and the faults among them: what should have been made and was not."""

    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    made: int = 0


def report_sources(stacks: Iterable[Mapping[str, Any]], sources: Mapping[str, Mapping[str, Any]]) -> SourceReport:
    """Report each stack of the run by platform.

    ``sources`` has by stack what was ``made``, the ``faults``, the platforms for which it is ``planned`` (in check
    mode) and those that are ``excluded``. A stack that it does not have is not in the release repository.
    """
    report = SourceReport()
    for stack in stacks:
        found = sources.get(stack["name"])
        report.lines.append(f"{stack['name']} {stack['version']}")
        if found is None:
            _add_fault(report, stack["name"], "it is not in the release repository; create it first")
            continue
        for made in found["made"]:
            report.made += 1
            report.lines.append(f"  {made['platform']}: {made['source']} {made['version']}")
        for fault in found["faults"]:
            _add_fault(report, f"{stack['name']} for {fault['platform']}", fault["reason"], place=fault["platform"])
        report.lines += [f"  {platform}: would be made" for platform in found["planned"]]
        report.lines += [f"  {platform}: excluded" for platform in found["excluded"]]
    return report


def _add_fault(report: SourceReport, on: str, reason: str, *, place: str = "") -> None:
    sentence = " ".join(reason.split()).removeprefix(f"{on.split()[0]}: ")
    report.lines.append(f"  {place + ': ' if place else ''}failed: {sentence}")
    report.faults.append(f"{on}: {sentence}")


def gather_facts(
    plan: Mapping[str, Any], releases: Mapping[str, Mapping[str, Any]], sources: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What the excuses of a distribution need: its ``stacks``, what they ``depends`` on, and their ``sources``.

    ``plan`` is that of the role ``debs``. A stack that ``releases``, those of the release repository, does not have is
    called as one of ROS. Of stacks that ``sources`` does not have nothing is said, since the run was about others.
    """
    stacks: dict[str, dict[str, Any]] = {name: {"version": None} for name in plan["stack_names"]}
    depends: dict[str, list[str]] = {}
    for stack in plan["released"]:
        name = stack["name"]
        stacks[name] = {"version": stack["version"]}
        control = releases.get(name, {}).get("control") or {}
        depends[name] = list(control.get("depends") or [])
        kind = control.get("kind") or "ros"
        if kind != "ros":
            template = plan["settings"]["source_versions"][kind]
            stacks[name] |= {"package": control["package"], "source_version": template}
    return {"stacks": stacks, "depends": depends, "sources": list(_list_states(sources))}


def _list_states(sources: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    for stack, found in sources.items():
        for made in found["made"]:
            yield {"stack": stack, "platform": made["platform"], "state": "ok", "reason": ""}
        for fault in found["faults"]:
            yield {"stack": stack, "platform": fault["platform"], "state": "failed", "reason": fault["reason"]}
