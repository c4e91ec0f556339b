"""Packages without a distro file are stamped with the example's inventory, and installed by a real apt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from aptclient import Client, RefusedError, served
from debs import make_deb

from .conftest import ROOT, Ran, tree

PLATFORM = "deb [trusted=yes] copy:{}/base bookworm main"


@dataclass
class Tools:
    """The example's site below a directory, with debs, and a platform that has nothing but its libc."""

    base: Path

    @property
    def fixed(self) -> Path:
        return self.base / "apt/public/fixed"

    def make(self, name: str, version: str, **fields: str) -> Path:
        return make_deb(self.base / "debs", name, version, "amd64", fields=fields)

    def stamp(self, release: str, *, check: bool = False, playbook: str = "stamp", **extra: Any) -> Ran:
        place = self.base / f"run-{len(list(self.base.glob('run-*')))}"
        place.mkdir()
        platform = {"name": "bookworm", "architectures": ["amd64"], "base": [PLATFORM.format(self.base)]}
        runner = ansible_runner.run(
            private_data_dir=str(place),
            project_dir=str(ROOT),
            playbook=f"playbooks/{playbook}.yml",
            inventory=str(ROOT / "examples/set/hosts.yml"),
            extravars={"state": str(self.base), "apt_archive_platforms": [platform], "release": release, **extra},
            envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"},
            cmdline="--check --diff" if check else None,
            quiet=True,
            settings={"job_timeout": 300},
        )
        events = list(runner.events)
        done = [event["event_data"] for event in events if event["event"] == "runner_on_ok"]
        failed = [event["event_data"] for event in events if event["event"] == "runner_on_failed"]
        return Ran(
            runner.rc,
            runner.stdout.read(),
            [data["task"] for data in done if data.get("res", {}).get("changed")],
            [str(data["res"].get("msg")) for data in failed],
        )


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    made = Tools(tmp_path_factory.mktemp("tools"))
    index = made.base / "base/dists/bookworm/main/binary-amd64"
    index.mkdir(parents=True)
    (index / "Packages").write_text("Package: libc6\nVersion: 2.36\nArchitecture: amd64\nFilename: none\nSize: 0\n")
    made.make("greet", "1:1.2-1", Depends="libc6 (>= 2.30)")
    made.make("count", "0.5-3", Depends="greet (>= 1:1.0)")
    return made


def test_a_directory_of_debs_is_locked_published_installed_and_halted_with_an_inventory_of_thirty_lines(
    tools: Tools, tmp_path: Path
) -> None:
    assert len((ROOT / "examples/set/hosts.yml").read_text().splitlines()) < 30
    ran = tools.stamp("2026.1")
    assert ran.status == 0, ran.text
    before = tree(tools.fixed)
    looked = tools.stamp("2026.2", check=True)
    assert looked.status == 0, looked.text
    assert "+bookworm/amd64 count 0.5-3-2026.2~bookworm" in looked.text
    assert tree(tools.fixed) == before
    again = tools.stamp("2026.1")
    assert (again.status, again.changed) == (0, []), again.text
    assert tree(tools.fixed) == before
    assert (tools.base / "records/tools-2026.1/records/stamp.json").exists()
    with served(tools.base / "apt/public") as url:
        place = f"{url}/fixed/snapshots/tools-2026.1"
        client = Client(tmp_path, [f"deb [signed-by={tools.base}/apt/public/key.asc] {place} bookworm main"])
        there = "Package: libc6\nVersion: 2.36\nArchitecture: amd64\nStatus: install ok installed\n"
        (tmp_path / "system/var/lib/dpkg/status").write_text(f"{there}Maintainer: A <a@b.c>\nDescription: there\n\n")
        client.update()
        versions = {"greet": "1:1.2-1-2026.1~bookworm", "count": "0.5-3-2026.1~bookworm"}
        assert client.would_install("count") == versions
        assert "greet (= 1:1.2-1-2026.1~bookworm)" in client.run("apt-cache", "show", "count").stdout
        with pytest.raises(RefusedError):
            client.would_install("greet=1:1.2-1")
    index = tools.fixed / "dists/bookworm/main/binary-amd64/Packages"
    halted = tools.stamp("", playbook="phase", phase="halted")
    assert halted.status == 0, halted.text
    assert "tools-2026.1 is halted at 0 %." in halted.text
    assert index.read_text().count("Phased-Update-Percentage: 0\n") == 2
