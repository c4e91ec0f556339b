"""Packages are installed when no other apt is at work, and whoever is in the way is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.packages import (
    LOCKED,
    find_missing,
    install_packages,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress

PROGRAMS = {
    "dpkg-query": """
        for name in "$@"; do grep -qx "$name" installed && echo "installed $name"; done
        echo "not-installed removed"; exit 1
    """,
    "apt-cache": """
        shift
        for name in "$@"; do printf "%s:\\n  Installed: (none)\\n  Candidate: %s\\n" $name "$(cat candidate)"; done
    """,
    "apt-get": """
        echo "$* $DEBIAN_FRONTEND" >> calls
        if [ -s locks ]; then
            head -n 1 locks >&2; sed -i 1d locks
            echo "E: Unable to lock directory /var/lib/apt/lists/" >&2; exit 100
        fi
        [ ! -e fault ] || { cat fault >&2; exit 100; }
        case "$*" in *" install "*) for name in "$@"; do echo "$name"; done >> installed ;; esac
    """,
}
LOCK = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process {} (apt-get)\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
        program.chmod(0o755)
    (tmp_path / "installed").write_text("git\n")
    (tmp_path / "candidate").write_text("1.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def install(machine: Path, names: list[str], timeout: float = 30) -> list[str]:
    """Install without a wait; what was said."""
    clock = Clock()
    progress = Progress(machine / "progress")
    install_packages(names, timeout=timeout, progress=progress, clock=lambda: clock.now, sleep=clock.sleep)
    return [line.split(" ", 2)[2] for line in (machine / "progress").read_text().splitlines()]


def test_what_is_there_is_not_missing(machine: Path) -> None:
    assert find_missing(["make", "git", "make"]) == ["make"]
    assert find_missing([]) == []


def test_what_is_missing_is_installed_and_nothing_is_asked(machine: Path) -> None:
    assert install(machine, ["make"]) == ["installing make"]
    assert find_missing(["make", "git"]) == []
    assert [line.split()[-2:] for line in (machine / "calls").read_text().splitlines()] == [
        ["update", "noninteractive"],
        ["make", "noninteractive"],
    ]


def test_another_apt_is_waited_for_and_named(machine: Path) -> None:
    (machine / "locks").write_text(LOCK.format(os.getpid()) * 3)
    said = install(machine, ["make"])
    assert [line[:60] for line in said] == [
        "waiting, for at most 30 s, for /var/lib/apt/lists/lock, whic",
        "installing make",
    ]
    assert f"which process {os.getpid()} holds (" in said[0]
    assert find_missing(["make"]) == []


def test_a_long_wait_is_told_again_every_ten_seconds(machine: Path) -> None:
    (machine / "locks").write_text(LOCK.format(os.getpid()) * 25)
    assert [line.partition(",")[0] for line in install(machine, ["make"])] == ["waiting"] * 3 + ["installing make"]


def test_the_wait_has_an_end_that_names_the_holder(machine: Path) -> None:
    (machine / "locks").write_text(LOCK.format(os.getpid()) * 9)
    with pytest.raises(
        SlipwayError, match=rf"another apt was at work for 3 s: .*process {os.getpid()} holds \(.*Check"
    ):
        install(machine, ["make"], timeout=3)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("E: Unable to fetch some archives\n", "apt-get update failed: E: Unable to fetch some archives"),
        ("E: Could not open lock file /x - open (13: Permission denied)\n", "apt-get update failed: E: Could not open"),
    ],
)
def test_other_failures_are_told_at_once(machine: Path, fault: str, said: str) -> None:
    (machine / "fault").write_text(fault)
    with pytest.raises(SlipwayError) as caught:
        install(machine, ["make"])
    assert said in str(caught.value)


def test_a_package_that_no_source_has_is_named(machine: Path) -> None:
    (machine / "candidate").write_text("(none)")
    with pytest.raises(SlipwayError, match="Could not install make on this machine: no source of its apt has that"):
        install(machine, ["make"])


@pytest.mark.skipif(not shutil.which("apt-get"), reason="needs Debian's apt")
def test_the_words_of_the_real_apt_are_understood(tmp_path: Path) -> None:
    (tmp_path / "lists/partial").mkdir(parents=True)
    held = subprocess.Popen(
        ["/usr/bin/python3", "-c",
         "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()",
         str(tmp_path / "lists/lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert held.stdout is not None
    held.stdout.readline()
    options = ["-o", f"Dir::State::Lists={tmp_path / 'lists'}", "-o", "Dir::Etc::SourceParts=/dev/null",
               "-o", "Dir::Etc::SourceList=/dev/null"]  # fmt: skip
    said = subprocess.run(["apt-get", "-q", *options, "update"], capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}).stderr  # fmt: skip
    held.communicate(b"\n", timeout=10)
    found = LOCKED.search(said)
    assert found is not None, said
    assert (found["lock"], found["process"]) == (str(tmp_path / "lists/lock"), str(held.pid))
