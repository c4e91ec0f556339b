from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.lock import (
    Holder,
    drop_lock,
    read_holder,
    take_lock,
)


@pytest.fixture
def other():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()


def me(what="baserock-26.47"):
    return Holder.of_process(what, os.getpid())


def test_a_free_lock_is_taken_and_given_back(tmp_path):
    path = tmp_path / "release.lock"
    assert take_lock(path, me()) is None
    assert read_holder(path).is_same_run(me())
    drop_lock(path, me())
    assert read_holder(path) is None


def test_the_same_run_takes_it_again(tmp_path):
    path = tmp_path / "release.lock"
    first = me()
    take_lock(path, first)
    assert take_lock(path, dataclasses.replace(me(), since="later")) is None
    assert read_holder(path) == first


def test_a_living_holder_is_named_and_kept(tmp_path, other):
    path = tmp_path / "release.lock"
    theirs = Holder.of_process("baserock-26.46", other.pid)
    take_lock(path, theirs)
    assert take_lock(path, me()) == theirs
    assert not theirs.is_dead()
    assert str(theirs).startswith(f"baserock-26.46, process {other.pid} on ")
    drop_lock(path, me())
    assert read_holder(path) == theirs


def test_the_lock_of_an_ended_process_is_taken_over(tmp_path, other):
    path = tmp_path / "release.lock"
    theirs = Holder.of_process("baserock-26.46", other.pid)
    take_lock(path, theirs)
    other.kill()
    other.wait()
    assert theirs.is_dead()
    assert take_lock(path, me(), ended=theirs) is None
    assert read_holder(path).is_same_run(me())


def test_a_reused_process_number_is_another_process():
    assert dataclasses.replace(me(), process_start=1).is_dead()


def test_a_holder_on_another_machine_is_not_called_dead():
    assert not dataclasses.replace(me(), host="elsewhere", boot="x", pid=1).is_dead()


def test_check_mode_takes_nothing(tmp_path):
    assert take_lock(tmp_path / "release.lock", me(), write=False) is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_lock_is_named(tmp_path):
    (tmp_path / "release.lock").write_text("{}")
    with pytest.raises(SlipwayError, match=r"read the lock .*release\.lock: it is damaged"):
        take_lock(tmp_path / "release.lock", me())
