# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of packaging and publishing share."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def content(seed: str, size: int) -> bytes:
    """Bytes that compress somewhat, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    words = [dice.randbytes(dice.randrange(1, 40)) for _ in range(200)]
    made = bytearray()
    while len(made) < size:
        made += dice.choice(words)
    return bytes(made[:size])


def put(directory: Path, contents: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Write files and describe them as records do."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(contents.items())
    ]


def tree(top: Path) -> dict[str, str]:
    """Everything below a directory: the digest of files, the target of links, '/' for directories."""
    found = {}
    for where, directories, names in os.walk(top):
        for name in [*directories, *names]:
            path = Path(where) / name
            if path.is_symlink():
                said = f"-> {path.readlink()}"
            elif path.is_dir():
                said = "/"
            elif path.is_file():
                said = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                said = "special"
            found[str(path.relative_to(top))] = said
    return found


def kill_when_there(process: subprocess.Popen[bytes], pattern: str, *, within: float = 60) -> None:
    """Kill a process as soon as a file is there, so that it is killed at the same step however busy the machine is.

    That it came to an end of its own is no failure, that it failed is one.
    """
    limit = time.monotonic() + within
    while process.poll() is None and not glob.glob(pattern) and time.monotonic() < limit:
        time.sleep(0.001)
    process.kill()
    assert process.wait() in (0, -signal.SIGKILL), f"it failed before there was {pattern}"
    assert time.monotonic() < limit, f"there was no {pattern} within {within:.0f} s"


def run_module(name: str, arguments: Mapping[str, Any], *, check: bool = False) -> dict[str, Any]:
    """Run a module as Ansible's own process does, and return what it answers."""
    done = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.slipway.release.plugins.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}}),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert not answer.get("warnings"), answer
    return answer
