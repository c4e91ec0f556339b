"""A mason builds what is new once, and says of each system how it stands."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.release.plugins.lookup.logic_files import LookupModule
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.log import Event
from ansible_collections.slipway.release.plugins.module_utils.slipway.buildstream.session import BuildError, Fault
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.service import (
    build_head,
    is_due,
    read_settings,
    time,
)

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests/integration/definitions"
FILES = {"systems/tiny-system-x86_64.bst", "systems/tiny-initramfs.bst"}


def git(directory, *words):
    identity = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    done = subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Site:
    """Definitions, a mason's directories, a clock, and in the place of BuildStream something that keeps notes."""

    def __init__(self, base):
        self.definitions = base / "definitions"
        shutil.copytree(TINY, self.definitions)
        git(self.definitions, "init", "-q", "--initial-branch=master")
        git(self.definitions, "add", "--all")
        git(self.definitions, "commit", "-qm", "one")
        self.public = base / "public"
        self.public.mkdir()
        self.tool = base / "bst"
        self.tool.write_text("#!/bin/sh\necho 2.8.1\n")
        self.tool.chmod(0o755)
        self.values = {
            "name": "Mason <1>",
            "definitions": str(self.definitions),
            "branch": "master",
            "cluster": "clusters/release.morph",
            "architectures": ["x86_64"],
            "options": {"x86_64": {"arch": "x86_64"}},
            "release": "tiny-1",
            "bst": str(self.tool),
            "config": str(base / "bst.conf"),
            "work": str(base / "work"),
            "public": str(self.public),
            "keep": 2,
            "interval": 60,
            "retry": 100,
        }
        self.file = base / "mason.json"
        self.time = 1_800_000_000
        self.built = []
        self.outcome = lambda: None
        self.seen = []

    def look(self, **changed):
        self.file.write_text(json.dumps({**self.values, **changed}))
        self.time += 1
        return build_head(read_settings(self.file), build=self.build, clock=lambda: self.time)

    def build(self, project, builds, *, log_directory, timeout, on_event):
        assert (project.directory / "project.conf").is_file()
        assert timeout == 86400
        self.built.append((git(project.directory, "rev-parse", "HEAD"), builds))
        for name in ("build-x86_64.log", "failed.log"):
            (log_directory / name).write_text("a log\n")
        self.time += 10
        self.seen.append(self.status()["builds"][0]["state"])
        self.log_directory = log_directory
        self.told = on_event
        self.outcome()

    def commit(self):
        git(self.definitions, "commit", "-q", "--allow-empty", "-m", "more")
        return git(self.definitions, "rev-parse", "HEAD")

    def status(self):
        return json.loads((self.public / "status.json").read_text())

    def fail(self, action):
        error = BuildError("build", "1 of 2 systems", "failed", do_next="Look.")
        fault = Fault(action, f"hello.bst failed to {action}", self.log_directory / "failed.log")
        error.lost = {("x86_64", "systems/tiny-system-x86_64.bst"): [fault]}
        raise error


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_the_head_is_built_once_for_the_masons_architectures(site):
    entry = site.look()
    assert entry["state"] == "passed"
    ((commit, (build,)),) = site.built
    assert commit == git(site.definitions, "rev-parse", "HEAD")
    assert (build.architecture, set(build.elements), build.options) == ("x86_64", FILES, {"arch": "x86_64"})
    assert site.look() is None
    assert len(site.built) == 1
    assert site.seen == ["building"]


def test_systems_of_architectures_that_only_this_site_knows_are_built_too(site):
    path = site.definitions / "clusters/release.morph"
    other = "- {morph: systems/tiny-system-x86_64.bst, arch: riscv64, deploy: {other: {type: tar, location: o}}}\n"
    path.write_text(path.read_text() + other)
    git(site.definitions, "commit", "-qam", "riscv64")
    site.look(architectures=["riscv64", "x86_64"])
    assert sorted(build.architecture for _commit, builds in site.built for build in builds) == ["riscv64", "x86_64"]


def test_the_status_says_all_that_a_release_asks(site):
    site.look()
    status = site.status()
    assert status["tools"] == {"release": "tiny-1", "bst": "2.8.1"}
    assert status["commit"] == git(site.definitions, "rev-parse", "HEAD")
    assert (status["looked"], status["written"]) == ("2027-01-15T08:00:01Z", "2027-01-15T08:00:11Z")
    for system in status["builds"][0]["systems"]:
        assert (system["state"], system["started"], system["ended"]) == (
            "passed", "2027-01-15T08:00:01Z", "2027-01-15T08:00:11Z",
        )  # fmt: skip
        assert (site.public / system["log"]).read_text() == "a log\n"
    shown = (site.public / "index.html").read_text()
    assert "Mason &lt;1&gt;" in shown
    assert status["commit"] in shown


def test_a_system_has_passed_as_soon_as_it_is_built(site):
    def outcome():
        site.told("x86_64", Event("systems/tiny-initramfs.bst", "build", "done", ""))
        site.told("x86_64", Event("hello.bst", "build", "done", ""))
        states = {each["file"]: each["state"] for each in site.status()["builds"][0]["systems"]}
        assert states == {"systems/tiny-initramfs.bst": "passed", "systems/tiny-system-x86_64.bst": "building"}

    site.outcome = outcome
    assert site.look()["state"] == "passed"


def test_a_failed_system_is_told_with_its_log_and_left_until_the_branch_moves(site):
    site.outcome = lambda: site.fail("build")
    entry = site.look()
    assert entry["state"] == "failed"
    states = {each["file"]: (each["state"], each["message"]) for each in entry["systems"]}
    assert states == {
        "systems/tiny-initramfs.bst": ("passed", ""),
        "systems/tiny-system-x86_64.bst": ("failed", "hello.bst failed to build"),
    }
    (failed,) = [each for each in entry["systems"] if each["state"] == "failed"]
    assert failed["log"] == f"{entry['logs']}failed.log"
    site.time += 10_000
    assert site.look() is None
    site.outcome = lambda: None
    moved = site.commit()
    assert site.look()["state"] == "passed"
    assert [each["commit"] for each in site.status()["builds"]] == [moved, entry["commit"]]


@pytest.mark.parametrize("action", ["fetch", "pull"])
def test_what_may_pass_is_tried_again_after_a_while(site, action):
    site.outcome = lambda: site.fail(action)
    assert site.look()["retry"] is True
    assert site.look() is None
    site.time += 100
    site.outcome = lambda: None
    assert site.look()["state"] == "passed"
    assert len(site.status()["builds"]) == 1


def test_a_host_that_cannot_build_is_no_verdict_on_the_commit(site):
    site.look(bst="/nowhere/bst")
    (build,) = site.status()["builds"]
    assert build["retry"] is True
    assert "/nowhere/bst was not found" in build["trouble"]
    site.time += 100
    assert site.look()["state"] == "passed"


def test_a_trove_that_does_not_answer_is_told_and_what_was_known_stays(site):
    site.look()
    assert site.look(definitions="/nowhere/definitions.git") is None
    status = site.status()
    assert "/nowhere/definitions.git" in status["trouble"]
    assert status["builds"][0]["state"] == "passed"
    assert status["looked"] < status["written"]
    site.look()
    assert site.status()["trouble"] == ""


def test_a_branch_that_is_not_there_is_told(site):
    site.look(branch="next")
    assert "there is no branch next" in site.status()["trouble"]


def test_passwords_of_addresses_are_not_published(site):
    site.look(definitions="http://user:hidden@127.0.0.1:1/definitions.git")
    assert "hidden" not in (site.public / "status.json").read_text()
    assert "hidden" not in (site.public / "index.html").read_text()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"cluster": "clusters/none.morph"}, "there is no such file"),
        ({"architectures": ["armv7lhf"]}, "it has no system for armv7lhf"),
    ],
)
def test_a_cluster_that_cannot_be_built_never_passes(site, changed, fault):
    entry = site.look(**changed)
    assert (entry["state"], entry["retry"]) == ("failed", False)
    assert fault in entry["trouble"]
    assert site.built == []


def test_other_tools_build_the_head_again(site):
    site.look()
    assert site.look(release="tiny-2")["tools"]["release"] == "tiny-2"
    assert site.look(release="tiny-2") is None
    assert len(site.status()["builds"]) == 1


def test_an_interrupted_build_is_begun_again(site):
    def interrupted():
        raise KeyboardInterrupt

    site.outcome = interrupted
    with pytest.raises(KeyboardInterrupt):
        site.look()
    assert site.status()["builds"][0]["state"] == "building"
    site.outcome = lambda: None
    assert site.look()["state"] == "passed"


def test_only_the_last_results_and_logs_are_kept(site):
    (site.public / "logs").mkdir()
    (site.public / "logs/mine").mkdir()
    for _ in range(4):
        site.look()
        site.commit()
    builds = site.status()["builds"]
    assert len(builds) == 2
    assert {path.name for path in (site.public / "logs").iterdir()} == {
        "mine", *(each["logs"].removeprefix("logs/").rstrip("/") for each in builds)
    }  # fmt: skip


def test_a_long_build_goes_on_writing_the_status(site):
    def slow():
        site.time += 1000
        deadline = time.monotonic() + 10
        while site.status()["written"] < "2027-01-15T08:16":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    site.outcome = slow
    assert site.look(interval=0.1)["state"] == "passed"


def test_files_that_a_commit_removed_are_not_built_upon(site):
    site.look()
    stray = Path(site.values["work"]) / "definitions/stray.bst"
    stray.write_text("kind: stack\n")
    git(site.definitions, "rm", "-q", "elements/initramfs-init.bst")
    site.commit()
    site.look()
    assert not stray.exists()
    assert not (stray.parent / "elements/initramfs-init.bst").exists()


def test_a_broken_status_is_begun_anew(site):
    (site.public / "status.json").write_text("[")
    assert site.look()["state"] == "passed"


def test_two_masons_do_not_work_in_the_same_place(site):
    def outcome():
        with pytest.raises(SlipwayError, match="Could not work as a mason in"):
            site.look()

    site.outcome = outcome
    assert site.look()["state"] == "passed"
    assert len(site.built) == 1


def test_a_time_in_the_future_does_not_keep_from_trying():
    entry = {"tools": {"release": "1"}, "ended": "2027-01-15T08:00:11Z", "retry": True}
    assert is_due(entry, release="1", retry=100, now=0)


def test_settings_that_are_none_are_refused(tmp_path):
    (tmp_path / "mason.json").write_text("{}")
    with pytest.raises(SlipwayError, match="Provision this host again"):
        read_settings(tmp_path / "mason.json")


def test_the_role_installs_all_that_the_program_stands_on(site, tmp_path):
    variables = yaml.safe_load((ROOT / "roles/mason/vars/main.yml").read_text())
    packages = variables["_mason_logic"]
    assert packages == sorted(packages)
    home = tmp_path / "lib"
    for file in LookupModule().run(packages):
        (home / file["path"]).parent.mkdir(parents=True, exist_ok=True)
        (home / file["path"]).write_text(file["content"])
    shutil.copy(ROOT / "roles/mason/files/mason.py", home)
    imported = {
        part.module.split(".")[0]
        for path in (home / "slipway").glob("*/*.py")
        for part in ast.walk(ast.parse(path.read_text()))
        if isinstance(part, ast.ImportFrom) and part.level == 2 and part.module
    }
    assert {name for name in imported if not (home / "slipway" / f"{name}.py").is_file()} <= set(packages)
    site.look()
    done = subprocess.run(
        ["/usr/bin/python3", "-B", home / "mason.py", site.file],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    site.file.write_text("{}")
    done = subprocess.run(
        ["/usr/bin/python3", "-B", home / "mason.py", site.file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Could not read the settings")
