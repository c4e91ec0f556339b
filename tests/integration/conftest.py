"""Drives the project as a user does, through ansible-runner, on state directories of the tests' own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.sources import resolve_mirrors
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import format_json, seal_record

ROOT = Path(__file__).resolve().parents[2]
RELEASE, PROVISION = "release.yml", "playbooks/provision.yml"
DEBIAN = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] machine bookworm main"
APPLETS = ("sh", "mkdir", "cat", "echo", "printf", "cp", "chmod", "false")


@dataclass
class Ran:
    """What a run of playbooks left."""

    status: int
    text: str
    changed: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        return "\n".join(self.failures)


class Site:
    """One state directory and what is released there."""

    def __init__(self, base: Path, cache: Path, variables: dict[str, Any] | None = None) -> None:
        self.base = base
        self.cache = cache
        self.state = base / "state"
        self.public = self.state / "download/public"
        self.private = self.state / "download/private"
        self.definitions = self.state / "trove/public/baserock/baserock/definitions.git"
        # The example's own policy starts its systems; bills of materials have a test of their own.
        self.variables = {"release_policy": {}, "release_bills": False, "debs_stamp_bills": False, **(variables or {})}
        self.environment = {
            "SLIPWAY_STATE": str(self.state),
            "SLIPWAY_CACHE": str(cache),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
        }
        self._runs = 0

    def copied(self, base: Path) -> Site:
        """The same site below another directory: files that name the place name the new one."""
        made = Site(base, self.cache, self.variables)
        base.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.state, made.state], check=True)
        before, after = str(self.state).encode(), str(made.state).encode()
        for top, _, names in os.walk(made.state):
            for path in (Path(top) / name for name in names):
                if path.is_symlink() or "objects" in path.parts:  # whatever names its own digest
                    continue
                stat, text = path.stat(), path.read_bytes()
                if before in text:
                    text = text.replace(before, after)
                    path.write_bytes(
                        format_json(seal_record(json.loads(text))) if path.parent.name == "records" else text
                    )
                    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        for source in made.state.glob("releases/*/source"):
            git("update-index", "-q", "--refresh", cwd=source)  # its index knew the files by their inodes
        return made

    def release_directory(self, version: str) -> Path:
        return self.state / "releases" / version

    def provision(self) -> Ran:
        ran = self.play(PROVISION)
        assert ran.status == 0, ran.text
        return ran

    def release(self, version: Any = "26.47", *, tags: str = "", check: bool = False, **extra: Any) -> Ran:
        return self.play(RELEASE, tags=tags, check=check, **({} if version is None else {"version": version}), **extra)

    def released(self, version: str = "26.47", **extra: Any) -> Ran:
        ran = self.release(version, **extra)
        assert ran.status == 0, ran.text
        return ran

    def play(self, playbook: str, *, tags: str = "", check: bool = False, **extra: Any) -> Ran:
        self._runs += 1
        words = [*(["--tags", tags] if tags else []), *(["--check", "--diff"] if check else [])]
        private = self.base / f"run-{self._runs}"
        private.mkdir()
        runner = ansible_runner.run(
            private_data_dir=str(private),
            project_dir=str(ROOT),
            playbook=playbook,
            inventory=str(ROOT / "inventory/local"),
            extravars={**self.variables, **extra},
            envvars=self.environment,
            cmdline=" ".join(words) or None,
            quiet=True,
            settings={"job_timeout": 900, "idle_timeout": 600, "pexpect_timeout": 5},
        )
        events = list(runner.events)
        return Ran(
            status=runner.rc,
            text=runner.stdout.read(),
            changed=[
                event["event_data"]["task"]
                for event in events
                if event["event"] == "runner_on_ok" and event["event_data"].get("res", {}).get("changed")
            ],
            failures=[
                str(event["event_data"]["res"].get("msg"))
                for event in events
                if event["event"] in ("runner_on_failed", "runner_on_unreachable")
            ],
        )

    def command(self, *words: str) -> list[str]:
        """The same run as a command line, for tests that start and kill it themselves."""
        variables = json.dumps(self.variables)
        return ["ansible-playbook", "-i", str(ROOT / "inventory/local"), "-e", variables, *words]


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def tree(directory: Path) -> dict[str, tuple[Any, ...]]:
    """Every path below a directory with what tells a change: kind, mode, size, modification time, link target."""
    found: dict[str, tuple[Any, ...]] = {}
    for top, names, files in os.walk(directory):
        for name in [*names, *files]:
            path = Path(top) / name
            stat = path.lstat()
            target = os.readlink(path) if path.is_symlink() else ""
            found[str(path.relative_to(directory))] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, target)
    return found


def made_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """What the workers of a run share: the first that needs it makes it, the others wait for that."""
    with open(f"{directory}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = directory / "made"
        if not done.exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            make(directory)
            done.touch()
    return directory


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all workers of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def tiny_definitions(shared: Path) -> Path:
    """The definitions of the tests with a static busybox as their base."""

    def make(top: Path) -> None:
        shutil.copytree(Path(__file__).parent / "definitions", top / "definitions")
        base = top / "definitions/files/base/bin"
        base.mkdir(parents=True)
        shutil.copy("/bin/busybox", base / "busybox")
        for applet in APPLETS:
            (base / applet).symlink_to("busybox")

    return made_once(shared / "tiny", make) / "definitions"


@pytest.fixture(scope="session")
def cache() -> Path:
    """Things that may outlive the tests: base systems and sources."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SLIPWAY_CACHE") or Path(home) / "slipway")


@pytest.fixture(scope="session")
def provisioned(shared: Path, cache: Path, tiny_definitions: Path) -> Site:
    """A provisioned site with the tiny distribution, of which tests take copies."""

    def make(base: Path) -> None:
        tiny_site(base, cache, tiny_definitions).provision()

    return tiny_site(made_once(shared / "provisioned", make), cache, tiny_definitions)


@pytest.fixture(scope="session")
def released(shared: Path, provisioned: Site) -> Site:
    """A site on which 26.47 is released, of which tests take copies; the file ``seconds`` says how long that took."""

    def make(base: Path) -> None:
        site = provisioned.copied(base)
        began = time.monotonic()
        site.released()
        (base / "seconds").write_text(str(time.monotonic() - began))

    return Site(made_once(shared / "released", make), provisioned.cache, provisioned.variables)


@pytest.fixture
def site(tmp_path: Path, provisioned: Site) -> Site:
    """A provisioned site with the tiny distribution."""
    return provisioned.copied(tmp_path)


def tiny_site(base: Path, cache: Path, definitions: Path) -> Site:
    return Site(
        base,
        cache,
        {
            "trove_definitions": str(definitions),
            "trove_imports": [],
            "build_host_architectures": ["x86_64", "x86_32"],
            "build_host_wanted_architectures": ["x86_64", "x86_32"],
            "build_host_bases": {"x86_64": [], "x86_32": []},
            "build_host_project": "slipway-test",
        },
    )


@pytest.fixture(scope="module")
def chroot(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Path]:
    """A clean system; tests leave it as they would want to find it."""

    def make(directory: Path) -> None:
        debian = resolve_mirrors([DEBIAN])
        words = ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", "bookworm"]
        subprocess.run([*words, str(directory / "root.tar"), *debian], check=True)

    packed = made_once(shared / "debian", make) / "root.tar"
    root = tmp_path_factory.mktemp("chroot") / "root"
    root.mkdir()
    subprocess.run(["tar", "--extract", "--numeric-owner", "--xattrs", "-f", packed, "-C", root], check=True)
    yield root
    shutil.rmtree(root)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what each fault led to, as a table in Markdown."""
    reports = terminalreporter.getreports("passed")
    rows = [row for report in reports for name, row in report.user_properties if name == "fault"]
    if rows:
        terminalreporter.section("what became of releases when something failed")
        for row in [("fault", "what the run said", "gave up after", "state after healing"), ("---",) * 4, *rows]:
            terminalreporter.write_line(f"| {' | '.join(row)} |")
