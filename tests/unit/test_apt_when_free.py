# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian's own apt-get with a state of its own, while another process holds its locks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/apt-when-free"
HOLD = """
import fcntl, sys, time
held = open(sys.argv[1], "a")
fcntl.lockf(held, fcntl.LOCK_EX)
print(flush=True)
time.sleep(float(sys.argv[2]))
"""
LOCKS = {"update": "state/lists/lock", "clean": "cache/archives/lock", "install": "dpkg/lock-frontend"}

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="needs Debian's apt")


class Apt:
    """An apt that has no sources, no packages and no dpkg; its locks are files below ``top``."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in (
            "state/lists/partial",
            "cache/archives/partial",
            "etc/sources.list.d",
            "etc/preferences.d",
            "dpkg",
            "bin",
        ):
            (top / name).mkdir(parents=True)
        (top / "dpkg/status").touch()
        (top / "etc/sources.list").touch()
        options = {
            "Dir::State": top / "state", "Dir::State::status": top / "dpkg/status", "Dir::Cache": top / "cache",
            "Dir::Etc": top / "etc", "Dir::Bin::dpkg": "/bin/false",
        }  # fmt: skip
        words = " ".join(f"-o {name}={value}" for name, value in options.items())
        program = top / "bin/apt-get"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("apt-get")} {words} "$@"\n')
        program.chmod(0o755)

    def run(self, *words: str, limit: float = 30) -> subprocess.CompletedProcess[str]:
        path = f"{self.top}/bin:{os.environ['PATH']}"
        return subprocess.run(
            [SCRIPT, *words], env={**os.environ, "PATH": path, "APT_WAIT": str(limit)}, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip

    def hold(self, lock: str, seconds: float) -> subprocess.Popen[bytes]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.top / lock), str(seconds)], stdout=subprocess.PIPE
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        return holder


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    return Apt(tmp_path)


@pytest.mark.parametrize("what", LOCKS)
def test_a_lock_is_waited_for_and_its_holder_is_named_once(apt: Apt, what: str) -> None:
    holder = apt.hold(LOCKS[what], 3)
    began = time.monotonic()
    done = apt.run(what)
    assert done.returncode == 0, done.stderr
    assert 2 < time.monotonic() - began < 15
    who = f"which process {holder.pid} holds ({sys.executable} -c "
    wait = f"apt-get waits, for at most 30 s, for {apt.top / LOCKS[what]}, {who}"
    assert [line[: len(wait)] for line in done.stderr.splitlines()] == [wait]
    holder.communicate(timeout=10)


@pytest.mark.parametrize("what", LOCKS)
def test_a_wait_has_an_end_that_names_the_holder(apt: Apt, what: str) -> None:
    holder = apt.hold(LOCKS[what], 30)
    done = apt.run(what, limit=2)
    holder.kill()
    holder.communicate(timeout=10)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        f"apt-get {what} was given up after 2 s: it waited for {apt.top / LOCKS[what]}, which process "
    )
    assert f" {holder.pid} holds (" in last


def test_without_another_one_nothing_is_said(apt: Apt) -> None:
    done = apt.run("update", "-qq")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_failures_are_told_at_once(apt: Apt) -> None:
    done = apt.run("install", "-y", "no-such-package")
    assert (done.returncode, done.stderr) == (1, "E: Unable to locate package no-such-package\n")


def test_whatever_sets_up_a_machine_waits_in_this_way() -> None:
    changes = re.compile(
        r"\b(apt|apt-get|aptitude|dpkg)\W+(-\S+\s+)*(update|install|upgrade|dist-upgrade|remove|purge)\b"
    )
    root = SCRIPT.parents[1]
    found = {
        path.name: changes.findall(path.read_text(encoding="utf-8"))
        for path in (root / "Makefile", *(root / "scripts").iterdir(), *(root / ".ci").iterdir())
        if path.is_file()
    }
    assert found["install-packages"] == []
    advice = ["lab_process.py", "release_vm.py"]  # tell a person what to install
    assert [name for name, words in found.items() if words and name not in advice] == []
