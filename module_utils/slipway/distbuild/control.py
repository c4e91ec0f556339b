# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries a controller's builds, and cancels one after verifying that it is the intended one."""

from __future__ import annotations

import importlib
import socket
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import SlipwayError
from ..wait import wait_for
from . import wire
from .protocol import (
    NO_SUCH_BUILD,
    BuildStatus,
    Controller,
    Handle,
    RunningBuild,
    format_question,
    parse_list,
    parse_status,
)

# getaddrinfo loads this codec on its first use; a process that survives its parent may not find it any more then.
importlib.import_module("encodings.idna")

Parsed = TypeVar("Parsed")

RECEIVE = 1 << 16
#: Between two tries to cancel a build on a controller that is away, at first and at most.
PAUSE, LONGEST_PAUSE = 5.0, 60.0
#: An id for list-requests, which the controller does not send back.
NOBODY = "slipway"


class AwayError(SlipwayError):
    """A controller that does not answer (now)."""


def list_requests(controller: Controller, *, timeout: float = 30.0) -> list[RunningBuild]:
    """The builds that run on ``controller`` now."""
    (answer,) = _send_questions(
        controller, [format_question("list-requests", NOBODY)], attempt="list the builds of", timeout=timeout
    )
    return _parse_answer(parse_list, answer, controller, attempt="list the builds of")


def query_build(handle: Handle, *, timeout: float = 30.0) -> tuple[BuildStatus | None, list[RunningBuild]]:
    """What the controller says of the handle's id, and all that runs there.

    The status is ``None`` when the controller does not know the id (any more), which it also forgets when it
    restarts. A failed graph is ``graphing`` for ever, but no longer in the list.
    """
    attempt = "ask for a build on"
    answers = _send_questions(
        handle.controller,
        [format_question("build-status", handle.id), format_question("list-requests", NOBODY)],
        attempt=attempt,
        timeout=timeout,
    )
    return (
        _parse_answer(parse_status, answers[0], handle.controller, attempt=attempt),
        _parse_answer(parse_list, answers[1], handle.controller, attempt=attempt),
    )


def determine_state(handle: Handle, status: BuildStatus | None, listed: Sequence[RunningBuild]) -> str:
    """One word for a build that was submitted earlier.

    ``running`` it goes on; ``finished``, ``failed``, ``cancelled`` as the controller says; ``gone`` when the
    controller does not know it, or its id now names another build. What is neither running nor ended
    (a failed graph is "computing" for ever) counts as ``failed``.
    """
    mine = [one for one in listed if one.id == handle.id]
    if mine:
        return "running" if handle.is_same(mine[0]) else "gone"
    if status is None or status.morphology != handle.morphology:
        return "gone"
    return status.state if status.state in ("finished", "cancelled") else "failed"


def cancel_build(handle: Handle, *, timeout: float = 30.0, write: bool = True) -> bool:
    """Cancel the handle's build if it runs; return whether there was anything to cancel.

    An id that now names another build is a failure that names both, and nothing is cancelled.
    """
    attempt = f"cancel {handle.id} on"
    found = next((one for one in list_requests(handle.controller, timeout=timeout) if one.id == handle.id), None)
    if found is None:
        return False
    if not handle.is_same(found):
        raise SlipwayError(
            attempt,
            f"the controller {handle.controller}",
            f"{found.id} now is {found.morphology} at {found.ref} of {found.repo}, asked for from {found.initiator}; "
            f"it should be {handle.morphology} at {handle.ref} of {handle.repo}"
            + (f", asked for from {handle.initiator}" if handle.initiator else ""),
            do_next="Nothing was cancelled: the controller was restarted since, and the build is gone.",
        )
    if not write:
        return True
    (answer,) = _send_questions(
        handle.controller, [format_question("build-cancel", handle.id)], attempt=attempt, timeout=timeout
    )
    if NO_SUCH_BUILD in answer:
        return False
    wait_for(
        lambda: _is_listed(handle, timeout),
        lambda state: state == "gone",
        attempt=attempt,
        on=f"the controller {handle.controller}",
        timeout=timeout,
        interval=0.5,
        do_next="Look at the controller's log.",
    )
    return True


def insist_cancel(
    handle: Handle, *, away: float, timeout: float = 30.0, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Cancel as :func:`cancel_build` does, on a controller that may be away for as long as ``away`` seconds.

    Only where the handle says from where the build was asked for: a controller that comes back may give its id to the
    same build of somebody else.
    """
    deadline = time.monotonic() + (away if handle.initiator else 0.0)
    pause = PAUSE
    while True:
        try:
            return cancel_build(handle, timeout=timeout)
        except AwayError:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)


def _is_listed(handle: Handle, timeout: float) -> str:
    listed = list_requests(handle.controller, timeout=timeout)
    return "listed" if any(handle.is_same(one) for one in listed) else "gone"


def _send_questions(controller: Controller, lines: Sequence[bytes], *, attempt: str, timeout: float) -> list[str]:
    """The texts that answer ``lines``, which come in their order; at most ``timeout`` seconds in all."""
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((controller.host, controller.port), timeout=timeout) as connection:
            connection.sendall(b"".join(lines))
            return _read_answers(connection, len(lines), deadline)
    except TimeoutError as error:
        came_back, do_next = f"no answer within {timeout:g} s", "Check that the controller is not stuck."
        raise AwayError(attempt, f"the controller {controller}", came_back, do_next=do_next) from error
    except wire.UnreadableError as error:
        raise _controller_error(controller, attempt, str(error), "Check the controller's host and port.") from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        do_next = "Check that the controller runs, and check its address."
        raise AwayError(attempt, f"the controller {controller}", reason, do_next=do_next) from error


def _read_answers(connection: socket.socket, wanted: int, deadline: float) -> list[str]:
    buffer = wire.LineBuffer()
    answers: list[str] = []
    while len(answers) < wanted:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        data = connection.recv(RECEIVE)
        if not data:
            raise ConnectionError("it closed the connection without an answer")
        for line in buffer.feed(data):
            message = wire.decode_message(line)
            if message.get("type") == "request-output":
                answers.append(wire.read_text(message, "message"))
            elif message.get("type") == "build-failed":
                raise ConnectionError(f"it refuses the question: {' '.join(wire.read_text(message, 'reason').split())}")
    return answers


def _parse_answer(parse: Callable[[str], Parsed], answer: str, controller: Controller, *, attempt: str) -> Parsed:
    try:
        return parse(answer)
    except ValueError as error:
        raise _controller_error(
            controller, attempt, str(error), "Check that it is a controller of protocol 4."
        ) from error


def _controller_error(controller: Controller, attempt: str, came_back: str, do_next: str) -> SlipwayError:
    return SlipwayError(attempt, f"the controller {controller}", came_back, do_next=do_next)
