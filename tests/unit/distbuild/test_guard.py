"""The process that cancels builds is out of reach of what kills the one that requested them."""

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.distbuild import guard


def test_it_has_a_session_of_its_own_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_session, fork, children = os.setsid, os.fork, []
    monkeypatch.setattr(os, "setsid", lambda: (time.sleep(0.3), begin_session()))
    monkeypatch.setattr(os, "fork", lambda: children.append(fork()) or children[-1])
    with guard.guard_builds():
        assert os.getsid(children[0]) == children[0]
