# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What preflight asks of build tools: whether they understand the definitions, and are those of the release before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bill.make import find_bill_obstacles, find_python
from ..cycle.format import FILES, UNSAID, Format, find_format_fault, read_format
from ..cycle.held import merge_lists, read_held_file
from ..errors import SlipwayError
from ..git.remote import list_remote_refs
from ..image.deploy import Deployment, list_programs
from ..image.job import program_path
from ..plan.definitions import Definitions, open_commit
from ..policy.bills import TYPE as BILL
from ..policy.held import Held
from ..process import read_version
from ..release.durations import find_last_records
from ..release.names import version_key
from ..release.records import Record, load_records
from .preflight import Report

#: The records of what the coordinator itself made, with the tools that stages wrote down.
COORDINATOR = ("deploy-", "package")
#: How other tools than those of deployments tell their version.
ASK = {"gpg": ("gpg", "--version"), "pigz": ("pigz", "--version")}
NAMES = {"morph": "Morph", "buildstream": "BuildStream"}


@dataclass(frozen=True)
class Surroundings:
    """What is known besides the plan: the ``table`` of who understands what, the program ``bst``, held changes by
    policy and the file of the definitions that has more, and whether the tools must be the same (``same``: warn,
    require or ignore). With ``override``, the reason, nothing about formats forbids to begin.
    """

    table: Sequence[Mapping[str, Any]] = ()
    bst: str = ""
    held: Sequence[Held] = ()
    held_file: str = ""
    same: str = "warn"
    override: str = ""


@dataclass
class ToolReport(Report):
    """The findings, and the facts for the record."""

    facts: dict[str, Any] = field(default_factory=dict)


def report_tools(plan: Mapping[str, Any], wanted: Surroundings) -> ToolReport:
    """Whether this release's tools and those of the release before understand what they are to build."""
    found = ToolReport()
    definitions, remote = plan["definitions"], plan["remote"]
    commit, on = definitions["commit"], f"{definitions['path']} at {definitions['commit'][:12]}"
    try:
        with open_commit(definitions["url"], commit) as repository:
            paths = [path for path in (*FILES, wanted.held_file) if path]
            files = Definitions(repository, commit, on).read(paths)
        stated = read_format(files, on=on)
        listed = read_held_file(files.get(wanted.held_file), where=f"{wanted.held_file} of {on}")
    except SlipwayError as error:
        return ToolReport([str(error)])
    previous = _read_previous(plan)
    tools = _list_tools(plan, previous, wanted)
    if stated is None and any(system["file"].endswith(".morph") for system in plan["systems"]):
        stated = Format("morph", "0", UNSAID)
    if stated is not None:
        _judge_format(found, stated, tools, on=on, table=wanted.table)
    held = merge_lists(list(wanted.held), listed)
    _judge_held(found, held, tools, table=wanted.table, plan=plan)
    if wanted.override:
        found.warnings += [f"{each}; ignored, because {wanted.override}" for each in found.findings]
        found.findings = []
    if any(each["type"] == BILL for each in plan.get("extras") or ()):
        found.findings += find_bill_obstacles(find_python(wanted.bst or "bst"))
    _compare_tools(found, previous, plan=plan, same=wanted.same, bst=wanted.bst)
    found.facts |= {
        "format": {} if stated is None else {"tool": stated.tool, "version": stated.version},
        "held": [{"branch": each.branch, "until": each.until, "why": each.why} for each in held],
        "previous": remote.get("previous_tag") or "",
    }
    return found


def _read_previous(plan: Mapping[str, Any]) -> Mapping[str, Record]:
    """The records of the release before, if they are kept here."""
    releases, tag = Path(plan["directories"]["release"]).parent, plan["remote"].get("previous_tag")
    if tag:
        try:
            return load_records(releases / tag.removeprefix(f"{plan['project']}-") / "records")
        except (OSError, SlipwayError):
            return {}
    return find_last_records(releases, version=plan["version"])


@dataclass(frozen=True)
class _Tool:
    """A build tool: whose it is, and which release it is of by its kind (empty: not known)."""

    whose: str
    release: Mapping[str, str]
    forbids: str


def _list_tools(plan: Mapping[str, Any], previous: Mapping[str, Record], wanted: Surroundings) -> list[_Tool]:
    tag = plan["remote"].get("previous_tag")
    tools = []
    if tag:
        bst = next((each["tools"]["bst"] for each in previous.values() if (each.get("tools") or {}).get("bst")), "")
        version = {"morph": tag.removeprefix(f"{plan['project']}-"), "buildstream": _last_word(bst)}
        forbids = f"the release before cannot build this one: hold the change back until {plan['version']} is released"
        tools.append(_Tool(f"of {tag}", version, forbids))
    here = ""
    if wanted.bst:
        try:
            here = _last_word(read_version(wanted.bst, "--version"))
        except SlipwayError:
            here = ""  # that it is missing is another check's affair
    forbids = f"{plan['label']} could not build itself: hold the change back until a release that can"
    tools.append(_Tool(f"of {plan['label']}", {"morph": plan["version"], "buildstream": here}, forbids))
    return tools


def _is_same_version(said: str, before: str) -> bool:
    """Records may have the number alone, and the program says more."""
    words, known = set(said.split()), set(before.split())
    return bool(words and known) and (words <= known or known <= words)


def _last_word(text: str) -> str:
    return text.split()[-1] if text.split() else ""


def _judge_format(
    found: ToolReport,
    stated: Format,
    tools: Sequence[_Tool],
    *,
    on: str,
    table: Sequence[Mapping[str, Any]],
) -> None:
    for tool in tools:
        release = tool.release[stated.tool]
        fault = find_format_fault(stated, release, table=table) if release else None
        if fault is not None:
            found.findings.append(
                f"{on} is in {stated.describe()}, and the {NAMES[stated.tool]} {tool.whose} does not take it, since "
                f"{fault}: {tool.forbids}"
            )


def _judge_held(
    found: ToolReport,
    held: Sequence[Held],
    tools: Sequence[_Tool],
    *,
    table: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any],
) -> None:
    """Name what is planned; what is merged after this release, its own tools must understand."""
    due = [each for each in held if version_key(each.until) <= version_key(plan["version"])]
    url = plan["definitions"]["url"]
    heads = list_remote_refs(url, *(f"refs/heads/{each.branch}" for each in due)) if due else {}
    for each in held:
        why = f" ({each.why})" if each.why else ""
        if each not in due:
            found.warnings.append(f"the change {each.branch} is held back until {each.until}{why}")
            continue
        head = heads.get(f"refs/heads/{each.branch}")
        if head is None:
            found.warnings.append(f"the held change {each.branch}{why} is no branch of the definitions any more")
            continue
        needs = _read_held_format(found, url, head, branch=each.branch)
        found.warnings.append(
            f"the change {each.branch} is held back until {plan['label']} is released{why}"
            + (f"; it needs {needs.describe()}" if needs else "")
        )
        release = "" if needs is None else tools[-1].release[needs.tool]
        fault = find_format_fault(needs, release, table=table) if needs and release else None
        if fault is not None and needs is not None:
            found.findings.append(
                f"the change {each.branch} that waits for {each.until} is in {needs.describe()}, and the "
                f"{NAMES[needs.tool]} {tools[-1].whose} does not take it, since {fault}: let it wait for later"
            )


def _read_held_format(found: ToolReport, url: str, head: str, *, branch: str) -> Format | None:
    on = f"the held change {branch}"
    try:
        with open_commit(url, head) as repository:
            return read_format(Definitions(repository, head, on).read(FILES), on=on)
    except SlipwayError as error:
        found.findings.append(str(error))
        return None


def _compare_tools(
    found: ToolReport, previous: Mapping[str, Record], *, plan: Mapping[str, Any], same: str, bst: str
) -> None:
    """Whether the coordinator has the tools with which the release before was made."""
    tag = plan["remote"].get("previous_tag")
    if same == "ignore" or not tag:
        return
    said = found.findings if same == "require" else found.warnings
    before: dict[str, str] = {}
    for stage, record in previous.items():
        if stage.startswith(COORDINATOR):
            before |= {name: str(version) for name, version in (record.get("tools") or {}).items()}
    if not before:
        said.append(
            f"nothing here says with which tools {tag} was made, so nobody knows whether those here are the same: "
            f"bring its records to {Path(plan['directories']['release']).parent}"
        )
        return
    ask = {
        each.name: (each.name, each.asked)
        for each in list_programs(map(Deployment.from_plan, plan.get("deployments") or []))
    }
    ask |= ASK | ({"bst": (bst, "--version")} if bst else {})
    now = {name: _read_here(ask[name]) for name in sorted(before.keys() & ask.keys())}
    others = {name: version for name, version in now.items() if not _is_same_version(version, before[name])}
    found.facts["tools"] = {"same": not others, "others": {name: [before[name], now[name]] for name in others}}
    if others:
        what = "; ".join(f"{name} was {before[name]}, is {now[name] or 'missing'}" for name in others)
        said.append(f"this coordinator has not the tools with which {tag} was made: {what}")


def _read_here(command: Sequence[str]) -> str:
    try:
        return read_version(*command, env={"PATH": program_path()})
    except SlipwayError:
        return ""
