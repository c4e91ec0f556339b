# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Submits builds to their networks, all at once, and waits for all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, count_of, refuse
from ..morph.cache import MorphCache, is_system
from ..progress import Progress
from .control import determine_state, query_build
from .guard import guard_builds
from .initiator import Build, Limits
from .log import BuildLog
from .network import handle_interruptions, run_builds
from .protocol import Controller, Handle, Request

STDOUT = 1


@dataclass(frozen=True)
class Order:
    """One build to submit: the request, the controller, and the directory of its logs."""

    controller: Controller
    request: Request
    logs: Path
    #: An earlier, detached submission of the same.
    handle: Handle | None = None
    #: What an earlier build of the same was named in the cache.
    artifacts: Sequence[str] = ()


def submit_orders(
    orders: Sequence[Order],
    *,
    limits: Limits,
    detach: bool = False,
    cache: MorphCache | None = None,
    progress: Progress | None = None,
    guard: bool = True,
) -> list[dict[str, Any]]:
    """Submit every order, wait for all, and return their results in the same order.

    An order whose known artifacts are all in ``cache`` needs no network and is not sent.

    Unless detached, a build is cancelled on its controller when this process is interrupted or, with
    ``guard``, when it dies. When builds fail, the others are waited for, and one failure names all.

    The protocol cannot attach to a build again: an order with a handle is sent like any other, and what runs
    is joined. Each result's ``resumed`` tells what had become of the handle's build (``None`` without one).
    """
    reporter = _Reporter(progress or Progress(None), names=len(orders) > 1)
    cached = {number: _describe_cached(order) for number, order in enumerate(orders) if _is_cached(order, cache)}
    wanted = {number: order for number, order in enumerate(orders) if number not in cached}
    for number in cached:
        reporter.make_report(orders[number])("its artifacts are in the cache")
    resumed = {n: _resume(order, reporter.make_report(order), timeout=limits.answer) for n, order in wanted.items()}
    now = time.monotonic()
    builds = {
        number: Build(
            order.request,
            order.controller,
            log=BuildLog(order.logs),
            now=now,
            limits=limits,
            detach=detach,
            report=reporter.make_report(order),
        )
        for number, order in wanted.items()
    }
    reporter.builds = [*builds.values()]
    if builds:
        _run_builds(reporter.builds, guard=guard and not detach)
    sent = {number: {**build.result(), "resumed": resumed[number]} for number, build in builds.items()}
    return [cached.get(number) or sent[number] for number in range(len(orders))]


def _run_builds(builds: Sequence[Build], *, guard: bool) -> None:
    """Carry all builds to their ends; failed ones raise."""
    with contextlib.ExitStack() as stack:
        watch: Callable[[str, Handle | None], None] = lambda _owner, _handle: None  # noqa: E731  # one of two
        if guard:
            watch = stack.enter_context(guard_builds()).watch
        owners = {id(build): str(number) for number, build in enumerate(builds)}
        interruption = stack.enter_context(handle_interruptions(output=STDOUT))
        run_builds(
            builds,
            interruption=interruption,
            on_change=lambda build: watch(owners[id(build)], build.handle if build.uncancelled else None),
        )
        for build in builds:
            if build.error is not None:
                interruption.tell(f"{build.request.morphology}: {build.error.came_back}")
    _raise_failures(builds)


def preview_orders(
    orders: Sequence[Order],
    *,
    detach: bool = False,
    cache: MorphCache | None = None,
    artifacts: Callable[[Request], Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """What :func:`submit_orders` would send, and whether it is in the cache already (``None`` if that is not known).

    That is known of an order with known artifacts. For others ``artifacts`` names what a system is made of; it is
    in the cache when its own artifact is. Of single components nothing is known before they are asked for.
    """
    results = []
    for order in orders:
        if not order.artifacts and artifacts is not None and cache is not None and not order.request.components:
            names = artifacts(order.request)
            order = replace(order, artifacts=[name for name in names if is_system(name)] or names)
        cached = _is_cached(order, cache) if cache is not None and order.artifacts else None
        results.append(
            {
                **_describe_cached(order),
                "outcome": "finished" if cached else "",
                "request": order.request.describe(detach=detach),
                "cached": cached,
                "changed": not cached,
                "artifacts": list(order.artifacts) if cached else [],
            }
        )
    return results


def _is_cached(order: Order, cache: MorphCache | None) -> bool:
    return cache is not None and bool(order.artifacts) and all(cache.fetch_sizes(order.artifacts).values())


def _describe_cached(order: Order) -> dict[str, Any]:
    """The result of an order whose artifacts are in the cache."""
    build = Build(order.request, order.controller, log=BuildLog(order.logs), now=0.0)
    build.outcome = "finished"
    return {**build.result(), "artifacts": list(order.artifacts), "log": "", "resumed": None}


def _resume(order: Order, report: Callable[[str], None], *, timeout: float) -> str | None:
    """The state of an earlier submission; a handle of another build is a failure."""
    handle = order.handle
    if handle is None:
        return None
    request = order.request
    if (handle.controller, handle.repo, handle.ref, handle.morphology) != (
        order.controller,
        request.repo,
        request.ref,
        request.morphology,
    ):
        raise SlipwayError(
            "resume",
            str(handle),
            f"it is not {request} with the controller {order.controller}",
            do_next="Give the handle that this very build was submitted with, or none.",
        )
    try:
        state = determine_state(handle, *query_build(handle, timeout=timeout))
    except SlipwayError as error:
        state = "unknown"
        report(str(error))
    report(f"the earlier {handle.id} is {state}; asking for the same again")
    return state


def _raise_failures(builds: Sequence[Build]) -> None:
    errors = [build.error for build in builds if build.error is not None]
    if len(builds) == 1 and errors:
        raise errors[0]
    refuse(
        f"build {len(errors)} of",
        count_of(len(builds), "system"),
        [str(error) for error in errors],
        summary="the others are finished or were waited for",
        do_next="Correct what each says and run the same again: what is built stays in the cache.",
    )


class _Reporter:
    """Writes the reports of builds as progress lines that count the artifacts of all of them."""

    def __init__(self, progress: Progress, *, names: bool) -> None:
        self._progress = progress
        self._names = names
        self.builds: Sequence[Build] = ()

    def make_report(self, order: Order) -> Callable[[str], None]:
        """The callback that reports for one order."""
        prefix = f"{Path(order.request.morphology).stem}: " if self._names else ""

        def report(text: str) -> None:
            self._progress.total = sum(build.total or 0 for build in self.builds)
            self._progress.done = sum(build.done for build in self.builds)
            self._progress.report(f"{prefix}{text}")

        return report
