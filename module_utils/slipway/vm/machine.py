# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release VM does when it starts: takes over what the disk with its data says, and prepares itself by Ansible.

All of it is done again at each start. Below ``root`` is the machine itself, or in tests a directory.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_directory, write_atomic
from ..process import run
from . import seed as seeds
from .seed import Seed, read_seed, summarise_seed

CHECKOUT = "/opt/slipway/checkout"
ACCOUNT, STATE = "slipway", "/srv/slipway"
STATE_LABEL = "slipway-state"
#: What was given is used from here, and forgotten with the machine even where the state is kept.
GIVEN = "var/lib/slipway"
SETTINGS = "etc/slipway"
LOG = "/var/log/slipway/setup.log"
#: Seconds in which disks appear that are attached, and for Ansible's part.
DISK_TIMEOUT, ANSIBLE_TIMEOUT = 10.0, 3600.0
#: One file system of a kind that people and clouds make such disks with.
KINDS = "iso9660,vfat,ext4"
Run = Callable[[Sequence[str]], object]


def _run(words: Sequence[str]) -> object:
    return run(words, attempt="prepare the release VM:", on=" ".join(words[:2]), timeout=120)


@dataclass(frozen=True)
class Machine:
    """The machine below ``root``; ``run`` starts programs, ``report`` tells people by the serial console."""

    root: Path = Path("/")
    run: Run = _run
    report: Callable[[str], None] = lambda _text: None

    def take_seed(self, *, timeout: float = DISK_TIMEOUT) -> Seed:
        """Take over what the disk with the data says, which is not looked at afterwards."""
        self._make_host_key()
        with self._open_seed(timeout=timeout) as directory:
            seed = read_seed(directory)
        self._set_name(seed.hostname)
        for name, text in seed.host_keys.items():
            kind, _unused, half = name.partition("_")
            ending, mode = (".pub", 0o644) if half == "public" else ("", 0o600)
            path = self.root / f"etc/ssh/ssh_host_{kind}_key{ending}"
            write_atomic(path, f"{text.strip()}\n".encode(), mode=mode)
        self._make_accounts(seed)
        self._mount_state()
        self._write_site(seed)
        self.report(f"{summarise_seed(seed)}; {self._explain_state()}")
        return seed

    def prepare_site(self) -> None:
        """Have the machine's roles applied to it, as the site's inventory says."""
        words = ["ansible-playbook", "playbooks/provision.yml", "--limit", "coordinator"]
        try:
            run(
                words,
                attempt="prepare this machine by",
                on="playbooks/provision.yml",
                do_next="Correct the inventory or the data of this machine, and start it again.",
                cwd=CHECKOUT,
                env=make_environment(),
                timeout=ANSIBLE_TIMEOUT,
                log=LOG,
            )
        except SlipwayError as error:
            said = find_failure(Path(LOG).read_text(encoding="utf-8", errors="replace")) or error.came_back
            raise SlipwayError(error.attempted, error.on, said, do_next=error.do_next, log=LOG) from error

    def write_motd(self, text: str) -> None:
        """What people read who log in."""
        write_atomic(self.root / "etc/motd", f"\n{text}\n\n".encode())

    @contextlib.contextmanager
    def _open_seed(self, *, timeout: float) -> Iterator[Path]:
        device = self._wait_for_label(timeout=timeout)
        place = self.root / "run/slipway/seed"
        make_directory(place, mode=0o700)
        self.run(["mount", "-t", KINDS, "-o", "ro,nosuid,nodev,noexec", str(device), str(place)])
        try:
            yield place
        finally:
            self.run(["umount", str(place)])

    def _wait_for_label(self, *, timeout: float) -> Path:
        links = [self.root / f"dev/disk/by-label/{label}" for label in (seeds.LABEL, seeds.LABEL.upper())]
        deadline = time.monotonic() + timeout
        while True:
            if found := [link for link in links if link.exists()]:
                return found[0]
            if time.monotonic() >= deadline:
                raise SlipwayError(
                    "find the data of",
                    "this release VM",
                    f"no disk with the label {seeds.LABEL} is attached, so that nobody may log in",
                    do_next="Make one with `scripts/release-vm seed`, attach it, and start the machine again.",
                )
            time.sleep(0.2)

    def _make_host_key(self) -> None:
        if not list((self.root / "etc/ssh").glob("ssh_host_*_key")):
            key = self.root / "etc/ssh/ssh_host_ed25519_key"
            self.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release-vm", "-f", str(key)])

    def _set_name(self, name: str) -> None:
        write_atomic(self.root / "etc/hostname", f"{name}\n".encode())
        write_atomic(self.root / "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n".encode())
        self.run(["hostname", name])

    def _make_accounts(self, seed: Seed) -> None:
        self.run(["groupadd", "--force", seeds.RELEASERS])
        if not self._knows(ACCOUNT):
            words = ["--system", "--comment", "Releases", "--home-dir", STATE, "--shell", "/bin/bash"]
            self.run(["useradd", *words, "--no-create-home", ACCOUNT])
        keys = self.root / "etc/ssh/authorized_keys.d"
        shutil.rmtree(keys, ignore_errors=True)
        make_directory(keys)
        for person in seed.people:
            words = ["--shell", "/bin/bash", "--comment", person.gecos, "--groups", ",".join(person.groups)]
            if self._knows(person.name):
                self.run(["usermod", *words, person.name])
            else:
                self.run(["useradd", "--create-home", *words, person.name])
            write_atomic(keys / person.name, "".join(f"{key}\n" for key in person.keys).encode())

    def _knows(self, account: str) -> bool:
        path = self.root / "etc/passwd"
        return any(line.startswith(f"{account}:") for line in path.read_text(encoding="utf-8").splitlines())

    def _mount_state(self) -> None:
        place = self.root / STATE.lstrip("/")
        make_directory(place)
        device = self.root / f"dev/disk/by-label/{STATE_LABEL}"
        if device.exists() and not os.path.ismount(place):
            self.run(["mount", "-o", "nosuid,nodev", str(device), str(place)])
        self.run(["chown", f"{ACCOUNT}:{ACCOUNT}", str(place)])

    def _explain_state(self) -> str:
        kept = os.path.ismount(self.root / STATE.lstrip("/"))
        return f"releases are {f'kept on the disk {STATE_LABEL}' if kept else 'thrown away with this machine'}"

    def _write_site(self, seed: Seed) -> None:
        """The inventory and the vault's password, which the account may read; and keys, which Ansible takes over."""
        settings, given = self.root / SETTINGS, self.root / GIVEN
        for directory in (settings / seeds.INVENTORY, settings / seeds.SECRETS):
            shutil.rmtree(directory, ignore_errors=True)
        make_directory(settings)
        make_directory(given)
        for path, data in seed.inventory.items():
            _write_below(settings / seeds.INVENTORY, path, data, mode=0o640)
        for path, data in seed.secrets.items():
            if path != "ssh-key":
                _write_below(settings / seeds.SECRETS, path, data, mode=0o640 if path == "vault-password" else 0o600)
        mine = [str(settings / name) for name in (seeds.INVENTORY, seeds.SECRETS) if (settings / name).exists()]
        self.run(["chgrp", "--recursive", ACCOUNT, *mine])
        if "ssh-key" in seed.secrets:
            self._bind_forgotten(".ssh")
            key = given / ".ssh/id_ed25519"
            write_atomic(key, seed.secrets["ssh-key"].strip() + b"\n", mode=0o600)
            public = run(["ssh-keygen", "-y", "-P", "", "-f", str(key)], attempt="read the key", on="secrets/ssh-key")
            write_atomic(key.with_suffix(".pub"), public.stdout.encode())
            self.run(["chown", "--recursive", f"{ACCOUNT}:{ACCOUNT}", str(given / ".ssh")])
        if "signing-key.asc" in seed.secrets:
            self._bind_forgotten("gnupg")

    def _bind_forgotten(self, name: str) -> None:
        """A directory of the account that does not come onto the disk which is kept."""
        source, place = self.root / GIVEN / name, self.root / STATE.lstrip("/") / name
        make_directory(source, mode=0o700)
        make_directory(place, mode=0o700)
        self.run(["chown", f"{ACCOUNT}:{ACCOUNT}", str(source), str(place)])
        if not os.path.ismount(place):
            self.run(["mount", "--bind", str(source), str(place)])


def _write_below(directory: Path, path: str, data: bytes, *, mode: int) -> None:
    target = directory / path
    make_directory(target.parent, mode=0o750)
    write_atomic(target, data, mode=mode)


def make_environment() -> dict[str, str]:
    """What Ansible is started with, by root and by the account that releases."""
    secret = Path("/") / SETTINGS / seeds.SECRETS / "vault-password"
    account = pwd.getpwuid(os.geteuid())
    return {
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "PATH": f"{CHECKOUT}/.venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ANSIBLE_CONFIG": f"{CHECKOUT}/ansible.cfg",
        # What the machine knows of itself comes before the site's, which may say it otherwise.
        "ANSIBLE_INVENTORY": f"{CHECKOUT}/inventory/release_vm,/{SETTINGS}/{seeds.INVENTORY}",
        **({"ANSIBLE_VAULT_PASSWORD_FILE": str(secret)} if secret.exists() else {}),
    }


def find_failure(log: str) -> str:
    """What a run of Ansible, as this project shows it, says that failed: the first failure, as one line."""
    lines = log.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("FAILED on ")), None)
    if first is None:
        return next((line.strip() for line in reversed(lines) if line.startswith(("ERROR", "[ERROR]"))), "")
    told = []
    for line in lines[first + 1 :]:
        if not line.startswith("  "):
            break
        told.append(line.strip())
    return f"{lines[first].removeprefix('FAILED on ')}: {' '.join(told)}"
