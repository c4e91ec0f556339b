"""A mason of a Baserock site builds with Morph.

Morph itself cannot be had any more. What stands in for it here says, and ends with, what its source does: `ERROR: ...`
and 1 for failures, and 0 for a build that a controller cancelled.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.service import (
    build_head,
    find_exit_status,
    read_settings,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.mason.status import find_faults

MORPH = """#!{python}
import json, os, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([os.getcwd(), *sys.argv[1:]]) + "\\n")
if "--version" in sys.argv:
    print("b7dd5f5c")
    sys.exit()
with open({script!r}) as script:
    said, code = json.load(script).get(sys.argv[-1], ["", 0])
for line in said.splitlines():
    print(line if line.startswith("ERROR") else f"2016-07-27 12:00:00 {{line}}")
sys.exit(code)
"""
CLUSTER = """\
name: release
kind: cluster
systems:
- morph: systems/base-x86_64.morph
  deploy: {base-x86_64: {type: tar, location: base-x86_64.tar}}
- morph: systems/base-armv7lhf.morph
  deploy: {base-armv7lhf: {type: tar, location: base-armv7lhf.tar}}
"""
LOCAL, FARM = "systems/base-x86_64.morph", "systems/base-armv7lhf.morph"
BUILT = {
    LOCAL: ["system base-x86_64 is cached at /cache/1.system.base-x86_64-rootfs", 0],
    FARM: ["Requesting build of a b c\nArtifact: http://trove:8080/1.0/artifacts?filename=2.system", 0],
}
REPOSITORY = "baserock:baserock/definitions"


def git(*words: str, cwd: Path) -> str:
    named = ["git", "-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    return subprocess.run([*named, *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


class Site:
    """Definitions for Morph, and a mason that builds one architecture itself and one by a controller."""

    def __init__(self, base: Path) -> None:
        self.base, self.public, self.definitions = base, base / "public", base / "definitions"
        self.public.mkdir()
        for name, text in {
            "clusters/release.morph": CLUSTER,
            LOCAL: "name: base-x86_64\nkind: system\narch: x86_64\nstrata: []\n",
            FARM: "name: base-armv7lhf\nkind: system\narch: armv7lhf\nstrata: []\n",
        }.items():
            (self.definitions / name).parent.mkdir(parents=True, exist_ok=True)
            (self.definitions / name).write_text(text)
        git("init", "-q", "-b", "master", ".", cwd=self.definitions)
        git("add", ".", cwd=self.definitions)
        git("commit", "-q", "-m", "one", cwd=self.definitions)
        self.commit = git("rev-parse", "HEAD", cwd=self.definitions)
        self.calls, self.script, self.morph = base / "calls", base / "script", base / "morph"
        self.morph.write_text(MORPH.format(python=sys.executable, calls=str(self.calls), script=str(self.script)))
        self.morph.chmod(0o755)
        self.time = 1_800_000_000
        self.steps: dict[str, list[str]] = {}
        self.controllers = {"armv7lhf": "arm.example.org:7878"}

    def look(self, says: dict[str, Any] | None = None, *, form: str = "options", **changed: Any) -> Any:
        self.script.write_text(json.dumps({**BUILT, **(says or {})}))
        self.time += 1000
        values = {
            "name": "Mason",
            "definitions": str(self.definitions),
            "branch": "master",
            "cluster": "clusters/release.morph",
            "architectures": ["x86_64", "armv7lhf"],
            "release": "baserock-16.12",
            "bst": "",
            "config": "",
            "work": str(self.base / "work"),
            "public": str(self.public),
            "builder": "morph",
            "morph": {
                "command": [str(self.morph)],
                "config": "/etc/morph.conf",
                "repository": REPOSITORY,
                "controllers": self.controllers,
                "form": form,
            },
            "steps": self.steps,
            **changed,
        }
        (self.base / "mason.json").write_text(json.dumps(values))
        self.settings = read_settings(self.base / "mason.json")
        return build_head(self.settings, clock=lambda: self.time)

    def called(self) -> list[list[str]]:
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        self.calls.write_text("")
        return [call for call in calls if "--version" not in call]

    def status(self) -> Any:
        return json.loads((self.public / "status.json").read_text())

    def faults(self) -> list[str]:
        return find_faults(
            self.status(),
            url="http://mason/",
            commit=self.commit,
            systems=[{"file": LOCAL, "architecture": "x86_64"}, {"file": FARM, "architecture": "armv7lhf"}],
            previous=["baserock-16.12"],
            now=self.time,
            max_age=60,
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_morph_builds_here_and_by_a_controller_what_a_release_then_finds(site: Site) -> None:
    entry = site.look()
    assert entry["state"] == "passed"
    assert sorted(site.called()) == sorted(
        [
            [str(site.base / "work/definitions"), "--config=/etc/morph.conf", *words]
            for words in (
                ["build", f"--repo={REPOSITORY}", f"--ref={site.commit}", LOCAL],
                [
                    *("--controller-initiator-address=arm.example.org", "--controller-initiator-port=7878"),
                    *("distbuild", f"--repo={REPOSITORY}", f"--ref={site.commit}", FARM),
                ],
            )
        ]
    )
    assert site.faults() == []
    assert site.status()["tools"] == {"release": "baserock-16.12", "morph": "b7dd5f5c"}
    assert "(Morph b7dd5f5c)" in (site.public / "index.html").read_text()
    log = next(each["log"] for each in entry["systems"] if each["file"] == LOCAL)
    assert "is cached at /cache" in (site.public / log).read_text()
    assert find_exit_status(site.settings, entry) == 0
    assert find_exit_status(site.settings, site.look()) == 33


def test_an_old_morph_is_told_in_words(site: Site) -> None:
    site.look(form="words")
    assert {tuple(call[-4:]) for call in site.called()} == {
        ("build-morphology", REPOSITORY, site.commit, LOCAL),
        ("distbuild-morphology", REPOSITORY, site.commit, FARM),
    }


def test_a_system_that_morph_does_not_build_is_told_and_left(site: Site) -> None:
    entry = site.look({LOCAL: ["Building chunk a\nERROR: Command failed: sh -c make\nERROR: In chunk a", 1]})
    states = {each["file"]: (each["state"], each["message"]) for each in entry["systems"]}
    assert states == {LOCAL: ("failed", f"{LOCAL}: In chunk a"), FARM: ("passed", "")}
    assert (entry["state"], entry["retry"]) == ("failed", False)
    (fault,) = site.faults()
    assert f"the tools of baserock-16.12 did not build {LOCAL} (x86_64) of {site.commit}" in fault
    assert find_exit_status(site.settings, entry) == 1
    assert site.look() is None


def test_definitions_that_morph_does_not_understand_are_told_in_its_words(site: Site) -> None:
    entry = site.look({LOCAL: ["ERROR: Definitions format version 9 is not supported", 1]})
    message = next(each["message"] for each in entry["systems"] if each["file"] == LOCAL)
    assert message.endswith("Definitions format version 9 is not supported")


@pytest.mark.parametrize(
    "says",
    [
        ["ERROR: Failed to update cached version of repo git://trove/delta/linux", 1],
        ["Build was cancelled", 0],
        ["", 0],
    ],
)
def test_what_other_machines_did_not_do_is_tried_again(site: Site, says: list[Any]) -> None:
    entry = site.look({FARM: says})
    assert (entry["state"], entry["retry"]) == ("failed", True)
    assert find_exit_status(site.settings, entry) == 42
    if says[1] == 0:
        assert (
            "the controller arm.example.org:7878 ended the build of systems/base-armv7lhf.morph without a result"
            in (site.faults()[0])
        )
    assert site.look()["state"] == "passed"


def test_a_morph_that_hangs_is_ended(site: Site) -> None:
    site.morph.write_text("#!/bin/sh\ncase $* in --version) echo 1;; *) exec sleep 60;; esac\n")
    entry = site.look(build_timeout=1)
    assert {each["message"].partition(" was ended")[2] for each in entry["systems"]} == {" after 1 s"}
    assert entry["retry"] is False


def test_a_host_without_morph_is_no_verdict(site: Site) -> None:
    site.morph.unlink()
    entry = site.look()
    assert "was not found" in entry["trouble"]
    assert entry["retry"] is True


def step(site: Site, name: str, code: int) -> list[str]:
    return ["/bin/sh", "-c", f"echo {name} $MASON_COMMIT $MASON_CLUSTER >> {site.base}/steps; exit {code}"]


def test_what_is_built_is_tried_and_then_uploaded(site: Site) -> None:
    site.steps = {"test": step(site, "test", 0), "upload": step(site, "upload", 33)}
    entry = site.look()
    assert [(each["name"], each["state"]) for each in entry["steps"]] == [("test", "passed"), ("upload", "skipped")]
    facts = f"{site.commit} clusters/release.morph"
    assert (site.base / "steps").read_text() == f"test {facts}\nupload {facts}\n"
    assert (entry["state"], site.faults()) == ("passed", [])
    assert "upload" in (site.public / "index.html").read_text()


@pytest.mark.parametrize(("code", "retry"), [(1, False), (42, True)])
def test_what_does_not_pass_is_not_uploaded_nor_released(site: Site, code: int, retry: bool) -> None:
    site.steps = {"test": step(site, "test", code), "upload": step(site, "upload", 0)}
    entry = site.look()
    assert (entry["state"], entry["retry"]) == ("failed", retry)
    assert [each["name"] for each in entry["steps"]] == ["test"]
    (fault,) = site.faults()
    assert fault.startswith(
        f"{site.commit} did not pass the step test on the mason at http://mason/: /bin/sh ended with "
    )
    assert "its log is http://mason/logs/" in fault


def test_what_was_not_built_is_not_tried(site: Site) -> None:
    site.steps = {"test": step(site, "test", 0)}
    entry = site.look({LOCAL: ["ERROR: no", 1]})
    assert entry["steps"] == []
    assert not (site.base / "steps").exists()


def test_no_network_is_42(site: Site) -> None:
    entry = site.look(definitions="/nowhere/definitions.git")
    assert entry is None
    assert find_exit_status(site.settings, entry) == 42
