"""Cuts between two hosts that everybody else still reaches: a table of nftables on the bridge."""

from __future__ import annotations

import json

from ansible_collections.slipway.release.plugins.module_utils.slipway.process import run

from scripts.lab_fleet import Host, Lab

#: May be loaded again and again: it adds what is missing. The chain is emptied first, so that its rule is there once.
TABLE = """
add table bridge {table}
add set bridge {table} cuts {{ type ipv4_addr . ipv4_addr; }}
add chain bridge {table} forward {{ type filter hook forward priority 0; }}
flush chain bridge {table} forward
add rule bridge {table} forward ip saddr . ip daddr @cuts drop
"""


def add_cut(lab: Lab, one: Host, other: Host) -> None:
    """Drop all packets between two hosts."""
    _run_nft(lab, TABLE.format(table=_name_table(lab)) + _format_elements(lab, "add", one, other))


def remove_cut(lab: Lab, one: Host, other: Host) -> None:
    """Remove the cut between two hosts."""
    if (one, other) in list_cuts(lab):
        _run_nft(lab, _format_elements(lab, "delete", one, other))


def list_cuts(lab: Lab) -> list[tuple[Host, Host]]:
    """The pairs of hosts that do not reach each other, both ways round."""
    words = ["nft", "--json", "list", "set", "bridge", _name_table(lab), "cuts"]
    listed = run(words, attempt="list the cuts of", on=lab.bridge, ok_codes=(0, 1)).stdout
    found = [part["set"] for part in json.loads(listed or "{}").get("nftables", []) if "set" in part]
    hosts = {lab.address(host): host for host in lab.hosts}
    pairs = [element["concat"] for one in found for element in one.get("elem", [])]
    return [(hosts[source], hosts[target]) for source, target in pairs if {source, target} <= hosts.keys()]


def remove_all(lab: Lab) -> None:
    """Take the table away, if there is one."""
    _run_nft(lab, f"add table bridge {_name_table(lab)}\ndelete table bridge {_name_table(lab)}\n")


def _format_elements(lab: Lab, verb: str, one: Host, other: Host) -> str:
    addresses = lab.address(one), lab.address(other)
    pairs = ", ".join(f"{source} . {target}" for source, target in (addresses, addresses[::-1]))
    return f"{verb} element bridge {_name_table(lab)} cuts {{ {pairs} }}\n"


def _name_table(lab: Lab) -> str:
    return f"lab_{lab.identity}"


def _run_nft(lab: Lab, text: str) -> None:
    run(["nft", "--file", "-"], attempt="change the cuts of", on=lab.bridge, stdin=text.encode())
