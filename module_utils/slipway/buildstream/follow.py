# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs ``bst`` so that it tells what becomes of its jobs on a farm, and gives up a job that no worker takes.

A remote execution service tells at which stage a job is, and which worker has it. BuildStream drops both: it waits,
and a job whose properties no worker has is waited for for ever. So this program takes its place: it is run by the
Python that runs ``bst``, imports nothing of Slipway, and looks at the answers on their way. A failure that the farm
remembers, such as that of a worker whose memory was full, is not taken for an answer: the job is run again. Its
arguments are the seconds that a job may be queued while none that wants the same runs, and then the program ``bst``
with its words.

When BuildStream is made otherwise than it knows, it only runs it: nothing is told and nothing given up.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

QUEUED, EXECUTING, COMPLETED = 2, 3, 4
#: Seconds between two looks at a job that is queued.
INTERVAL = 1.0
#: What a job that never began to be one ended with, which BuildStream reports as no response.
REFUSALS = ("UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED")


class Waiting:
    """When a job with certain properties was last seen to run, of all that this program waits for."""

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._ran: dict[str, float] = {}

    def run(self, wanted: str, number: int) -> None:
        """Count one job more, or with a negative ``number`` one less, as running."""
        with self._lock:
            self._running[wanted] = self._running.get(wanted, 0) + number
            self._ran[wanted] = self._clock()

    def is_over(self, wanted: str, since: float) -> bool:
        """Whether a job that is queued since then has been so for too long while none that wants the same ran."""
        with self._lock:
            if self._running.get(wanted):
                return False
            return self._clock() - max(since, self._ran.get(wanted, since)) >= self._limit

    def describe(self) -> str:
        """The limit in words."""
        return f"{self._limit:.0f} s"


class Follower:
    """The execution service of one job: what it answers passes through, and is told."""

    def __init__(
        self, service: Any, wanted: str, *, waiting: Waiting, tell: Callable[[str], None], failure: type[Exception]
    ) -> None:
        self._service = service
        self._wanted = wanted
        self._waiting = waiting
        self._tell = tell
        self._failure = failure
        self._refused = importlib.import_module("grpc").RpcError
        messages = "buildstream._protos.build.bazel.remote.execution.v2.remote_execution_pb2"
        self._metadata = importlib.import_module(messages).ExecuteOperationMetadata
        self._response = importlib.import_module(messages).ExecuteResponse
        self._stage = 0
        self._since = 0.0
        self._given_up = False
        self._name = ""
        self._cancel: Callable[[str], None] = lambda _name: None

    def on_give_up(self, cancel: Callable[[str], None]) -> None:
        """Call ``cancel`` with the job's name when it is given up, so that it leaves the queue."""
        self._cancel = cancel

    def Execute(self, request: Any) -> Iterator[Any]:  # noqa: N802  # what the service calls it
        """Begin a job, and tell what it answers; begin it anew if that is a failure which is remembered."""
        for operation in self._follow(self._service.Execute(request)):
            if request.skip_cache_lookup or not self._is_remembered_failure(operation):
                yield operation
                continue
            request.skip_cache_lookup = True
            yield from self._follow(self._service.Execute(request))
            return

    def WaitExecution(self, request: Any) -> Iterator[Any]:  # noqa: N802
        """Go on with a job after its connection broke."""
        return self._follow(self._service.WaitExecution(request))

    def _follow(self, call: Any) -> Iterator[Any]:
        ended = threading.Event()
        looker = threading.Thread(target=self._look, args=(call, ended), daemon=True)
        looker.start()
        try:
            for operation in call:
                self._note(operation)
                yield operation
        except self._refused as error:
            if self._given_up:
                self._cancel(self._name)
                raise self._failure(
                    f"No worker of the farm took it for {self._waiting.describe()}: it wants {self._wanted}"
                ) from None
            if not self._stage and error.code().name in REFUSALS:
                raise self._failure(f"The farm does not take it: {_describe_refusal(error)}") from None
            raise
        finally:
            ended.set()
            looker.join()
            if self._stage == EXECUTING:
                self._enter(0)

    def _is_remembered_failure(self, operation: Any) -> bool:
        response = self._response()
        if not operation.done or not operation.response.Unpack(response):
            return False
        return bool(response.cached_result and response.result.exit_code)

    def _look(self, call: Any, ended: threading.Event) -> None:
        """Give the job up when it has been queued for too long."""
        while not ended.wait(INTERVAL):
            if self._stage == QUEUED and self._waiting.is_over(self._wanted, self._since):
                self._given_up = True
                call.cancel()
                return

    def _note(self, operation: Any) -> None:
        metadata, response = self._metadata(), self._response()
        self._name = operation.name
        operation.metadata.Unpack(metadata)
        stage, worker = metadata.stage, metadata.partial_execution_metadata.worker
        if operation.done:
            stage = COMPLETED
            if operation.response.Unpack(response):
                worker = response.result.execution_metadata.worker or worker
        if stage not in (QUEUED, EXECUTING, COMPLETED) or stage == self._stage:
            return
        self._enter(stage)
        by = " ".join(worker.split())
        if stage == QUEUED:
            self._tell(f"Remote job is queued: {self._wanted}")
        elif stage == EXECUTING:
            self._tell(f"Remote job is executing: {by}")
        else:
            self._tell(f"Remote job is completed: {by}")

    def _enter(self, stage: int) -> None:
        if EXECUTING in (stage, self._stage) and stage != self._stage:
            self._waiting.run(self._wanted, 1 if stage == EXECUTING else -1)
        self._stage, self._since = stage, time.monotonic()


def follow_jobs(waiting: Waiting) -> None:
    """Have BuildStream's remote sandboxes go through followers."""
    sandbox = importlib.import_module("buildstream.sandbox._sandboxremote").SandboxRemote
    remote = importlib.import_module("buildstream.sandbox._reremote").RERemote
    failure = importlib.import_module("buildstream._exceptions").SandboxError
    refused = importlib.import_module("grpc").RpcError
    execute, run, init = sandbox._execute_action, sandbox.run_remote_command, remote.init
    check = sandbox._check_action_cache

    @functools.wraps(execute)
    def execute_action(self: Any, action: Any, *more: Any, **named: Any) -> Any:
        self._wanted_properties = " ".join(f"{each.name}={each.value}" for each in action.platform.properties)
        try:
            return execute(self, action, *more, **named)
        except failure as error:
            if isinstance(error.__cause__, refused):
                what = str(error).partition(": <")[0]
                raise failure(f"{what}: {_describe_refusal(error.__cause__)}") from None
            raise

    def cancel(self: Any, name: str) -> None:
        self.operation_name = name
        self.cancel_operation()

    @functools.wraps(check)
    def check_action_cache(self: Any, action_digest: Any) -> Any:
        result = check(self, action_digest)
        return None if result is not None and result.exit_code else result

    @functools.wraps(init)
    def init_remote(self: Any) -> None:
        try:
            init(self)
        except refused as error:
            raise failure(f"The farm does not answer as it should: {_describe_refusal(error)}") from None

    @functools.wraps(run)
    def run_remote_command(self: Any, action_digest: Any) -> Any:
        service = self.re_remote.exec_service
        tell = functools.partial(self._get_context().messenger.info, element_name=self._get_element_name())
        follower = Follower(service, self._wanted_properties, waiting=waiting, tell=tell, failure=failure)
        follower.on_give_up(functools.partial(cancel, self))
        self.re_remote.exec_service = follower
        try:
            return run(self, action_digest)
        finally:
            self.re_remote.exec_service = service

    sandbox._execute_action, sandbox.run_remote_command = execute_action, run_remote_command
    sandbox._check_action_cache, remote.init = check_action_cache, init_remote


def _describe_refusal(error: Any) -> str:
    """What a service answered, as one line: BuildStream tells it in many, of which the first says nothing."""
    return f"{error.code().name}: {' '.join(str(error.details()).split())}"


def main() -> None:
    """Run the bst that the command line names."""
    limit, sys.argv = float(sys.argv[1]), sys.argv[2:]
    try:
        follow_jobs(Waiting(limit))
    except (ImportError, AttributeError) as error:
        sys.stderr.write(f"Slipway cannot follow the jobs of this BuildStream: {error}\n")
    raise SystemExit(importlib.import_module("buildstream._frontend").cli())


if __name__ == "__main__":
    main()
