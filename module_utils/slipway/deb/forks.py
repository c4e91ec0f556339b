# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run work in several processes, since the interpreter's lock allows one thread at a time."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

from ..errors import SlipwayError

Result = TypeVar("Result")


def spread_work(
    count: int,
    work: Callable[[int], Result],
    *,
    workers: int,
    attempt: str,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """``[work(0), ..., work(count - 1)]``, in that order, made by ``workers`` forks of this process.

    ``work`` sees the memory of this process as it is now, and returns plain values. A number is begun only when
    those below it were, so put the long work first. An exception in ``work`` is no result: let ``work`` return
    its failures. When a fork ends early, all are ended and :class:`SlipwayError` says so.
    """
    if workers <= 1 or count <= 1:
        return [_note_result(work(number), on_result) for number in range(count)]
    with tempfile.TemporaryFile(buffering=0) as numbers:
        results = _collect_results(count, work, workers, numbers.fileno(), attempt=attempt, on_result=on_result)
    return [results[number] for number in range(count)]


def _collect_results(
    count: int,
    work: Callable[[int], Result],
    workers: int,
    numbers: int,
    *,
    attempt: str,
    on_result: Callable[[Result], None] | None,
) -> dict[int, Result]:
    context = multiprocessing.get_context("fork")
    results: dict[int, Result] = {}
    forks: dict[connection.Connection[Any, Any], ForkProcess] = {}
    try:
        for _unused in range(min(workers, count)):
            ours, theirs = context.Pipe(duplex=False)
            fork = context.Process(target=_serve_numbers, args=(work, count, numbers, theirs, [*forks, ours]))
            fork.start()
            theirs.close()
            forks[ours] = fork
        waiting = set(forks)
        while waiting:
            for ready in connection.wait(list(waiting)):
                if not isinstance(ready, connection.Connection):
                    raise AssertionError("only connections are waited for")
                try:
                    number, result = ready.recv()
                except EOFError:
                    waiting.discard(ready)
                    _check_exit(forks[ready], attempt)
                    continue
                results[number] = _note_result(result, on_result)
    finally:
        for ours, fork in forks.items():
            fork.kill()
            fork.join()
            ours.close()
    return results


def _note_result(result: Result, on_result: Callable[[Result], None] | None) -> Result:
    if on_result is not None:
        on_result(result)
    return result


def _take_number(numbers: int) -> int:
    """The next number from 0 up, given to one process only.

    It stands in a file under a record lock, which ends with the process that holds it, however that ends.
    """
    fcntl.lockf(numbers, fcntl.LOCK_EX)
    try:
        number = int.from_bytes(os.pread(numbers, 8, 0), "big")
        os.pwrite(numbers, (number + 1).to_bytes(8, "big"), 0)
    finally:
        fcntl.lockf(numbers, fcntl.LOCK_UN)
    return number


def _serve_numbers(
    work: Callable[[int], Result],
    count: int,
    numbers: int,
    answers: connection.Connection[Any, Any],
    others: list[connection.Connection[Any, Any]],
) -> None:
    for other in others:
        other.close()  # else this fork would never learn that its parent has gone
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while (number := _take_number(numbers)) < count:
        try:
            answers.send((number, work(number)))
        except BrokenPipeError:
            os._exit(1)


def _check_exit(fork: ForkProcess, attempt: str) -> None:
    fork.join()
    if fork.exitcode:
        how = f"by signal {-fork.exitcode}" if fork.exitcode < 0 else f"with status {fork.exitcode}"
        raise SlipwayError(
            attempt,
            "",
            f"one of its processes was ended {how}",
            do_next="Check whether memory ran out (`dmesg`), and run again.",
        )
