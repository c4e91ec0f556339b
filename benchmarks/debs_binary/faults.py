#!/usr/bin/env python3
# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds of many small packages under faults, against the same builds undisturbed. Prints a Markdown table.

``python benchmarks/debs_binary/faults.py``, from the checkout. Source packages that depend on each other in diamonds
are built on two build hosts into an archive of their own; then some get a new version, and all that depends on them is
built anew. That is done twice: undisturbed, and with these faults at moments that a seed gives:

- the run is killed with SIGKILL ten times and started again, every other time together with all that it started;
- one host is lost: its workers are killed, and none is let in for a time.

Meanwhile apt reads the archive over HTTP in a loop. An error, an empty index, one with a package whose dependencies are
not there as it was built with them, a version that goes back, and a package that cannot be fetched are errors. At the
end both archives have the same packages, versions, architectures and bytes, and nothing else is left.

With ``--line quick`` a worker makes each package in a moment, with all else as it is; with ``--line sbuild`` the real
one builds with sbuild, in the chroot of this account for bookworm and amd64. With ``--line lab``, as root, two hosts of
a lab that the role deb_build_host prepared build with sbuild over SSH, in chroots that know no packages but those of
the archive, so that a build takes seconds, and the host that is lost crashes and is switched on again. The status says
whether all of that holds.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.exported import read_suites
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.job import (
    BUILD,
    DONE,
    FAILED,
    TEST,
    Job,
    Repository,
    Result,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.binary.wire import (
    list_files,
    receive_files,
    receive_message,
    send_message,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.control import Control
from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.version import compare_versions
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm import line
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.builds import Report, Run, Settings
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.schedule import Host
from ansible_collections.slipway.release.plugins.module_utils.slipway.farm.site import (
    LocalShelf,
    LocalStore,
    SitePlanner,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.locks import hold_flock
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from aptclient import Client, RefusedError, served
from debs import make_deb
from labs import Lab, lab
from tinysources import MAINTAINER, Archive, make_source

SUITE, ARCHITECTURE = "bookworm", "amd64"
#: The names of the build hosts; the first is lost.
HOSTS = ("a", "b")
#: Slots of each host.
SLOTS = {"quick": 2, "sbuild": 1, "lab": 1}
#: Seconds for which the reader rests between rounds, so that builds that take longer have the processors.
PAUSES = {"quick": 0.0, "sbuild": 2.0, "lab": 2.0}
#: The date of entries in changelogs of rebuilds, so that the same build makes the same bytes.
EPOCH = 1_710_000_000
RELATION = re.compile(r"([a-z0-9][a-z0-9.+-]+)(?: \(= ([^)\s]+)\))?")
#: The account that builds on hosts of a lab.
ACCOUNT = "slipway-build"
#: Seconds that a run, and what is left of killed workers, may last.
LONGEST, AFTERWARDS = 3 * 3600.0, 60.0

Index = dict[str, Control]


# --- the packages ----------------------------------------------------------------------------------------------------


def make_graph(count: int) -> dict[str, list[str]]:
    """What each package depends on: diamonds, of which each stands on the top of another."""
    graph: dict[str, list[str]] = {}
    for number in range(count):
        diamond, corner = divmod(number, 4)
        below = [] if diamond == 0 else [f"tiny{4 * ((diamond - 1) // 3) + 3:03}"]
        first = 4 * diamond
        sides = [f"tiny{first + 1:03}", f"tiny{first + 2:03}"]
        graph[f"tiny{number:03}"] = [below, [f"tiny{first:03}"], [f"tiny{first:03}"], sides][corner]
    return graph


def choose_changed(count: int) -> list[str]:
    """What gets a new version: in the middle and at the end; of few, what all others depend on."""
    numbers = [4, 8, count // 2, count - 1] if count > 8 else [0]
    return sorted({f"tiny{number:03}" for number in numbers})


def read_index(text: str) -> Index:
    """Paragraphs by package."""
    found = [Control(f"{paragraph.strip()}\n") for paragraph in text.split("\n\n") if paragraph.strip()]
    return {str(one.get("Package")): one for one in found}


def name_index(url: str) -> str:
    return f"{url}/dists/{SUITE}/main/binary-{ARCHITECTURE}/Packages"


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # our own server
        return bytes(answer.read())


# --- a build host ----------------------------------------------------------------------------------------------------


def work_quickly() -> None:
    """Be a worker: make a package that depends on what its source depends on, in the versions that the archive has."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    message = receive_message(incoming)
    if message is None:
        return
    job = Job.from_dict(message["job"])
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        receive_files(incoming, message["files"], place, most=1 << 30)
        index = read_index(fetch(name_index(job.repositories[0].line.split()[0])).decode())
        wanted = (Control((place / job.dsc).read_text()).get("Build-Depends") or "").replace(",", " ").split()
        time.sleep(random.Random(f"{job.source} {os.getpid()}").uniform(0.0, 0.5))  # noqa: S311  # a length
        log = place / f"{job.source}.log"
        log.write_text("made\n")
        if missing := [name for name in wanted if name not in index]:
            answer, files = Result(FAILED, BUILD, f"there is no {', '.join(missing)}"), [log]
        else:
            fields = {"Source": f"{job.source} ({job.version})"} if job.rebuild else {}
            if wanted:
                fields["Depends"] = ", ".join(f"{name} (= {index[name].get('Version')})" for name in wanted)
            version = f"{job.version}+b{job.rebuild}" if job.rebuild else job.version
            deb = make_deb(place / "built", job.source, version, job.architecture, fields=fields)
            info = deb.with_suffix(".buildinfo")
            info.write_text(f"Source: {job.source}\nChecksums-Sha256:\n {sha256(deb.read_bytes()).hexdigest()}\n")
            answer, files = Result(DONE, TEST, "", {"build": 1.0}), [deb, info, log]
        send_message(outgoing, {"result": answer.as_dict(), "files": list_files(files)}, files)


def tag_workers(place: Path, host: str) -> str:
    """A word in the command line of every worker of a host, by which only those of this trial are found."""
    return f"{place}/hosts/{host}"


def list_workers(place: Path, host: str) -> list[int]:
    """The processes that are workers of a host."""
    tag, found = os.fsencode(tag_workers(place, host)), []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if tag in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def kill_all(processes: Sequence[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def list_descendants(pid: int) -> list[int]:
    """All that a process started, and what that started."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *list_descendants(int(child))]
    return found


# --- hosts of a lab --------------------------------------------------------------------------------------------------

PROVISION = """\
- hosts: deb_build_hosts
  gather_facts: false
  roles: [slipway.release.deb_build_host]
"""
#: Makes a chroot forget Debian's lists, which apt would fetch and read for each build: nothing is needed from there.
FORGET = """\
set -eu
cd "$(mktemp -d)"
chroot=/var/lib/slipway-build/chroots/bookworm-amd64.tar.zst
zstd --quiet --decompress -o system.tar "$chroot"
mkdir -p etc/apt
touch etc/apt/sources.list
tar --append --file=system.tar --owner=root:0 --group=root:0 ./etc/apt/sources.list
zstd --quiet --force system.tar -o "$chroot"
rm system.tar
"""


@contextlib.contextmanager
def build_hosts(top: Path, kind: str) -> Iterator[Lab | None]:
    """Both hosts of the lab as the role prepares them; none for other lines."""
    if kind != "lab":
        yield None
        return
    numbers = {name: {"lab_number": 21 + at, "lab_binds": ["/dev/console"]} for at, name in enumerate(HOSTS)}
    with lab(top, {"deb_build_hosts": numbers}) as made:
        key = top / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        base = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine bookworm main"
        variables = {
            "deb_build_host_keys": [key.with_suffix(".pub").read_text().strip()],
            "deb_build_host_platforms": [{"name": SUITE, "base": [base]}],
            "deb_build_host_builds": {ARCHITECTURE: ARCHITECTURE},
        }
        play = top / "provision.yml"
        play.write_text(PROVISION)
        words = ["ansible-playbook", "-i", str(made.inventory), "-e", json.dumps(variables), str(play)]
        done = subprocess.run(words, cwd=ROOT, env=made.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"The hosts of the lab could not be prepared:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        for name in HOSTS:
            made.on(name, FORGET)
        yield made


def list_hosts(kind: str, top: Path) -> list[Host]:
    """The build hosts."""
    builds, slots = {ARCHITECTURE: ARCHITECTURE}, SLOTS[kind]
    if kind != "lab":
        return [Host(name, builds, slots=slots) for name in HOSTS]
    addresses = {one["name"]: one["address"] for one in json.loads((top / "lab/lab.json").read_text())["hosts"]}
    options = (f"UserKnownHostsFile={top}/lab/ssh/known_hosts", f"IdentityFile={top}/key", "IdentitiesOnly=yes")
    return [Host(name, builds, f"{ACCOUNT}@{addresses[name]}", options, slots) for name in HOSTS]


# --- a run -----------------------------------------------------------------------------------------------------------


def run_builds(place: Path, kind: str, url: str) -> int:
    """Do what the module deb_builds does; whether anything was left is the status."""
    ordinary = line.make_command

    def make_command(host: Host) -> list[str]:
        if (place / "lost" / host.name).exists():
            return ["false"]
        if kind == "lab":
            return ordinary(host)
        tag = tag_workers(place, host.name)
        return [*ordinary(host), tag] if kind == "sbuild" else [sys.executable, __file__, "--worker", tag]

    def do_job(host: Host, job: Job, source: Sequence[Path], target: Path, watch: line.Watch) -> Result:
        return line.do_job(host, replace(job, epoch=EPOCH), source, target, watch)

    public, base, builds = place / "public", place / "shadow", place / "builds"
    dists = f"{public}/dists/{{platform}}/main"
    options: dict[str, Any] = {
        "distribution": "tiny",
        "stacks": None,
        "package_name": "{stack}",
        "source_version": "{version}",
        "policy": "transitive",
        **{name: [] for name in ("abi_changed", "force", "rebuild", "profiles")},
        **{name: {} for name in ("policies", "hold", "excludes", "new")},
        "alternatives": "any",
        "timeout": 60.0,
        "platforms": [
            {
                "name": SUITE,
                "architectures": [ARCHITECTURE],
                "sources": [f"{dists}/source"],
                "shadow": [f"{dists}/binary-{{architecture}}"],
                "base": [],
            }
        ],
    }
    repositories = {SUITE: [Repository(f"{url} {SUITE} main", (place / "key.asc").read_text())]}
    told: Iterator[Sequence[Host]] = iter([list_hosts(kind, place.parent)])
    with (
        hold_flock(builds / ".lock", attempt="build", on="tiny", timeout=600),
        mock.patch.object(line, "make_command", make_command),
    ):
        run = Run(
            Settings("tiny", builds, repositories, install=False, test=False, maintainer=MAINTAINER, timeout=LONGEST),
            planner=SitePlanner(options),
            shelf=LocalShelf(public, "main"),
            store=LocalStore(base, public, place / "gnupg", "main"),
            hosts=lambda: next(told, None),
            progress=Progress(place / "progress"),
            line=do_job,
        )
        report = run.work()
    for text in describe_rest(report):
        print(text, file=sys.stderr)
    return 1 if describe_rest(report) else 0


def describe_rest(report: Report) -> list[str]:
    """What a run did not build."""
    failed = [f"{one.unit.label} failed at {one.stage}: {one.reason}" for one in report.failed]
    waiting = [f"{one['source']} waits for {one['for']}" for one in report.waiting]
    return [*failed, *waiting, *(f"{one} is blocked" for one in report.blocked)]


# --- a reader --------------------------------------------------------------------------------------------------------


@dataclass
class Reader(threading.Thread):
    """An apt that never rests, and fetches every package that it is told of."""

    place: Path
    url: str
    pause: float = 0.0
    rounds: int = 0
    fetched: int = 0
    errors: list[str] = field(default_factory=list)
    highest: dict[str, str] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__()
        key = self.place / "key.asc"
        self.client = Client(self.place / "client", [f"deb [signed-by={key}] {self.url} {SUITE} main"])
        self.dice = random.Random(1)  # noqa: S311  # which package is fetched guards nothing

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.look()
            except (AssertionError, OSError, ValueError, RefusedError, subprocess.CalledProcessError) as error:
                self.errors.append(" ".join(f"{type(error).__name__}: {error}".split())[:500])
            self.rounds += 1
            self.ended.wait(self.pause)

    def look(self) -> None:
        """Update, compare what apt has with what it had, and fetch."""
        self.client.update()
        index: Index = {}
        for path in (self.client.root / "lists").glob("*_Packages"):
            index |= read_index(path.read_text())
        if not index:
            if self.highest:
                self.errors.append("the index is empty")
            return
        for name, one in index.items():
            self.check(name, one, index)
            filename, size, digest = (one.get(word) or "" for word in ("Filename", "Size", "SHA256"))
            data = fetch(f"{self.url}/{filename}")
            if (str(len(data)), sha256(data).hexdigest()) != (size, digest):
                self.errors.append(f"{filename} is another file than the index says")
            self.fetched += 1
        one_of_them = self.dice.choice(sorted(index))
        self.client.would_install(one_of_them)
        self.client.download(one_of_them)

    def check(self, name: str, one: Control, index: Index) -> None:
        """Whether a package goes with the others, and with what was read of it before."""
        version, digest = str(one.get("Version")), str(one.get("SHA256"))
        for needed, exact in RELATION.findall(one.get("Depends") or ""):
            there = index[needed].get("Version") if needed in index else None
            if there is None or exact not in ("", there):
                self.errors.append(f"mixed: {name} {version} needs {needed} {exact}, the index has {there}")
        if compare_versions(version, self.highest.get(name, version)) < 0:
            self.errors.append(f"{name} went back from {self.highest[name]} to {version}")
        self.highest[name] = version
        if self.digests.setdefault((name, version), digest) != digest:
            self.errors.append(f"{name} {version} has become another file")


# --- a trial ---------------------------------------------------------------------------------------------------------


@dataclass
class Trial:
    """What became of all builds, once."""

    name: str
    wall: float = 0.0
    runs: int = 0
    kills: int = 0
    lost: int = 0
    builds: int = 0
    generations: int = 0
    steps: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    packages: list[tuple[str, ...]] = field(default_factory=list)
    reader: Reader | None = None


@dataclass
class Chaos:
    """Faults: how many kills, how far apart at most in each step, and for how long the host is lost."""

    dice: random.Random
    kills: int
    within: Sequence[float]
    away: float


def try_builds(place: Path, options: argparse.Namespace, chaos: Chaos | None, hosts: Lab | None) -> Trial:
    """Build all, change some, and build what has to be."""
    place.mkdir()
    (place / "lost").mkdir()
    trial = Trial("undisturbed" if chaos is None else "under faults")
    graph = make_graph(options.packages)
    archive = Archive(place)
    (place / "key.asc").write_text(archive.key)
    make_sources(archive, graph, list(graph), "1.0")
    address = "127.0.0.1" if hosts is None else str(hosts.settings["gateway"])
    with served(archive.public, address=address) as url:
        trial.reader = Reader(place, url, pause=PAUSES[options.line])
        trial.reader.start()
        try:
            begin = time.monotonic()
            for number in range(2):
                if number == 1:
                    make_sources(archive, graph, choose_changed(options.packages), "1.1")
                step = time.monotonic()
                kills = 0 if chaos is None else (chaos.kills + 1 - number) // 2
                do_step(place, options.line, url, trial, chaos, hosts, kills=kills, number=number)
                trial.steps.append(time.monotonic() - step)
            trial.wall = time.monotonic() - begin
            rounds = trial.reader.rounds
            while trial.reader.rounds < rounds + 2:  # one that began after the end
                time.sleep(0.2)
        finally:
            trial.reader.ended.set()
            trial.reader.join()
    conclude(archive, trial, graph, hosts)
    return trial


def make_sources(archive: Archive, graph: dict[str, list[str]], names: Sequence[str], version: str) -> None:
    """Put source packages into the archive."""
    needs = {name: graph[name] for name in names}
    archive.add_sources(
        *(
            make_source(archive.place / "sources", name, version, build_depends=below, depends=below)
            for name, below in needs.items()
        )
    )


def do_step(
    place: Path,
    kind: str,
    url: str,
    trial: Trial,
    chaos: Chaos | None,
    hosts: Lab | None,
    *,
    kills: int,
    number: int,
) -> None:
    """Run until nothing is left: killed that many times, and once to the end."""
    words = [sys.executable, __file__, "--run", str(place), "--line", kind, "--url", url]
    left = kills
    while True:
        trial.runs += 1
        with (place / "said").open("ab") as said:
            process = subprocess.Popen(words, stdout=said, stderr=said, start_new_session=True)
        if chaos is None or not left:
            status = process.wait(timeout=LONGEST)
            if status != 0:
                trial.faults.append(f"a run ended with status {status}: {(place / 'said').read_text()[-2000:]}")
            return
        if number == 0 and left == (kills + 1) // 2 and not trial.lost:
            lose_host(place, trial, chaos, process, hosts)
        moment = chaos.dice.uniform(0.5, chaos.within[number])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        below = list_descendants(process.pid) if left % 2 else []
        ended = process.poll()
        kill_all([process.pid, *below] if ended is None else [])
        process.wait()
        left -= 1
        trial.kills += ended is None
        how = "killed" if ended is None else f"ended with status {ended} before its kill"
        more = f" with {len(below)} that it started" if below else ""
        print(f"step {number + 1}: {how} after {moment:.1f} s{more}", file=sys.stderr, flush=True)
        if ended is not None and ended != 0:
            trial.faults.append(f"a run ended with status {ended}: {(place / 'said').read_text()[-2000:]}")


def lose_host(place: Path, trial: Trial, chaos: Chaos, process: subprocess.Popen[bytes], hosts: Lab | None) -> None:
    """Kill the workers of a host, and let none in for a time; one of a lab crashes and is switched on again."""
    end = time.monotonic() + 60.0
    name = HOSTS[0]
    while not (workers := find_workers(place, name, hosts)) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    if hosts is None:
        lost = place / "lost" / name
        lost.touch()
        kill_all(workers)
        back: Callable[[], object] = lost.unlink
    else:
        hosts.do("crash", name)
        back = functools.partial(hosts.do, "start", name)
    trial.lost = len(workers)
    threading.Timer(chaos.away, back).start()
    print(f"host {name} is lost for {chaos.away:.0f} s with {len(workers)} processes", file=sys.stderr, flush=True)


def find_workers(place: Path, host: str, hosts: Lab | None) -> list[int]:
    """The processes that are workers of a host, or, in a lab, all that its account for builds has."""
    if hosts is None:
        return list_workers(place, host)
    return [int(word) for word in hosts.on(host, f"pgrep --uid {ACCOUNT} || true").split()]


def conclude(archive: Archive, trial: Trial, graph: dict[str, list[str]], hosts: Lab | None) -> None:
    """Look at what is there at the end, and at what should not be."""
    place = archive.place
    names = ("Package", "Version", "Architecture", "SHA256")
    index = read_index(archive.read_index())
    trial.packages = sorted(tuple(str(one.get(name)) for name in names) for one in index.values())
    trial.generations = read_suites(archive.public).generation
    trial.builds = (place / "progress").read_text().count(" is built on ")
    infos = {path.name for path in (archive.public / "buildinfo").rglob("*.buildinfo")}
    wanted = {f"{name}_{version}_{architecture}.buildinfo" for name, version, architecture, _digest in trial.packages}
    base = archive.base
    leftovers = [
        *(path for path in place.rglob(".*.tmp") if "client" not in path.parts),
        *(
            path
            for path in (base / "slipway.unfinished", base / "slipway.saved", base / "db/lockfile")
            if path.exists()
        ),
        *(place / "builds").rglob("*.deb"),
    ]
    end = time.monotonic() + AFTERWARDS
    while (workers := [one for name in HOSTS for one in find_workers(place, name, hosts)]) and time.monotonic() < end:
        time.sleep(0.5)
    checked = [subprocess.run(["reprepro", "-b", base, word], capture_output=True) for word in ("check", "checkpool")]
    trial.faults += [
        *(f"{name} is not in the archive" for name in sorted(graph.keys() - index.keys())),
        *(f"there is no {name}" for name in sorted(wanted - infos)),
        *(f"{path.relative_to(place)} is left" for path in leftovers),
        *([f"{len(workers)} workers still run"] if workers else []),
        *(f"reprepro finds: {done.stderr.decode()}" for done in checked if done.returncode),
    ]


# --- what is printed -------------------------------------------------------------------------------------------------


def main() -> int:
    options = parse()
    if options.worker is not None:
        work_quickly()
        return 0
    if options.run is not None:
        try:
            return run_builds(options.run, options.line, options.url)
        except SlipwayError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="slipway-faults-") as scratch:
        place = Path(scratch) if options.keep is None else options.keep
        place.mkdir(parents=True, exist_ok=True)
        with build_hosts(place, options.line) as hosts:
            calm = try_builds(place / "calm", options, None, hosts)
            print(tell([calm]), file=sys.stderr, flush=True)
            each = [max(1.0, min(2.4 / max(options.kills, 1), 0.7) * wall) for wall in calm.steps]
            away = options.away or max(5.0, calm.steps[0] / 4)
            dice = random.Random(options.seed)  # noqa: S311  # moments that a seed gives again
            rough = try_builds(place / "rough", options, Chaos(dice, options.kills, each, away), hosts)
    faults = find_faults(calm, rough, options)
    print(tell([calm, rough]))
    print("".join(f"- {fault}\n" for fault in faults) or "All bars hold.")
    return 1 if faults else 0


def find_faults(calm: Trial, rough: Trial, options: argparse.Namespace) -> list[str]:
    """The bars that do not hold."""
    found = [f"{trial.name}: {fault}" for trial in (calm, rough) for fault in trial.faults]
    for trial in (calm, rough):
        assert trial.reader is not None
        found += [f"{trial.name}: the reader met: {error}" for error in dict.fromkeys(trial.reader.errors)]
    for one, other in ((calm, rough), (rough, calm)):
        only = sorted(set(one.packages) - set(other.packages))
        found += [f"only {one.name}: {' '.join(package)}" for package in only]
    if rough.kills < options.kills:
        found.append(f"only {rough.kills} runs could be killed")
    if options.kills and not rough.lost:
        found.append("the host that was lost had no worker")
    return found


def tell(trials: Sequence[Trial]) -> str:
    rows = [
        "| builds | wall | runs | kills | builds started | generations | reader's rounds | fetched | errors "
        "| packages |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in trials:
        assert one.reader is not None
        read = f"{one.reader.rounds} | {one.reader.fetched} | {len(one.reader.errors)}"
        rows.append(
            f"| {one.name} | {one.wall:.0f} s | {one.runs} | {one.kills} | {one.builds} | {one.generations} "
            f"| {read} | {len(one.packages)} |"
        )
    return "".join(f"{row}\n" for row in rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packages", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--line", choices=sorted(SLOTS), default="quick")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--away", type=float, help="seconds for which the host is lost")
    parser.add_argument("--keep", type=Path, help="a new directory for all that is written; it is not removed")
    for name in ("worker", "run", "url"):
        parser.add_argument(f"--{name}", type=Path if name == "run" else str, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
