"""The roles for hosts, each on hosts of its own: every scenario of Molecule, from bare hosts to a look from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from labs import LAB, ROOT

MOLECULE = ROOT / "molecule"
#: What has a file of tests of its own.
ELSEWHERE = {"release_fleet"}
SCENARIOS = sorted(path.parent.name for path in MOLECULE.glob("*/molecule.yml") if path.parent.name not in ELSEWHERE)
LIMIT = 1500  # seconds; on a quiet machine each takes about three minutes
STEPS = ("create", "check", "converge", "idempotence", "verify", "destroy")
SHOWN = 60


def stripped(name: str) -> bool:
    """Whether a scenario must not have this from the environment: all but what every Ansible of the tests has."""
    return name.startswith(("ANSIBLE_", "MOLECULE_")) and not name.startswith("ANSIBLE_CALLBACK")


def stopped(process: subprocess.Popen[Any]) -> None:
    """End what the test began, and all that it began in turn."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def passes(name: str, top: Path) -> None:
    """Run ``molecule test``; its lab is gone afterwards, however it ends."""
    log, ephemeral = top / "log", top / "molecule"
    ephemeral.mkdir()
    environment = {key: value for key, value in os.environ.items() if not stripped(key)}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(ephemeral),
        "ANSIBLE_HOME": str(top / "ansible"),
        "NO_COLOR": "1",
    }
    words = ["molecule", "test", "--scenario-name", name]
    with log.open("wb") as output:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        process = subprocess.Popen(words, cwd=ROOT, env=environment, start_new_session=True, **streams)
        try:
            status: int | str = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            status = f"it took more than {LIMIT} seconds"
        finally:
            stopped(process)
            left = list((ephemeral / "lab").glob("hosts/*"))
            environment["SLIPWAY_LAB"] = str(ephemeral / "lab")
            gone = subprocess.run([LAB, "down"], env=environment, capture_output=True, text=True, timeout=300)
    text = log.read_text(errors="replace")
    end = "\n".join(text.splitlines()[-SHOWN:])
    assert status == 0, f"{' '.join(words)}: {status}; the log is {log} and ends so:\n{end}"
    assert gone.returncode == 0, gone.stderr
    assert not left, f"molecule left hosts: {left}"
    missing = [step for step in STEPS if f"{name} > {step}: Executed: Successful" not in text.replace(" ➜ ", " > ")]
    assert not missing, f"{name} lacks the steps {missing}:\n{end}"
    shutil.rmtree(ephemeral, ignore_errors=True)


def scenario(name: str) -> type:
    """A class for each, since xdist's loadscope keeps the tests of a module together, and those of a class."""

    @pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can run hosts on this machine")
    def test_bare_hosts_become_what_their_users_expect(self: object, tmp_path: Path) -> None:
        passes(name, tmp_path)

    return type(
        name, (), {"test_bare_hosts_become_what_their_users_expect": test_bare_hosts_become_what_their_users_expect}
    )


globals().update({f"Test{name.title().replace('_', '')}": scenario(name) for name in SCENARIOS})


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) > 5
