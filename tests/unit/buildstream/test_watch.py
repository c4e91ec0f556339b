"""A bst that would not end by itself is ended, and what it said before is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream import watch
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.build import build_all
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.command import Build, Project
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.log import Log
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from bstlogs import BAD, FULL, GOOD, HEADING, KEYS, for_architecture

Disk = namedtuple("Disk", "total used free")
DONE = "[00:00:02][        ][    main:core activity                 ] SUCCESS Build\n"


def staying(tmp_path: Path, text: str) -> Project:
    """A project whose bst says ``text`` and then stays; it notes that it was interrupted."""
    home = tmp_path / "mini"
    home.mkdir()
    (home / "project.conf").write_text("name: mini\nmin-version: 2.0\n")
    (home / "said").write_text(text.replace("LOGS", str(tmp_path / "bstlogs")))
    program = home / "bst"
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, sys, time\nhome = pathlib.Path({str(home)!r})\n"
        "if 'show' in sys.argv:\n    sys.exit(1)\n"
        "try:\n    print((home / 'said').read_text(), end='', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    (home / 'ended').touch()\n    sys.exit('Aborted!')\n"
    )
    program.chmod(0o755)
    (tmp_path / "bst.conf").write_text(f"cachedir: {tmp_path}\n")
    return Project(home, tmp_path / "bst.conf", str(program))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "ENDING", 0.5)
    monkeypatch.setattr(watch, "SILENCE", 0.5)


def build(project: Project, tmp_path: Path) -> list[str]:
    """The findings of a build; it takes seconds, and bst ended as it does when it is interrupted."""
    began = time.monotonic()
    try:
        build_all(
            project, [for_architecture("x86_64", "systems/good.bst")], log_directory=tmp_path / "logs", timeout=60
        )
        found = []
    except SlipwayError as error:
        found = error.findings
    assert time.monotonic() - began < 20
    assert (project.directory / "ended").exists()
    return found


@pytest.mark.parametrize(
    ("said", "finding"),
    [
        (FULL, "x86_64: Cache too full; the whole output is LOGS/build-x86_64.log"),
        (
            HEADING + BAD,
            "x86_64: bad.bst failed to build (Command failed); its log is LOGS/failed-x86_64-bad-build.log",
        ),
    ],
)
def test_a_failure_that_was_reported_is_told_although_bst_goes_on(tmp_path: Path, said: str, finding: str) -> None:
    project = staying(tmp_path, said)
    log = tmp_path / "bstlogs/mini/bad/da4571f6-build.20261121-032257.log"
    log.parent.mkdir(parents=True)
    log.write_text("No such file\n")
    assert build(project, tmp_path) == [finding.replace("LOGS", str(tmp_path / "logs"))]


def test_a_success_that_was_reported_counts_although_bst_goes_on(tmp_path: Path) -> None:
    project = staying(tmp_path, HEADING + GOOD + DONE)
    assert build(project, tmp_path) == []
    assert KEYS["systems/good.bst"] in (tmp_path / "logs/build-x86_64.log").read_text()


def test_a_bst_that_waits_for_room_is_ended_and_the_disk_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(10**9, 99 * 10**7, 10**7))
    [finding] = build(staying(tmp_path, FULL.partition("[00:00:00]")[0]), tmp_path)
    assert f"the disk of BuildStream's cache {tmp_path} is full, 10000000 of 1000000000 bytes are free" in finding
    assert finding.endswith(f"Make room there, and run again. The log is {tmp_path}/logs/build-x86_64.log.")


@pytest.mark.parametrize(
    ("said", "free", "ends"),
    [
        (HEADING, 4, True),  # it only asks its cache server
        (HEADING, 6, False),  # that has room
        (HEADING + GOOD.partition("[00:00:01]")[0], 4, False),  # a command of an element runs
        (HEADING + GOOD.partition("[00:00:01]")[0], 0, True),  # not even its log can grow
        (HEADING + GOOD.partition("\n")[0] + "\n", 4, False),  # a source is fetched
    ],
)
def test_only_a_bst_that_does_nothing_else_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, free: int, ends: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(10**9, 0, free * 10**7))
    log = Log()
    judged = watch.Watch(log, tmp_path, lambda line: log.read(line) and None)
    for line in said.splitlines():
        judged.read(line)
    assert judged.judge() is None  # it has just spoken
    time.sleep(0.6)
    assert (judged.judge() is not None) == ends


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can make a small disk")
def test_the_real_bst_on_a_disk_that_others_filled_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENCE", 3)
    home, disk = tmp_path / "full", tmp_path / "disk"
    for directory in (home / "files", disk):
        directory.mkdir(parents=True)
    (home / "project.conf").write_text("name: full\nmin-version: 2.0\n")
    (home / "thing.bst").write_text("kind: import\nsources:\n- kind: local\n  path: files\n")
    (home / "files/thing").write_bytes(os.urandom(1 << 21))
    (tmp_path / "bst.conf").write_text(f"cachedir: {disk}/cache\nlogdir: {disk}/logs\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], check=True)
    try:
        (disk / "cache").mkdir()
        (disk / "others").write_bytes(bytes(48_500_000))
        with pytest.raises(SlipwayError) as caught:
            build_all(
                Project(home, tmp_path / "bst.conf"),
                [Build("x86_64", ("thing.bst",))],
                log_directory=tmp_path / "logs",
                timeout=120,
            )
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # nothing of it runs any more
    [finding] = caught.value.findings
    assert f"the disk of BuildStream's cache {disk}/cache is full" in finding
