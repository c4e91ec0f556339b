"""What is told of jobs on a farm, with a stand-in for its execution service that speaks BuildStream's messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream import follow
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.follow import Follower, Waiting
from buildstream._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as messages
from buildstream._protos.google.longrunning import operations_pb2

WANTED = "ISA=x86-64 OSFamily=linux"


class FailedError(Exception):
    pass


class RefusedError(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self.status = code

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return "as it says"


class Call:
    """What the service answers, and then goes on waiting for until it is cancelled, or ends."""

    def __init__(self, operations: list[Any], *, ends: BaseException | bool | None) -> None:
        self.operations = operations
        self.ends = ends
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def __iter__(self) -> Iterator[Any]:
        yield from self.operations
        if isinstance(self.ends, BaseException):
            raise self.ends
        if not self.ends:
            assert self.cancelled.wait(30)
            raise RefusedError(grpc.StatusCode.CANCELLED)


class Service:
    def __init__(self, call: Call, *again: Call) -> None:
        self.call = call
        self.calls = [call, *again]
        self.requests: list[Any] = []

    def Execute(self, request: Any) -> Call:  # noqa: N802
        self.requests.append(request.skip_cache_lookup)
        return self.calls.pop(0)

    def WaitExecution(self, _request: Any) -> Call:  # noqa: N802
        return self.call


def operation(stage: int, worker: str = "", *, failed: bool = False, remembered: bool = False) -> Any:
    made = operations_pb2.Operation(name="job", done=stage == follow.COMPLETED)
    metadata = messages.ExecuteOperationMetadata(stage=stage)
    metadata.partial_execution_metadata.worker = worker
    made.metadata.Pack(metadata)
    if made.done:
        response = messages.ExecuteResponse(cached_result=remembered)
        response.result.exit_code = int(failed)
        response.result.execution_metadata.worker = worker
        made.response.Pack(response)
    return made


def followed(call: Call, waiting: Waiting, told: Callable[[str], None]) -> Follower:
    return Follower(Service(call), WANTED, waiting=waiting, tell=told, failure=FailedError)


@pytest.mark.parametrize(
    ("failed", "remembered", "again"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_failure_that_the_farm_remembers_is_tried_again(*, failed: bool, remembered: bool, again: bool) -> None:
    first = operation(follow.COMPLETED, "one", failed=failed, remembered=remembered)
    second = operation(follow.COMPLETED, "two", failed=True)
    service = Service(Call([operation(follow.QUEUED), first], ends=True), Call([second], ends=True))
    follower = Follower(service, WANTED, waiting=Waiting(60), tell=lambda _text: None, failure=FailedError)
    answers = list(follower.Execute(messages.ExecuteRequest()))
    assert answers[-1] == (second if again else first)
    assert service.requests == ([False, True] if again else [False])


def test_each_stage_is_told_once_with_the_worker_and_all_answers_pass() -> None:
    stages = [follow.QUEUED, follow.QUEUED, follow.EXECUTING, follow.QUEUED, follow.EXECUTING, follow.COMPLETED]
    answers = [operation(stage, "worker 1\n" if stage > follow.QUEUED else "") for stage in stages]
    told: list[str] = []
    follower = followed(Call(answers, ends=True), Waiting(60), told.append)
    assert list(follower.Execute(messages.ExecuteRequest())) == answers
    assert told == [
        f"Remote job is queued: {WANTED}",
        "Remote job is executing: worker 1",
        f"Remote job is queued: {WANTED}",
        "Remote job is executing: worker 1",
        "Remote job is completed: worker 1",
    ]


def test_a_job_that_no_worker_takes_is_given_up_and_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "INTERVAL", 0.01)
    left: list[str] = []
    follower = followed(Call([operation(follow.QUEUED)], ends=False), Waiting(0.05), lambda _text: None)
    follower.on_give_up(left.append)
    with pytest.raises(FailedError, match=f"No worker of the farm took it for 0 s: it wants {WANTED}"):
        list(follower.Execute(messages.ExecuteRequest()))
    assert left == ["job"]


def test_a_job_that_runs_for_long_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "INTERVAL", 0.01)
    call = Call([operation(follow.EXECUTING, "one")], ends=False)
    threading.Timer(0.3, call.cancel).start()
    with pytest.raises(grpc.RpcError):
        list(followed(call, Waiting(0.05), lambda _text: None).Execute(messages.ExecuteRequest()))


def test_a_job_may_wait_while_another_that_wants_the_same_runs() -> None:
    now = [0.0]
    waiting = Waiting(10, clock=lambda: now[0])
    waiting.run(WANTED, 1)
    now[0] = 1000
    assert not waiting.is_over(WANTED, 0)
    assert waiting.is_over("ISA=other", 0)
    waiting.run(WANTED, -1)
    now[0] = 1009
    assert not waiting.is_over(WANTED, 0)
    now[0] = 1010
    assert waiting.is_over(WANTED, 0)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE])
def test_a_farm_that_refuses_a_job_is_quoted(code: grpc.StatusCode) -> None:
    with pytest.raises(FailedError, match=f"The farm does not take it: {code.name}: as it says"):
        list(
            followed(Call([], ends=RefusedError(code)), Waiting(60), lambda _text: None).Execute(
                messages.ExecuteRequest()
            )
        )


def test_a_connection_that_breaks_later_is_left_to_buildstream() -> None:
    call = Call([operation(follow.QUEUED)], ends=RefusedError(grpc.StatusCode.UNAVAILABLE))
    with pytest.raises(RefusedError):
        list(followed(call, Waiting(60), lambda _text: None).WaitExecution(None))


def test_buildstream_still_is_as_it_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    from buildstream.sandbox._reremote import RERemote
    from buildstream.sandbox._sandboxremote import SandboxRemote

    methods = [(SandboxRemote, name) for name in ("_execute_action", "run_remote_command", "_check_action_cache")]
    methods.append((RERemote, "init"))
    for where, name in methods:
        monkeypatch.setattr(where, name, getattr(where, name))
    follow.follow_jobs(Waiting(1))
    assert all(hasattr(getattr(where, name), "__wrapped__") for where, name in methods)
