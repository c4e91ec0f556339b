"""The rules of the tree are kept here, and each finds what breaks it, with file, line and what to do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests/check_tree.py"
LOGIC = "module_utils/slipway"
GOOD = {
    f"{LOGIC}/__init__.py": '"""All of it."""\n',
    f"{LOGIC}/errors.py": "import json\n",
    f"{LOGIC}/release/__init__.py": '"""Releases."""\n',
    f"{LOGIC}/release/names.py": "from ..errors import SlipwayError\nfrom . import records\n",
    f"{LOGIC}/git/remote.py": "from ..release import names\n",
    "roles/trove/tasks/main.yml": "---\n- name: Install the packages\n  ansible.builtin.apt:\n    name: git\n",
    "roles/trove/templates/conf.j2": "outdir = +b/../public\n",
    "roles/trove/files/program.py": "ROOT = '../elsewhere'\n",
    "roles/trove/defaults/main.yml": "---\ntrove_root: /srv\n",
    "roles/trove/meta/argument_specs.yml": (
        "argument_specs:\n  main:\n    options:\n      trove_root: {type: path, default: /srv}\n"
    ),
    "roles/web/files/page.html": "",
    "playbooks/watch.yml": "---\n- hosts: localhost\n- hosts: watch_hosts:!mirrors\n",
    "inventory/site/hosts.yml": "all:\n  children:\n    mirrors:\n    watch_hosts:\n",
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_tree", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check_tree = load()


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def findings(root: Path) -> list[str]:
    return [finding.format(root) for rule in check_tree.RULES for finding in rule(root)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path, GOOD)


@pytest.mark.parametrize("rule", check_tree.RULES, ids=lambda rule: rule.__name__)
def test_this_tree_keeps_the_rule(rule) -> None:
    assert [finding.format(ROOT) for finding in rule(ROOT)] == []


def test_the_floors_have_no_circle_and_name_packages_that_are_there() -> None:
    floors = dict(check_tree.FLOORS)
    assert floors.keys() == {path.parent.name for path in (ROOT / LOGIC).glob("*/__init__.py")}
    while floors:
        lowest = {name for name, below in floors.items() if not below & floors.keys()}
        assert lowest, f"a circle of {sorted(floors)}"
        floors = {name: below for name, below in floors.items() if name not in lowest}


def test_a_good_tree_has_no_findings(tree: Path) -> None:
    assert findings(tree) == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            f"{LOGIC}/release/names.py",
            "import os\nfrom ..git.remote import fetch\n",
            ":2: the package release imports the package git, which is not below it. Move",
        ),
        (
            f"{LOGIC}/release/names.py",
            "def late():\n    from .. import git\n",
            ":2: the package release imports the package git",
        ),
        (
            f"{LOGIC}/git/tree.py",
            "from ansible_collections.slipway.release.plugins.module_utils.slipway.trove import mirror\n",
            ":1: the package git imports the package trove",
        ),
        (f"{LOGIC}/errors.py", "from .git import remote\n", ":1: a file of the ground floor imports the package git"),
        (
            f"{LOGIC}/news/feed.py",
            "\nfrom ..git import remote\n",
            ":2: the package news has no floor. Write into FLOORS",
        ),
        (
            f"{LOGIC}/git/__init__.py",
            '"""Git."""\nfrom . import remote\n',
            ":2: a package's __init__.py has code. Move",
        ),
        (
            "roles/trove/tasks/main.yml",
            "- name: Have a user\n",
            ':1: the name "Have a user" begins with Have. Begin with',
        ),
        (
            "roles/trove/tasks/main.yml",
            "- name: Install it\n  block:\n    - name: Say what it serves\n      ansible.builtin.debug:\n",
            ':3: the name "Say what it serves" begins with Say. Begin with what is done, as Write',
        ),
        ("roles/trove/handlers/main.yml", "- name: Let it restart\n", ":1: the name"),
        ("molecule/trove/verify.yml", "- hosts: all\n  tasks:\n    - {name: See it}\n", ":3: the name"),
        (
            "roles/trove/vars/main.yml",
            "---\n_trove_guard: \"{{ role_path ~ '/../web/files/page.html' }}\"\n",
            ':2: it reaches out of its role: it has "/..". Move what several roles need',
        ),
        (
            "roles/trove/tasks/main.yml",
            '- src: "../web/files/page.html"\n',
            ':1: it reaches out of its role: it has "../"',
        ),
        ("roles/trove/tasks/main.yml", '- src: "{{ roles }}/web/files/a"\n', ":1: it reaches out of its role"),
        (
            "roles/trove/templates/conf.j2",
            "{{ lookup('file', '../../web/files/page.html') }}\n",
            ":1: it reaches out of its role",
        ),
        (
            "roles/trove/defaults/main.yml",
            "---\ntrove_root: /srv\ntrove_user: git\n",
            ":3: the default trove_user is not documented. Add it to the options in roles/trove/meta/",
        ),
        (
            "inventory/example/site/hosts.yml",
            "all:\n  children:\n    watch_hosts:\n",
            ":1: the inventory lacks the group mirrors, which a playbook has a play for. Add it below",
        ),
    ],
)
def test_what_breaks_a_rule_is_found_with_its_line_and_what_to_do(tree: Path, name: str, text: str, says: str) -> None:
    write(tree, {f"{LOGIC}/trove/mirror.py": "", name: text})
    (finding,) = findings(tree)
    assert finding.startswith(f"{name}{says}")


def test_a_link_out_of_a_role_is_found(tree: Path) -> None:
    (tree / "roles/web/files/conf").symlink_to("../../trove/templates/conf.j2")
    (finding,) = findings(tree)
    assert finding.startswith("roles/web/files/conf:1: it reaches out of its role: it is a link to ../../trove")


def test_too_many_files_beside_the_packages_are_too_many(tree: Path) -> None:
    write(tree, {f"{LOGIC}/more{number}.py": "" for number in range(check_tree.MOST_FILES - 2)})
    assert findings(tree) == []
    write(tree, {f"{LOGIC}/more.py": ""})
    (finding,) = findings(tree)
    assert finding.startswith(f"{LOGIC}:1: 16 files are beside the packages, at most 15 may be. Move one")


def test_what_git_ignores_is_no_part_of_the_tree(tree: Path) -> None:
    write(tree, {".gitignore": "kept.yml\n", "roles/trove/tasks/kept.yml": "- name: Have it\n"})
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    assert findings(tree) == []


def test_the_program_says_all_and_fails(tree: Path) -> None:
    assert subprocess.run([sys.executable, PROGRAM, tree], check=False).returncode == 0
    write(tree, {"playbooks/site.yml": "- name: Have a site\n", f"{LOGIC}/git/__init__.py": "x = 1\n"})
    done = subprocess.run([sys.executable, PROGRAM, tree], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [
        f"{LOGIC}/git/__init__.py:1",
        "playbooks/site.yml:1",
    ]
