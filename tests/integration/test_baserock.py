"""A whole release on a Baserock site: the example inventory, with peers in the place of its services.

The controller replays a real one's words, Lorry Controller and the cache servers keep state, git and rsync are real,
and ``morph`` is a script that answers ``deploy`` and ``list-artifacts``.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.morph import Morph
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.service import Settings, build_head
from peers.distbuild_replay import ReplayPeer, scene
from peers.lorry_controller import LorryControllerPeer
from peers.morph_cache import MorphCachePeer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "inventory/example/baserock"
DEFINITIONS = "baserock/baserock/definitions"
SYSTEM = "e50e2199a53186cd7c555fa52ae90280a4532900cacbca7c5d0fb7ae9a4e8b22.system.test-system-x86_64-rootfs"
CHUNK = f"{'7' * 64}.chunk.test-chunk-runtime"
PROVISION = ("playbooks/provision.yml", "--tags", "coordinator")
FILES = {
    "VERSION": "version: 8\n",
    "clusters/release.morph": """
name: release
kind: cluster
systems:
- morph: systems/test-system-x86_64.morph
  deploy:
    test-system-x86_64:
      type: rawdisk
      location: test-system-x86_64.img
      DISK_SIZE: 4G
""",
    "systems/test-system-x86_64.morph": "name: test-system-x86_64\nkind: system\narch: x86_64\nstrata: []\n",
}
MORPH = """#!{python}
import json, sys
open({calls!r}, "a").write(json.dumps(sys.argv[1:]) + "\\n")
if "list-artifacts" in sys.argv:
    print({artifacts!r})
if "deploy" in sys.argv:
    location = next(word.partition("=")[2] for word in sys.argv if ".location=" in word)
    open(location, "wb").write(b"a disk" * 100000)
"""


def git(*words: str, cwd: Path) -> str:
    named = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=master"]
    return subprocess.run([*named, *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


class Baserock:
    """The site: its repositories and services, and an inventory copied from the example."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.state = top / "state"
        self.public, self.mirror = (top / name / f"{DEFINITIONS}.git" for name in ("public", "local"))
        self.wiki = top / "wiki.git"
        for bare in (self.public, self.mirror, self.wiki):
            git("init", "--quiet", "--bare", str(bare), cwd=top)
        work = top / "work"
        git("clone", "--quiet", str(self.public), str(work), cwd=top)
        for name, text in FILES.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        git("add", ".", cwd=work)
        git("commit", "--quiet", "-m", "Definitions", cwd=work)
        git("push", "--quiet", "origin", "HEAD:master", cwd=work)
        self.bin = top / "bin"
        self.bin.mkdir()
        self.calls = top / "calls"
        text = MORPH.format(python=sys.executable, calls=str(self.calls), artifacts=f"{SYSTEM}\n{CHUNK}")
        (self.bin / "morph").write_text(text)
        (self.bin / "morph").chmod(0o755)
        self.caches = [top / "local-cache", top / "public-cache"]
        for cache in self.caches:
            cache.mkdir()
        (self.caches[0] / CHUNK).write_bytes(b"a chunk")
        self._runs = 0

    def fetch(self) -> None:
        """What a job of Lorry Controller does."""
        git("fetch", "--quiet", str(self.public), "+refs/*:refs/*", cwd=self.mirror)

    def mason(self) -> Path:
        """What a mason of this site publishes, after one look at the definitions."""
        public = self.top / "mason"
        public.mkdir()
        settings = Settings(
            name="Mason",
            definitions=str(self.public),
            branch="master",
            cluster="clusters/release.morph",
            architectures=("x86_64",),
            release="baserock-26.46",
            bst="",
            config=Path(),
            work=self.top / "mason-work",
            public=public,
            builder="morph",
            morph=Morph((str(self.bin / "morph"),), repository="baserock:baserock/definitions"),
        )
        entry = build_head(settings)
        assert entry is not None
        assert entry["state"] == "passed", entry
        return public

    def inventory(self, controller: int, lorry: str, caches: list[str], masons: list[str] | None = None) -> Path:
        """The example with the addresses of this site: other hosts, other values of the same variables."""
        made = self.top / "inventory"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(EXAMPLE, made)
        hosts = yaml.safe_load((made / "hosts.yml").read_text())
        for group in hosts["all"]["children"].values():
            if group:
                group["hosts"] = {"localhost": None}
        hosts["all"]["vars"] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
        }
        (made / "hosts.yml").write_text(yaml.safe_dump(hosts))
        values = yaml.safe_load((made / "group_vars/all.yml").read_text())
        state = str(self.state)
        values.update(
            site_controllers={"x86_64": f"127.0.0.1:{controller}"},
            site_local_cache=caches[0],
            release_definitions_url=str(self.public),
            release_definitions_mirror_url=str(self.mirror),
            release_state_directory=state,
            release_promote_url=lorry,
            release_promote_tunnel="",
            release_publish_artifacts_public_url=caches[1],
            release_publish_artifacts_destination=str(self.caches[1]),
            release_publish_private_dir=f"{state}/download/private",
            release_publish_public_dir=f"{state}/download/public",
            release_publish_channels=[f"file://{state}/download/public"],
            release_notes_repository=str(self.wiki),
            release_announce_smtp_host="",
            release_bills=False,  # what these networks build is no archive
            release_preflight_min_free_gib=0,
            release_preflight_mason_urls=masons or [],
            coordinator_morph_conf=str(self.top / "morph.conf"),
            coordinator_wiki=str(self.wiki),
            coordinator_gnupghome=f"{state}/gnupg",
            coordinator_public_key=f"{state}/key.asc",
        )
        (made / "group_vars/all.yml").write_text(yaml.safe_dump(values))
        return made

    def play(self, playbook: str, inventory: Path, *words: str) -> Any:
        self._runs += 1
        private = self.top / f"run-{self._runs}"
        private.mkdir()
        runner = ansible_runner.run(
            private_data_dir=str(private),
            project_dir=str(ROOT),
            playbook=playbook,
            inventory=str(inventory),
            extravars={"version": "26.47"},
            envvars={
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "0",
                "PATH": f"{self.bin}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            },
            cmdline=" ".join(words) or None,
            quiet=True,
            settings={"job_timeout": 300, "idle_timeout": 200, "pexpect_timeout": 5},
        )
        self.changed = [
            event["event_data"]["task"]
            for event in runner.events
            if event["event"] == "runner_on_ok" and event["event_data"].get("res", {}).get("changed")
        ]
        return runner.rc, runner.stdout.read()


@pytest.fixture
def baserock(tmp_path: Path) -> Baserock:
    return Baserock(tmp_path)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The address of a directory's files."""
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_baserock_site_releases_with_hosts_and_group_vars_alone(baserock: Baserock) -> None:
    lorry = LorryControllerPeer(["delta/linux", DEFINITIONS], watched=DEFINITIONS, results=[("0", baserock.fetch)])
    with (
        ReplayPeer([scene("success-fresh")]) as controller,
        lorry,
        MorphCachePeer(baserock.caches[0]) as local,
        MorphCachePeer(baserock.caches[1]) as public,
        served(baserock.mason()) as mason,
    ):
        inventory = baserock.inventory(controller.port, lorry.url, [local.url, public.url], [mason])
        status, text = baserock.play(PROVISION[0], inventory, *PROVISION[1:])
        assert status == 0, text
        assert "trove-id = example" in (baserock.top / "morph.conf").read_text()

        status, text = baserock.play("release.yml", inventory, "--check", "--diff")
        assert status == 0, text
        assert controller.received == []
        assert [method for method, _ in lorry.requests if method == "POST"] == []

        # The controller's last step puts the system into the shared cache.
        (baserock.caches[0] / SYSTEM).write_bytes(b"a system")
        status, text = baserock.play("release.yml", inventory)
        assert status == 0, text
        assert "the controller calls this build InitiatorConnection-1" in text
        (request,) = controller.of_type("build-request")
        commit = git("rev-parse", "master", cwd=baserock.public)
        assert (request["ref"], request["repo"]) == (commit, "baserock:baserock/definitions")
        assert request["original_ref"] == "baserock/release/baserock-26.47"
        assert {path.name for path in baserock.caches[1].iterdir()} == {SYSTEM, CHUNK}

        release = baserock.state / "releases/26.47"
        asked = json.loads((release / "records/preflight.json").read_text())["outputs"]["masons"]
        assert asked == [{"url": mason, "passed": True, "override": ""}]
        built = json.loads((release / "records/build-test-system-x86_64.json").read_text())
        assert built["outputs"] == {"key": SYSTEM[:64], "artifact": SYSTEM}
        assert "checking for gcc" in (release / "logs/test-system-x86_64/build-step-stage1-chunk.log").read_text()
        assert (release / "images/baserock-26.47-test-system-x86_64.img").stat().st_size == 600_000
        assert git("rev-parse", "baserock-26.47^{commit}", cwd=baserock.public) == commit
        calls = [json.loads(line) for line in baserock.calls.read_text().splitlines()]
        (deploy,) = [call for call in calls if call[0] == "deploy"]
        assert "test-system-x86_64.VERSION_LABEL=baserock-26.47" in deploy

        status, text = baserock.play("release.yml", inventory)
        assert status == 0, text
        assert baserock.changed == []
        assert len(controller.of_type("build-request")) == 1


def test_a_failed_build_is_named_and_nothing_is_deployed(baserock: Baserock) -> None:
    lorry = LorryControllerPeer([DEFINITIONS], watched=DEFINITIONS, results=[("0", baserock.fetch)])
    with (
        ReplayPeer([scene("build-failed"), scene("success-fresh")]) as controller,
        lorry,
        MorphCachePeer(baserock.caches[0]) as local,
        MorphCachePeer(baserock.caches[1]) as public,
    ):
        inventory = baserock.inventory(controller.port, lorry.url, [local.url, public.url])
        assert baserock.play(PROVISION[0], inventory, *PROVISION[1:])[0] == 0
        status, text = baserock.play("release.yml", inventory)
        assert status != 0
        plain = " ".join(text.split())
        assert "the step fail-chunk failed on localhost:3434" in plain
        assert "build-step-fail-chunk.log" in plain
        assert not baserock.calls.exists() or "deploy" not in baserock.calls.read_text()
        (baserock.caches[0] / SYSTEM).write_bytes(b"a system")
        status, text = baserock.play("release.yml", inventory)
        assert status == 0, text
