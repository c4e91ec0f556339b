#!/usr/bin/env python3
"""How long a release of the example distribution takes, against a shell script that does the same steps.

Run it with `make benchmark-release`. It needs the base systems in the cache (one earlier release puts them there)
and works in a temporary state directory. It prints a Markdown table: wall time, seconds outside the build tool,
changed tasks and the controller's memory for a cold release, the next version, and a rerun; then the peer,
`peer.sh`, which builds, checks out, compresses, hashes and copies with the same tools and no checks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import ansible_runner

ROOT = Path(__file__).resolve().parents[2]
BUILD_TASK = "slipway.release.buildstream_build"


@dataclass
class Measured:
    """One run."""

    name: str
    wall: float
    building: float
    changed: int
    memory_mib: float

    def row(self, peer: float) -> str:
        cells = [f"{self.wall:.1f} s", f"{self.wall - self.building:.1f} s", str(self.changed)]
        return f"| {self.name} | {' | '.join(cells)} | {self.memory_mib:.0f} MiB | {self.wall / peer:.2f} |"


def controller_memory(stop: threading.Event, peak: list[float]) -> None:
    """Follow the memory of all ansible-playbook processes below this one (proportional share, MiB)."""
    while not stop.wait(0.5):
        listed = subprocess.run(["pgrep", "-f", "ansible-playbook.*release.yml"], capture_output=True, text=True)
        total = 0.0
        for pid in listed.stdout.split():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue  # it ended between the two looks
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        peak[0] = max(peak[0], total)


def play(name: str, state: Path, playbook: str, version: str, cache: str) -> Measured:
    stop, peak = threading.Event(), [0.0]
    watcher = threading.Thread(target=controller_memory, args=(stop, peak))
    watcher.start()
    began = time.monotonic()
    runner = ansible_runner.run(
        private_data_dir=tempfile.mkdtemp(dir=state.parent),
        project_dir=str(ROOT),
        playbook=playbook,
        inventory=str(ROOT / "inventory/local"),
        extravars={"version": version},
        envvars={"SLIPWAY_STATE": str(state), "SLIPWAY_CACHE": cache, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        quiet=True,
    )
    wall = time.monotonic() - began
    stop.set()
    watcher.join()
    if runner.rc != 0:
        sys.exit(runner.stdout.read())
    ended = [event["event_data"] for event in runner.events if event["event"] == "runner_on_ok"]
    building = sum(data["duration"] for data in ended if data.get("task_action") == BUILD_TASK)
    changed = sum(bool(data["res"].get("changed")) for data in ended)
    return Measured(name, wall, building, changed, peak[0])


def main() -> None:
    cache = os.environ.get("SLIPWAY_CACHE") or f"{os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'}/slipway"
    with tempfile.TemporaryDirectory(prefix="slipway-benchmark-") as directory:
        state = Path(directory) / "state"
        play("provision", state, "playbooks/provision.yml", "26.47", cache)
        measured = [
            play("cold release", state, "release.yml", "26.47", cache),
            play("next version, nothing to build", state, "release.yml", "26.48", cache),
            play("rerun of a finished release", state, "release.yml", "26.48", cache),
        ]
        plan = json.loads((state / "releases/26.47/artifacts/manifest.json").read_text())
        began = time.monotonic()
        subprocess.run(
            [Path(__file__).parent / "peer.sh", state, directory],
            check=True, env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        peer = time.monotonic() - began
    print(f"{len(plan['files'])} files; {os.cpu_count()} cores.\n")
    print("| run | wall | outside the build tool | changed | controller memory | wall, shell script = 1 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for each in measured:
        print(each.row(peer))
    print(f"| peer: shell script, cold | {peer:.1f} s | | | | 1 |")


if __name__ == "__main__":
    main()
