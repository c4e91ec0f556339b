"""The checkout keeps its own rules."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
MODULES = sorted((ROOT / "library").glob("*.py"))


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_there_are_roles_and_modules():
    assert len(ROLES) > 5
    assert len(MODULES) > 5
    assert {role.name for role in ROLES} == {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_defaults_of_a_role_are_those_of_its_argument_specs(role):
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    documented = {
        name: option["default"]
        for entry in specs.values()
        for name, option in (entry.get("options") or {}).items()
        if "default" in option
    }
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    assert {name: value for name, value in defaults.items() if not name.startswith("_")} == documented


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_documentation_of_a_role_can_be_rendered(role):
    """What antsibull-docs refuses in the end, sooner."""
    for entry, spec in yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"].items():
        assert {"short_description", "description"} <= spec.keys(), entry
        for name, option in (spec.get("options") or {}).items():
            assert option["description"], name


@pytest.mark.parametrize("playbook", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.name)
def test_a_playbook_is_short_enough_to_be_understood_in_a_minute(playbook):
    lines = [line for line in playbook.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 36
    assert "-" not in playbook.name


def test_the_collection_shows_the_checkout():
    farm = ROOT / "collections/ansible_collections/slipway/release"
    for name in ("plugins", "roles", "playbooks", "meta", "galaxy.yml", "README.md"):
        assert (farm / name).resolve() == ROOT / name
    for name, target in {
        "modules": "library",
        "module_utils": "module_utils",
        "filter": "filter_plugins",
        "action": "action_plugins",
        "lookup": "lookup_plugins",
        "callback": "callbacks",
        "doc_fragments": "doc_fragments",
    }.items():
        assert (ROOT / "plugins" / name).resolve() == ROOT / target


def test_no_file_names_a_path_of_one_machine():
    ours = re.compile(
        "|".join(re.escape(str(path)) + "/" for path in (ROOT, ROOT.parent, Path.home()) if path != Path("/"))
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:80]}"
        for path in tracked()
        if path.stat().st_size < 1_000_000
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if ours.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "name", ["debian-packages.txt", "debian-packages-boot.txt", "debian-packages-debs.txt", "debian-packages-test.txt"]
)
def test_the_lists_of_debian_packages_are_sorted_and_have_no_doubles(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    packages = [line for line in lines if line]
    assert packages == sorted(set(packages))


ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


def test_the_walks_are_short_and_name_files_that_are_there():
    walks = ARCHITECTURE.partition("## Four walks")[2].partition("\n## ")[0]
    steps = [len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) for walk in walks.split("\n### ")[1:]]
    assert len(steps) == 4
    assert 0 < min(steps) <= max(steps) < 10
    named = re.findall(r"`([a-z_/]+\.(?:py|yml))`", walks)
    assert len(named) > 20
    absent = [name for name in named if not ((ROOT / name).exists() or (ROOT / "module_utils/slipway" / name).exists())]
    assert absent == []


def test_the_architecture_draws_the_floors_that_are_kept(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests")
    floors = importlib.import_module("check_tree").FLOORS
    rows = re.findall(r"^\| (\d?) ?\| `(\w+)` \| [^|]* \| (?:`([\w ]+)` )?\|$", ARCHITECTURE, re.MULTILINE)
    assert {name: set(below.split()) for _floor, name, below in rows} == floors
    height, drawn = {}, 0
    for floor, name, _below in rows:
        drawn = int(floor or drawn)
        height[name] = drawn
    assert height == {name: height_of(name, floors) for name in floors}
    ground = re.search(r"\| 0 \| the ground \| `([\w ]+)` \| \|", ARCHITECTURE)
    assert ground[1].split() == sorted(path.stem for path in (ROOT / "module_utils/slipway").glob("[a-z]*.py"))


def height_of(name, floors):
    return 1 + max((height_of(below, floors) for below in floors[name]), default=0)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_describes_a_role_is_no_template(role):
    # Ansible renders all of it before it judges the arguments.
    described = re.findall(r"description:(?:(?!\n +\w+:).)*", (role / "meta/argument_specs.yml").read_text(), re.DOTALL)
    assert [text for text in described if "{{" in text] == []
