# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Labs of the tests' own: real hosts from scripts/lab, and Ansible on them as a user calls it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "scripts/lab"
CONNECTION = ROOT / "inventory/lab/group_vars/all/connection.yml"


class Lab:
    """A lab below ``top``; ``groups`` are those of its inventory: names of hosts and their variables."""

    #: The digits in the name of everything in the kernel that belongs to the lab, as it says them itself.
    identity = "not up"

    def __init__(self, top: Path, groups: dict[str, dict[str, dict[str, Any]]]) -> None:
        self.directory, self.inventory = top / "lab", top / "inventory"
        variables = self.inventory / "group_vars/all"
        variables.mkdir(parents=True)
        shutil.copy(CONNECTION, variables)
        children = {group: {"hosts": hosts} for group, hosts in groups.items()}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": children}}))
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SLIPWAY_LAB": str(self.directory),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``scripts/lab``, however it ends."""
        return subprocess.run([LAB, *words], env=self.environment, capture_output=True, text=True, timeout=300)

    def do(self, *words: str) -> str:
        """``scripts/lab``, which must succeed."""
        done = self.call(*words)
        assert done.returncode == 0, f"lab {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self) -> None:
        """Bring all hosts up."""
        said = self.do("up", "--inventory", str(self.inventory / "hosts.yml"))
        match = re.search(r"^lab (\w{6}) on ", said, re.MULTILINE)
        assert match, said
        self.identity = match[1]

    def on(self, host: str, command: str) -> str:
        """What a shell on ``host`` says."""
        return self.do("exec", host, "--", "sh", "-c", command).strip()

    def ansible(self, pattern: str, module: str = "ping", arguments: str = "") -> str:
        """One module on hosts; all that Ansible says."""
        words = ["ansible", pattern, "-i", str(self.inventory), "-m", module, "-a", arguments]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, cwd=ROOT, timeout=120)
        return done.stdout + done.stderr

    @property
    def settings(self) -> dict[str, Any]:
        """What the lab wrote down for Ansible."""
        return dict(json.loads((self.directory / "lab.json").read_text()))

    def traces(self) -> list[tuple[str, str]]:
        """What the kernel has of this lab, whoever made it."""
        here, name = str(self.directory), f"lab-{self.identity}"
        ip = {
            kind: self._said("ip", *words) for kind, words in {"link": ["-o", "link"], "namespace": ["netns"]}.items()
        }
        tables = self._said("nft", "list", "tables").splitlines()
        lines = {
            "table": [line for line in tables if line.endswith(f"lab_{self.identity}")],
            "mount": [line for line in Path("/proc/self/mounts").read_text().splitlines() if here in line],
            **{kind: [line for line in text.splitlines() if name in line] for kind, text in ip.items()},
            "cgroup": [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{name}*")],
            "process": [words for words in _command_lines() if here in words],
        }
        return [(kind, line) for kind, found in lines.items() for line in found]

    def _said(self, *words: str) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=True, env=self.environment).stdout


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue  # it ended meanwhile


@contextmanager
def lab(top: Path, groups: dict[str, dict[str, dict[str, Any]]]) -> Iterator[Lab]:
    """A lab that is up, until the end of the block."""
    made = Lab(top, groups)
    try:
        made.up()
        yield made
    finally:
        made.do("down")
