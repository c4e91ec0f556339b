"""What is written down in a lab's directory: its hosts and network for us and for Ansible, and ssh's files."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
from pathlib import Path
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import write_atomic

from scripts import lab_fleet, lab_host, lab_network
from scripts.lab_fleet import Host, Lab

SETTINGS = "lab.json"


def read_lab(directory: Path) -> Lab | None:
    """The lab that was made in ``directory``."""
    found = _read(directory)
    if found is None:
        return None
    hosts = (
        Host(one["name"], one["number"], tuple(one["binds"]), tuple(one["packages"]), one["suite"])
        for one in found["hosts"]
    )
    return Lab(directory, ipaddress.IPv4Network(found["network"]), tuple(hosts), Path(found["inventory"]))


def make_lab(directory: Path, inventory: Path | None) -> Lab:
    """The lab in ``directory`` with the hosts that the inventory has now, written down."""
    before = read_lab(directory)
    source = inventory.resolve() if inventory else before.inventory if before else lab_fleet.INVENTORY
    wanted = os.environ.get("SLIPWAY_LAB_NETWORK")
    if before and wanted and str(before.network) != wanted:
        raise SlipwayError(
            "use the network",
            wanted,
            f"the lab in {directory} is on {before.network}",
            do_next="Take that one down first, or give another SLIPWAY_LAB.",
        )
    network = lab_network.choose_network(
        str(before.network) if before else wanted, f"lab-{lab_fleet.compute_identity(directory)}"
    )
    lab = Lab(directory, network, lab_fleet.read_hosts(source), source)
    for host in before.hosts if before else ():
        if host not in lab.hosts and (host.name, host.number) not in {(one.name, one.number) for one in lab.hosts}:
            lab_host.stop(before or lab, host)
            lab_host.remove_disk(before or lab, host)
    _write(lab)
    return lab


def forget(lab: Lab) -> None:
    """Remove everything of a lab that is down from its directory."""
    for name in ("hosts", "ssh", "www"):
        if (lab.directory / name).exists():
            shutil.rmtree(lab.directory / name)
    for name in ("dnsmasq.log", "gateway.log", "names", SETTINGS):
        (lab.directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        lab.directory.rmdir()  # unless somebody keeps other things there


def write_ssh(lab: Lab) -> None:
    """The client's key, the hosts' keys, and a configuration that uses them and nothing else."""
    lab_host.make_key(lab.ssh / "identity", "lab")
    keys = []
    for host in lab.hosts:
        public = lab_host.host_key_path(lab, host).with_suffix(".pub").read_text(encoding="utf-8").split()
        keys.append(f"{host.name},{lab.address(host)} {public[0]} {public[1]}\n")
    write_atomic(lab.ssh / "known_hosts", "".join(keys).encode())
    aliases = "".join(
        f"Host {host.name}\n  HostName {lab.address(host)}\n  HostKeyAlias {host.name}\n" for host in lab.hosts
    )
    common = {
        "User": "root",
        "IdentityFile": f'"{lab.ssh / "identity"}"',
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": f'"{lab.ssh / "known_hosts"}"',
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "LogLevel": "ERROR",
    }
    for_all = "".join(f"  {name} {value}\n" for name, value in common.items())
    write_atomic(lab.ssh / "config", f"{aliases}Host *\n{for_all}".encode())
    lab.control.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write(lab: Lab) -> None:
    hosts = [
        {
            "name": host.name,
            "number": host.number,
            "address": lab.address(host),
            "binds": host.binds,
            "packages": host.packages,
            "suite": host.suite,
        }
        for host in lab.hosts
    ]
    settings = {
        "id": lab.identity,
        "inventory": str(lab.inventory),
        "network": str(lab.network),
        "gateway": lab.gateway,
        "wheels": lab_host.wheels_url(lab),
        "control": str(lab.control),
        "hosts": hosts,
    }
    write_atomic(lab.directory / SETTINGS, json.dumps(settings, indent=2).encode() + b"\n")


def _read(directory: Path) -> dict[str, Any] | None:
    path = directory / SETTINGS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise SlipwayError(
            "read", str(path), str(error), do_next="Only `lab` writes it: restore it, then run `lab down`."
        ) from error
    return dict(found)
