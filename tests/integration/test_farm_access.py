"""What proves to a farm who asks gets onto hosts, and nowhere else."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exports import ROOT

PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: slipway.release.farm_access, tasks_from: preflight}
    - ansible.builtin.include_role: {name: slipway.release.farm_access}
"""
FARM = {"execution": "https://farm:50051", "token": "sesame-1"}


class Host:
    """This machine, with the farm's files in a directory of the test."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.directory = top / "farm"
        (top / "play.yml").write_text(PLAY)

    def run(self, farm: dict[str, Any], *words: str, fails: bool = False) -> str:
        """Run the role so that it tells all that it can; what it says holds no secret."""
        settings = {
            "farm_access_farm": farm,
            "farm_access_directory": str(self.directory),
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }
        (self.top / "vars.json").write_text(json.dumps(settings))
        done = subprocess.run(
            ["ansible-playbook", "-i", "host,", "-e", f"@{self.top}/vars.json", "--diff", "-vvv", *words, "play.yml"],
            cwd=self.top,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, said
        assert "sesame" not in said
        return said

    def files(self) -> dict[str, str]:
        """What is there, all of it for its owner alone."""
        assert stat.S_IMODE(self.directory.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in self.directory.iterdir()} == {0o600}
        return {path.name: path.read_text() for path in self.directory.iterdir()}


def changed(said: str) -> int:
    found = re.search(r"changed=(\d+)", said)
    assert found is not None
    return int(found[1])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_secrets_are_written_for_one_account_once_and_removed_when_nobody_needs_them(host: Host) -> None:
    both = {**FARM, "artifacts": {"url": "https://cache:1", "token": "sesame-2"}}
    assert changed(host.run(both, "--check")) > 0
    assert not host.directory.exists()
    assert changed(host.run(both)) == 2
    assert host.files() == {"token": "sesame-1", "artifacts-token": "sesame-2"}
    assert changed(host.run(both)) == 0
    host.run({**FARM, "token": "sesame-3"})
    assert host.files() == {"token": "sesame-3"}
    host.run({})
    assert not host.directory.exists()


def test_what_cannot_be_used_is_refused_before_anything_is_written(host: Host) -> None:
    said = host.run({**FARM, "execution": "http://farm:1", "tokn": "sesame-2"}, fails=True)
    assert "Could not use the farm that release_farm describes: it has tokn, but may have only" in said
    assert "the address of execution is http, which protects no token" in said

    token = host.top / "token"
    given = {"execution": "https://farm:1", "token_file": str(token)}
    assert f"Not there: {token}" in host.run(given, fails=True)
    token.write_text("sesame-4")
    token.chmod(0o644)
    assert f"Everybody may read {token}" in host.run(given, fails=True)
    assert not host.directory.exists()
