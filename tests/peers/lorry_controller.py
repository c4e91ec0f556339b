"""Lorry Controller's API 1.0 and the maintained Lorry's, with their state: a queue, minions that poll, jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

from peers.webserver import Exchange, Peer

JSON = {"Content-Type": "application/json"}


class LorryControllerPeer(Peer):
    """A minion asks for work at every ``polls``th request (0: never). A job lasts ``lasts`` requests; those of the path
    ``watched`` end as the next of ``results`` says, then as the last: an exit status and what is done to the mirror."""

    def __init__(
        self,
        paths: Sequence[str],
        *,
        watched: str = "",
        results: Sequence[tuple[str, Callable[[], None]]] = (),
        polls: int = 3,
        lasts: int = 12,
        maintained: bool = False,
    ) -> None:
        self.watched = watched
        self.queue = list(paths)
        self.paths = list(paths)
        self.results = list(results)
        self.polls, self.lasts, self.maintained = polls, lasts, maintained
        self.running_queue = True
        self.last_run = dict.fromkeys(paths, 1000)
        self.jobs: dict[int, dict[str, Any]] = {}
        self.running: int | None = None
        self.clock = 1000
        self.quick = False
        #: What happens after a move; it may keep the answer from coming.
        self.moved: Callable[[str], None] = lambda _path: None
        self._left = 0

    def work(self) -> None:
        """Time passes: a job goes on or ends, or a minion takes the head of the queue."""
        self.clock += 1
        if self.running is not None:
            self._left -= 1
            if self._left <= 0:
                self._end()
        elif self.running_queue and self.polls and self.clock % self.polls == 0:
            path = self.queue.pop(0)
            self.queue.append(path)
            self.running = len(self.jobs) + 1
            self.jobs[self.running] = {"path": path, "host": "minion", "pid": 7, "exit": "no", "output": ""}
            self.last_run[path] = self.clock
            self._left = self.lasts
            if self.quick:
                self._end()

    def _end(self) -> None:
        assert self.running is not None
        status = "0"
        if self.jobs[self.running]["path"] == self.watched:
            status, act = self.results.pop(0) if len(self.results) > 1 else self.results[0]
            act()
        output = "fatal: could not read from the upstream" if status != "0" else "updated"
        self.jobs[self.running].update(exit=status, output=output)
        self.running = None

    def handle(self, asked: Exchange) -> None:
        with self.lock:
            self.work()
            status, value = self._maintained(asked.path) if self.maintained else self._controller(asked)
        asked.answer(status, json.dumps(value).encode() if value is not None else b"no", headers=JSON)

    def _controller(self, asked: Exchange) -> tuple[int, Any]:
        path = asked.path
        if asked.method == "POST":
            moved = parse_qs(asked.body.decode()).get("path", [""])[0]
            if path == "/1.0/move-to-top" and moved in self.queue:
                self.queue.remove(moved)
                self.queue.insert(0, moved)
                self.last_run[moved] = min(self.last_run.values()) - 1  # whoever ran longest ago is next
                self.moved(moved)
                return 200, {"moved": moved}
            return (404, None) if path == "/1.0/move-to-top" else (405, None)
        if path.startswith("/1.0/lorry/"):
            name = path.removeprefix("/1.0/lorry/")
            return (200, self._lorry(name)) if name in self.paths else (404, None)
        if path.startswith("/1.0/job/"):
            job = self.jobs.get(int(path.removeprefix("/1.0/job/")))
            return (200, job) if job else (404, None)
        known = {
            "/1.0/status": {"running_queue": self.running_queue, "disk_free": 1},
            "/1.0/list-queue": {"queue": list(self.queue)},
            "/1.0/list-running-jobs": {"running_jobs": [self.running] if self.running else []},
        }
        return (200, known[path]) if path in known else (404, None)

    def _maintained(self, path: str) -> tuple[int, Any]:
        if path == "/1.0/list-lorries":
            return 200, {"lorries": [{**self._lorry(name), "last_run_results": ""} for name in self.paths]}
        return 404, None

    def _lorry(self, name: str) -> dict[str, Any]:
        running = self.running if self.running and self.jobs[self.running]["path"] == name else None
        return {"path": name, "last_run": self.last_run[name], "interval": 3600, "running_job": running}
