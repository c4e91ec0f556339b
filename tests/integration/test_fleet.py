# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases over SSH across hosts of their own, and what becomes of them when a host, a disk or the network fails.

The fleet is that of the Molecule scenario ``release_fleet``, which these tests run first and whose hosts they then
disturb: real hosts, real crashes, real cuts. A reader looks all the while at what is public.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from publicwatch import PublicWatch

from .conftest import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can run hosts on this machine")
SCENARIO = ROOT / "molecule/release_fleet"
DISTRIBUTION = SCENARIO / "vars/distribution.yml"
#: Seconds in which a run must have given up once a fault is there. Half of them are the limits that ssh and rsync keep,
#: the rest is for a slow machine.
GIVES_UP = 120.0
#: Seconds in which a whole release must end on a machine that does much else.
RELEASES = 600.0
PUBLIC = "/srv/download"


@dataclass
class Run:
    """One ``ansible-playbook``, watched while it runs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, pattern: str) -> None:
        """Wait until the run has said something."""
        end = time.monotonic() + RELEASES
        while not re.search(pattern, self.text):
            assert self.process.poll() is None, f"it ended before it said {pattern}:\n{self.text}"
            assert time.monotonic() < end, f"it did not say {pattern}:\n{self.text}"
            time.sleep(0.05)

    def ended(self, limit: float) -> int:
        """How it ended, within ``limit`` seconds."""
        try:
            return self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {limit:.0f} s:\n{self.text}") from None
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    @property
    def failure(self) -> tuple[str, str]:
        """The task that ended the run, and what was said about it."""
        _, task, said = re.split(r"TASK \[(.*)\] \*+", self.text.partition("PLAY RECAP")[0])[-3:]
        return task, said


@dataclass
class Fleet:
    """The hosts of the scenario, and what is released there."""

    directory: Path
    log: Path
    releases: int = 100
    runs: int = 0

    def begin(self) -> str:
        """The label of a release that is not there yet."""
        self.releases += 1
        return f"baserock-{self.version}"

    @property
    def version(self) -> str:
        return f"26.{self.releases}"

    @property
    def kept(self) -> str:
        """Where the coordinator keeps what it knows of the release."""
        return f"/srv/slipway/releases/{self.version}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(self.directory),
            "SLIPWAY_LAB": str(self.directory / "lab"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
            "NO_COLOR": "1",
        }

    def molecule(self, *words: str) -> None:
        """Steps of the scenario."""
        with open(self.log, "ab") as sink:
            done = subprocess.run(
                ["molecule", *words, "-s", SCENARIO.name], cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=sink, stderr=sink, check=False, timeout=1500,
            )  # fmt: skip
        assert done.returncode == 0, self.log.read_text(errors="replace")[-20000:]

    def lab(self, *words: str) -> str:
        done = subprocess.run(
            [ROOT / "scripts/lab", *words], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"lab {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def on(self, host: str, command: str) -> str:
        return self.lab("exec", host, "--", "sh", "-c", command)

    @property
    def settings(self) -> dict[str, object]:
        return dict(json.loads((self.directory / "lab/lab.json").read_text()))

    def address(self, host: str) -> str:
        return next(each["address"] for each in self.settings["hosts"] if each["name"] == host)  # type: ignore[attr-defined]

    def start(self, *words: str, **variables: str) -> Run:
        """A user's command for the next version, or for some stages of it."""
        self.runs += 1
        log = self.log.with_name(f"run-{self.runs}.log")
        argv = ["ansible-playbook", "-i", "inventory/lab", "release.yml", "-e", f"@{DISTRIBUTION}", *words]
        with open(log, "wb") as sink:
            process = subprocess.Popen(
                [*argv, "-e", json.dumps({"version": self.version, **variables})], cwd=ROOT, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
            )  # fmt: skip
        return Run(process, log)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.address('download')}/{path}", timeout=20) as answer:
            content: bytes = answer.read()
        return content

    # What goes wrong.

    def develop(self, change: str = "") -> None:
        """A developer's change: without another one, something whose building takes a while."""
        change = change or f'printf "  - {self.slow_step}\\n" >> elements/hello.bst'
        self.on(
            "coordinator-1",
            "set -e; cd /var/tmp; rm -rf work; chmod 1777 .; sudo -u slipway sh -ec '"
            f"git clone -q ssh://git@public-trove/baserock/baserock/definitions work; cd work; {change}; "
            "git -c user.name=D -c user.email=d@example.org commit -qam Change; git push -q'",
        )

    @property
    def slow_step(self) -> str:
        return f"echo {self.version}; sleep 30"

    def building(self, run: Run) -> None:
        """Wait until the developer's change is being built."""
        self.wait_for_command(run, self.slow_step)

    def deploying(self, run: Run) -> None:
        """Wait until a system is being taken out of the cache."""
        self.wait_for_command(run, "artifact", "checkout", f"{self.kept}/")

    def wait_for_command(self, run: Run, *parts: str) -> None:
        """Wait until a command of these parts runs anywhere: what is said of it may come late on a busy machine."""
        end = time.monotonic() + RELEASES
        while not any(all(part.encode() in command for part in parts) for command in commands()):
            assert run.process.poll() is None, f"{parts} did not run:\n{run.text}"
            assert time.monotonic() < end, f"{parts} did not run:\n{run.text}"
            time.sleep(0.1)

    def slow(self, on: bool = True) -> None:
        """Have the coordinator send half a megabyte in a second."""
        namespace = next(
            line.split()[0]
            for line in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.splitlines()
            if line.split()[0] == f"lab-{self.identity}-coordinator-1"
        )
        limit = ["rate", "4mbit", "burst", "32kb", "latency", "400ms"]
        words = ["replace", "dev", "host0", "root", "tbf", *limit] if on else ["del", "dev", "host0", "root"]
        # A crash may have taken the limit away.
        subprocess.run(["ip", "netns", "exec", namespace, "tc", "qdisc", *words], check=on, capture_output=True)

    @property
    def identity(self) -> str:
        match = re.match(r"lab (\w+) on", self.lab("status"))
        assert match
        return match[1]

    def uploading(self, run: Run) -> None:
        """Wait until a part of a file has come to the download server; what was left there does not count."""
        run.until(r"TASK \[.*Query what the server has")
        end = time.monotonic() + 60
        sizes: list[int] = []
        while len(sizes) < 2 or sizes[-1] <= sizes[0]:
            assert run.process.poll() is None, run.text
            assert time.monotonic() < end, "nothing came"
            sizes.append(int(self.on("download", f"du -sk {PUBLIC}/private").split()[0]))

    def lose_artifacts(self) -> None:
        """What was built is neither on the coordinator nor to be had from the Trove."""
        self.on("local-trove", "systemctl stop slipway-trove-artifacts.service")
        self.on(
            "coordinator-1",
            f"rm -rf /var/cache/slipway/buildstream/artifacts /var/cache/slipway/buildstream/cas {self.kept}/images",
        )

    def forged_keys(self) -> dict[str, str]:
        """Have another host key stand for the download server; connections that are open already are of no use."""
        known, key = self.directory / "lab/ssh/known_hosts", self.directory / "forged"
        shutil.copy(known, known.with_suffix(".true"))
        key.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = key.with_suffix(".pub").read_text().split()[:2]
        lines = [
            " ".join([line.split()[0], *public]) if line.startswith("download,") else line
            for line in known.read_text().splitlines()
        ]
        known.write_text("\n".join(lines) + "\n")
        other = self.directory / "c"
        other.mkdir(exist_ok=True)
        return {"ansible_control_path": f"{other}/%%C"}

    def true_keys(self) -> None:
        known = self.directory / "lab/ssh/known_hosts"
        os.replace(known.with_suffix(".true"), known)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, when, and what the run must say about it."""

    name: str
    task: str
    """Of the task that ends the run: a pattern, which names the stage."""
    says: str
    """What is said about it: a pattern, which names the host."""
    strike: Callable[[Fleet], object]
    heal: Callable[[Fleet], object]
    before: Callable[[Fleet], object] | None = None
    when: Callable[[Fleet, Run], object] | None = None
    """The moment in the run. Without one the fault is there before."""
    then: str = ""
    """How the names of the records begin that the next run leaves before it meets another fault."""
    stage: str = ""
    """What is run by itself, where the stages before it are done; else the whole release."""


def says(pattern: str) -> Callable[[Fleet, Run], object]:
    return lambda _fleet, run: run.until(pattern)


def commands() -> Iterator[bytes]:
    """The command lines of all processes of this machine, those on its hosts and in their sandboxes too."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def restart(host: str) -> Callable[[Fleet], object]:
    return lambda fleet: fleet.lab("start", host)


def upload_again(*words: str) -> Callable[[Fleet], object]:
    def heal(fleet: Fleet) -> None:
        fleet.lab(*words)
        fleet.slow(False)

    return heal


FULL = f"set -e; free=$(df --output=avail -k {PUBLIC} | tail -1); fallocate -l $((free - 1000))K {PUBLIC}/filler"
FAULTS = [
    Fault(
        "download server unreachable at the start",
        "Assert that each answered",
        r"download: Failed to connect to the host via ssh",
        lambda fleet: fleet.lab("partition", "download"),
        lambda fleet: fleet.lab("heal", "download"),
        before=Fleet.develop,
    ),
    Fault(
        "download server with another host key",
        "Assert that each answered",
        r"download: Failed to connect to the host via ssh: [\s\S]*Host key verification failed",
        Fleet.forged_keys,
        Fleet.true_keys,
    ),
    Fault(
        "local Trove dies during promotion",
        "release_promote",
        r"local-trove",
        lambda fleet: fleet.lab("crash", "local-trove"),
        restart("local-trove"),
        when=says(r"TASK \[.*release_branch : Write the branch record"),  # promotion takes no longer than the crash
        then="promotion",
    ),
    Fault(
        "build host dies in the middle of a build",
        "release_build",
        r"build-x86",
        lambda fleet: fleet.lab("crash", "build-x86"),
        restart("build-x86"),
        when=Fleet.building,
        then="build-",
    ),
    Fault(
        "coordinator dies while files are made",
        "release_deploy",
        r"coordinator-1",
        lambda fleet: fleet.lab("crash", "coordinator-1"),
        restart("coordinator-1"),
        when=Fleet.deploying,
    ),
    Fault(
        "artifact cache away while files are made",
        "release_deploy",
        r"or pull it from http://local-trove:11001[\s\S]*Connection refused",
        Fleet.lose_artifacts,
        lambda fleet: fleet.on("local-trove", "systemctl start slipway-trove-artifacts.service"),
        stage="deploy",
    ),
    Fault(
        "wrong permissions on the download server",
        "release_preflight",  # which tries an upload
        r"download[\s\S]*[Pp]ermission denied",
        lambda fleet: fleet.on("download", f"chown root:root {PUBLIC}/private"),
        lambda fleet: fleet.on("download", f"chown root:slipway-upload {PUBLIC}/private; chmod 1770 {PUBLIC}/private"),
        then="deploy-",
    ),
    Fault(
        "disk of the download server full",
        "release_upload",
        r"download[\s\S]*No space left",
        lambda fleet: fleet.on("download", FULL),
        lambda fleet: fleet.on("download", f"rm {PUBLIC}/filler"),
    ),
    Fault(
        "download server cut off in the middle of an upload",
        "release_upload",
        r"download",
        lambda fleet: fleet.lab("partition", "download"),
        upload_again("heal", "download"),
        before=Fleet.slow,
        when=Fleet.uploading,
        stage="publish",
    ),
    Fault(
        "download server cut off from the coordinator alone in the middle of an upload",
        "release_upload",
        r"download",
        lambda fleet: fleet.lab("partition", "coordinator-1", "download"),
        upload_again("heal", "coordinator-1", "download"),
        before=Fleet.slow,
        when=Fleet.uploading,
        stage="publish",
    ),
    Fault(
        "coordinator dies in the middle of an upload",
        "release_upload",
        r"coordinator-1",
        lambda fleet: fleet.lab("crash", "coordinator-1"),
        upload_again("start", "coordinator-1"),
        before=Fleet.slow,
        when=Fleet.uploading,
        stage="publish",
    ),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The scenario, from bare hosts to the upgrade and what a reader sees of it; then its hosts as it left them."""
    base = tmp_path_factory.mktemp("fleet")
    # Paths of sockets are short.
    made = Fleet(Path(os.environ.get("SLIPWAY_TEST_FLEET") or base), base / "molecule.log")
    try:
        made.molecule("test", "--destroy", "never")
        yield made
    finally:
        made.molecule("destroy")


@pytest.fixture(scope="module")
def watch(fleet: Fleet) -> Iterator[PublicWatch]:
    with PublicWatch(f"http://{fleet.address('download')}") as watching:
        yield watching


def struck(fleet: Fleet, fault: Fault) -> tuple[str, str, float]:
    """What a run of the release says when this happens, and how long it goes on after it."""
    if fault.before is not None:
        fault.before(fleet)
    variables = fault.strike(fleet) if fault.when is None else None
    began = time.monotonic()
    words = ["--tags", fault.stage] if fault.stage else []
    run = fleet.start(*words, **(variables if isinstance(variables, dict) else {}))
    if fault.when is not None:
        fault.when(fleet, run)
        began = time.monotonic()
        fault.strike(fleet)
    status = run.ended(RELEASES if fault.when is None else GIVES_UP)  # a stage before the fault takes its time
    took = time.monotonic() - began
    assert status != 0, run.text
    assert "Traceback" not in run.text
    task, said = run.failure
    assert re.search(fault.task, task), f"{fault.name}: {task}: {said}\n{run.text}"
    assert re.search(fault.says, said), f"{fault.name}: {said}"
    return task, said, took


def test_a_release_survives_one_fault_after_the_other_until_it_is_let_alone(
    fleet: Fleet, watch: PublicWatch, record_property: Callable[[str, object], None]
) -> None:
    label = fleet.begin()
    rows, due = [], ""
    for fault in FAULTS:
        task, said, took = struck(fleet, fault)
        fault.heal(fleet)
        records = fleet.on("coordinator-1", f"ls {fleet.kept}/records 2>/dev/null || true").split()
        assert any(each.startswith(due) for each in records) or not due, f"before {fault.name}: {records}"
        assert label not in watch.labels
        due = fault.then
        rows.append((fault.name, f"{task}: {first_line(said)}", f"{took:.1f} s"))

    last = fleet.start()
    assert last.ended(RELEASES) == 0, last.text
    assert fleet.get("SHA256SUMS") == fleet.get(f"{label}/SHA256SUMS"), "it is not the current release"
    assert label not in fleet.on("download", f"ls -A {PUBLIC}/private")
    assert watch.saw(label), watch.labels
    assert watch.wrong == []
    for row in rows:  # the summary shows them as a table, see conftest.py
        record_property("fault", (*row, f"the same command went on; {fleet.version} is public"))


def test_what_does_not_build_is_told_with_its_log_on_the_build_host_and_on_the_coordinator(
    fleet: Fleet, watch: PublicWatch
) -> None:
    label = fleet.begin()
    fleet.develop('printf "  - echo this cannot work; false\\n" >> elements/hello.bst')
    run = fleet.start()
    assert run.ended(RELEASES) != 0, run.text
    task, said = run.failure
    assert "release_build" in task
    assert "hello.bst failed to build" in said
    assert "These are paths on build-x86" in said
    assert f"{fleet.kept}/logs/build-x86-*" in said
    assert "this cannot work" in fleet.on("coordinator-1", f"cat {fleet.kept}/logs/build-x86-failed-*hello*.log")
    assert label not in watch.labels
    assert watch.wrong == []


def first_line(said: str) -> str:
    """The message of a failure, short enough for a table."""
    message = re.search(r"\[ERROR\]: (?:Task failed: )?(?:Action failed: |Module failed: )?([\s\S]*?)\nOrigin: ", said)
    text = " ".join((message[1] if message else said).split()).replace("|", "/")
    return text if len(text) < 300 else f"{text[:297]}..."
