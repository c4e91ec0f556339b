#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Watch an archive as its users do, while one release after the other is published in it.

Several clients run ``apt-get update`` (with APT::Update::Error-Mode=any) and ``apt-get install`` in a loop, really
installing over HTTP. An error of either, or packages of two releases beside each other, is counted. With ``--kills``
that many publications are killed with SIGKILL at a random moment, looked at, and run again. With ``--peer`` the same
packages are published by reprepro alone, in the usual way: remove the old ones, include the new ones.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import release as releases  # beside this file
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.publication import read_current
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key
from ansible_collections.slipway.release.plugins.modules import stamp_plan
from aptclient import Client, served


@dataclass
class Seen:
    """What the clients have met."""

    rounds: int = 0
    upgrades: int = 0
    errors: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)


class Watcher(threading.Thread):
    """A client that never rests."""

    def __init__(self, client: Client, ended: threading.Event) -> None:
        super().__init__()
        self.client, self.ended, self.seen, self.last = client, ended, Seen(), ""

    def run(self) -> None:
        while not self.ended.is_set():
            self.look()

    def look(self) -> None:
        """Update, install, and see what is installed."""
        self.seen.rounds += 1
        for what in ("update", "install"):
            update = what == "update"
            done = self.client.run("apt-get", "-q", what, check=False) if update else self.client.install(releases.ALL)
            if done.returncode != 0:
                lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
                self.seen.errors.append(f"{what}: {' / '.join(lines[:2]) or done.stderr[-200:]}")
        found = {version.split("-")[1].split("~")[0] for version in self.client.installed().values()} - {"0"}
        if len(found) > 1:
            self.seen.mixed.append(", ".join(sorted(found)))
        state = ", ".join(sorted(found))
        self.seen.upgrades += state != self.last
        self.last = state


def main() -> None:
    """Publish and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publications", type=int, default=20)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--stacks", type=int, default=5)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="apt-publication-") as temporary:
        directory = Path(temporary)
        releases.prepare(directory, stacks=options.stacks)
        peer = Peer(directory) if options.peer else None
        publish = peer.publish if peer else lambda name: run_release(directory, name)
        publish("r1")
        with watched(directory, options.clients) as seen:
            for number in range(2, options.publications + 1):
                publish(f"r{number}")
            completed = kill_some(directory, options.publications, options.kills, random.Random(options.seed))  # noqa: S311
    errors = [error for each in seen for error in each.errors]
    mixed = [found for each in seen for found in each.mixed]
    print(f"{options.publications} publications, {len(errors)} client errors, {len(mixed)} mixed sets")
    if options.kills:
        print(f"{options.kills} publications killed (seed {options.seed}), {completed} whole, then completed")
    rounds, upgrades = sum(each.rounds for each in seen), sum(each.upgrades for each in seen)
    print(f"{options.clients} clients updated and installed {rounds} times, and met a new release {upgrades} times")
    for text in dict.fromkeys([*errors, *mixed]):
        print(f"  {text}")
    sys.exit(1 if (errors or mixed or completed < options.kills) else 0)


@contextlib.contextmanager
def watched(directory: Path, clients: int) -> Iterator[list[Seen]]:
    """Clients of the archive at work; what they have seen is complete afterwards."""
    ended = threading.Event()
    seen: list[Seen] = []
    with served(directory / "public") as url:
        key = directory / "public/key.asc"
        watchers = []
        for number in range(clients):
            source = f"deb [signed-by={key}] {url}/fixed {releases.PLATFORM} main"
            client = Client(directory / f"client{number}", [source])
            status = client.root / "system/var/lib/dpkg/status"
            status.write_text(
                "Package: libc6\nStatus: install ok installed\nVersion: 2.36-0\nArchitecture: amd64\n"
                "Maintainer: A <a@example.org>\nDescription: there already\n\n"
            )
            watchers.append(Watcher(client, ended))
        for watcher in watchers:
            watcher.start()
        try:
            yield seen
        finally:
            ended.set()
            for watcher in watchers:
                watcher.join()
                watcher.look()
                seen.append(watcher.seen)


def run_release(directory: Path, name: str) -> None:
    """A release in a process of its own."""
    subprocess.run(release_command(directory, name), check=True)


def release_command(directory: Path, name: str) -> list[str]:
    """The command line of a release."""
    return [sys.executable, str(Path(releases.__file__)), str(directory), name]


def kill_some(directory: Path, done: int, kills: int, dice: random.Random) -> int:
    """Kill publications at random moments, and complete each; how many stayed whole and were completed."""
    if not kills:
        return 0
    begun = time.monotonic()
    run_release(directory, f"r{done + 1}")
    lasts = time.monotonic() - begun
    number, killed, completed = done + 1, 0, 0
    while killed < kills:
        number += 1
        process = subprocess.Popen(release_command(directory, f"r{number}"), start_new_session=True)
        try:
            process.wait(timeout=dice.uniform(0.1, lasts))
            continue  # it was faster
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait()
        killed += 1
        whole = public(directory) in ({f"r{number - 1}"}, {f"r{number}"})
        run_release(directory, f"r{number}")
        completed += whole and public(directory) == {f"r{number}"}
    return completed


def public(directory: Path) -> set[str]:
    """The releases that the indexes name at this moment."""
    labels = read_current(directory / "public/fixed").labels[releases.DISTRIBUTION].values()
    return {label.rpartition("-")[2] for label in labels}


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all below it."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            kill_tree(int(child))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Peer:
    """The usual way: one reprepro archive that is served while it is changed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        conf = directory / "peer/conf"
        conf.mkdir(parents=True)
        key = find_signing_key(directory / "gnupg").fingerprint
        conf.joinpath("distributions").write_text(
            f"Codename: {releases.PLATFORM}\nArchitectures: {' '.join(releases.ARCHITECTURES)}\nComponents: main\n"
            f"SignWith: {key}\n"
        )

    def publish(self, name: str) -> None:
        """Stamp, remove what was there, include."""
        plan = stamp_plan.act(releases.settings(self.directory, name), write=True)
        debs = [row["path"] for row in releases.stamped(self.directory, plan)]
        base = ["reprepro", "--basedir", str(self.directory / "peer"), "--outdir", str(self.directory / "public/fixed")]
        with provide_environment(self.directory / "gnupg") as env:
            for words in (
                ["removefilter", releases.PLATFORM, f"WG-rosdistro (== {releases.DISTRIBUTION})"],
                ["includedeb", releases.PLATFORM, *debs],
            ):
                subprocess.run([*base, *words], check=True, capture_output=True, env={**os.environ, **env})


if __name__ == "__main__":
    main()
