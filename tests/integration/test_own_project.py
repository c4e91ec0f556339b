"""A stranger's own project: what the README says of it, line by line, and what is in the way of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from exports import export

from integration.conftest import ROOT, git

BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^## Your own definitions\n.*?^```\n(?P<lines>.*?)^```$", re.MULTILINE | re.DOTALL)


def run(directory: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run lines of a shell as somebody does who has set up nothing else: without the environment of the tests."""
    kept = {"PATH": os.defpath, "HOME": str(directory / "home"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def succeed(directory: Path, script: str, **environment: str) -> str:
    done = run(directory, script, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fail(directory: Path, script: str, **environment: str) -> str:
    done = run(directory, script, **environment)
    assert done.returncode != 0, done.stdout
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that is set up."""
    tree = export(tmp_path_factory.mktemp("own") / "slipway")
    (tree / ".venv").mkdir()
    (tree / ".venv/bin").symlink_to(BIN)
    for stamp in ("packages", "release"):
        (tree / f".venv/{stamp}.stamp").touch()
    return tree


@pytest.fixture(scope="module")
def acme(checkout: Path) -> Path:
    """The project of the README, of which 1.0 is released."""
    lines = BLOCK.search((ROOT / "README.md").read_text())["lines"]
    assert lines.splitlines()[-1] == "make release VERSION=1.0"
    succeed(checkout, lines)
    return checkout.parent / "acme"


def test_what_is_released_is_public_and_nothing_of_it_is_of_another_project(acme: Path, tmp_path: Path) -> None:
    public = acme / "state/download/public"
    succeed(public, "sha256sum --strict --quiet -c SHA256SUMS")
    names = {path.name for path in (public / "acme-1.0").iterdir()}
    assert {"acme-1.0-minimal-x86_64.tar.gz", "acme-1.0-full-x86_64.tar.gz"} <= names
    for packed in public.glob("*.tar.gz"):
        succeed(tmp_path, f"mkdir {packed.name} && tar -xf {packed} -C {packed.name}")
    for place in (public, tmp_path, acme / "state/mail", acme / "state/releases"):
        found = subprocess.run(["grep", "-rlia", "baserock", place], capture_output=True, text=True, check=False)
        assert found.stdout == ""
    assert git("for-each-ref", "--format=%(refname)", cwd=acme / "definitions").splitlines() == [
        "refs/heads/acme/release/acme-1.0",
        "refs/heads/main",
        "refs/tags/acme-1.0",
    ]
    assert git("status", "--porcelain", cwd=acme / "definitions") == ""


def test_again_changes_nothing(acme: Path) -> None:
    counted = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    assert " changed=0 " in succeed(acme, "make release VERSION=1.0", **counted)


def test_the_next_version_has_one_system_more_and_its_notes_say_what_changed(acme: Path) -> None:
    own = acme / "definitions"
    shutil.copy(own / "elements/systems/full.bst", own / "elements/systems/more.bst")
    system = "- morph: systems/more.bst\n  deploy:\n    more: {type: tar, location: more.tar}\n"
    cluster = own / "clusters/release.morph"
    cluster.write_text(cluster.read_text() + system)
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    git("add", "--all", cwd=own)
    git(*identity, "commit", "--quiet", "--message", "Add one system more", cwd=own)
    succeed(acme, "make release VERSION=1.1")
    assert (acme / "state/download/public/current/acme-1.1-more.tar.gz").exists()
    notes = git("show", "main:releases/acme-1.1.mdwn", cwd=acme / "state/wiki.git")
    assert "since acme-1.0" in notes
    assert "Add one system more" in notes
    assert "Begin with two systems" not in notes


def test_a_version_is_asked_for(acme: Path) -> None:
    assert "Which version? Such as: make release VERSION=1.0" in fail(acme, "make release")


def test_what_is_there_is_left_alone_and_what_cannot_be_is_refused(checkout: Path, acme: Path) -> None:
    before = sorted(checkout.parent.iterdir())
    said = fail(checkout, "make new PROJECT=acme")
    assert f"Could not make the project in {acme}: it is there already. Choose another directory, or go on" in said
    assert "Could not use the project 'a b'" in fail(checkout, 'make new PROJECT="a b"')
    assert "Could not use the project ''" in fail(checkout, "make new")
    nowhere = checkout.parent / "nowhere.git"
    said = fail(checkout, f"make new PROJECT=other DEFINITIONS={nowhere}")
    assert f"Could not reach the definitions at {nowhere}: '{nowhere}' does not appear to be a git repository." in said
    assert sorted(checkout.parent.iterdir()) == before


def test_an_installed_collection_begins_projects_too(acme: Path, tmp_path: Path) -> None:
    """Here with definitions on a server, whose default branch has a name of its own."""
    installed = tmp_path / "collections/ansible_collections/slipway/release"
    for name in ("plugins", "meta", "roles", "playbooks"):
        shutil.copytree(ROOT / name, installed / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "galaxy.yml", installed)
    server = tmp_path / "server.git"
    git("clone", "--quiet", "--bare", str(acme / "definitions"), str(server), cwd=tmp_path)
    git("branch", "--move", "main", "trunk", cwd=server)
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    path = f"{BIN}:{os.defpath}"
    words = f"ansible-playbook slipway.release.new -e project=acme -e directory=mine -e definitions={server}"
    where = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"), "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    assert "cd mine && make release VERSION=1.0" in " ".join(succeed(tmp_path, words, PATH=path, **where).split())
    settings = (tmp_path / "mine/group_vars/all.yml").read_text()
    assert f'release_definitions_url: "{server}"' in settings
    assert 'release_definitions_ref: "trunk"' in settings
    assert not (tmp_path / "mine/definitions").exists()
    succeed(tmp_path / "mine", "make provision")
    checked = succeed(tmp_path / "mine", 'make release VERSION=2.0 ARGS="--check --diff"')
    assert "acme/release/acme-2.0" in checked


def test_another_project_in_the_inventory_of_the_example_publishes_nothing_of_the_example(
    checkout: Path, acme: Path, tmp_path: Path
) -> None:
    """And a Trove that mirrors something else is told of before anything is pushed to the server."""
    server = tmp_path / "server.git"
    git("clone", "--quiet", "--bare", str(acme / "definitions"), str(server), cwd=tmp_path)
    before = git("for-each-ref", cwd=server)
    places = {"SLIPWAY_STATE": str(tmp_path / "state"), "SLIPWAY_CACHE": str(tmp_path / "cache")}
    call = "PATH=.venv/bin:$PATH ansible-playbook -e release_project=acme"
    succeed(checkout, f"{call} playbooks/provision.yml", **places)
    assert list((tmp_path / "cache").glob("bases/*")) == []
    assert list((tmp_path / "state/trove/public").rglob("*.git")) == []
    said = fail(
        checkout,
        f"{call} release.yml -e version=9.0 -e release_definitions_url={server} -e release_definitions_ref=main",
        **places,
    )
    assert "Could not begin acme-9.0: 1 of the checks failed. Nothing was changed." in said
    assert "Could not promote acme/definitions on" in said
    assert "the local Trove does not mirror it." in said
    assert "or set release_promote_backend to git" in said
    assert git("for-each-ref", cwd=server) == before
