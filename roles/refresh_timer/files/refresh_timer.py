"""Run the command that refreshes what is current, and keep what came of it: see the role refresh_timer."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: Of the command's words, what is kept in the status.
MOST_SAID = 4000


def main() -> int:
    """Print what the command says, and end as it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path, help="a JSON file, as the provisioning writes it")
    parser.add_argument("--check", action="store_true", help="only look whether the command could be started")
    wanted = parser.parse_args()
    settings = json.loads(wanted.settings.read_text(encoding="utf-8"))
    if wanted.check:
        if fault := find_fault(settings):
            print(fault, file=sys.stderr)
        return 1 if fault else 0
    status = Path(settings["work"], "status.json")
    before = read_status(status)
    began = time.time()
    code, said = run(settings)
    print(said.rstrip("\n"), flush=True)
    ended = format_moment(time.time())
    failed = code != 0
    found: dict[str, Any] = {
        "state": "failed" if failed else "refreshed",
        "began": format_moment(began),
        "ended": ended,
        "seconds": round(time.time() - began, 1),
        "exit_code": code,
        "last_success": before.get("last_success") if failed else ended,
        "failures": before.get("failures", 0) + 1 if failed else 0,
        "said": said[-MOST_SAID:],
    }
    write_status(status, found)
    print(describe(found), flush=True)
    return code


def find_fault(settings: dict[str, Any]) -> str:
    """Why the command could not be started, as a sentence; empty if it could."""
    program, directory = settings["command"][0], settings["directory"]
    try:
        os.chdir(directory)
    except OSError as error:
        return f"Could not enter {directory}, where it is run: {error.strerror}. Correct refresh_timer_directory."
    if shutil.which(program) is None:
        path = "" if "/" in program else f", by the PATH {os.environ.get('PATH', os.defpath)}"
        return (
            f"Could not find the program {program} from {directory}{path}. Install Ansible there for this account, or "
            f"correct refresh_timer_command, refresh_timer_directory or the PATH in refresh_timer_environment."
        )
    return ""


def describe(found: dict[str, Any]) -> str:
    """How it ended, as one line."""
    if found["state"] == "refreshed":
        return f"The run ended well, after {found['seconds']} s."
    times = f"{found['failures']} times in a row" if found["failures"] > 1 else "once"
    last = f"It succeeded last on {found['last_success']}." if found["last_success"] else "It never succeeded."
    return f"The run failed {times}, now with status {found['exit_code']}. {last}"


def run(settings: dict[str, Any]) -> tuple[int, str]:
    """The command's exit code and words; that it did not end in time is a failure."""
    try:
        done = subprocess.run(
            settings["command"],
            cwd=settings["directory"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=settings["timeout"],
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode("utf-8", "replace")
        return 124, f"{said}\nIt was ended after {settings['timeout']} s."
    except OSError as error:
        return 127, f"Could not start {settings['command'][0]} in {settings['directory']}: {error}"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def read_status(path: Path) -> dict[str, Any]:
    """What came of the last time; nothing, if that cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_status(path: Path, found: dict[str, Any]) -> None:
    """Replace the status in one step."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)


def format_moment(seconds: float) -> str:
    """A time in Greenwich."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


if __name__ == "__main__":
    sys.exit(main())
