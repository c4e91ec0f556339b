#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long playbooks/stamp.yml takes for many small packages, step by step, and again when there is nothing to do."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import ansible_runner

sys.path.insert(0, str(Path(__file__).resolve().parent))

import release as releases  # beside this file

DEBIAN = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine bookworm main"


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=16_000, help="bytes of data in a package")
    options = parser.parse_args()
    columns = {count: measure(count, options.rounds, options.size) for count in options.stacks}
    steps = list(dict.fromkeys(step for column in columns.values() for step in column))
    print("| step | " + " | ".join(f"{count} stacks" for count in columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for step in steps:
        print(f"| {step} | " + " | ".join(f"{column[step]:.1f} s" for column in columns.values()) + " |")


def measure(count: int, rounds: int, size: int) -> dict[str, float]:
    """The median of each step's seconds; the first run, which fetches the package lists, does not count."""
    with tempfile.TemporaryDirectory(prefix="apt-publication-") as temporary:
        directory = Path(temporary)
        releases.prepare(directory / "apt", stacks=count, size=size)
        shutil.move(directory / "apt/gnupg", directory / "gnupg")
        runs = [play(directory, f"r{number}") for number in range(rounds + 1)][1:]
        found = {step: statistics.median(run[step] for run in runs) for step in runs[0]}
        again = play(directory, f"r{rounds}")
        return {**found, "the whole playbook again": again["the whole playbook"]}


def play(directory: Path, release: str) -> dict[str, float]:
    """The seconds of every task of one run, and of the whole."""
    settings = releases.settings(directory / "apt", release)
    platforms = [{**platform, "base": [DEBIAN]} for platform in settings["platforms"]]
    apt = directory / "apt"
    variables: dict[str, Any] = {
        "apt_archive_directory": str(apt),
        "apt_archive_gnupghome": str(directory / "gnupg"),
        "apt_archive_key_name": "Archive",
        "apt_archive_key_email": "archive@example.org",
        "debs_stamp_distro_file": settings["distro_file"],
        "debs_stamp_package_name": settings["package_name"],
        "debs_stamp_variant_name": settings["variant_name"],
        "debs_stamp_marker": settings["marker"],
        "apt_archive_platforms": platforms,
        "debs_stamp_platforms": platforms,
        "debs_stamp_gnupghome": str(directory / "gnupg"),
        "debs_stamp_records": str(directory / "records"),
        "debs_stamp_base_directory": str(directory / "lists"),
        "debs_stamp_progress": "",
    }
    with tempfile.TemporaryDirectory() as private:
        runner = ansible_runner.run(
            private_data_dir=private,
            project_dir=str(releases.ROOT),
            playbook="playbooks/stamp.yml",
            inventory=str(releases.ROOT / "inventory/local"),
            extravars=json.loads(json.dumps(variables)),
            envvars={"ANSIBLE_CONFIG": str(releases.ROOT / "ansible.cfg")},
            quiet=True,
        )
        if runner.rc != 0:
            sys.exit(runner.stdout.read())
        events = [event["event_data"] for event in runner.events if event["event"] == "runner_on_ok"]
        seconds: dict[str, float] = {}
        for data in events:
            step = data["task"].replace(f"meadow-{release}", "the release")
            seconds[step] = seconds.get(step, 0.0) + data.get("duration", 0.0)
        wanted = ("Plan", "Stamp", "Make the", "Publish", "Remove")
        shown = {step: spent for step, spent in seconds.items() if step.startswith(wanted)}
        return {**shown, "all other tasks": sum(seconds.values()) - sum(shown.values())} | {
            "the whole playbook": elapsed(runner)
        }


def elapsed(runner: Any) -> float:
    """From the first event to the last."""
    times = [datetime.fromisoformat(event["created"]) for event in runner.events]
    return (max(times) - min(times)).total_seconds()


if __name__ == "__main__":
    main()
