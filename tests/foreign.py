# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients of others, unchanged, that update a host from a public directory, and what they say of one that is spoilt.

``docs/clients.md`` has the same files and commands for people. ``Shell`` runs a line on the host: by the lab's ssh, or
in a chroot of a Debian 13.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import verifying
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_certificate
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_messages
from ansible_collections.slipway.release.plugins.module_utils.slipway.views import sysupdate, tuf
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.directory import write_view
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.pgpkey import make_signer
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.subject import ViewFile

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]
PROJECT, LOCATION = verifying.PROJECT, "disk.img"
SYSUPDATE = "/usr/lib/systemd/systemd-sysupdate"
#: What a host keeps of each client.
PLACE = "/var/lib/clients"
TUF_CLIENT = r"""
import sys
from pathlib import Path
from tuf.ngclient import Updater
url, place, target = sys.argv[1:]
for name in ("metadata", "targets"):
    Path(place, name).mkdir(exist_ok=True)
updater = Updater(f"{place}/metadata", f"{url}/tuf/", f"{place}/targets", f"{url}/tuf/targets/",
                  bootstrap=Path(place, "root.json").read_bytes())
info = updater.get_targetinfo(target)
print(updater.find_cached_target(info) or updater.download_target(info))
"""
#: Of a host that has the release before, which is to be updated to what is tampered with.
UPDATE = """set -eu; rm -rf {top}; mkdir -p {top}/disks {top}/transfers; echo old >{top}/disks/baserock_26.46.img
cat >{top}/transfers/50-disk.transfer <<'END'
[Transfer]
Verify=yes
[Source]
Type=url-file
Path={url}/updates/
MatchPattern=baserock-@v-devel.img.gz
[Target]
Type=regular-file
Path={top}/disks
MatchPattern=baserock_@v.img
InstancesMax=2
END
timeout 45 {clock} {sysupdate} --definitions={top}/transfers update || exit
ls {top}/disks"""
#: What the command above ends with when it had its time.
TIMED_OUT = 124
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.get_url:
        url: "{url}/{name}"
        checksum: "sha256:{url}/SHA256SUMS"
        dest: "{place}/got.img.gz"
        force: true
"""


@dataclass(frozen=True)
class Verdict:
    """Whether a client took what it was offered, and what it said."""

    took: bool
    said: str


def make_views(made: verifying.Made, *versions: str, days: float = 14, now: float | None = None) -> None:
    """The views of a public directory for systemd-sysupdate and for TUF, with the files of these releases."""
    moment = time.time() if now is None else now
    files = [file for version in versions for file in _list_files(made, version, current=version == versions[-1])]
    until = moment + days * 86400
    sums = sysupdate.format_sums(files, believe_until=until)
    (signature,) = sign_messages(made.home, made.fingerprint, [sums], on="the list")
    write_view(made.public, "updates", sysupdate.make_view(sums, signature, files))
    before = {path.name: path.read_bytes() for path in (made.public / "tuf").glob("*.json")}
    signer = make_signer(made.home, made.fingerprint)
    write_view(
        made.public, "tuf", tuf.make_repository(files, before=before, signer=signer, now=moment, believe_until=until)
    )


def _list_files(made: verifying.Made, version: str, *, current: bool) -> list[ViewFile]:
    label = made.label(version)
    found = []
    for path in sorted((made.public / label).glob("*.gz")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        latest = f"{made.project}-current-{path.name.removeprefix(f'{label}-')}" if current else ""
        found.append(ViewFile(f"{label}/{path.name}", path.stat().st_size, digest, "rawdisk", latest))
    return found


def put(shell: Shell, path: str, data: bytes) -> None:
    """Write a file on a host."""
    text = base64.b64encode(data).decode()
    done = shell(f"mkdir -p $(dirname {path}) && echo {text} | base64 -d >{path}")
    assert done.returncode == 0, done.stderr


def in_chroot(root: Path) -> Shell:
    """A shell in a system that is not started; ``/proc`` is there for the time of a command."""

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        top = shlex.quote(str(root))
        inner = f"mount -t proc proc {top}/proc && exec chroot {top} sh -c {shlex.quote(line)}"
        words: Sequence[str] = ["unshare", "--mount", "sh", "-c", inner]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)

    return shell


def prepare_sysupdate(shell: Shell, url: str, made: verifying.Made) -> None:
    """What a host needs to update disks by systemd-sysupdate: the key, which is not armoured, and a transfer file."""
    put(shell, "/etc/systemd/import-pubring.gpg", export_certificate(made.home, made.fingerprint))
    transfer = f"""[Transfer]
Verify=yes

[Source]
Type=url-file
Path={url}/updates/
MatchPattern={PROJECT}-@v-{LOCATION}.gz

[Target]
Type=regular-file
Path={PLACE}/sysupdate
MatchPattern={PROJECT}_@v.img
CurrentSymlink={PLACE}/sysupdate/current.img
InstancesMax=2
"""
    put(shell, "/etc/sysupdate.d/50-disk.transfer", transfer.encode())
    shell(f"mkdir -p {PLACE}/sysupdate")


def judge_sysupdate(shell: Shell) -> Verdict:
    """Update by systemd-sysupdate to ``current.img``. On bytes behind the end of a gzip it may never end."""
    return _judge(shell(f"timeout 20 {SYSUPDATE} update"))


def describe_sysupdate(shell: Shell, url: str, days: int) -> str:
    """What systemd-sysupdate makes of a place of :mod:`tampering`, by a clock that is off by ``days``."""
    # Its timers go by the monotonic clock, and would never end with that moved.
    clock = f"faketime --exclude-monotonic -f {days:+d}d" if days else ""
    done = shell(UPDATE.format(top=f"{PLACE}/table", url=url, clock=clock, sysupdate=SYSUPDATE))
    if done.returncode:
        return "never ends, takes nothing" if done.returncode == TIMED_OUT else "refuses"
    return "-" if "baserock_26.47.img" in done.stdout else "stays as it is"


def prepare_tuf(shell: Shell, made: verifying.Made) -> None:
    """What a host needs to update by TUF's own client: that, and the first root."""
    done = shell(
        f"mkdir -p {PLACE}/tuf && python3 -m venv {PLACE}/venv && {PLACE}/venv/bin/pip -q install tuf cryptography"
    )
    assert done.returncode == 0, done.stderr
    put(shell, f"{PLACE}/tuf/root.json", (made.public / "tuf/1.root.json").read_bytes())
    put(shell, f"{PLACE}/tuf_client.py", TUF_CLIENT.encode())


def judge_tuf(shell: Shell, url: str) -> Verdict:
    """Update by TUF's client."""
    target = f"{PROJECT}-current-{LOCATION}.gz"
    return _judge(shell(f"{PLACE}/venv/bin/python {PLACE}/tuf_client.py {url} {PLACE}/tuf {target}"))


def prepare_recipe(shell: Shell, made: verifying.Made) -> None:
    """What a host needs for a shell, sha256sum and sqv: the key."""
    put(shell, f"{PLACE}/recipe/release-key.asc", made.key.read_bytes())


def judge_recipe(shell: Shell, url: str) -> Verdict:
    """Fetch, verify and install by a shell, curl, sqv and sha256sum."""
    name = f"{PROJECT}-current-{LOCATION}.gz"
    return _judge(
        shell(
            f"set -eu; cd {PLACE}/recipe; curl -fsS --noproxy '*' -O {url}/SHA256SUMS -O {url}/SHA256SUMS.asc "
            f"-o new.gz {url}/{name}; sqv --keyring release-key.asc SHA256SUMS.asc SHA256SUMS; "
            f'grep -qx "$(sha256sum <new.gz | cut -c1-64)  {PROJECT}-[^ ]*-{LOCATION}.gz" SHA256SUMS; '
            f"gunzip -c new.gz >new.img; mv new.img current.img"
        )
    )


def judge_get_url(words: Sequence[str], url: str, made: verifying.Made, version: str, playbook: Path) -> Verdict:
    """Update by Ansible's own module, with the digests' address as its checksum; ``words`` name host and connection."""
    label = made.label(version)
    name = f"{label}-{LOCATION}.gz"
    playbook.write_text(PLAYBOOK.format(url=f"{url}/{label}", name=name, place=PLACE))
    return _judge(subprocess.run([*words, str(playbook)], capture_output=True, text=True, check=False, timeout=120))


def _judge(done: subprocess.CompletedProcess[str]) -> Verdict:
    return Verdict(done.returncode == 0, f"{done.stdout}{done.stderr}")
