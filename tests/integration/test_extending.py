"""docs/extending.md, line by line: what it adds keeps the rules of the tree, and works."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exports import ROOT, export
from trees import SYSTEM, write_tree

#: Which file a block is for, where in it, and the block.
FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LEAD = re.compile(r"(?:(?P<where>At the end of|In) )?`(?P<path>[^`]+)`(?:, below `(?P<line>[^`]+)`)?:\n\n\Z")
LOGIC = "ansible_collections.slipway.release.plugins.module_utils.slipway"
#: A module of the tests: the facts that planning leaves.
KNOWN = """#!/usr/bin/python
import json
with open({path!r}) as file:
    print(json.dumps({{"ansible_facts": json.load(file)}}))
"""


def blocks(text: str) -> Iterator[tuple[str, str, re.Match[str] | None]]:
    for fence in FENCE.finditer(text):
        yield (
            fence["kind"],
            fence["text"],
            LEAD.search(text[: fence.start()].rpartition("```")[2].rpartition("\n\n\n")[2]),
        )


def apply(tree: Path, block: str, lead: re.Match[str]) -> None:
    path = tree / lead["path"]
    if lead["where"] is None:
        assert not path.exists(), f"{lead['path']} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block)
    elif lead["line"] is None:
        path.write_text(path.read_text() + block)
    else:
        lines = path.read_text().splitlines(keepends=True)
        [below] = [number for number, line in enumerate(lines, 1) if line.strip() == lead["line"]]
        path.write_text("".join([*lines[:below], block, *lines[below:]]))


def run(tree: Path, *words: str | Path, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words,
        cwd=tree,
        env={**os.environ, "ANSIBLE_CONFIG": str(tree / "ansible.cfg"), "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout after somebody did what the page says."""
    tree = export(tmp_path_factory.mktemp("extended") / "tree")
    found = list(blocks((ROOT / "docs/extending.md").read_text()))
    for kind, text, lead in found:
        assert kind in ("sh", "console") or lead, f"where does this go?\n{text}"
        if lead:
            apply(tree, text, lead)
    for kind, text, _lead in found:
        for command in text.splitlines() if kind == "sh" else ():
            run(tree, "sh", "-c", command)
    return tree


@pytest.fixture
def play(extended: Path, tmp_path: Path) -> Any:
    """Run one stage of a release that is known, with the records of the stages before."""
    state = tmp_path / "state"
    system = {"name": "tiny", "file": "tiny.bst", "architecture": "x86_64"}
    plan = {
        "project": "tiny",
        "version": "1.2",
        "label": "tiny-1.2",
        "definitions": {"path": "tiny/definitions", "commit": "c" * 40, "mirror_url": "file:///tiny.git"},
        "cluster": "tiny.morph",
        "systems": [system],
        "coordinator": "here",
        "build_hosts": {"x86_64": ["here"]},
        "directories": {name: str(state / name) for name in ("source", "records", "logs")} | {"state": str(state)},
    }
    files = [{"name": "tiny-1.2-tiny.tar.gz", "size": 3, "sha256": "d" * 64}]
    records = {"promotion": {}, "publication": {"outputs": {"files": files}}}
    facts, top = tmp_path / "facts.json", tmp_path / "site"
    facts.write_text(json.dumps({"release_plan": plan, "release_records": records}))
    (top / "library").mkdir(parents=True)
    (top / "library/known.py").write_text(KNOWN.format(path=str(facts)))
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (top / "hosts.json").write_text(json.dumps({"coordinator": {"hosts": {"here": host}}}))

    def one(role: str, *words: str, **variables: Any) -> str:
        stage = {
            "hosts": "coordinator",
            "gather_facts": False,
            "vars_files": [str(extended / "playbooks/vars/stage.yml")],
        }
        book = [
            {"hosts": "coordinator", "gather_facts": False, "tasks": [{"known": {}}]},
            {**stage, "roles": [{"role": f"slipway.release.{role}"}]},
        ]
        (top / "play.yml").write_text(json.dumps(book))
        given = ["-i", top / "hosts.json", "-e", json.dumps(variables)]
        return run(extended, "ansible-playbook", top / "play.yml", *given, *words)

    return one


def test_what_is_added_keeps_the_rules_of_the_tree(extended: Path) -> None:
    added = run(extended, "git", "status", "--porcelain").splitlines()
    assert "?? roles/notice/" in added
    documented = run(extended, "ansible-doc", "-t", "role", "slipway.release.release_build")
    assert "release_build_prebuilt" in documented
    run(extended, sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/unit/test_house.py")
    run(
        extended,
        "mypy",
        "-p",
        "ansible_collections.slipway.release.plugins.module_utils.slipway.image",
        MYPYPATH="collections",
    )
    run(extended, "ruff", "check", "module_utils/slipway/image")


def test_a_backend_that_is_added_builds(play: Any, tmp_path: Path) -> None:
    archive = tmp_path / "prebuilt/tiny.tar"
    archive.parent.mkdir()
    chosen = {"release_build_backend": "prebuilt", "release_build_prebuilt": str(archive.parent)}
    with pytest.raises(AssertionError) as refused:
        play("release_build", **chosen)
    assert "Could not build tiny: it is not in" in " ".join(str(refused.value).split()), str(refused.value)
    archive.write_bytes(b"a system")
    play("release_build", **chosen)
    record = json.loads((tmp_path / "state/records/build-tiny.json").read_text())
    assert record["outputs"] == {"key": hashlib.sha256(b"a system").hexdigest(), "artifact": str(archive)}
    assert "changed=0 " in play("release_build", **chosen)


def test_a_stage_that_is_added_runs_once(play: Any, tmp_path: Path) -> None:
    entry = tmp_path / "state/ledger/tiny-1.2.txt"
    assert "changed=2 " in play("release_ledger", "--check")
    assert not entry.exists()
    assert "changed=2 " in play("release_ledger")
    assert entry.read_text() == f"tiny-1.2 of {'c' * 40}\n{'d' * 64}  tiny-1.2-tiny.tar.gz\n"
    assert "changed=0 " in play("release_ledger")


def test_a_deployment_type_that_is_added_gives_the_same_bytes_anywhere(extended: Path, tmp_path: Path) -> None:
    write_tree(tmp_path / "tree.tar", SYSTEM)
    program = f"""
import sys
from pathlib import Path
from {LOGIC}.image.job import Job
from {LOGIC}.image.writers import WRITERS
top = Path(sys.argv[1])
job = Job("a", "tiny-1.2", "x86_64", {{}}, 1700000000, top / "tree.tar", top)
WRITERS["zip"].write(job, top / sys.argv[2])
"""
    for name, zone in (("a.zip", "UTC"), ("b.zip", "Asia/Tokyo")):
        run(extended, sys.executable, "-c", program, tmp_path, name, PYTHONPATH=str(extended / "collections"), TZ=zone)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("./usr/bin/tool") == b"#!/bin/sh\n" * 1000
