# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of one build, the artifacts of them on their way to the cache, and what a failure of them means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from . import wire
from .log import BuildLog

#: What a controller says in the moments after its start, before its helper has connected.
NOT_READY = "No distbuild-helper process running on controller"
#: What it says when it could not ask the cache for what is built.
ANNOTATE = "Failed to annotate build graph"
JOIN = "Run the same again: what is built stays in the cache, and a step that still runs is joined."
#: What is told when a worker's artifact begins its way to the cache, and how a failure names an artifact.
TRANSFER = re.compile(r"Transferring (\S+) to shared artifact cache")
FAILED_ARTIFACT = re.compile(r"Building failed for (\S+)")


@dataclass
class Step:
    """One step: a source that a worker builds. ``outcome`` is building, built, failed, or unknown when its end was
    not told; ``joined`` when it ran before this build asked for it."""

    name: str
    log: str
    worker: str = ""
    joined: bool = False
    outcome: str = "building"
    began: float = 0.0
    seconds: float = 0.0

    def describe(self) -> dict[str, Any]:
        """The step as plain values; times are seconds."""
        return {
            "name": self.name,
            "worker": self.worker,
            "joined": self.joined,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            "log": self.log,
        }


class Steps:
    """What is told of the steps, by name; ``failed`` is the one that failed."""

    def __init__(self, log: BuildLog) -> None:
        self.by_name: dict[str, Step] = {}
        self.failed: Step | None = None
        self._log = log
        #: Each artifact on its way to the cache, with the steps that it may be of.
        self._transfers: dict[str, set[str]] = {}

    def begin(self, name: str, *, worker: str, joined: bool, now: float) -> Step:
        """A worker builds a step, or did already."""
        step = self.by_name[name] = Step(name, str(self._log.path(name)), worker=worker, joined=joined, began=now)
        if self.failed is not None and self.failed.name == name:
            self.failed = None  # it is tried again, after a lost connection
        return step

    def note_transfer(self, text: str) -> None:
        """Somebody says that an artifact begins its way to the cache, if that is what it says."""
        if (transfer := TRANSFER.search(text)) is not None:
            self._transfers[transfer[1]] = self._find_owners(transfer[1])

    def note_output(self, name: str, text: str) -> None:
        """A step says something, perhaps that its artifacts begin their way to the cache."""
        for transfer in TRANSFER.finditer(text):
            self._transfers[transfer[1]] = {name}

    def finish(self, name: str, *, worker: str, now: float) -> Step:
        """A step is built, and what it made is in the cache."""
        step = self._find(name, worker, now)
        step.outcome = "built"
        for owners in self._transfers.values():
            owners.discard(step.name)
        return step

    def fail(self, name: str, *, worker: str, now: float) -> tuple[Step, str]:
        """A step failed, and what of it: its build, or storing what it made."""
        step = self.failed = self._find(name, worker, now)
        step.outcome = "failed"
        stored = next((artifact for artifact, owners in self._transfers.items() if owners == {name}), "")
        return step, f"Transfer of {stored} to shared artifact cache failed" if stored else f"Build of {name} failed"

    def lose(self, now: float) -> None:
        """What runs is not told of any more."""
        for step in self.by_name.values():
            if step.outcome == "building":
                step.outcome, step.seconds = "unknown", now - step.began

    def reconnect(self) -> None:
        """Another connection tells of other transfers."""
        self._transfers = {}

    def count_built(self) -> int:
        """How many are built."""
        return sum(step.outcome == "built" for step in self.by_name.values())

    def describe_running(self) -> str:
        """What is being built, and where."""
        return ", ".join(f"{step.name} ({step.worker})" for step in self.by_name.values() if step.outcome == "building")

    def describe_failure(self, reason: str) -> str:
        """What a build failed of, ``reason`` being the controller's word for it."""
        step = self.failed
        if step is None:
            return reason or "the controller gives no reason"
        if artifact := self._find_failed_transfer(reason):
            where = "could not be stored in the shared artifact cache"
            return f"the step {step.name} was built on {step.worker}, but {artifact} {where} ({reason})"
        output = self._log.last_lines(step.name)
        on = f" on {step.worker}" if step.worker else ""
        return f"the step {step.name} failed{on}: {output or 'it has no output'} ({reason})"

    def advise(self, reason: str) -> str:
        """What to do about that."""
        if "Protocol version mismatch" in reason:
            return f"This is for networks that speak protocol {wire.PROTOCOL_VERSION} only."
        if reason.startswith("Bad request"):
            return "The controller refuses the request: see that it is a distbuild controller of protocol 4."
        if self._find_failed_transfer(reason):
            return (
                "Nothing is wrong with its source: check that the network's artifact cache runs, can be written to and "
                "has room (the controller's log says why), and run again; what is stored there is not built again."
            )
        if ANNOTATE in reason:
            return "Check that the network's artifact cache runs and that the controller reaches it, and run again."
        if self.failed is not None:
            return "Correct the definition or its source, and run again."
        return "Correct what it names and run again."

    def _find(self, name: str, worker: str, now: float) -> Step:
        step = self.by_name.setdefault(name, Step(name, str(self._log.path(name)), began=now))
        step.worker = step.worker or worker
        step.seconds = now - step.began
        return step

    def _find_owners(self, artifact: str) -> set[str]:
        """The steps that an artifact may be of: of those that run, the one of its name if there is one."""
        building = [step.name for step in self.by_name.values() if step.outcome == "building"]
        named = [name for name in building if artifact == name or artifact.startswith(f"{name}-")]
        return {max(named, key=len)} if named else set(building)

    def _find_failed_transfer(self, reason: str) -> str:
        """The artifact that could not be stored, if that and not the build of it failed."""
        match = FAILED_ARTIFACT.fullmatch(reason)
        owners = self._transfers.get(match[1], ()) if match else ()
        return match[1] if match and self.failed is not None and self.failed.name in owners else ""


def advise_lost(why: str) -> str:
    """What to do about a controller that was lost."""
    if NOT_READY in why:
        return "Start the distbuild-helper of the controller; if it dies at once, restart the controller first."
    return f"Check that the network's controller runs (also its log: a worker that goes away ends it). {JOIN}"
