"""A module notices that nobody waits for it."""

from __future__ import annotations

import os
import threading

from ansible_collections.slipway.release.plugins.module_utils.slipway.module.hangup import watch_reader


def test_the_end_of_the_reader_is_told() -> None:
    reader, writer = os.pipe()
    gone = threading.Event()
    with watch_reader(gone.set, descriptor=writer):
        assert not gone.is_set()
        os.close(reader)
        assert gone.wait(30)
    os.close(writer)


def test_the_end_of_the_watch_is_no_end_of_the_reader() -> None:
    reader, writer = os.pipe()
    gone = threading.Event()
    with watch_reader(gone.set, descriptor=writer):
        pass
    os.close(reader)
    os.close(writer)
    assert not gone.is_set()
