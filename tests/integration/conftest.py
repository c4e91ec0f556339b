"""Drives the project as a user does, through ansible-runner, on state directories of the tests' own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway import aptsources

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
        self.state = base / "state"
        self.public = self.state / "download/public"
        self.private = self.state / "download/private"
        self.definitions = self.state / "trove/public/baserock/baserock/definitions.git"
        self.variables = variables or {}
        self.environment = {
            "SLIPWAY_STATE": str(self.state),
            "SLIPWAY_CACHE": str(cache),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
        }
        self._runs = 0

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


@pytest.fixture(scope="session")
def tiny_definitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The definitions of the tests with a static busybox as their base."""
    directory = tmp_path_factory.mktemp("definitions") / "definitions"
    shutil.copytree(Path(__file__).parent / "definitions", directory)
    base = directory / "files/base/bin"
    base.mkdir(parents=True)
    shutil.copy("/bin/busybox", base / "busybox")
    for applet in APPLETS:
        (base / applet).symlink_to("busybox")
    return directory


@pytest.fixture(scope="session")
def cache() -> Path:
    """Things that may outlive the tests: base systems and sources."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SLIPWAY_CACHE") or Path(home) / "slipway")


@pytest.fixture
def site(tmp_path: Path, cache: Path, tiny_definitions: Path) -> Site:
    """A provisioned site with the tiny distribution."""
    made = tiny_site(tmp_path, cache, tiny_definitions)
    made.provision()
    return made


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


@pytest.fixture(scope="session")
def chroot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clean system; tests leave it as they would want to find it."""
    root = tmp_path_factory.mktemp("chroot") / "root"
    debian = aptsources.resolved([DEBIAN])
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", "bookworm", str(root), *debian], check=True
    )
    yield root
    shutil.rmtree(root)
