"""The network of a lab: a bridge on this machine, and for each host a namespace with one cable to it. No way out."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

from scripts.lab_fleet import Host, Lab
from scripts.lab_process import run_command

NAMESPACES = Path("/run/netns")
DEFAULT = ipaddress.IPv4Network("10.77.4.0/24")


def choose_network(wanted: str | None, bridge: str) -> ipaddress.IPv4Network:
    """The network ``wanted``, or the first from 10.77.4.0/24 on that this machine does not use."""
    used = _list_used(bridge)
    if wanted:
        try:
            network = ipaddress.IPv4Network(wanted)
        except ValueError as error:
            raise _network_error(wanted, str(error)) from error
        if network.prefixlen != 24:
            raise _network_error(wanted, "a lab's network is a /24")
        if any(network.overlaps(other) for other in used):
            raise _network_error(wanted, "this machine uses it already")
        return network
    for third in (*range(4, 256), *range(4)):
        network = ipaddress.IPv4Network(f"10.77.{third}.0/24")
        if not any(network.overlaps(other) for other in used):
            return network
    raise _network_error("10.77.0.0/16", "every part of it is in use")


def _list_used(bridge: str) -> list[ipaddress.IPv4Network]:
    output = run_command("ip", "-json", "-4", "route", "show", "table", "main", attempt="look at", on="the routes")
    found = [
        ipaddress.IPv4Network(route["dst"], strict=False)
        for route in json.loads(output or "[]")
        if route["dst"] != "default" and route.get("dev") != bridge
    ]
    return [network for network in found if network.prefixlen > 8]


def _network_error(wanted: str, why: str) -> SlipwayError:
    return SlipwayError(
        "use the network", wanted, why, do_next="Set SLIPWAY_LAB_NETWORK to a free one, as 10.77.9.0/24, and run again."
    )


def ensure_bridge(lab: Lab) -> None:
    """The bridge, with this machine's address on it."""
    if not _device_exists(lab.bridge):
        _run_ip(f"link add {lab.bridge} type bridge", lab.bridge)
    _run_ip(f"addr replace {lab.gateway}/{lab.network.prefixlen} dev {lab.bridge}", lab.bridge)
    _run_ip(f"link set {lab.bridge} up", lab.bridge)


def ensure_host(lab: Lab, host: Host) -> None:
    """The host's namespace with its cable, made again: what a crash left is no use."""
    remove_host(lab, host)
    namespace, link = lab.namespace(host), lab.link(host)
    _run_ip(f"netns add {namespace}", host.name)
    _run_ip(f"link add {link} type veth peer name host0 address {lab.mac(host)} netns {namespace}", host.name)
    _run_ip(f"link set {link} master {lab.bridge} up", host.name)
    _run_ip(f"-n {namespace} addr add {lab.address(host)}/{lab.network.prefixlen} dev host0", host.name)
    for device in ("lo", "host0"):
        _run_ip(f"-n {namespace} link set {device} up", host.name)


def remove_host(lab: Lab, host: Host) -> None:
    """Take away the host's cable and namespace, if they are there."""
    if _device_exists(lab.link(host)):
        _run_ip(f"link delete {lab.link(host)}", host.name)
    if has_namespace(lab, host):
        _run_ip(f"netns delete {lab.namespace(host)}", host.name)


def remove_bridge(lab: Lab) -> None:
    """Take away the bridge, if it is there."""
    if _device_exists(lab.bridge):
        _run_ip(f"link delete {lab.bridge}", lab.bridge)


def has_namespace(lab: Lab, host: Host) -> bool:
    """Whether the host's network namespace exists."""
    return (NAMESPACES / lab.namespace(host)).exists()


def list_processes(lab: Lab, host: Host) -> list[int]:
    """Everything that runs in the host's namespace."""
    if not has_namespace(lab, host):
        return []
    output = run_command("ip", "netns", "pids", lab.namespace(host), attempt="list the processes of", on=host.name)
    return [int(word) for word in output.split()]


def plug(lab: Lab, host: Host, *, plugged: bool) -> None:
    """Pull the host's cable, or plug it in again."""
    _run_ip(f"link set {lab.link(host)} {'up' if plugged else 'down'}", host.name)


def is_plugged(lab: Lab, host: Host) -> bool:
    """Whether the host's cable is plugged in."""
    flags = Path("/sys/class/net", lab.link(host), "flags")
    return flags.exists() and bool(int(flags.read_text(encoding="utf-8"), 16) & 1)


def _device_exists(device: str) -> bool:
    return Path("/sys/class/net", device).exists()


def _run_ip(words: str, on: str) -> None:
    run_command("ip", *words.split(), attempt=f"set up the network (ip {words}) of", on=on)
