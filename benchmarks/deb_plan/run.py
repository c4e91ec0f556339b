#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Planning the builds for a new version of a core package, against dose on the same indexes. Prints a Markdown table.

``python benchmarks/deb_plan/run.py``, from the checkout; needs Debian's dose-builddebcheck and dose-extra. Compared are

- ``slipway``: deb_plan_info's logic in a fresh interpreter: reads the indexes, plans, and writes the plan as JSON, with
  what is blocked, the order, a reason for each build, and the numbers under each policy;
- ``dose``: ``dose-builddebcheck`` (which sources can be built) and ``dose-ceve -r`` (the packages that depend on the
  core), one after the other. Neither gives an order or a reason.

The indexes are those of two ROS distributions (``tests/data/ros``), and made ones, in which somewhat less than half of
all depends on the core, as in ROS. All are unpacked before.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

FILES = ("Sources", "Packages", "base")


class World(NamedTuple):
    name: str
    directory: Path
    core: str


class Figures(NamedTuple):
    seconds: float
    processor: float
    megabytes: float


# --- the indexes -----------------------------------------------------------------------------------------------------


def make_world(directory: Path, count: int) -> World:
    """Sources that each need some five others before them; 46 in 100 come to depend on the core."""
    dice = random.Random(count)  # noqa: S311  # the same indexes each time
    directory.mkdir(parents=True)
    names = [f"ros-made-package-{number:05}" for number in range(count)]
    robot, other = [0], [1]
    sources, packages = [], []
    base = [f"lib-base-{number:03}-dev" for number in range(500)]
    for number, name in enumerate(names):
        part = robot if dice.random() < 0.46 else other
        # Near the beginning are those that nearly all others need.
        before = sorted({part[min(int(dice.expovariate(6 / len(part))), len(part) - 1)] for _ in range(5)})
        before = [one for one in before if one < number > 1]
        needs = [f"{names[one]} (>= 1.0)" if one % 3 else names[one] for one in before]
        own = dice.sample(base, 3)
        sources.append(
            f"Package: {name}\nBinary: {name}\nVersion: 1.0.{number}-0bionic\nArchitecture: any\n"
            f"Build-Depends: {', '.join(['debhelper (>= 9)', *needs, *own])}\n"
            f"Package-List:\n {name} deb misc optional arch=any\n"
        )
        depends = ", ".join([*needs, own[0]])
        packages.append(f"Package: {name}\nVersion: 1.0.{number}-0bionic\nArchitecture: amd64\nDepends: {depends}\n")
        if number > 1:
            part.append(number)
    base += ["build-essential", "debhelper"]
    stanzas = [f"Package: {name}\nVersion: 10\nArchitecture: amd64\n" for name in base]
    for file, texts in zip(FILES, (sources, packages, stanzas), strict=True):
        (directory / file).write_text("\n".join(texts))
    return World(f"{count:,} made", directory, names[0])


def unpack_world(directory: Path, distribution: str, core: str) -> World:
    directory.mkdir(parents=True)
    for file in FILES:
        packed = ROOT / "tests/data/ros" / distribution / f"{file}.xz"
        (directory / file).write_bytes(lzma.decompress(packed.read_bytes()))
    count = (directory / "Sources").read_text().count("\nVersion: ")
    return World(f"ROS {distribution}, {count:,}", directory, core)


# --- the contenders --------------------------------------------------------------------------------------------------


def slipway(directory: str, core: str) -> dict[str, Any]:
    """The plan, in this process; called in one of its own."""
    from ansible_collections.slipway.release.plugins.modules import deb_plan_info

    place = Path(directory)
    platform = {"name": "bionic", "architectures": ["amd64"], "sources": [str(place / "Sources")]}
    platform |= {"shadow": [str(place / "Packages")], "base": [str(place / "base")]}
    options: dict[str, Any] = {"distribution": "made", "stacks": None, "platforms": [platform], "policy": "transitive"}
    options |= {name: [] for name in ("abi_changed", "force", "rebuild", "profiles")}
    options |= {name: {} for name in ("policies", "hold", "excludes", "new")}
    options |= {"new": {core: "99-0bionic"}, "alternatives": "any", "most": 12, "timeout": 60.0}
    options |= {"package_name": "ros-{distribution}-{stack}", "source_version": "{version}-0~{platform}"}
    answer = deb_plan_info.act(options)
    (place / "plan.json").write_text(json.dumps(answer))
    return answer


def list_commands(contender: str, world: World) -> list[list[str]]:
    files = [str(world.directory / file) for file in ("Packages", "base", "Sources")]
    if contender == "slipway":
        return [[sys.executable, __file__, "--plan", str(world.directory), world.core]]
    native = "--deb-native-arch=amd64"
    cone = ["dose-ceve", native, "-T", "deb", "-r", world.core, f"deb://{files[0]}", f"deb://{files[1]}"]
    return [["dose-builddebcheck", native, "--failures", "--explain", *files], [*cone, f"debsrc://{files[2]}"]]


def measure(contender: str, world: World) -> Figures:
    seconds, processor, memory = 0.0, 0.0, 0.0
    for words in list_commands(contender, world):
        began = time.monotonic()
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        _pid, status, usage = os.wait4(child.pid, 0)
        seconds += time.monotonic() - began
        processor += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss / 1024)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 1) or (child.returncode and contender == "slipway"):
            sys.exit(f"{words[0]} failed")
    return Figures(seconds, processor, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--plan", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        slipway(*options.plan)
        return
    print("| indexes | builds | | seconds | of a processor | MB | times slipway |")
    print("| --- | --: | --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as scratch:
        for world in (
            unpack_world(Path(scratch, "melodic"), "melodic", "ros-melodic-roscpp"),
            unpack_world(Path(scratch, "jazzy"), "jazzy", "ros-jazzy-rclcpp"),
            make_world(Path(scratch, "3000"), 3000),
            make_world(Path(scratch, "30000"), 30000),
        ):
            figures: dict[str, list[Figures]] = {"slipway": [], "dose": []}
            for _turn in range(options.runs):
                for contender, results in figures.items():
                    results.append(measure(contender, world))
            builds = json.loads((world.directory / "plan.json").read_text())["plan"]["counts"]["build"]
            print("\n".join(list_rows(world, figures, builds)), flush=True)


def list_rows(world: World, figures: dict[str, list[Figures]], builds: int) -> list[str]:
    ours = statistics.median(one.processor for one in figures["slipway"])
    rows = []
    for contender, runs in figures.items():
        seconds, processor = (statistics.median(values) for values in list(zip(*runs, strict=True))[:2])
        memory = max(one.megabytes for one in runs)
        first = f"| {world.name} | {builds:,} |" if contender == "slipway" else "| | |"
        rows.append(f"{first} {contender} | {seconds:.2f} | {processor:.2f} | {memory:.0f} | {processor / ours:.2f} |")
    return rows


if __name__ == "__main__":
    main()
