"""Control groups: each host has its own, or their systemds would all manage the same one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.wait import wait_for

from scripts.lab_fleet import Host, Lab
from scripts.lab_process import BY_FORCE


def list_groups(lab: Lab, host: Host) -> list[Path]:
    """The host's group in each hierarchy that systemd uses: the unified one, or that and the one named systemd."""
    name = f"lab-{lab.identity}-{host.name}"
    return [top / name for top in _find_hierarchies()]


def make_groups(lab: Lab, host: Host) -> list[Path]:
    """Create the host's groups."""
    found = list_groups(lab, host)
    for group in found:
        group.mkdir(exist_ok=True)
    return found


def list_processes(lab: Lab, host: Host) -> list[int]:
    """Everything that runs in the host's groups, whatever its namespaces are."""
    found: set[int] = set()
    for group in list_groups(lab, host):
        for directory, _names, _files in os.walk(group):
            try:
                found |= {int(word) for word in Path(directory, "cgroup.procs").read_text(encoding="utf-8").split()}
            except OSError:
                continue  # it went away meanwhile
    return sorted(found)


def remove_groups(lab: Lab, host: Host) -> None:
    """Take the host's groups away, which nothing runs in any more; the kernel may need a moment to see that."""
    wait_for(
        lambda: [group for group in list_groups(lab, host) if not _remove_tree(group)],
        lambda left: not left,
        lambda left: bool(left),
        attempt="remove the control groups of",
        on=host.name,
        timeout=BY_FORCE,
        interval=0.05,
    )


def _remove_tree(group: Path) -> bool:
    for directory, _names, _files in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return not group.exists()


def _find_hierarchies() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    return [
        Path(mount[1])
        for mount in mounts
        if mount[2] == "cgroup2" or (mount[2] == "cgroup" and "name=systemd" in mount[3].split(","))
    ]
