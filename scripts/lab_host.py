"""One host: its disk over the common tree, and the systemd that runs on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for

from scripts import lab_cgroup, lab_network
from scripts.lab_base import Mirror
from scripts.lab_fleet import Host, Lab
from scripts.lab_process import (
    BY_FORCE,
    KINDLY,
    end,
    find_running,
    is_init,
    list_children,
    run_command,
    send,
    start,
    wait_gone,
)

KEY = "ssh_host_ed25519_key"
#: Goes into the host's control groups, and starts it again when it asked for a reboot, which nspawn says with 133.
SUPERVISOR = """
for group in $LAB_GROUPS; do echo 0 > $group/cgroup.procs || exit; done
unset LAB_GROUPS
while "$@"; [ $? -eq 133 ]; do :; done
"""
#: /tmp is on the disk, as Debian 12 has it; from Debian 13 on systemd wants the unified hierarchy of control groups.
NSPAWN_ENVIRONMENT = {
    "bookworm": {"SYSTEMD_NSPAWN_TMPFS_TMP": "0"},
    "trixie": {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
}


def is_running(lab: Lab, host: Host) -> bool:
    """Whether the host is switched on."""
    return find_running(_record_path(lab, host)) is not None


def launch(lab: Lab, host: Host, *, base: Path, sources: Mirror) -> None:
    """Switch a host on that is off: with its disk, or with a new one if it has none."""
    home, root = lab.home(host), lab.home(host) / "root"
    if missing := [path for path in host.binds if not Path(path).exists()]:
        raise SlipwayError(
            "give",
            f"{', '.join(missing)} to {host.name}",
            "this machine has none",
            do_next="Load the kernel's module for it (as modprobe fuse), or take it out of lab_binds, and run again.",
        )
    clean(lab, host)
    fresh = not (home / "upper").is_dir()
    for name in ("new" if fresh else "upper", "work", "root"):
        (home / name).mkdir(parents=True, exist_ok=True)
    if fresh:
        _furnish(lab, host, home / "new", sources)
        (home / "new").rename(home / "upper")
    layers = f"lowerdir={base},upperdir={home / 'upper'},workdir={home / 'work'}"
    run_command("mount", "-t", "overlay", "-o", layers, f"lab-{lab.identity}", str(root), attempt="mount", on=str(root))
    lab_network.ensure_host(lab, host)
    nspawn = [
        *("systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={host.name}-{lab.identity}", "--boot"),
        *(f"--hostname={host.name}", f"--network-namespace-path={lab_network.NAMESPACES / lab.namespace(host)}"),
        *("--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off"),
        *(f"--bind={path}" for path in host.binds),
    ]
    start(
        ["/bin/sh", "-c", SUPERVISOR, f"lab-{lab.identity}-{host.name}", *nspawn],
        record=_record_path(lab, host),
        log=home / "log",
        env={**NSPAWN_ENVIRONMENT[host.suite], "LAB_GROUPS": " ".join(map(str, lab_cgroup.make_groups(lab, host)))},
    )


def wait_until_up(lab: Lab, host: Host, *, timeout: float = 120.0) -> None:
    """Wait until the host's sshd answers."""
    wait_for(
        lambda: "up" if _answers_ssh(lab.address(host)) else "booting" if is_running(lab, host) else "off",
        lambda state: state == "up",
        lambda state: state == "booting",
        attempt="reach the sshd of",
        on=f"{host.name} ({lab.address(host)})",
        timeout=timeout,
        interval=0.1,
        do_next="Read what it said while it booted.",
        log=str(lab.home(host) / "log"),
    )


def ask_to_stop(lab: Lab, host: Host) -> None:
    """Ask the host to shut down."""
    if (nspawn := _find_nspawn(lab, host)) is not None:
        send(nspawn, signal.SIGTERM)


def stop(lab: Lab, host: Host) -> None:
    """Switch the host off: kindly first, then by force. Its disk stays."""
    if is_running(lab, host):
        ask_to_stop(lab, host)
        try:
            wait_gone(_record_path(lab, host), what=host.name, timeout=KINDLY)
        except SlipwayError:
            crash(lab, host)
    clean(lab, host)


def crash(lab: Lab, host: Host) -> None:
    """Kill the host's PID 1, and with it everything on the host, at once."""
    for init in filter(is_init, _list_processes(lab, host)):
        send(init, signal.SIGKILL)
    wait_gone(_record_path(lab, host), what=host.name, timeout=BY_FORCE)


def clean(lab: Lab, host: Host) -> None:
    """Take away what a host that is off may have left: processes, its network, its mount."""
    wait_for(
        lambda: _kill(_list_processes(lab, host)),
        lambda left: left == 0,
        lambda left: left > 0,
        attempt="end the processes of",
        on=host.name,
        timeout=BY_FORCE,
        interval=0.05,
    )
    end(_record_path(lab, host), what=host.name)
    lab_cgroup.remove_groups(lab, host)
    lab_network.remove_host(lab, host)
    root = lab.home(host) / "root"
    while os.path.ismount(root):
        run_command("umount", "--lazy", str(root), attempt="unmount", on=str(root))


def remove_disk(lab: Lab, host: Host) -> None:
    """Forget the host's disk."""
    if lab.home(host).exists():
        shutil.rmtree(lab.home(host))


def _record_path(lab: Lab, host: Host) -> Path:
    return lab.home(host) / "supervisor.json"


def _find_nspawn(lab: Lab, host: Host) -> int | None:
    supervisor = find_running(_record_path(lab, host))
    return next(iter(list_children(supervisor)), None) if supervisor is not None else None


def _list_processes(lab: Lab, host: Host) -> set[int]:
    return {*lab_cgroup.list_processes(lab, host), *lab_network.list_processes(lab, host)}


def _kill(pids: set[int]) -> int:
    for pid in pids:
        send(pid, signal.SIGKILL)
    return len(pids)


def _furnish(lab: Lab, host: Host, upper: Path, sources: Mirror) -> None:
    """What a new disk has of its own: names, keys, and where packages come from."""
    for name in ("etc/ssh", "etc/apt/apt.conf.d", "root/.ssh"):
        (upper / name).mkdir(parents=True, exist_ok=True)
    (upper / "root").chmod(0o700)
    (upper / "root/.ssh").chmod(0o700)
    names = "".join(f"{lab.address(other)} {other.name}\n" for other in lab.hosts)
    texts = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{names}",
        "etc/resolv.conf": f"nameserver {lab.gateway}\n",
        "etc/apt/sources.list": "".join(f"{line}\n" for line in sources.of(host.suite).inside),
        "etc/apt/apt.conf.d/90lab": 'Acquire::Languages "none";\n',
        "etc/pip.conf": f"[global]\nno-index = true\nfind-links = {wheels_url(lab)}\ntrusted-host = {lab.gateway}\n",
    }
    for name, text in texts.items():
        (upper / name).write_text(text, encoding="utf-8")
    shutil.copy(lab.ssh / "identity.pub", upper / "root/.ssh/authorized_keys")
    for suffix in ("", ".pub"):
        shutil.copy(host_key_path(lab, host).with_suffix(suffix), upper / "etc/ssh" / f"{KEY}{suffix}")


def wheels_url(lab: Lab) -> str:
    """Where pip finds wheels from inside."""
    return f"http://{lab.gateway}/wheels/"


def host_key_path(lab: Lab, host: Host) -> Path:
    """The private key of the host's sshd, known before it boots."""
    return lab.ssh / "hosts" / host.name


def make_key(path: Path, comment: str) -> None:
    """A key pair, unless it is there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def _answers_ssh(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False
