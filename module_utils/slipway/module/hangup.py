# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notices that nobody waits for a module any more."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def watch_reader(act: Callable[[], None], *, descriptor: int = 1) -> Iterator[None]:
    """Call ``act`` when whoever reads our output has ended: Ansible's worker here, or what ssh started on another host.

    Nothing else tells a module, since each has a session of its own.
    """
    over, end = os.pipe()

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # errors and hang-ups are always told
        poll.register(over, 0)
        gone = [number for number, _event in poll.poll()]
        if descriptor in gone and over not in gone:
            act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(end)
        thread.join()
        os.close(over)
