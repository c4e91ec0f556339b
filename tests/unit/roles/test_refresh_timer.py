# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that the timer starts: what came of the command is seen, and since when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parents[3] / "roles/refresh_timer/files/refresh_timer.py"


def run(top: Path, *command: str, timeout: float = 30) -> tuple[int, dict[str, Any]]:
    settings = {"command": command, "directory": str(top), "timeout": timeout, "work": str(top)}
    (top / "settings.json").write_text(json.dumps(settings))
    done = subprocess.run([sys.executable, "-B", PROGRAM, top / "settings.json"], check=False, capture_output=True)
    return done.returncode, json.loads((top / "status.json").read_text())


def test_a_failure_is_the_units_own_and_counted_until_it_is_over(tmp_path: Path) -> None:
    code, status = run(tmp_path, "sh", "-c", "echo it is signed")
    assert (code, status["state"], status["failures"]) == (0, "refreshed", 0)
    assert status["said"] == "it is signed\n"
    success = status["last_success"]
    for count in (1, 2):
        code, status = run(tmp_path, "sh", "-c", "echo two was rolled back >&2; exit 2")
        assert (code, status["state"], status["failures"]) == (2, "failed", count)
        assert status["last_success"] == success
        assert "two was rolled back" in status["said"]
    assert run(tmp_path, "true")[1]["failures"] == 0


def test_a_command_that_is_not_there_or_does_not_end_fails(tmp_path: Path) -> None:
    code, status = run(tmp_path, "/nothing/here")
    assert code == 127
    assert "Could not start /nothing/here" in status["said"]
    (tmp_path / "status.json").write_text("{")
    code, status = run(tmp_path, "sleep", "60", timeout=0.2)
    assert (code, status["failures"]) == (124, 1)


def test_how_it_ended_is_the_last_line_and_a_command_that_cannot_be_started_is_told_before(tmp_path: Path) -> None:
    words = [sys.executable, "-B", str(PROGRAM), str(tmp_path / "settings.json")]

    def call(*more: str, command: str, directory: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        settings = {"command": [command], "directory": str(directory), "timeout": 30, "work": str(tmp_path)}
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        return subprocess.run([*words, *more], check=False, capture_output=True, text=True)

    assert call(command="true").stdout.splitlines()[-1].startswith("The run ended well, after ")
    call(command="false")
    assert "The run failed 2 times in a row, now with status 1. It succeeded last on 2" in call(command="false").stdout
    assert call("--check", command="true").returncode == 0
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/refresh").symlink_to("/bin/true")
    assert call("--check", command="bin/refresh").returncode == 0
    missing = call("--check", command="bin/other")
    assert missing.returncode == 1
    assert f"Could not find the program bin/other from {tmp_path}. Install" in missing.stderr
    assert "Could not enter /nothing/here" in call("--check", command="true", directory=Path("/nothing/here")).stderr
