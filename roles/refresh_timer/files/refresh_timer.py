"""Run the command that refreshes what is current, and keep what came of it: see the role refresh_timer."""

from __future__ import annotations

import argparse
import json
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
    settings = json.loads(parser.parse_args().settings.read_text(encoding="utf-8"))
    status = Path(settings["work"], "status.json")
    before = read_status(status)
    began = time.time()
    code, said = run(settings)
    print(said, flush=True)
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
    return code


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
