# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time the boot gate over disks that a release packaged, all at the same time, against plain qemu one after the other.

The peer starts the same disks by the same words of qemu without sandbox, log or judgement, and waits for the report.

python benchmarks/boot_gate/run.py RELEASE (the directory of a release, such as state/releases/26.47)
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ansible_collections.slipway.release.plugins.module_utils.slipway.boot.machines import Disk, Start, make_command
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.judge import Places, judge
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.unpacked import match_packed, unpack
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress

REPORT = b"boot-report: "
TICKS = os.sysconf("SC_CLK_TCK")


class Watch(threading.Thread):
    """Follows every qemu: the most memory that each had, and the processor time that it used."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.memory: dict[int, int] = {}
        self.used: dict[int, float] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if not (process / "comm").read_text().startswith("qemu-system"):
                        continue
                    fields = (process / "stat").read_text().rpartition(")")[2].split()
                    number = int(process.name)
                    self.used[number] = (int(fields[11]) + int(fields[12])) / TICKS
                    self.memory[number] = max(self.memory.get(number, 0), int(fields[21]) * os.sysconf("SC_PAGESIZE"))
                except (OSError, IndexError):
                    continue


def read(release: Path, stage: str) -> dict[str, Any]:
    """A record."""
    said: dict[str, Any] = json.loads((release / f"records/{stage}.json").read_text())
    return said


def make_plan(release: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """As much of a plan as the gate reads, from records."""
    records = [read(release, path.stem) for path in sorted((release / "records").glob("deploy-*.json"))]
    record = read(release, "package")
    deployments = [
        {
            "name": each["outputs"]["deployment"],
            "system_name": each["inputs"]["system"],
            "settings": each["inputs"]["settings"],
            **{name: each["outputs"][name] for name in ("architecture", "type")},
        }
        for each in records
    ]
    project, version = record["project"], record["version"]
    gates = {"boot": {"firmware": ["bios", "efi", "uboot"]}}
    names = {"project": project, "version": version, "label": f"{project}-{version}"}
    plan = {**names, "deployments": deployments, "products": [{"name": project, "gates": gates}], "policy": {}}
    return plan, [each["outputs"] for each in records]


def start_plainly(start: Start, scratch: Path) -> tuple[float, float, int]:
    """Seconds, processor seconds and MiB of one qemu, up to the report."""
    words = make_command(start, scratch)
    command = words[words.index("--") + 1 :]
    inside = {words[at + 2]: words[at + 1] for at, word in enumerate(words) if word in ("--bind", "--ro-bind")}
    for name in sorted(inside, key=len, reverse=True):
        if name.startswith("/files/"):
            command = [word.replace(name, inside[name]) for word in command]
    begun = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for line in process.stdout or ():
            if REPORT in line:
                break
        wall = time.monotonic() - begun
        process.kill()
        _pid, _status, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10


def main(release: Path) -> None:
    """Print the tables."""
    plan, deployed = make_plan(release)
    packed = match_packed(deployed, read(release, "package")["outputs"]["files"], release / "artifacts")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "release").mkdir()
        places = Places(place / "release", release / "artifacts", place / "logs")
        (place / "logs").mkdir()
        watch = Watch()
        watch.start()
        begun = time.monotonic()
        today = datetime.datetime.now(datetime.UTC).date()
        judged = judge(plan, packed, places=places, known=[], today=today, timeout=3600, progress=Progress(None))
        wall = time.monotonic() - begun
        watch.over.set()
        watch.join()
        print("| gate: architecture, firmware | until the report | whole check |")
        print("| --- | ---: | ---: |")
        for each in judged.results:
            facts = each["facts"]
            what, until = f"{each['architecture']} {facts['firmware']}", facts["report"][0]["seconds"]
            print(f"| {what} | {until} s | {each['seconds']} s |")
        used, memory = sum(watch.used.values()), max(watch.memory.values()) >> 20
        both = f"{wall:.1f} s wall, {used:.1f} s of processors"
        print(f"| all, {os.cpu_count()} at a time | {both} | {memory} MiB for the largest |\n")
        print("| peer: plain qemu, one after the other | until the report | processor | memory |")
        print("| --- | ---: | ---: | ---: |")
        whole = 0.0
        for each in judged.results:
            target = place / each["subject"]
            if not target.exists():
                unpack(packed[each["subject"]], target)
            scratch = Path(tempfile.mkdtemp(dir=place))
            start = Start(each["architecture"], each["facts"]["firmware"], disks=(Disk(target),))
            wall, used, memory = start_plainly(start, scratch)
            whole += wall
            shutil.rmtree(scratch)
            print(
                f"| {each['architecture']} {each['facts']['firmware']} | {wall:.1f} s | {used:.1f} s | {memory} MiB |"
            )
        print(f"| all | {whole:.1f} s | | |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
