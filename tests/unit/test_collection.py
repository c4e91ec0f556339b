"""What somebody gets who installs the collection."""

from __future__ import annotations

import fnmatch
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DIRECTORIES = {"changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
FILES = {"CONTRIBUTING.md", "LICENSE", "README.md", "bindep.txt", "galaxy.yml"}
LATER = {"CHANGELOG.rst"}  # made by the first release


def tracked() -> set[str]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in said.split("\0") if name and (ROOT / name).exists()}


def names(*lists: str) -> set[str]:
    lines = [line for name in lists for line in (ROOT / name).read_text().splitlines()]
    return {name for line in lines if (name := line.partition("#")[0].strip())}


def test_each_file_at_the_top_is_shipped_or_left_out_on_purpose() -> None:
    behind_links = {Path(os.readlink(link)).name for link in (ROOT / "plugins").iterdir()}
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    kept = {
        top
        for top in {name.partition("/")[0] for name in tracked()}
        if not any(fnmatch.fnmatch(top, pattern) for pattern in ignored)
    }
    assert kept - behind_links - LATER == DIRECTORIES | FILES


def test_an_execution_environment_has_the_debian_packages_of_a_release() -> None:
    wanted = names("debian-packages.txt", "debian-packages-debs.txt")
    assert names("bindep.txt") == {f"{name} [platform:dpkg]" for name in wanted}


def test_an_execution_environment_has_the_python_packages_of_a_release_as_they_are_tested() -> None:
    versions = {line.partition("==")[0].lower(): line.partition("==")[2] for line in names("constraints.txt")}
    wanted = names("requirements.txt") - {"ansible-core"}  # the image's own
    assert names("meta/ee-requirements.txt") == {f"{name}=={versions[name.lower()]}" for name in wanted}


def test_an_execution_environment_has_ansible_as_it_is_tested() -> None:
    said = yaml.safe_load((ROOT / "examples/environment/execution-environment.yml").read_text())["dependencies"]
    tools = {said[name]["package_pip"] for name in ("ansible_core", "ansible_runner")}
    assert tools <= names("constraints.txt")


def test_a_release_vm_has_what_its_roles_would_install() -> None:
    def read(role: str, file: str) -> dict[str, Any]:
        return dict(yaml.safe_load((ROOT / f"roles/{role}/{file}/main.yml").read_text()))

    there = read("release_vm", "vars")
    wanted = {
        *read("coordinator", "vars")["_coordinator_packages"],
        *read("build_host", "vars")["_build_host_packages"],
    }
    assert wanted <= {*there["_release_vm_packages"]}
    assert read("coordinator", "defaults")["coordinator_gate_packages"] == there["_release_vm_gate_packages"]
