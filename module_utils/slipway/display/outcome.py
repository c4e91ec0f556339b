# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of a run: read from what its tasks return, which are its records, and told in a few lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from ..release.durations import ORDER, name_stage
from .text import count, fold, format_seconds, format_size

#: Columns of the words at the beginning of lines.
MARGIN = 10
SUMS = "SHA256SUMS"
#: Lines with a command, which is to be copied.
COMMANDS = ("verify", "next", "go on")
#: Playbooks that make a release once more: what it is then, and the stage that says so.
AGAIN = {"reproduce.yml": ("reproduced", "reproduce"), "attest.yml": ("attested", "attestation")}
#: So many links or hosts are named, and of more the number.
NAMED = 3


@dataclass(frozen=True)
class Failure:
    """What did not work on which host; the same on several hosts is one."""

    hosts: tuple[str, ...]
    stage: str
    task: str
    reason: str
    log: str = ""


@dataclass
class Run:
    """What is known of a run of one playbook besides its results."""

    playbook: str
    command: str
    check: bool = False
    seconds: float = 0.0
    stages: list[tuple[str, float]] = field(default_factory=list)
    hosts: int = 0
    changed: int = 0
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Packages:
    """What became of packages: how many were built or changed, and where they and what is known of them are."""

    built: int = 0
    failed: int = 0
    waiting: int = 0
    shadow: str = ""
    excuses: str = ""
    #: Each release of packages with its directory, and what it changed for readers.
    releases: dict[str, str] = field(default_factory=dict)

    def take(self, action: str, result: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        """Note what the task with this module returned, if it says something of packages."""
        if action == "deb_builds":
            failed = len(result.get("failed_builds") or [])
            self.built += len(result.get("builds") or []) - failed
            self.failed, self.waiting = self.failed + failed, len(result.get("waiting") or [])
            self.shadow = str(arguments.get("public") or "")
        elif action == "deb_excuses":
            self.excuses = str(arguments.get("directory") or "")
        elif action == "stamp_plan" and result.get("published"):
            self.releases[f"{arguments.get('published')}/snapshots/{result.get('label')}"] = "published before"
        elif action == "apt_publish" and result.get("snapshot"):
            changes = (f"{len(result.get(name) or [])} {name}" for name in ("added", "updated", "removed"))
            self.releases[f"{arguments.get('directory')}/{result['snapshot']}"] = ", ".join(changes)

    def list_rows(self) -> list[tuple[str, str]]:
        """What is to be said of them."""
        rows = []
        if self.shadow:
            numbers = [f"{self.built} built", f"{self.failed} failed"]
            numbers += [f"{self.waiting} waiting"] if self.waiting else []
            rows.append(("shadow", f"{self.shadow} ({', '.join(numbers)})"))
        rows += [("public", f"{place} ({changes})") for place, changes in self.releases.items()]
        return rows + ([("excuses", self.excuses)] if self.excuses else [])


@dataclass
class Outcome:
    """What the tasks of a release returned."""

    plan: dict[str, Any] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    moves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    wiki: str = ""
    mail: str = ""
    mailed: bool = False
    packages: Packages = field(default_factory=Packages)

    def take(self, action: str, result: Mapping[str, Any], *, host: str) -> None:
        """Note what the task with this module returned, if it says something of the release."""
        facts = result.get("ansible_facts") or {}
        if isinstance(facts.get("release_plan"), dict):
            self.plan, self.last = dict(facts["release_plan"]), dict(result.get("last") or {})
        if isinstance(facts.get("release_records"), dict):
            self.records = dict(facts["release_records"])
        # Of a loop, what its items have in common is that of the first.
        items: list[Mapping[str, Any]] = [each for each in result.get("results") or [] if isinstance(each, dict)]
        arguments = next(
            (each["invocation"].get("module_args") or {} for each in items or [result] if each.get("invocation")), {}
        )
        self.packages.take(action, result, arguments)
        if action == "artifact_verify":
            # The key lies beside the releases, and is read with them.
            found = find_places(result.get("verified") or [])
            self.places = [place for place in found if place.endswith(f"/{self.label}/")] or self.places
        elif action == "current_links" or (action == "release_withdrawal" and result.get("moves")):
            self.moves[host] = list(result.get("moves") or [])
        elif action in ("git_files", "release_notes_withdrawn"):
            self.wiki = self.wiki or str(arguments.get("repository") or "")
        elif action == "announcement_mail":
            self.mail = str(arguments.get("maildir") or arguments.get("host") or "")
            self.mailed = self.mailed or bool(result.get("changed"))

    @property
    def withdrawal(self) -> dict[str, Any]:
        """By whom, when and why the release was withdrawn; empty if it was not."""
        found = (self.records.get("withdrawal") or {}).get("outputs") or {}
        return dict(found) if found.get("withdrawn") else {}

    @property
    def label(self) -> str:
        """The release's label; empty before there is a plan."""
        return str(self.plan.get("label") or "")

    def expect(self) -> dict[str, float]:
        """The seconds of each stage in the last release, for those that have no record yet."""
        done = {name_stage(name) for name in self.records}
        return {stage: took for stage, took in (self.last.get("seconds") or {}).items() if stage not in done}

    def list_done(self) -> list[str]:
        """The stages that have a record, in their order."""
        done = {name_stage(name) for name in self.records}
        return [stage for stage in ORDER if stage in done]

    def list_files(self) -> list[dict[str, Any]]:
        """The files that are public."""
        outputs = (self.records.get("publication") or {}).get("outputs") or {}
        return [*(outputs.get("files") or []), *(outputs.get("sidecars") or [])]


def find_places(addresses: Iterable[str]) -> list[str]:
    """The directories of these addresses, those on this machine as paths."""
    places: dict[str, None] = {}
    for address in addresses:
        place = str(address).rpartition("/")[0] + "/"
        places[unquote(urlsplit(place).path) if place.startswith("file:") else place] = None
    return list(places)


def find_next_version(version: str) -> str:
    """The version that probably follows; empty where that cannot be said."""
    found = re.fullmatch(r"((?:\d+\.)+)(\d+)", version)
    return f"{found[1]}{int(found[2]) + 1:0{len(found[2])}}" if found else ""


def format_summary(outcome: Outcome, run: Run, width: int, *, whole_words: bool = False) -> list[str]:
    """The lines at the end of a run."""
    rows = _list_rows(outcome, run)
    lines = ["", *fold(_tell(outcome, run), width, whole_words=whole_words)]
    for name, text in rows:
        lines += _format_row(name, text, width, whole_words=whole_words)
    return lines


def _format_row(name: str, text: str, width: int, *, whole_words: bool) -> list[str]:
    begin = f"  {name}".ljust(MARGIN)
    lines = [text] if whole_words and name in COMMANDS else fold(text, width - MARGIN, whole_words=whole_words)
    return [f"{begin if number == 0 else ' ' * MARGIN}{line}".rstrip() for number, line in enumerate(lines)]


def _tell_briefly(run: Run) -> str:
    """What is to be said of a run that released nothing, and did not fail."""
    on = f" on {count(run.hosts, 'host')}" if run.hosts > 1 else ""
    changed = count(run.changed, "task") if run.changed else "nothing"
    what = f"{changed} would change" if run.check else f"{changed} changed"
    return f"{run.playbook} is done{on}: {what}, {format_seconds(run.seconds)}."


def _tell(outcome: Outcome, run: Run) -> str:
    """What is the case now, as a sentence."""
    if not outcome.label and not run.failures:
        return _tell_briefly(run)
    subject = outcome.label or run.playbook
    if outcome.label and run.playbook in AGAIN and not run.check:
        return f"{subject} {_tell_again(run)}"
    public = "publication" in outcome.records
    if run.failures:
        first = run.failures[0]
        where = (
            f"{first.stage} failed on {name_hosts(first.hosts)}" if first.stage else f"it failed on {first.hosts[0]}"
        )
        state = (
            "is withdrawn"
            if outcome.withdrawal
            else "is public, but not done"
            if public
            else "is not released"
            if outcome.label
            else "is not done"
        )
        return f"{subject} {state}: {where}."
    if run.check:
        return f"{subject}: nothing was changed, since this was a check."
    if outcome.withdrawal:
        return f"{subject} is withdrawn."
    if "announcement" in outcome.records:
        return f"{subject} is released."
    done = outcome.list_done()
    state = f"{subject} is {'public, and not yet announced' if public else 'not yet public'}"
    return f"{state}: {', '.join(done)} done." if done else f"{state}."


def _tell_again(run: Run) -> str:
    """What came of a release that was made once more, beside what is public."""
    done, last = AGAIN[run.playbook]
    if run.failures:
        first = run.failures[0]
        return f"is not {done}: {first.stage or 'it'} failed on {name_hosts(first.hosts)}."
    return f"is {'' if last in dict(run.stages) else 'not yet '}{done}."


def _list_rows(outcome: Outcome, run: Run) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if outcome.label and not run.check:
        rows += _list_release(outcome)
    if not run.check:
        rows += outcome.packages.list_rows()
    if outcome.label or run.failures:
        times = [f"{name} {format_seconds(seconds)}" for name, seconds in run.stages if seconds >= 1]
        rows.append(("time", format_seconds(run.seconds) + (f": {', '.join(times)}" if len(times) > 1 else "")))
        changed = count(run.changed, "task") if run.changed else "nothing"
        rows.append(("would", f"change {changed}") if run.check else ("changed", changed))
    rows += _list_logs(outcome, run)
    rows += [("warning", warning) for warning in run.warnings]
    return rows + _list_next(outcome, run)


def _list_release(outcome: Outcome) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    files = [] if outcome.withdrawal.get("files") == "removed" else outcome.list_files()
    if found := outcome.withdrawal:
        rows += [("by", f"{found['by']}, {str(found['date'])[:10]}"), ("because", str(found["reason"]))]
    if files:
        size = format_size(sum(int(file.get("size") or 0) for file in files))
        directory = str(outcome.records["publication"]["outputs"].get("directory"))
        places = outcome.places or [directory]
        rows += [("public", f"{place} ({count(len(files), 'file')}, {size})") for place in places[:1]]
        rows += [("", place) for place in places[1:]]
    moved = {host: moves for host, moves in outcome.moves.items() if moves}
    for host, moves in moved.items():
        rows.append(("links", _tell_moves(moves) + (f" on {host}" if len(outcome.moves) > 1 else "")))
    if "tag" in outcome.records:
        tag = outcome.records["tag"]["outputs"]
        rows.append(("tag", f"{tag.get('tag')} at {str(tag.get('commit'))[:12]}"))
    if "notes" in outcome.records:
        notes = outcome.records["notes"]["outputs"]
        if notes.get("path"):
            rows.append(("notes", f"{notes['path']}{f' in {outcome.wiki}' if outcome.wiki else ''}"))
        elif notes.get("page"):
            rows.append(("notes", f"on {notes['page']}"))
    if "announcement" in outcome.records:
        sent = outcome.records["announcement"]["outputs"]
        to = ", ".join(map(str, sent.get("recipients") or []))
        refused = ", ".join(map(str, sent.get("refused") or []))
        by = f" by {outcome.mail}" if outcome.mail else ""
        rows.append(("mail", f"to {to}{by}" if outcome.mailed else f"to {to}, sent before"))
        if refused:
            rows.append(("", f"refused by {refused}"))
    skipped = sorted({str(each.get("architecture")) for each in outcome.plan.get("skipped") or []})
    if skipped and files:
        rows.append(("without", f"{', '.join(skipped)}: no build host"))
    return rows


def _tell_moves(moves: Sequence[Mapping[str, Any]]) -> str:
    """Which links moved, from where to where."""
    names = [str(move.get("name")) for move in moves]
    named = ", ".join(names) if len(names) <= NAMED else f"{names[0]} and {len(names) - 1} more"
    before = {str(move["before"]).partition("/")[0] for move in moves if move.get("before")}
    after = {str(move["after"]).partition("/")[0] for move in moves if move.get("after")}
    verb = "removed" if not after else "moved" if before else "made"
    came = f" from {', '.join(sorted(before))}" if before else ""
    return f"{named} {verb}{came}{f' to {min(after)}' if after else ''}"


def _list_logs(outcome: Outcome, run: Run) -> list[tuple[str, str]]:
    logs = list(dict.fromkeys(failure.log for failure in run.failures if failure.log))
    rows = [("log", log) for log in logs]
    if run.failures and outcome.plan.get("directories"):
        logged = str(outcome.plan["directories"]["logs"])
        if not any(log.startswith(logged) for log in logs):
            rows.append(("logs", logged))
    if not run.failures and outcome.list_done() and not run.check:
        rows.append(("records", str(outcome.plan["directories"]["records"])))
    return rows


def _list_next(outcome: Outcome, run: Run) -> list[tuple[str, str]]:
    """What to do now."""
    version = str(outcome.plan.get("version") or "")
    if run.failures:
        return [
            ("go on", f"fix that, and give the same command again: {run.command}" if run.command else "same command")
        ]
    if run.check or "publication" not in outcome.records or outcome.withdrawal:
        return []
    rows = []
    place = outcome.places[0] if outcome.places else ""
    if place.startswith("/"):
        rows.append(("verify", f"cd {shlex.quote(place)} && sha256sum -c {SUMS}"))
    elif place:
        rows.append(("verify", f"fetch {place}{SUMS} and what it lists, then sha256sum -c {SUMS}"))
    following = find_next_version(version)
    if following and "announcement" in outcome.records and version in run.command:
        rows.append(("next", run.command.replace(version, following)))
    return rows


def name_hosts(hosts: Sequence[str]) -> str:
    """A few names, or the first and how many more there are."""
    if len(hosts) <= NAMED:
        return ", ".join(hosts)
    return f"{hosts[0]} and {len(hosts) - 1} more hosts"
