# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real sshd on the loopback interface, as an ordinary process with keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sshd:
    """Where it listens, and the options with which ssh trusts it and is let in."""

    host: str
    port: int
    user: str
    options: list[str]
    known_hosts: Path
    log: Path


@contextmanager
def sshd(directory: Path) -> Iterator[Sshd]:
    """Run sshd with files below ``directory`` until the end of the block."""
    directory.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    (directory / "authorized_keys").write_text((directory / "user.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host_key = " ".join((directory / "host.pub").read_text().split()[:2])
    known_hosts, log = directory / "known_hosts", directory / "log"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (directory / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # root's sshd insists on it; systemd makes it where it starts sshd
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-D", "-e", "-f", directory / "config"], stderr=output)
    try:
        _wait(port, process)
        yield Sshd(
            host="127.0.0.1",
            port=port,
            user=getpass.getuser(),
            options=[
                f"UserKnownHostsFile={known_hosts}",
                "GlobalKnownHostsFile=none",
                f"IdentityFile={directory}/user",
                "IdentitiesOnly=yes",
            ],
            known_hosts=known_hosts,
            log=log,
        )
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert process.poll() is None, "sshd ended"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("sshd does not listen")
