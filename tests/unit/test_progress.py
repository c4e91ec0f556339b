# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs and other files are regular ones of their own, whatever somebody put in their place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.action.live import ActionModule
from ansible_collections.slipway.release.plugins.module_utils.slipway import files
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress, find_log_directory
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import load_record

ROLES = Path(__file__).resolve().parents[2] / "roles"
KINDS = ["a link", "a dangling link", "a pipe", "a pipe that is read", "another name", "a directory"]


@pytest.fixture(params=KINDS)
def taken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A path at which something else is; ``victim`` beside it is what must stay as it is."""
    path, victim = tmp_path / "there", tmp_path / "victim"
    victim.write_text("root:x:0:0\n")
    if request.param == "a link":
        path.symlink_to(victim)
    elif request.param == "a dangling link":
        path.symlink_to(tmp_path / "new")
    elif request.param == "another name":
        os.link(victim, path)
    elif request.param == "a directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if request.param == "a pipe that is read" else None
    yield path
    if reader is not None:
        os.close(reader)


def test_progress_is_not_written_through_what_somebody_put_there(taken: Path) -> None:
    with pytest.raises(SlipwayError, match=f"Could not write the progress to {taken}: .*Remove what is there"):
        Progress(taken).report("hello")
    assert (taken.parent / "victim").read_text() == "root:x:0:0\n"
    assert not (taken.parent / "new").exists()


def test_progress_is_appended(tmp_path: Path) -> None:
    for _time in range(2):
        Progress(tmp_path / "logs/progress", total=1).step("done")
    assert (tmp_path / "logs/progress").read_text().count("1/1 done\n") == 2


@pytest.mark.parametrize("taken", ["a pipe", "a directory", "a dangling link"], indirect=True)
def test_a_record_that_is_no_file_is_named_and_not_waited_for(taken: Path) -> None:
    with pytest.raises(SlipwayError, match=f"Could not trust the record {taken}: it is not readable as JSON"):
        load_record(taken)


def test_a_pipe_is_not_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="It is not a regular file"):
        files.hash_file(tmp_path / "pipe")


def test_what_the_terminal_follows_is_no_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(_action: object, command: str, **_options: object) -> dict[str, str]:
        return {"stdout": subprocess.run(["sh", "-c", command], capture_output=True, timeout=10, text=True).stdout}

    monkeypatch.setattr(ActionModule, "_low_level_execute_command", execute)
    follower = object.__new__(ActionModule)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("12345")
    assert follower._read_new(str(tmp_path / "pipe"), 0) == ""
    assert follower._read_new(str(tmp_path / "file"), 2) == "345"
    assert follower._read_new(str(tmp_path / "none"), 0) == ""


def test_logs_of_an_account_are_where_only_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert find_log_directory() == Path("/var/log/slipway")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert find_log_directory() == Path.home() / ".local/state/slipway"


def test_no_role_writes_to_a_directory_that_everybody_writes_to() -> None:
    shared = ("/tmp/", "/var/tmp", "/dev/shm")  # noqa: S108  # these are what is looked for
    found = [
        f"{path.relative_to(ROLES)}: {word}"
        for path in [*ROLES.glob("*/*/*.yml"), *ROLES.glob("*/templates/*"), *ROLES.glob("*/files/*")]
        for word in shared
        if path.is_file() and word in path.read_text()
    ]
    assert found == []


def test_every_task_that_asks_over_http_has_a_limit_on_the_whole_exchange() -> None:
    asking = {"ansible.builtin.uri", "ansible.builtin.get_url"}
    tasks = [
        (str(path.relative_to(ROLES)), task)
        for path in ROLES.glob("*/tasks/*.yml")
        for task in yaml.safe_load(path.read_text()) or []
        if asking & task.keys()
    ]
    assert tasks
    assert [f"{path}: {task['name']}" for path, task in tasks if not task.get("timeout")] == []
