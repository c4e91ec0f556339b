# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges what was packaged: makes every check, knows those that were passed before, and weighs waivers."""

from __future__ import annotations

import datetime
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bill.previous import EarlierBills
from ..boot.console import Log
from ..boot.machines import FORMATS, Disk
from ..errors import SlipwayError, count_of, refuse
from ..files import make_scratch, read_regular, write_atomic
from ..policy.waivers import Waiver, find_expired
from ..progress import Progress
from ..release.records import format_json, seal_record
from . import started
from .bills import judge_bill
from .checks import BILL, BOOT, DIFFERENCE, TREES, UPGRADE, Check, Plan, find_obstacle, list_checks, make_identifier
from .compare import compare
from .previous import History, Previous
from .started import Bench, Outcome
from .unpacked import Packed, Unpacked

PASSED, WAIVED, FAILED = "passed", "waived", "failed"
#: What was passed by a run that did not end, beside the records.
JOURNAL = ".gates.json"
FIRST = "there is no release before it that has this file"
Result = dict[str, Any]
#: What listens before and now; ``None`` is unknown.
Listening = tuple["list[str] | None", "list[str] | None"]


@dataclass(frozen=True)
class Places:
    """Where things are: the release's directory, its packaged files, its logs, and directories of public files."""

    release: Path
    artifacts: Path
    logs: Path
    public: tuple[Path, ...] = ()


@dataclass
class Judgement:
    """What came of all checks: in check mode of those that were passed before only, ``open`` are the others."""

    results: list[Result] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    made: bool = False


def judge(
    plan: Plan,
    packed: Mapping[str, Packed],
    *,
    places: Places,
    known: Sequence[Result],
    today: datetime.date,
    timeout: float,
    progress: Progress,
    write: bool = True,
) -> Judgement:
    """Make every check of a release; one that fails and that no waiver covers is a failure, after all were made.

    ``known`` are the results on record.
    """
    found = list_checks(plan)
    version, label = str(plan["version"]), str(plan["label"])
    expired = find_expired(found.waivers, today, version)
    refuse(
        "judge",
        label,
        [*found.faults, *expired],
        do_next="Correct the policy and run the same command again. Nothing is public.",
        several="faults are in what was asked for",
    )
    history = History(places.release.parent, project=str(plan["project"]), version=version, public=places.public)
    court = _Court(plan, packed, places, history, progress, time.monotonic() + timeout)
    court.know(found.checks)
    journal = places.release / JOURNAL
    before = {each["key"]: each for each in (*known, *_read_journal(journal)) if each.get("key")}
    judged = Judgement()
    todo: list[tuple[Check, str]] = []
    for check in found.checks:
        key = court.make_key(check)
        result = before.get(key)
        waiver = _find_waiver(found.waivers, check, version)
        if result is not None and (result["result"] == PASSED or waiver is not None):
            judged.results.append(_apply(result, waiver))
            court.remember(check.system, result["facts"])
        else:
            todo.append((check, key))
    if not write:
        judged.open = [f"{check.gate} of {check.title}" for check, _key in todo]
        return judged
    judged.made = bool(todo)
    for result, check in court.run(todo):
        waiver = _find_waiver(found.waivers, check, version)
        judged.results.append(_apply(result, waiver))
    order = {court.make_key(check): number for number, check in enumerate(found.checks)}
    judged.results.sort(key=lambda result: order[result["key"]])
    failed = [each for each in judged.results if each["result"] == FAILED]
    if todo:
        _write_journal(journal, [each for each in judged.results if each["result"] != FAILED])
    judged.warnings = _list_unneeded(found.waivers, judged.results, version)
    _refuse_failed(label, failed)
    return judged


def _find_waiver(waivers: Sequence[Waiver], check: Check, version: str) -> Waiver | None:
    names = (check.subject, check.system)
    return next((each for each in waivers if each.covers(check.gate, names, version)), None)


def _apply(result: Result, waiver: Waiver | None) -> Result:
    """What counts: a fault counts as waived if a waiver covers it."""
    if result["result"] == PASSED:
        return result
    if waiver is None:
        return {**result, "result": FAILED}
    said = {"result": WAIVED, "reason": waiver.reason, "until": waiver.until.isoformat(), "waiver": waiver.subject}
    return {**result, **said}


def _list_unneeded(waivers: Sequence[Waiver], results: Sequence[Result], version: str) -> list[str]:
    used = {(each["gate"], each.get("waiver")) for each in results if each["result"] == WAIVED}
    mine = {BOOT, UPGRADE, DIFFERENCE, BILL}
    return [
        f"{waiver.describe()} was not needed: take it out of release_policy.waivers"
        for waiver in waivers
        if waiver.gate in mine and waiver.version in ("", version) and (waiver.gate, waiver.subject) not in used
    ]


def _refuse_failed(label: str, failed: Sequence[Result]) -> None:
    if not failed:
        return
    sentences = [f"{each['gate']} of {_name(each)}: {each['fault']}{_tell_log(each)}" for each in failed]
    do_next = (
        "Nothing is public. Mend what it is about, release the mended commit, and run the same command; "
        "or give a waiver with a reason and an end (release_policy.waivers)."
    )
    if len(failed) == 1:
        (each,) = failed
        raise SlipwayError(
            f"pass the gate {each['gate']} with",
            f"{_name(each)} of {label}",
            f"expected {each['expected']}; {each['fault']}",
            do_next=do_next,
            log=each.get("log") or None,
        )
    raise SlipwayError(
        "pass the gates with", label, f"{count_of(len(failed), 'check')} failed", do_next=do_next, findings=sentences
    )


def _name(result: Result) -> str:
    firmware = result["facts"].get("firmware")
    return f"{result['subject']} ({firmware})" if firmware else str(result["subject"])


def _tell_log(result: Result) -> str:
    return f" (the log is {result['log']})" if result.get("log") else ""


def _read_journal(path: Path) -> list[Result]:
    """What an earlier run passed; what is not as it was written counts for nothing."""
    try:
        said = json.loads(read_regular(path))
        if said == seal_record(said):
            return list(said["gates"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return []


def _write_journal(path: Path, results: Sequence[Result]) -> None:
    write_atomic(path, format_json(seal_record({"gates": list(results)})))


class _Court:
    """Makes checks on all cores."""

    def __init__(
        self,
        plan: Plan,
        packed: Mapping[str, Packed],
        places: Places,
        history: History,
        progress: Progress,
        deadline: float,
    ) -> None:
        self._deployments = {str(each["name"]): each for each in plan["deployments"]}
        self._bills = EarlierBills(
            places.release.parent, project=str(plan["project"]), version=str(plan["version"]), public=places.public
        )
        self._packed = packed
        self._places = places
        self._history = history
        self._progress = progress
        self._deadline = deadline
        self._listening: dict[str, list[str]] = {}
        self._listened: dict[str, list[str] | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._boots: dict[str, Check] = {}

    def make_key(self, check: Check) -> str:
        """What a check judges, and how."""
        files = {use: self._packed[name].packed_sha256 for use, name in check.files.items() if name in self._packed}
        if check.gate in (UPGRADE, DIFFERENCE) and (before := self._history.find(check.subject)) is not None:
            files["previous"] = before.file.packed_sha256
        if check.gate == BILL and (bill := self._bills.find(check.files["bill"])) is not None:
            files["previous"] = bill.sha256
        return check.make_key(files)

    def remember(self, system: str, facts: Mapping[str, Any]) -> None:
        """Note what a system said when it was started, now or in an earlier run."""
        if "listening" in facts:
            self._listening[system] = list(facts["listening"])

    def know(self, checks: Sequence[Check]) -> None:
        """Note how systems are started from disks: by the first firmware, which is the one that takes least."""
        for check in checks:
            self._locks.setdefault(check.system, threading.Lock())
            if check.gate == BOOT and "image" in check.files:
                self._boots.setdefault(check.system, check)

    def run(self, todo: Sequence[tuple[Check, str]]) -> list[tuple[Result, Check]]:
        """Make the checks; differences come last, since they are also about what booted systems said."""
        if not todo:
            return []
        self._progress.total += len(todo)
        first = [each for each in todo if each[0].gate != DIFFERENCE]
        last = [each for each in todo if each[0].gate == DIFFERENCE]
        with (
            make_scratch(".gates-", directory=self._places.release) as scratch,
            ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        ):
            unpacked = Unpacked(scratch)
            ran: list[tuple[Result, Check]] = []
            for part in (first, last):
                ran += pool.map(lambda each: (self._check(each[0], each[1], unpacked, scratch), each[0]), part)
            return ran

    def _check(self, check: Check, key: str, unpacked: Unpacked, scratch: Path) -> Result:
        begun = time.monotonic()
        own = scratch / f"{check.log_name}.d"
        own.mkdir()
        log = Log()
        said = f"{check.gate} of {check.title}"
        self._progress.report(f"{said}: begins")
        bench = Bench(
            own,
            log,
            lambda: self._deadline - time.monotonic(),
            lambda line: self._progress.meter(f"{said}: {line}", 0),
        )
        try:
            outcome = self._judge(check, unpacked, bench)
            outcome.facts |= self._describe_previous(check)
        except SlipwayError as error:
            outcome = Outcome(str(error))
        except OSError as error:
            outcome = Outcome(f"it could not be judged: {error}")
        seconds = round(time.monotonic() - begun, 1)
        path = self._places.logs / check.log_name
        if written := log.read():
            log.save(path)
        self._progress.step(f"{said}: {'FAILED' if outcome.fault else 'passed'} after {seconds:.0f} s")
        return {
            "gate": check.gate,
            "subject": check.subject,
            "system": check.system,
            "architecture": check.architecture,
            "product": check.product,
            "result": FAILED if outcome.fault else PASSED,
            "reason": "",
            "expected": self._describe_expected(check),
            "fault": outcome.fault,
            "seconds": seconds,
            "log": str(path) if written else "",
            "facts": {**({"firmware": check.way} if check.way else {}), **outcome.facts},
            "key": key,
        }

    def _describe_previous(self, check: Check) -> dict[str, Any]:
        """The published file of the release before that a check is also about."""
        before = self._history.find(check.subject) if check.gate in (UPGRADE, DIFFERENCE) else None
        if before is None:
            return {}
        return {"before": {"label": before.label, "name": before.file.packed, "sha256": before.file.packed_sha256}}

    def _describe_expected(self, check: Check) -> str:
        if check.gate == BILL:
            return "a bill of materials within its bounds"
        if check.gate == DIFFERENCE:
            return "no more differences to the release before than its bounds"
        who = f"id={' or '.join(check.ids)} " if check.ids else ""
        when = "after the upgrade " if check.gate == UPGRADE else ""
        return f"{when}the report {who}version={check.version} failed=none"

    def _judge(self, check: Check, unpacked: Unpacked, bench: Bench) -> Outcome:
        if bench.left() <= 0:
            return Outcome("the time of the whole gate was over before it began (release_gate_timeout)")
        lacking = [name for name in check.files.values() if name not in self._packed]
        if lacking:
            return Outcome(f"nothing was packaged of {' and '.join(lacking)}")
        files = {use: unpacked.get(self._packed[name]) for use, name in check.files.items()}
        if check.gate == BILL:
            return judge_bill(check.settings, files["bill"], self._bills.find(check.files["bill"]))
        types = {use: str(self._deployments[name]["type"]) for use, name in check.files.items()}
        if check.gate == BOOT:
            outcome = started.boot(check, files, types, bench, listening=check.listening)
            self.remember(check.system, outcome.facts)
            return outcome
        before = self._history.find(check.subject)
        if before is None:
            return Outcome(facts={"said": FIRST})
        kind = str(before.facts["type"])
        if check.gate == UPGRADE:
            if obstacle := self._find_obstacle(check, before):
                return Outcome(facts={"said": f"that of {before.label} {obstacle}"})
            disks = (Disk(unpacked.get(before.file), FORMATS[kind]), Disk(files["image"], FORMATS[types["image"]]))
            return started.upgrade(check, disks, make_identifier(before.version), bench)
        if kind not in TREES:
            return Outcome(facts={"said": f"that of {before.label} is of the type {kind}, which has no files"})
        listening = self._ask_listening(check, unpacked, bench) if "listening" in check.settings.bounds else None
        images = unpacked.get(before.file), files["image"]
        return compare(check.settings, images, (kind, types["image"]), before.label, bench.scratch, listening=listening)

    def _find_obstacle(self, check: Check, before: Previous) -> str:
        boots = bool((self._deployments[check.subject].get("settings") or {}).get("BOOT"))
        return find_obstacle(str(before.facts["type"]), before.settings, check.way, boots=boots)

    def _ask_listening(self, check: Check, unpacked: Unpacked, bench: Bench) -> Listening:
        """What listens in a system of the release before, and in that of this one, by whichever of its files starts."""
        with self._locks[check.system]:
            if check.system not in self._listened:
                self._listened[check.system] = self._ask_old(check, unpacked, bench)
        return self._listened[check.system], self._listening.get(check.system)

    def _ask_old(self, check: Check, unpacked: Unpacked, bench: Bench) -> list[str] | None:
        booted = self._boots.get(check.system)
        before = self._history.find(booted.subject if booted else check.subject)
        if before is None:
            return None
        known = self._find_old_listening(check, before)
        if known is not None or booted is None or self._find_obstacle(booted, before):
            return known
        return self._start_old(booted, before, unpacked.get(before.file), bench)

    def _start_old(self, check: Check, before: Previous, image: Path, bench: Bench) -> list[str] | None:
        """What listens in the release before, which is started for that as the new one is."""
        asked = replace(
            check, version=make_identifier(before.version), ids=(), settings=replace(check.settings, smoke=())
        )
        place = bench.scratch / "before"
        place.mkdir()
        types = {"image": str(before.facts["type"])}
        outcome = started.boot(asked, {"image": image}, types, replace(bench, scratch=place), listening=True)
        return outcome.facts.get("listening")

    def _find_old_listening(self, check: Check, before: Previous) -> list[str] | None:
        """What listened in the release before, by its record."""
        for result in before.gates:
            if result.get("system") == check.system and "listening" in (result.get("facts") or {}):
                return list(result["facts"]["listening"])
        return None
