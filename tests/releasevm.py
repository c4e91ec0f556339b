# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release VM of a test's own, driven by the command that people have, and by ssh."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NAME = "release-1"


class ReleaseVM:
    """A machine with ``alice``, who may release, and ``carol``, who may do everything."""

    def __init__(self, place: Path, image: Path, inventory: Mapping[str, Any]) -> None:
        place.mkdir()
        self.place = place
        self.image = image
        self.identity, host = place / "identity", place / "host"
        for path in (self.identity, host):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)
        with socket.socket() as tried:
            tried.bind(("127.0.0.1", 0))
            self.port = int(tried.getsockname()[1])
        public = host.with_suffix(".pub").read_text()
        (place / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")
        key = self.identity.with_suffix(".pub").read_text().strip()
        told = {
            "hostname": NAME,
            "users": [
                {"name": "alice", "groups": ["releasers"], "ssh_authorized_keys": [key]},
                {"name": "carol", "groups": ["sudo"], "ssh_authorized_keys": [key]},
            ],
            "ssh_keys": {"ed25519_private": host.read_text(), "ed25519_public": public},
        }
        (place / "seed/inventory").mkdir(parents=True)
        (place / "seed/user-data").write_text(f"#cloud-config\n{yaml.safe_dump(told)}")
        (place / "seed/inventory/hosts.yml").write_text(yaml.safe_dump(dict(inventory)))

    def command(self, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """``scripts/release-vm``."""
        return subprocess.run(
            [ROOT / "scripts/release-vm", words[0], "--directory", self.place / "run", *words[1:]],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Start it, without a way out, and wait until it is ready or says what is wrong."""
        about = ["--image", str(self.image), "--seed", str(self.place / "seed"), "--port", str(self.port), "--isolated"]
        about += ["--cpus", "2", "--memory", "2048", "--timeout", str(timeout)]
        return self.command("start", *about, *words, timeout=timeout + 60)

    def ssh(self, person: str, command: str, *, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """What a command says that somebody calls there."""
        options = [f"UserKnownHostsFile={self.place / 'known_hosts'}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
        options += ["IdentitiesOnly=yes", "LogLevel=ERROR", "ConnectTimeout=60"]
        return subprocess.run(
            [
                *("ssh", "-F", "none", "-i", self.identity, "-p", str(self.port)),
                *(word for option in options for word in ("-o", option)),
                *(f"{person}@127.0.0.1", command),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


@contextmanager
def release_vm(place: Path, image: Path, inventory: Mapping[str, Any]) -> Iterator[ReleaseVM]:
    """A machine, which ends with the block."""
    vm = ReleaseVM(place, image, inventory)
    try:
        yield vm
    finally:
        vm.command("stop")


def ensure_image(cache: Path) -> Path:
    """The disk, as `make release-vm` makes it; what was made before is taken."""
    words = [
        "ansible-playbook",
        "playbooks/release_vm.yml",
        "-e",
        json.dumps({"release_vm_directory": str(cache / "vm")}),
    ]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(json.loads((cache / "vm/release-vm.json").read_text())["path"])


def make_inventory(**variables: Any) -> dict[str, Any]:
    """A site that has the machine and nothing else."""
    hosts = {"hosts": {NAME: None}}
    # What others have as a host of its own is here as well; but the machine is not prepared as one.
    trove = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    groups: dict[str, Any] = dict.fromkeys(("coordinator", "build_hosts", "download_servers"), hosts)
    groups |= {name: {"hosts": {"trove": trove}} for name in ("public_trove", "local_trove")}
    return {"all": {"children": groups, "vars": variables}}
