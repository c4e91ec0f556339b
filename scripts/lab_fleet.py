"""What a lab is made of: its directory, its network, and the hosts that an inventory names."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import read_own_suite
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = ROOT / "inventory/lab/hosts.yml"
GATEWAY = 1
#: What hosts may run, each with its version of Python.
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
KNOWN = " or ".join(SUITES)


@dataclass(frozen=True)
class Host:
    """A host of the lab: ``number`` is the last part of its address and of its MAC."""

    name: str
    number: int
    binds: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    suite: str = "bookworm"


@dataclass(frozen=True)
class Lab:
    """One lab. Everything of it is below ``directory``, whose name its ``identity`` is made of."""

    directory: Path
    network: ipaddress.IPv4Network
    hosts: tuple[Host, ...]
    inventory: Path

    @property
    def identity(self) -> str:
        """Six digits that are in the name of everything in the kernel that belongs to this lab."""
        return compute_identity(self.directory)

    @property
    def bridge(self) -> str:
        """The bridge that joins the hosts."""
        return f"lab-{self.identity}"

    @property
    def gateway(self) -> str:
        """This machine's address on the bridge."""
        return str(self.network[GATEWAY])

    @property
    def ssh(self) -> Path:
        """Keys, known hosts and the client's configuration."""
        return self.directory / "ssh"

    @property
    def control(self) -> Path:
        """Where shared connections of ssh are: a short path, as sockets want it."""
        return Path("/run/slipway-lab") / self.identity

    def address(self, host: Host) -> str:
        """The address of ``host``."""
        return str(self.network[host.number])

    def mac(self, host: Host) -> str:
        """Always the same, so that nobody remembers another one after the host was made again."""
        digits = self.identity
        return f"02:{digits[0:2]}:{digits[2:4]}:{digits[4:6]}:00:{host.number:02x}"

    def namespace(self, host: Host) -> str:
        """The network namespace of ``host``."""
        return f"lab-{self.identity}-{host.name}"

    def link(self, host: Host) -> str:
        """The end of the host's cable that is plugged into the bridge."""
        return f"lab-{self.identity}-{host.number}"

    def home(self, host: Host) -> Path:
        """The host's disk, log and process."""
        return self.directory / "hosts" / host.name

    def select_hosts(self, names: list[str]) -> list[Host]:
        """The hosts called ``names``, or all."""
        known = {host.name: host for host in self.hosts}
        if unknown := sorted(set(names) - known.keys()):
            raise SlipwayError(
                "find the host",
                ", ".join(unknown),
                f"the inventory has only {', '.join(sorted(known))}",
                do_next="Name one of these.",
            )
        return [known[name] for name in dict.fromkeys(names)] if names else list(self.hosts)


def compute_identity(directory: Path) -> str:
    """What the lab in ``directory`` is called in the kernel."""
    return hashlib.sha256(str(directory).encode()).hexdigest()[:6]


def default_directory() -> Path:
    """The lab that ``inventory/lab`` means."""
    if named := os.environ.get("SLIPWAY_LAB"):
        return Path(named).resolve()
    return _choose_directory("SLIPWAY_STATE", "XDG_STATE_HOME", ".local/state") / "lab"


def default_cache() -> Path:
    """What can be made again: base trees, packages, wheels."""
    return _choose_directory("SLIPWAY_CACHE", "XDG_CACHE_HOME", ".cache") / "lab"


def _choose_directory(ours: str, everybodys: str, otherwise: str) -> Path:
    if named := os.environ.get(ours):
        return Path(named).resolve()
    return Path(os.environ.get(everybodys) or Path.home() / otherwise).resolve() / "slipway"


def default_suite() -> str:
    """What hosts without a `lab_suite` run: what SLIPWAY_LAB_SUITE says, else what this machine does, if they can."""
    if named := os.environ.get("SLIPWAY_LAB_SUITE"):
        if named not in SUITES:
            raise SlipwayError(
                "make hosts with", named, "SLIPWAY_LAB_SUITE names no suite of the lab", do_next=f"Name {KNOWN}."
            )
        return named
    own = read_own_suite()
    return own if own in SUITES else next(iter(SUITES))


def read_hosts(inventory: Path) -> tuple[Host, ...]:
    """The hosts of a YAML inventory that have a ``lab_number``, in the order of their numbers."""
    try:
        groups = yaml.safe_load(inventory.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise _inventory_error(inventory, str(error)) from error
    variables: dict[str, dict[str, Any]] = {}
    for group in (groups or {}).values():
        _collect(group, variables)
    suite = default_suite()
    hosts = [_make_host(inventory, name, found, suite) for name, found in variables.items() if "lab_number" in found]
    if not hosts:
        raise _inventory_error(inventory, "no host has a lab_number")
    numbers = [host.number for host in hosts]
    if doubles := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise _inventory_error(inventory, f"several hosts have the lab_number {', '.join(map(str, doubles))}")
    return tuple(sorted(hosts, key=lambda host: host.number))


def _collect(group: Any, variables: dict[str, dict[str, Any]]) -> None:
    for name, found in ((group or {}).get("hosts") or {}).items():
        variables.setdefault(name, {}).update(found or {})
    for child in ((group or {}).get("children") or {}).values():
        _collect(child, variables)


def _make_host(inventory: Path, name: str, found: dict[str, Any], default: str) -> Host:
    number = found["lab_number"]
    if not isinstance(number, int) or not GATEWAY < number < 255:
        raise _inventory_error(inventory, f"the lab_number of {name} is {number!r}, not a number from 2 to 254")
    if not name.replace("-", "").isalnum() or len(name) > 40 or not name.isascii():
        raise _inventory_error(inventory, f"{name!r} is not a name for a host")
    if (suite := found.get("lab_suite", default)) not in SUITES:
        raise _inventory_error(inventory, f"the lab_suite of {name} is {suite!r}, not {KNOWN}")
    binds, packages = (tuple(map(str, found.get(key) or [])) for key in ("lab_binds", "lab_packages"))
    return Host(name, number, binds, packages, suite)


def _inventory_error(inventory: Path, why: str) -> SlipwayError:
    return SlipwayError("read the hosts of", str(inventory), why, do_next="Correct the inventory and run again.")
