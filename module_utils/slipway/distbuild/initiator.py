# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One build on a distbuild network, as its initiator sees it: what comes in, what goes out, and by when.

This is the protocol without sockets and without a clock: :class:`Build` is fed lines and times and tells
what to send, when to connect and when it wants to be looked at again. A network is silent in many failures
(a dead helper, no worker, a lost host), so every phase has a limit of its own, and a silent build is asked
about on its own connection, which also proves that the connection still lives.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SlipwayError
from . import wire
from .log import BuildLog
from .protocol import (
    Controller,
    Handle,
    Request,
    RunningBuild,
    find_answered,
    format_question,
    parse_list,
    parse_status,
)
from .steps import JOIN, NOT_READY, Step, Steps, advise_lost

#: How much longer each pause is than the one before.
GROWTH = 1.5


@dataclass(frozen=True)
class Limits:
    """Seconds that a build may take and stay silent, and how often it may be asked for again."""

    #: The whole build.
    total: float = 43200.0
    #: Until the controller takes a connection, or answers what it answers at once.
    answer: float = 60.0
    #: Until the build graph is computed; one helper computes all of them in turn.
    graph: float = 1800.0
    #: Without any news while building; a compiler may be silent for long.
    silence: float = 7200.0
    #: Silent for this long, the build is asked about.
    question: float = 60.0
    #: For a cancelled build to be confirmed.
    cancel: float = 10.0
    #: How long a controller may be away, until it takes the build up (again).
    away: float = 600.0
    #: Between a lost connection and the next try; each further pause is longer, up to ``longest_pause``.
    pause: float = 5.0
    longest_pause: float = 60.0
    #: How many times a build that was taken up may be lost before a step of it is finished or joined.
    tries: int = 3
    #: How long a detached build is watched after its cache state, which shows whether it is cached whole.
    settle: float = 1.0


@dataclass
class Absence:
    """A time in which the controller does not have the build: what was seen first, and how often it was asked since."""

    since: float
    cause: str
    asked: int = 0

    def describe(self, last: str, now: float) -> str:
        """All of it, ``last`` being what was seen now."""
        if not self.asked:
            return f"{self.cause} (tried once)"
        came = "" if last == self.cause else f"; then {last}"
        return f"{self.cause}{came} (tried {self.asked + 1} times in {now - self.since:.0f} s)"


class Build:
    """One request on its way: feed it with :meth:`receive` and :meth:`tick`, and act on its attributes.

    ``phase`` is one of: ``wanted`` (connect at ``connect_at``), ``connecting``, ``asked``, ``graphing``,
    ``building``, ``ending`` (a cancel is on its way), ``ended``. When ended, ``outcome`` is ``finished``,
    ``detached``, ``cancelled`` or ``failed``, the last two with ``error``.
    """

    def __init__(
        self,
        request: Request,
        controller: Controller,
        *,
        log: BuildLog,
        now: float,
        limits: Limits | None = None,
        detach: bool = False,
        report: Callable[[str], None] = lambda _text: None,
        own_ids: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.request = request
        self.controller = controller
        self.limits = limits or Limits()
        self.detach = detach
        self.log = log
        self.phase = "wanted"
        self.outcome = ""
        self.error: SlipwayError | None = None
        self.connect_at = now
        self.began = now
        self.ended = now
        self.id = ""
        self.initiator = ""
        self.unbuilt: int | None = None
        self.total: int | None = None
        self.urls: list[str] = []
        self.tries = 0
        self._on_report = report
        self._own_ids = own_ids
        self._own = ""
        self._out = bytearray()
        self._lines = wire.LineBuffer()
        #: When the present phase ends badly.
        self._deadline = now + self.limits.answer
        self._last_news = now
        #: What was asked and not answered: kinds of questions, and the ids that they name.
        self._questions: list[tuple[str, str]] = []
        self._asked_at = now
        self._settled: float | None = None
        #: Why this run ends the build, and what to do then.
        self._given_up = ("", "")
        #: What is to be cancelled before it ends, and is not yet confirmed to be.
        self._cancelling: list[str] = []
        self._told_end = False
        self._absence: Absence | None = None
        #: Where the controller sees this connection come from, as far as this side knows, and the earlier ones.
        self._address = ""
        self._former_addresses: set[str] = set()
        self._former_ids: list[str] = []
        self._steps = Steps(log)
        self._unreadable = ""

    # What the connection does.

    def connection_begun(self, now: float) -> None:
        """A connection is being made."""
        self._enter_phase("connecting", now + self.limits.answer, now)

    def connection_made(self, now: float, address: str = "") -> None:
        """The connection is made, from ``address``: send the request, under a new id of our own."""
        self._own = self._own_ids()
        self._lines = wire.LineBuffer()
        self._out = bytearray()
        self._questions = []
        self._settled = None
        self._steps.reconnect()
        self._former_ids = []
        self.id = self.initiator = ""
        self._address = address
        if self._former_addresses:
            self._ask("list-requests", self._own, now)
        self._out += self.request.encode_line(self._own, detach=self.detach)
        self._enter_phase("asked", now + self.limits.answer, now)
        self._report(f"asked {self.controller} for {self.request}, as {self._own}")

    def outgoing(self) -> bytearray:
        """The bytes to send; the sender removes what it has sent from the front."""
        return self._out

    def receive(self, data: bytes, now: float) -> None:
        """Handle data from the connection."""
        try:
            for line in self._lines.feed(data):
                if self.phase in ("wanted", "ended"):
                    return
                self._handle_line(line, now)
        except wire.UnreadableError as error:
            self._fail(f"{error}: this is not a distbuild controller", "Check the controller's host and port.", now)

    def connection_lost(self, why: str, now: float) -> None:
        """The connection ended, or could not be made: ask again later, if that may help."""
        if self.phase == "ended":
            return
        if self._lines.partial:
            why += ", within a line"
        if self._unreadable:
            why += f"; it had sent an unreadable line: {self._unreadable}"
        self._steps.lose(now)
        self._settled = None
        if self.phase == "ending":
            self._end_cancel(now)
            return
        absence = self._absence = self._absence or Absence(now, why)
        if self.phase in ("graphing", "building"):
            self.tries += 1
        self._former_addresses |= {self._address, self.initiator} - {""}
        if self.tries > self.limits.tries or now >= absence.since + self.limits.away:
            lost = f"; it was lost {self.tries} times before a step was finished" if self.tries > 1 else ""
            self._fail(absence.describe(why, now) + lost, advise_lost(why), now)
            return
        pause = min(self.limits.pause * GROWTH**absence.asked, self.limits.longest_pause)
        self.connect_at = min(now + pause, absence.since + self.limits.away)
        absence.asked += 1
        self._enter_phase("wanted", self.connect_at + self.limits.answer, now)
        self._report(
            f"{why}; asking again in {self.connect_at - now:.3g} s "
            f"(the controller may be away for {self.limits.away:g} s, {now - absence.since:.0f} s have passed)"
        )

    # What the clock does.

    def next_deadline(self) -> float:
        """When :meth:`tick` has something to do at the latest."""
        times = [self._deadline]
        if self.phase != "ending":
            times.append(self.began + self.limits.total)
        if self.phase == "wanted":
            times.append(self.connect_at)
        elif self.phase in ("graphing", "building"):
            times.append(max(self._last_news, self._asked_at) + self.limits.question)
            times.append(
                self._asked_at + self.limits.answer if self._questions else self._last_news + self.limits.silence
            )
        if self._settled is not None:
            times.append(self._settled)
        return min(times)

    def tick(self, now: float) -> None:
        """Act on deadlines that have passed."""
        if self.phase == "ended":
            return
        if self.phase == "ending":
            if now >= self._deadline:
                self._end_cancel(now)
        elif now >= self.began + self.limits.total:
            self._give_up(f"it is not done after {self.limits.total:g} s", f"Allow more time, or: {JOIN}", now)
        elif self._settled is not None and now >= self._settled:
            self._try_detach(now)
        elif self.phase in ("graphing", "building"):
            self._watch(now)
        elif self.phase == "connecting" and now >= self._deadline:
            self.connection_lost(f"there was no connection within {self.limits.answer:g} s", now)
        elif self.phase == "asked" and now >= self._deadline:
            self._give_up(
                f"the controller accepted the request and then sent nothing for {self.limits.answer:g} s",
                "Check that it is a distbuild controller and that it is not stuck.",
                now,
            )

    def interrupt(self, why: str, now: float) -> None:
        """End this run: cancel the build on its controller."""
        if self.phase not in ("ended", "ending"):
            self.log.mark_interrupted()
            self._report(f"this run was interrupted ({why})")
            do_next = "What was built stays in the cache: run it again to go on."
            self._give_up(f"this run was interrupted ({why})", do_next, now)

    def abandon(self, now: float) -> None:
        """End at once, without waiting for the controller."""
        if self.phase != "ended":
            self._given_up = self._given_up if self._given_up[0] else ("this run was interrupted", JOIN)
            self.outcome = "failed"
            self._end_cancel(now)

    # What others may know.

    @property
    def handle(self) -> Handle | None:
        """How to find this build again; ``None`` before the controller gave it an id."""
        if not self.id:
            return None
        return Handle(
            self.controller, self.id, self.request.repo, self.request.ref, self.request.morphology, self.initiator
        )

    @property
    def uncancelled(self) -> bool:
        """Whether the controller may have the build and should not: it runs, or a cancel was not confirmed."""
        return self.phase != "ended" or bool(self._cancelling)

    @property
    def steps(self) -> Mapping[str, Step]:
        """What was told of each step, by its name."""
        return self._steps.by_name

    @property
    def done(self) -> int:
        """How many of ``total`` artifacts are there."""
        return (self.total or 0) - (self.unbuilt or 0) + self._steps.count_built()

    @property
    def changed(self) -> bool:
        """Whether the network builds, or built, anything because of this request."""
        return bool(self.steps) or self.outcome != "finished"

    def result(self) -> dict[str, Any]:
        """The build as plain values; times are seconds."""
        handle = self.handle
        return {
            "morphology": self.request.morphology,
            "components": list(self.request.components),
            "controller": str(self.controller),
            "request_id": self.id,
            "outcome": self.outcome,
            "changed": self.changed,
            "cached": not self.changed,
            "unbuilt": self.unbuilt,
            "total": self.total,
            "urls": list(self.urls),
            # The cache server's URLs name the artifacts.
            "artifacts": [url.rpartition("filename=")[2] or url for url in self.urls],
            "steps": [step.describe() for step in self.steps.values()],
            "seconds": round(self.ended - self.began, 1),
            "log": str(self.log.summary),
            "handle": handle.as_dict() if handle else None,
        }

    # Lines.

    def _handle_line(self, line: bytes, now: float) -> None:
        try:
            message = wire.decode_message(line)
        except wire.UnreadableError as error:
            self._unreadable = f"a line of {len(line)} bytes: {error}"
            self.log.note(f"passed over {self._unreadable}")
            return
        kind, identifier = wire.read_text(message, "type"), wire.read_text(message, "id")
        if kind == "request-output":
            self._handle_answer(wire.read_text(message, "message"), now)
            return
        if kind == "graphing-started" and not self.id and self.phase in ("asked", "ending"):
            # The only message that carries the controller's id before any other does.
            self._handle_id(identifier, now)
            return
        if identifier not in (self._own, self.id) and not (kind == "build-failed" and identifier == "000"):
            return
        handler = HANDLERS.get(kind)
        if handler is None:
            self.log.note(f"passed over a message of the unknown type {kind!r}")
            return
        if self.phase != "ending" or kind in ("build-finished", "build-cancelled"):
            self._last_news = now
            handler(self, message, now)

    def _handle_id(self, identifier: str, now: float) -> None:
        self.id = identifier
        self._report(f"the controller calls this build {identifier}")
        if self.phase == "ending":
            self._cancelling = [one for one in self._cancelling if one != self._own]
            self._cancel(identifier, now)
            return
        self._absence = None
        self._enter_phase("graphing", now + self.limits.graph, now)
        if not self.detach:
            # Whoever cancels later has to know where the controller saw it come from.
            self._ask("list-requests", self._own, now)

    def _handle_graph(self, _message: wire.Message, now: float) -> None:
        self._enter_phase("building", now + self.limits.total, now)

    def _handle_cache_state(self, message: wire.Message, now: float) -> None:
        self.unbuilt, self.total = wire.read_number(message, "unbuilt"), wire.read_number(message, "total")
        self._enter_phase("building", now + self.limits.total, now)
        self._report(f"{self.unbuilt} of {self.total} artifacts are to be built")
        if self.detach:
            self._settled = now + self.limits.settle

    def _handle_progress(self, message: wire.Message, now: float) -> None:
        text = wire.read_text(message, "message")
        self._steps.note_transfer(text)
        self._report(text)
        self._cancel_former(now)
        self._stop_settling(now)

    def _handle_step_started(self, message: wire.Message, now: float) -> None:
        name, worker = wire.read_text(message, "step_name"), wire.read_text(message, "worker_name")
        joined = wire.read_text(message, "type") == "step-already-started"
        self._steps.begin(name, worker=worker, joined=joined, now=now)
        words = f"{name} is already building on {worker}" if joined else f"Started building {name} on {worker}"
        self.log.write_status(name, words)
        self._report(words)
        if joined:
            self.tries = 0
        self._cancel_former(now)
        self._stop_settling(now)

    def _handle_step_output(self, message: wire.Message, _now: float) -> None:
        name = wire.read_text(message, "step_name")
        self._steps.note_output(name, wire.read_text(message, "stdout"))
        self.log.write_output(name, wire.read_bytes(message, "stdout"))
        self.log.write_output(name, wire.read_bytes(message, "stderr"))

    def _handle_step_finished(self, message: wire.Message, now: float) -> None:
        name, worker = wire.read_text(message, "step_name"), wire.read_text(message, "worker_name")
        step = self._steps.finish(name, worker=worker, now=now)
        self.tries = 0
        self.log.end(step.name, f"Finished building {step.name}")
        self._report(f"Finished building {step.name} on {step.worker} after {step.seconds:.0f} s")

    def _handle_step_failed(self, message: wire.Message, now: float) -> None:
        name, worker = wire.read_text(message, "step_name"), wire.read_text(message, "worker_name")
        step, what = self._steps.fail(name, worker=worker, now=now)
        self.log.end(step.name, f"{what}.", keep_tail=True)
        self._report(f"{what}, by {step.worker} after {step.seconds:.0f} s; its log is {step.log}")

    def _handle_finished(self, message: wire.Message, now: float) -> None:
        self.urls = wire.read_list(message, "urls")
        if not self.urls:
            self._fail("the controller reports success without an artifact", "Look at the controller's log.", now)
            return
        self.outcome = "finished"
        for url in self.urls:
            self._report(f"Artifact: {url}")
        self._end(None, now)

    def _handle_failed(self, message: wire.Message, now: float) -> None:
        reason = wire.read_text(message, "reason").strip()
        if NOT_READY in reason:
            self.connection_lost(f"the controller refuses: {reason}", now)
            return
        self._told_end = True
        self._report(f"Build failed: {reason}")
        if self.id:
            # For some failures the controller goes on and builds, unseen; a cancel ends that.
            self._give_up(self._steps.describe_failure(reason), self._steps.advise(reason), now)
        else:
            self._fail(self._steps.describe_failure(reason), self._steps.advise(reason), now)

    def _handle_cancelled(self, _message: wire.Message, now: float) -> None:
        if self.phase != "ending":
            self._given_up = ("it was cancelled on the controller", JOIN)
            self.outcome = "cancelled"
            self._report("somebody cancelled the build on the controller")
            self._end(self._make_error(*self._given_up), now)
        elif self.id in self._cancelling:
            self._end_cancel(now, confirmed=self.id)

    # Answers to questions, which carry no id and come in the order of the questions.

    def _handle_answer(self, text: str, now: float) -> None:
        kind, named = find_answered(text)
        question = next((one for one in self._questions if one[0] == kind and named in ("", one[1])), None)
        if question is None:
            return
        self._questions.remove(question)
        if kind == "build-cancel":
            # It is confirmed, or there was nothing left to cancel.
            if question[1] in self._cancelling:
                self._end_cancel(now, confirmed=question[1], gone=not named)
            return
        if self.phase == "ending":
            return
        try:
            if kind == "build-status":
                self._handle_status(text, now)
            else:
                self._handle_list(text, now)
        except ValueError as error:
            self._report(f"could not parse the controller's answer: {error}")

    def _handle_status(self, text: str, now: float) -> None:
        status = parse_status(text)
        silent = f"no news for {now - self._last_news:.0f} s"
        if status is None:
            self.connection_lost("the controller no longer knows this build", now)
        elif status.state in ("finished", "failed", "cancelled"):
            # The end was not reported to this run: request it again.
            self.connection_lost(f"the controller says {status.detail!r} and did not tell this run", now)
        else:
            self._report(f"{silent}; the controller says: {status.detail}")

    def _handle_list(self, text: str, now: float) -> None:
        listed = parse_list(text)
        self._note_former(listed)
        if self.phase == "asked":
            return
        mine = [one for one in listed if one.id == self.id]
        if mine:
            self.initiator = mine[0].initiator
        if self._settled is not None:
            self.outcome = "detached"
            self._report(f"detached; the network goes on with {self.id}")
            self._end(None, now)
        elif not mine:
            self.connection_lost("the controller no longer lists this build", now)

    # Watching.

    def _watch(self, now: float) -> None:
        silent = now - self._last_news
        if self._questions and now >= self._asked_at + self.limits.answer:
            self.connection_lost(f"the controller did not answer a question for {self.limits.answer:g} s", now)
        elif self.phase == "graphing" and now >= self._deadline:
            self._give_up(
                f"its build graph was not computed within {self.limits.graph:g} s",
                "The controller's distbuild-helper may be dead (check its log); restart the controller and run again.",
                now,
            )
        elif self.phase == "building" and silent >= self.limits.silence:
            running = self._steps.describe_running()
            self._give_up(
                f"no news{f' on {running}' if running else ''} for {silent:.0f} s, although the controller answers",
                f"Check whether the worker and its helper live, and whether any worker is connected. {JOIN}",
                now,
            )
        elif not self._questions and now >= max(self._last_news, self._asked_at) + self.limits.question:
            self._ask("build-status", self.id, now)
            self._ask("list-requests", self._own, now)

    def _ask(self, kind: str, identifier: str, now: float) -> None:
        self._out += format_question(kind, identifier)
        self._questions.append((kind, identifier))
        self._asked_at = now

    def _stop_settling(self, now: float) -> None:
        """It is certain that the build is not cached whole: a detached one need not be watched longer."""
        if self.detach and self._settled is not None:
            self._try_detach(now)

    def _try_detach(self, now: float) -> None:
        if self._settled is not None and ("list-requests", self._own) not in self._questions:
            self._ask("list-requests", self._own, now)
            self._settled = now + self.limits.answer
        elif self._settled is not None and now >= self._settled:
            self.connection_lost("the controller did not answer when the build was to be left to it", now)

    # Earlier requests of this build.

    def _note_former(self, listed: Sequence[RunningBuild]) -> None:
        """Find those that the controller still has: lost connections that it does not know to be lost."""
        wanted = (self.request.repo, self.request.ref, self.request.morphology)
        found = [
            one.id
            for one in listed
            if one.initiator in self._former_addresses and one.id not in (self.id, *self._former_ids)
            if (one.repo, one.ref, one.morphology) == wanted and ("build-cancel", one.id) not in self._questions
        ]
        self._former_ids += found
        if found:
            self._report(f"the controller still has {', '.join(found)} of this run, which is joined")

    def _cancel_former(self, now: float) -> None:
        """What they build is joined by now, and goes on without them; nobody would cancel them later."""
        for identifier in self._former_ids:
            self.log.note(f"joined; taking back the earlier request {identifier}")
            self._ask("build-cancel", identifier, now)
        self._former_ids = []

    # Ends.

    def _give_up(self, came_back: str, do_next: str, now: float) -> None:
        """Fail after cancelling the build on the controller, which would go on with it otherwise."""
        self._steps.lose(now)
        self._given_up = (came_back, do_next)
        self.outcome = "failed"
        self._settled = None
        if self.phase in ("wanted", "connecting"):
            self._cancelling = [self.id] if self.id else []
            self._end_cancel(now)
            return
        self.log.note(f"cancelling: {came_back}")
        for identifier in [*self._former_ids, *([self.id] if self.id else [])]:
            self._cancel(identifier, now)
        if not self.id:
            self._cancelling.append(self._own)  # the controller has not yet said how it calls this
        self._enter_phase("ending", now + self.limits.cancel, now)

    def _cancel(self, identifier: str, now: float) -> None:
        self._cancelling.append(identifier)
        self._ask("build-cancel", identifier, now)

    def _end_cancel(self, now: float, *, confirmed: str = "", gone: bool = False) -> None:
        """End when every cancel is confirmed, or when nothing more is to be expected."""
        if confirmed:
            self._cancelling.remove(confirmed)
            if not gone:
                self._report(f"cancelled on the controller: {confirmed}")
            if self._cancelling:
                return
        came_back, do_next = self._given_up
        if self._cancelling:
            left = ", ".join(self._cancelling)
            came_back += f"; the controller did not confirm that {left} is cancelled, and may go on with it"
            do_next = f"Look there (distbuild_info) and cancel it (distbuild_cancel). {do_next}"
            self._report(f"the controller did not confirm that {left} is cancelled")
        elif confirmed and not gone and not self._told_end:
            came_back += "; the build was cancelled on the controller"
        self._end(self._make_error(came_back, do_next), now)

    def _fail(self, came_back: str, do_next: str, now: float) -> None:
        self.outcome = "failed"
        self._steps.lose(now)
        self._end(self._make_error(came_back, do_next), now)

    def _end(self, error: SlipwayError | None, now: float) -> None:
        self.phase = "ended"
        self.ended = now
        if self.outcome == "finished":
            error = None
            self._cancelling = []
        self.error = error
        if error is not None:
            self.outcome = self.outcome or "failed"
            self.log.note(str(error))
        self.log.close_all()

    def _make_error(self, came_back: str, do_next: str) -> SlipwayError:
        request = f" (request {self.id})" if self.id else ""
        failed = self._steps.failed
        return SlipwayError(
            "build",
            f"{self.request} with the controller {self.controller}{request}",
            came_back,
            do_next=do_next,
            log=failed.log if failed else str(self.log.summary),
        )

    # Small things.

    def _enter_phase(self, phase: str, due: float, now: float) -> None:
        self.phase = phase
        self._deadline = due
        self._last_news = now

    def _report(self, text: str) -> None:
        self.log.note(text)
        self._on_report(text)


HANDLERS: dict[str, Callable[[Build, wire.Message, float], None]] = {
    "graphing-finished": Build._handle_graph,
    "build-started": Build._handle_graph,
    "cache-state": Build._handle_cache_state,
    "build-progress": Build._handle_progress,
    "step-started": Build._handle_step_started,
    "step-already-started": Build._handle_step_started,
    "step-output": Build._handle_step_output,
    "step-finished": Build._handle_step_finished,
    "step-failed": Build._handle_step_failed,
    "build-finished": Build._handle_finished,
    "build-failed": Build._handle_failed,
    "build-cancelled": Build._handle_cancelled,
}
