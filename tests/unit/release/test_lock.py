from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.release import lock
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.lock import (
    Holder,
    drop_lock,
    format_renewal,
    read_lock,
    take_lock,
)

#: A PID namespace of its own, as an execution environment has one; it ends with the process that made it.
ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
ROOT = Path(__file__).parents[3]


@pytest.fixture
def other():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()


def me(what="baserock-26.47", lease=300.0):
    return Holder.of_process(what, os.getpid(), lease=lease)


def test_a_free_lock_is_taken_and_given_back(tmp_path):
    path = tmp_path / "release.lock"
    assert take_lock(path, me()) is None
    assert read_lock(path).holder.is_same_run(me())
    drop_lock(path, me())
    assert read_lock(path) is None


def test_the_same_run_takes_it_again(tmp_path):
    path = tmp_path / "release.lock"
    first = me()
    take_lock(path, first)
    assert take_lock(path, dataclasses.replace(me(), since="later")) is None
    assert read_lock(path).holder == first


def test_a_living_holder_is_named_and_kept(tmp_path, other):
    path = tmp_path / "release.lock"
    theirs = Holder.of_process("baserock-26.46", other.pid, lease=0)
    take_lock(path, theirs)
    found = take_lock(path, me())
    assert found.holder == theirs
    assert found.left <= 0
    assert not found.is_over()
    assert f"another release is running (baserock-26.46, process {other.pid} on " in found.explain()
    drop_lock(path, me())
    assert read_lock(path).holder == theirs


def test_the_lock_of_an_ended_process_is_taken_over(tmp_path, other):
    path = tmp_path / "release.lock"
    take_lock(path, Holder.of_process("baserock-26.46", other.pid, lease=300))
    other.kill()
    other.wait()
    found = take_lock(path, me())
    assert found.is_over()
    assert take_lock(path, me(), over=found) is None
    assert read_lock(path).holder.is_same_run(me())


def test_a_process_that_ended_and_was_not_waited_for_has_ended(other):
    holder = Holder.of_process("baserock-26.46", other.pid, lease=300)
    other.kill()
    while holder.is_alive():
        time.sleep(0.01)
    assert holder.is_alive() is False


def test_a_reused_process_number_is_another_process():
    assert dataclasses.replace(me(), process_start=1).is_alive() is False


@pytest.mark.parametrize(
    "where", [{"boot": "before", "machine": "other"}, {"namespace": "pid:[1]"}, {"boot": "unknown"}]
)
def test_what_cannot_be_looked_at_counts_as_long_as_its_lease_lasts(tmp_path, where):
    path = tmp_path / "release.lock"
    take_lock(path, dataclasses.replace(me("baserock-26.46", 60), host="elsewhere", pid=1, **where))
    found = take_lock(path, me())
    assert found.holder.is_alive() is None
    assert not found.is_over()
    assert "It cannot be seen from here" in found.explain()
    os.utime(path, (time.time() - 61,) * 2)
    assert take_lock(path, me()).is_over()
    assert take_lock(path, me(), over=take_lock(path, me())) is None


def test_a_run_of_before_a_restart_of_this_machine_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_read_machine", lambda: "m")
    before = dataclasses.replace(me(), boot="before")
    assert before.is_alive() is False
    assert dataclasses.replace(before, host="another").is_alive() is None
    monkeypatch.setattr(lock, "_read_machine", lambda: lock.UNKNOWN)
    assert dataclasses.replace(me(), boot="before").is_alive() is None


def test_a_lock_that_was_renewed_meanwhile_is_not_taken(tmp_path):
    path = tmp_path / "release.lock"
    theirs = dataclasses.replace(me("it's 26.46", 60), boot="before", machine="other")
    take_lock(path, theirs)
    os.utime(path, (time.time() - 61,) * 2)
    seen = read_lock(path)
    assert seen.is_over()
    renew = ["sh", "-c", format_renewal(str(path), theirs)]
    subprocess.run(renew, check=True)
    assert take_lock(path, me(), over=seen).left > 50
    path.write_text(json.dumps(dataclasses.asdict(me())))
    assert subprocess.run(renew, check=False).returncode == 1
    path.unlink()
    assert subprocess.run(renew, check=False, capture_output=True).returncode == 2
    assert not path.exists()


def test_check_mode_takes_nothing(tmp_path):
    assert take_lock(tmp_path / "release.lock", me(), write=False) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{}", "[]", "", '{"what": "1", "host": "h", "boot": "b", "pid": 1}'])
def test_a_damaged_lock_is_named(tmp_path, text):
    (tmp_path / "release.lock").write_text(text)
    with pytest.raises(SlipwayError, match=r"read the lock .*release\.lock: it is damaged"):
        take_lock(tmp_path / "release.lock", me())


def play(tmp_path: Path, name: str, *, then: str, lease: float = 300, wait: float = 0) -> list[str]:
    """The words that run a playbook which takes the lock."""
    module = {"path": str(tmp_path / "release.lock"), "what": name, "lease": lease, "timeout": wait}
    tasks = [{"slipway.release.release_lock": module}, {"ansible.builtin.command": then, "changed_when": False}]
    book = tmp_path / f"{name}.json"
    hosts = {"hosts": "localhost", "gather_facts": False, "connection": "local"}
    book.write_text(json.dumps([{**hosts, "vars": {"ansible_python_interpreter": sys.executable}, "tasks": tasks}]))
    return [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(book)]


def run_play(words: list[str], *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*before, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def wait_until(condition, limit=60):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_run_in_another_pid_namespace_keeps_its_lock_while_it_runs_and_no_longer(tmp_path):
    words = play(tmp_path, "first-1.0", then="sleep 600", lease=12)
    lock = tmp_path / "release.lock"
    with subprocess.Popen([*ELSEWHERE, *words], cwd=ROOT, stdout=subprocess.DEVNULL) as first:
        try:
            wait_until(lock.exists)
            time.sleep(14)  # longer than a lease
            refused = run_play(play(tmp_path, "second-1.0", then="true"))
            assert refused.returncode != 0
            for said in ("another release may be running (first-1.0, process ", "PID namespace", "its lease ends at 2"):
                assert said in " ".join(refused.stdout.split())
            assert read_lock(lock).holder.what == "first-1.0"
        finally:
            first.kill()
    done = run_play(play(tmp_path, "third-1.0", then="true", wait=60))
    assert done.returncode == 0, done.stdout
    assert "waiting for first-1.0" in done.stdout
    assert read_lock(lock).holder.what == "third-1.0"


def test_what_renews_the_lease_ends_with_the_run(tmp_path):
    def count() -> int:
        found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
        return len(found.stdout.split())

    words = play(tmp_path, "only-1.0", then="sleep 8", lease=2)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as run:
        try:
            wait_until((tmp_path / "release.lock").exists)
            first = read_lock(tmp_path / "release.lock").renewed
            wait_until(lambda: read_lock(tmp_path / "release.lock").renewed > first)
        finally:
            run.kill()
        run.stdout.read()  # what renews holds no end of this pipe open
    wait_until(lambda: count() == 0)
