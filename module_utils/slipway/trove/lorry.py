# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Promotion on a Trove that Lorry Controller keeps (HTTP API 1.0), or the maintained Lorry.

A job of Lorry Controller runs when one of its minions asks for work, so moving a repository to the head of
the queue starts nothing by itself, and a job that ran may have looked at its upstream a moment too early.
A move is a change of the time at which the repository is said to have run last: only a later one is a run.
Only the mirror proves that a repository is promoted.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..errors import SlipwayError
from ..http import TRIES, Answer, NoAnswerError, Service
from ..wait import wait_for

DEFAULT_URL = "http://127.0.0.1:12765"
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
#: After so many whole jobs without the commit, its upstream does not have it.
JOBS = 3


def check_commit(commit: str, path: str) -> None:
    """Refuse what no ref names as it is, such as a shortened commit, instead of waiting for it."""
    if COMMIT.fullmatch(commit) is None:
        raise SlipwayError(
            "promote",
            path,
            f"{commit!r} is not a whole commit",
            do_next="Give all its hexadecimal digits, in lower case, and run again.",
        )


def extract_host_and_port(url: str) -> str:
    """Where the service at ``url`` listens, for a tunnel to it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 80}"


class LorryController:
    """Lorry Controller's API, behind ``service``."""

    def __init__(self, service: Service, *, timeout: float = 30.0) -> None:
        self._service = service
        self._timeout = timeout
        self.url = service.url

    def is_maintained(self) -> bool:
        """Whether this is the maintained Lorry, whose queue cannot be changed; any other service is a failure."""
        answer = self._ask("GET", "/1.0/status")
        if answer.status == 200 and "running_queue" in self._service.parse_object("ask", answer):
            return False
        lorries = self._ask("GET", "/1.0/list-lorries")
        if lorries.status != 200:
            raise self._service.answer_error("find Lorry Controller at", answer)
        return True

    def runs_queue(self) -> bool:
        """Whether jobs are given out at all."""
        return self._read("/1.0/status").get("running_queue") is not False

    def list_queue(self) -> list[str]:
        """The paths in the queue, next to run first."""
        queue = self._read("/1.0/list-queue").get("queue")
        return [str(one.get("path") if isinstance(one, dict) else one) for one in queue or []]

    def move_to_top(self, path: str, *, report: Callable[[str], None] = lambda _text: None) -> None:
        """Move a repository to the head of the queue.

        When the answer is lost, the queue tells whether it was done. It is asked again only if it was not.
        """
        causes: list[str] = []
        while len(causes) < TRIES:
            try:
                answer = self._ask("POST", "/1.0/move-to-top", {"path": path}, tries=1)
            except NoAnswerError as error:
                causes.append(error.came_back)
                report(f"the answer to the move of {path} was lost ({error.came_back}); looking at the queue")
                if self._is_moved(path, error):
                    return
                continue
            if answer.status != 200:
                raise self._service.answer_error("ask", answer)
            return
        raise NoAnswerError(
            f"move {path} to the head of the queue of",
            self.url,
            f"the answer was lost {TRIES} times, and the queue shows that it was not moved: "
            + "; then ".join(dict.fromkeys(causes)),
            do_next="See Lorry Controller's log, and run again.",
        )

    def _is_moved(self, path: str, lost: NoAnswerError) -> bool:
        try:
            lorry = self.find_lorry(path) or {}
            return lorry.get("running_job") is not None or self.list_queue()[:1] == [path]
        except NoAnswerError as error:
            raise NoAnswerError(
                f"move {path} to the head of the queue of",
                self.url,
                f"{lost.came_back}; whether it was moved cannot be read: {error.came_back}",
                do_next="It may have been. Run again when the service answers: a second move does no harm.",
            ) from error

    def find_lorry(self, path: str) -> dict[str, Any] | None:
        """What is known of a repository; ``None`` if it is not mirrored."""
        answer = self._ask("GET", f"/1.0/lorry/{quote(path)}")
        return None if answer.status == 404 else self._service.parse_object("ask", answer)

    def find_listed_lorry(self, path: str) -> dict[str, Any] | None:
        """The same from the maintained Lorry's list."""
        answer, listed = self._ask("GET", "/1.0/list-lorries"), None
        with contextlib.suppress(ValueError):
            listed = json.loads(answer.body)
        if isinstance(listed, dict):
            listed = listed.get("lorries")
        if answer.status != 200 or not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise self._service.answer_error("ask", answer)
        return next((one for one in listed if path in (one.get("path"), one.get("name"))), None)

    def read_job(self, identifier: object) -> dict[str, Any]:
        """A job: ``exit`` is ``no`` while it runs, then its status; ``output`` is what it wrote."""
        return self._read(f"/1.0/job/{quote(str(identifier), safe='')}")

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None = None, *, tries: int = TRIES) -> Answer:
        # A POST without a body is refused, an empty one too.
        return self._service.ask(
            method,
            path,
            attempt="ask",
            body=urlencode(form).encode() if form is not None else None,
            content_type="application/x-www-form-urlencoded" if form is not None else None,
            timeout=self._timeout,
            tries=tries,
        )

    def _read(self, path: str) -> dict[str, Any]:
        return self._service.parse_object("ask", self._ask("GET", path))


def promote_repository(
    api: LorryController,
    path: str,
    *,
    commit: str,
    read_mirrored: Callable[[], str | None],
    timeout: float,
    interval: float = 2.0,
    write: bool = True,
    report: Callable[[str], None] = lambda _text: None,
) -> bool:
    """Mirror the repository ``path`` now; return whether anything had to be done.

    ``read_mirrored`` tells what the mirror's ref names (40 hex digits, or ``None``). Returns when a job has run and
    that is ``commit``. A stopped queue, an unknown path and a failed job are failures at once. A service that was
    there and does not answer for a while is waited for.
    """
    if read_mirrored() == commit:
        return False
    watch: _Watch = (_MaintainedWatch if api.is_maintained() else _Watch)(api, path, commit, read_mirrored, report)
    watch.begin()
    if write:
        wait_for(
            watch.poll,
            lambda state: state == "promoted",
            attempt=f"promote {path} on",
            on=api.url,
            timeout=timeout,
            interval=interval,
            do_next=f"The mirror's ref must become {commit}: see what its upstream has there, and run again.",
        )
    return True


@dataclass
class _Watch:
    """Follows one repository through the queue and its jobs."""

    _api: LorryController
    _path: str
    _commit: str
    _read_mirrored: Callable[[], str | None]
    _report: Callable[[str], None]
    _last_run: Any = None
    _job: Any = None
    _jobs: int = 0
    _moves: int = 0
    _requested: bool = False
    _displaced: bool = False
    _reported: str = ""

    def begin(self) -> None:
        """Make sure that a promotion is possible."""
        self._job = self._find_lorry().get("running_job")
        self._check_queue()

    def poll(self) -> str:
        """How far it is: ``promoted``, or a sentence."""
        try:
            state = self._determine_state()
        except NoAnswerError as error:
            state = f"no answer now: {error}"
        if state != self._reported:
            self._reported = state
            self._report(state)
        return state

    def _determine_state(self) -> str:
        if not self._requested:
            self._request_job()
        lorry = self._find_lorry()
        running = lorry.get("running_job")
        if running is not None:
            self._job, self._displaced = running, False
            return f"job {running} runs"
        found = self._read_commit()
        if found == self._commit:
            return "promoted"
        if self._job is not None:
            self._check_job(self._api.read_job(self._job), found)
        elif _is_later(lorry.get("last_run"), self._last_run):
            self._count_job("a job", found)
        else:
            self._check_queue()
            return self._describe_place()
        self._job, self._requested, self._moves = None, False, 0
        return f"a job ran, and the mirror's ref names {found or 'nothing'}; asking for another"

    def _read_commit(self) -> str | None:
        """What the mirror's ref names; it could be read at the beginning, so a failure may pass."""
        try:
            return self._read_mirrored()
        except SlipwayError as error:
            raise NoAnswerError(error.attempted, error.on, error.came_back, do_next=error.do_next) from error

    def _check_job(self, job: Mapping[str, Any], found: str | None) -> None:
        """A job ended without the commit in the mirror: did it fail, or look too early?"""
        status = str(job.get("exit"))
        if status not in ("0", "no"):
            raise self._make_error(
                f"job {self._job} ended with status {status}: {_shorten_output(job.get('output'))}",
                "Correct what it says (the whole output is in Lorry Controller's job) and run again.",
            )
        self._count_job(f"job {self._job}", found)

    def _count_job(self, job: str, found: str | None) -> None:
        self._jobs += 1
        if self._jobs >= JOBS:
            raise self._make_error(
                f"{self._jobs} jobs have run, the last was {job}, and the mirror's ref names {found or 'nothing'}, "
                f"not {self._commit}",
                "Its upstream does not have the commit there: push it, and run again.",
            )

    def _request_job(self) -> None:
        self._api.move_to_top(self._path, report=self._report)
        self._moves += 1
        self._report(f"{self._path} is at the head of the queue")
        lorry = self._find_lorry()
        # The move itself changed the time of the last run: what is there now is no run.
        self._last_run = lorry.get("last_run")
        self._requested, self._displaced = True, False

    def _check_queue(self) -> None:
        if not self._api.runs_queue():
            raise self._make_error(
                "the queue is stopped, so no job will run",
                f"Start it on the Trove (curl -d '' {self._api.url}/1.0/start-queue) and run again.",
            )

    def _describe_place(self) -> str:
        queue = self._api.list_queue()
        if self._path not in queue:
            return "it is not in the queue, and no job of it runs"
        if queue[0] != self._path and self._displaced and self._moves < JOBS:
            # No job began meanwhile: one was over before the first look, or somebody else moved another.
            self._requested = False
        self._displaced = queue[0] != self._path
        return f"it is number {queue.index(self._path) + 1} of {len(queue)} in the queue"

    def _find_lorry(self) -> dict[str, Any]:
        lorry = self._look_up(self._path)
        if lorry is None:
            raise self._make_error(
                "the Trove does not mirror it",
                "Add it to the Trove's lorries, reload them (POST /1.0/read-configuration), and run again.",
            )
        return lorry

    def _look_up(self, path: str) -> dict[str, Any] | None:
        return self._api.find_lorry(path)

    def _make_error(self, came_back: str, do_next: str) -> SlipwayError:
        return SlipwayError(f"promote {self._path} on", self._api.url, came_back, do_next=do_next)


class _MaintainedWatch(_Watch):
    """The maintained Lorry has no queue to change: wait for it."""

    def begin(self) -> None:
        self._find_lorry()

    def _determine_state(self) -> str:
        lorry = self._find_lorry()
        if lorry.get("running_job") is not None:
            return f"job {lorry['running_job']} runs"
        found = self._read_commit()
        if found == self._commit:
            return "promoted"
        results = (
            f", with the result {_shorten_output(lorry['last_run_results'])}" if lorry.get("last_run_results") else ""
        )
        return (
            f"waiting until Lorry mirrors it by itself (there is no move-to-top); it last ran at "
            f"{lorry.get('last_run')}{results}; the mirror's ref names {found or 'nothing'}"
        )

    def _look_up(self, path: str) -> dict[str, Any] | None:
        return self._api.find_listed_lorry(path)


def _is_later(run: Any, before: Any) -> bool:
    """Whether a last run is another than ``before``; times that are no numbers can only be compared for that."""
    if isinstance(run, (int, float)) and isinstance(before, (int, float)):
        return run > before
    return bool(run != before)


def _shorten_output(output: object) -> str:
    words = " ".join(str(output or "it has no output").split())
    return words if len(words) <= 600 else f"... {words[-600:]}"
