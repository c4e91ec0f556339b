# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait for a state, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import SlipwayError

State = TypeVar("State")


def wait_for(
    fetch: Callable[[], State],
    done: Callable[[State], bool],
    pending: Callable[[State], bool] = lambda _state: True,
    *,
    attempt: str,
    on: str,
    timeout: float,
    interval: float = 1.0,
    do_next: str = "Find out why it takes so long and run the same command again.",
    log: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> State:
    """Call ``fetch`` until its state is ``done``, for at most ``timeout`` seconds.

    The first look happens without sleeping. A state that is neither done nor pending fails at once;
    the end of the time fails with the last state seen.
    """
    deadline = clock() + timeout
    while True:
        state = fetch()
        if done(state):
            return state
        if not pending(state):
            raise SlipwayError(attempt, on, f"it is in the unexpected state {state}", do_next=do_next, log=log)
        remaining = deadline - clock()
        if remaining <= 0:
            raise SlipwayError(
                attempt, on, f"not done after {timeout:.0f} s, the last state was {state}", do_next=do_next, log=log
            )
        sleep(min(interval, remaining))
