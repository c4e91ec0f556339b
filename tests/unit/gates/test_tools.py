"""Build tools must understand what they are to build, today's and what is merged next; which tools they are is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill import make, program
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.tools import Surroundings, report_tools
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.held import Held
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record

PEOPLE = ["-c", "user.name=Anne", "-c", "user.email=anne@example.org"]


class Site:
    """Definitions, the records of the release before, and a program that says that it is bst."""

    def __init__(self, base: Path) -> None:
        self.base, self.work = base, base / "definitions"
        self.work.mkdir()
        self.git("init", "-q", "-b", "master", ".")
        self.bst = base / "bst"
        self.bst.write_text("#!/bin/sh\necho 2.8.1\n")
        self.bst.chmod(0o755)

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *PEOPLE, *words], cwd=self.work, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, branch: str = "master", **files: str) -> str:
        if self.git("symbolic-ref", "--short", "HEAD") != branch:
            self.git("checkout", "-q", "-b", branch)
        for name, text in files.items():
            (self.work / name).write_text(text)
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "A change")
        commit = self.git("rev-parse", "HEAD")
        self.git("checkout", "-q", "master")
        return commit

    def record(self, stage: str, **tools: str) -> None:
        content = {"stage": stage, "project": "baserock", "version": "16.12", "inputs": {}, "outputs": {}}
        keep_record(self.base / "releases/16.12/records", {**content, "tools": tools})

    def report(
        self, version: str = "16.13", previous: str | None = "16.12", extras: Sequence[dict[str, str]] = (), **more: Any
    ) -> Any:
        plan = {
            "project": "baserock",
            "version": version,
            "label": f"baserock-{version}",
            "definitions": {
                "url": str(self.work),
                "path": "baserock/definitions",
                "commit": self.git("rev-parse", "master"),
            },
            "systems": [{"file": "systems/base.morph"}],
            "remote": {"previous_tag": previous and f"baserock-{previous}"},
            "directories": {"release": str(self.base / "releases" / version)},
            "extras": extras,
        }
        return report_tools(plan, Surroundings(**{"same": "ignore", **more}))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_both_morphs_must_understand_the_definitions(site: Site) -> None:
    site.commit(VERSION="version: 8\n")
    on = f"baserock/definitions at {site.git('rev-parse', 'master')[:12]}"
    found = site.report()
    assert found.findings == [
        f"{on} is in version 8 of Morph's definitions format (VERSION), and the Morph of baserock-16.12 does not take "
        "it, since it understands 7 only: the release before cannot build this one: hold the change back until 16.13 "
        "is released"
    ]
    assert site.report("16.14", "16.13").findings == []
    later = site.report("16.12", "16.11").findings
    assert [each.partition("since ")[2] for each in later] == [
        "it understands 6, 7 only: the release before cannot build this one: hold the change back until 16.12 is "
        "released",
        "it understands 7 only: baserock-16.12 could not build itself: hold the change back until a release that can",
    ]


def test_a_reason_makes_it_a_warning(site: Site) -> None:
    site.commit(VERSION="version: 9\n")
    found = site.report(override="Morph of 16.13 was patched")
    assert found.findings == []
    assert all(each.endswith("; ignored, because Morph of 16.13 was patched") for each in found.warnings)
    assert len(found.warnings) == 2
    assert found.facts["format"] == {"tool": "morph", "version": "9"}


def test_definitions_without_a_version_are_those_of_the_oldest_morph(site: Site) -> None:
    site.commit()
    assert site.report("15.25", "15.24").findings == []
    (finding,) = site.report("15.30", "15.29").findings
    assert "is in version 0 of Morph's definitions format (no file VERSION), and the Morph of baserock-15.30" in finding


def test_the_first_release_has_no_release_before(site: Site) -> None:
    site.commit(VERSION="version: 8\n")
    assert site.report(previous=None).findings == []


def test_buildstream_must_be_as_new_as_the_project_says_here_and_in_the_release_before(site: Site) -> None:
    site.commit(**{"project.conf": "name: x\nmin-version: 2.7\n"})
    site.record("build-systems", bst="2.6.0")
    found = site.report(bst=str(site.bst))
    assert [each.partition(" is in ")[2] for each in found.findings] == [
        "BuildStream 2.7 or later (project.conf), and the BuildStream of baserock-16.12 does not take it, since it is "
        "older than 2.7: the release before cannot build this one: hold the change back until 16.13 is released"
    ]
    site.commit(**{"project.conf": "name: x\nmin-version: 2.9\n"})
    assert "the BuildStream of baserock-16.13 does not take it" in site.report(bst=str(site.bst)).findings[1]
    site.commit(**{"project.conf": "name: x\nmin-version: 2.5\n"})
    assert site.report(bst=str(site.bst)).findings == []


def test_what_is_planned_is_named_and_the_release_must_understand_it(site: Site) -> None:
    text = "- {branch: joe/next, until: 16.20, why: later}\n"
    site.commit(VERSION="version: 7\n", **{"held.yml": text})
    site.commit("sam/format-8", VERSION="version: 8\n")
    site.commit("sam/format-9", VERSION="version: 9\n")
    site.commit("sam/odd", VERSION="version: odd\n")
    held = [Held("sam/format-8", "16.13", "Morph of 16.12 does not take it"), Held("gone", "16.13")]
    found = site.report(held=held, held_file="held.yml")
    assert found.findings == []
    assert found.warnings == [
        "the change sam/format-8 is held back until baserock-16.13 is released (Morph of 16.12 does not take it); it "
        "needs version 8 of Morph's definitions format (VERSION)",
        "the held change gone is no branch of the definitions any more",
        "the change joe/next is held back until 16.20 (later)",
    ]
    assert [each["branch"] for each in found.facts["held"]] == ["sam/format-8", "gone", "joe/next"]
    (finding,) = site.report(held=[Held("sam/format-9", "16.13")]).findings
    assert finding == (
        "the change sam/format-9 that waits for 16.13 is in version 9 of Morph's definitions format (VERSION), and the "
        "Morph of baserock-16.13 does not take it, since it understands 7, 8 only: let it wait for later"
    )
    (finding,) = site.report(held=[Held("sam/odd", "16.13")]).findings
    assert "VERSION of the held change sam/odd: its version is 'odd'" in finding


def test_files_that_cannot_be_read_are_one_sentence(site: Site) -> None:
    site.commit(VERSION="version: eight\n")
    (finding,) = site.report().findings
    assert "its version is 'eight', not a whole number" in finding
    site.commit(VERSION="version: 7\n", **{"held.yml": "- sam\n"})
    (finding,) = site.report(held_file="held.yml").findings
    assert "not a branch and the version it waits for" in finding


def test_whether_the_tools_are_those_of_the_release_before_is_told(site: Site) -> None:
    site.commit(VERSION="version: 7\n")
    unknown = site.report(same="warn").warnings
    assert [each.partition(", so")[0] for each in unknown] == [
        "nothing here says with which tools baserock-16.12 was made"
    ]
    site.record("deploy-one", bst="2.8.1")
    assert site.report(same="require", bst=str(site.bst)).facts["tools"] == {"same": True, "others": {}}
    site.record("package", gpg="1.0")
    found = site.report(same="require", bst=str(site.bst))
    (finding,) = found.findings
    assert finding.startswith(
        "this coordinator has not the tools with which baserock-16.12 was made: gpg was 1.0, is gpg"
    )
    assert found.facts["tools"]["same"] is False
    assert site.report(bst=str(site.bst)).warnings == []


def test_what_bills_of_materials_need_is_there_before_anything_begins(site: Site, tmp_path: Path) -> None:
    site.commit(VERSION="version: 7\n")
    bills = [{"type": "bill"}]
    with_tools = str(Path(sys.executable).parent / "bst")
    assert site.report(extras=bills, bst=with_tools).findings == []
    bare = tmp_path / "bare/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare.parents[1]], check=True)
    shutil.copy(site.bst, bare.parent / "really-bst")
    (finding,) = site.report(extras=bills, bst=str(bare.parent / "really-bst")).findings
    assert finding.startswith("bills of materials need buildstream-sbom, cyclonedx-python-lib, debsbom")
    assert f"which {bare} does not have" in finding
    assert site.report(extras=[{"type": "exec"}], bst=str(bare.parent / "really-bst")).findings == []


def test_the_packages_that_are_looked_for_are_those_that_bills_name() -> None:
    assert make.PACKAGES == program.TOOLS
