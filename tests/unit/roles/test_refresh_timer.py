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
