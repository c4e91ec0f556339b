# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changed since the release before, in real repositories of definitions."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.changes import find_changes, read_products
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record

TEAM = Person("Team", "team@example.org", 1_700_000_000)
Commit = Callable[..., str]
A, B, C = "a" * 40, "b" * 40, "c" * 40
ELEMENTS = {
    "project.conf": "name: p\nelement-path: elements\n",
    "project.refs": f"projects:\n  p:\n    locked.bst:\n    - ref: {A}\n",
    "elements/base.bst": f"kind: import\nsources:\n- {{kind: tar, url: 'x:base-7.tar.xz', ref: {A * 2}}}\n",
    "elements/one.bst": f"kind: make\nsources:\n- kind: git\n  url: x:one.git\n  track: v1.0\n  ref: {A}\n",
    "elements/tool.bst": f"kind: make\nsources:\n- {{kind: tar, url: 'x:tool-1.2.tar.gz', ref: {A}}}\n",
    "elements/old.bst": f"kind: make\nsources:\n- {{kind: git, url: 'x:old.git', ref: {A}}}\n",
    "elements/locked.bst": "kind: make\nsources:\n- {kind: git, url: 'x:locked.git'}\n",
    "elements/local.bst": "kind: import\nsources:\n- {kind: local, path: files/local}\n",
    "files/local/etc/x": "1\n",
    "include/all.yml": "depends: [base.bst, {filename: [one.bst, local.bst]}]\n",
    "elements/first.bst": "kind: stack\n(@): include/all.yml\nbuild-depends: [tool.bst, 'other.bst:x.bst']\n",
    "elements/second.bst": "kind: stack\n(?):\n- arch == 'x':\n    depends: [old.bst]\ndepends: [locked.bst]\n",
}


def git(*words: str, cwd: Path) -> str:
    environment = {**os.environ, **TEAM.environment()}
    done = subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """Commits files (None removes one) with a subject, tags the commit, and returns it."""
    work = tmp_path / "work"
    git("init", "-q", "-b", "master", str(work), cwd=tmp_path)

    def make(files: Mapping[str, str | None], subject: str = "Change", tag: str = "") -> str:
        for name, text in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)
        git("add", "-A", ".", cwd=work)
        git("commit", "-q", "--allow-empty", "-m", subject, cwd=work)
        if tag:
            git("tag", "-a", "-m", "x", tag, cwd=work)
        return git("rev-parse", "HEAD", cwd=work)

    return make


def find(tmp_path: Path, head: str, version: str = "2.0", **options: Any) -> dict[str, Any]:
    return find_changes(str(tmp_path / "work"), head, project="p", version=version, **options)


def tell(changes: dict[str, Any]) -> list[str]:
    return [" ".join(filter(None, each.values())) for each in changes["components"]]


def test_changes_are_those_since_the_release_before(tmp_path: Path, commit: Commit) -> None:
    commit({"f": "0"}, "Change 0", tag="p-1.9")
    first = commit({"f": "1"}, "Change 1", tag="other-1.99")
    last = commit({"f": "2"}, "Change 2", tag="p-1.10")
    history = find(tmp_path, last, "1.10")
    assert (history["previous"], history["total"]) == ("p-1.9", 2)
    assert history["changes"] == [
        {"commit": last, "author": "Team", "subject": "Change 2"},
        {"commit": first, "author": "Team", "subject": "Change 1"},
    ]


def test_fixes_are_what_came_to_the_branch_since_the_release_began(tmp_path: Path, commit: Commit) -> None:
    commit({"f": "0"}, tag="p-1.9")
    begun = commit({"f": "1"}, "Change")
    commit({"f": "2"}, "Fix it")
    history = find(tmp_path, commit({"f": "3"}, "Fix it well"), fixed_since=begun)
    assert [each["subject"] for each in history["fixes"]] == ["Fix it well", "Fix it"]
    assert history["total"] == 3


def test_the_first_release_has_all_of_the_history_and_tells_no_components(tmp_path: Path, commit: Commit) -> None:
    commit(ELEMENTS)
    head = commit({}, "Second")
    history = find(tmp_path, head, systems=["first.bst"], limit=1)
    assert (history["previous"], len(history["changes"]), history["total"]) == (None, 1, 2)
    assert history["components"] == []


@pytest.mark.parametrize(
    "subject", ["good\x1eevil", "x\x1e" + "a" * 40 + "\x1fSomebody\x1fforged", "a\x1fb", "\x1b[31mred"]
)
def test_a_subject_cannot_break_or_forge_the_list_of_changes(tmp_path: Path, commit: Commit, subject: str) -> None:
    commit({}, "First")
    history = find(tmp_path, commit({}, subject))
    assert [(each["author"], each["subject"]) for each in history["changes"]] == [("Team", subject), ("Team", "First")]
    assert history["total"] == 2


def test_components_of_elements_are_told_old_and_new_and_those_of_a_product_alone(
    tmp_path: Path, commit: Commit
) -> None:
    commit(ELEMENTS, tag="p-1.0")
    commit({"elements/one.bst": ELEMENTS["elements/one.bst"].replace("v1.0", "v1.1").replace(A, B)}, "Newer one")
    commit({"elements/tool.bst": ELEMENTS["elements/tool.bst"].replace("1.2", "1.3").replace(A, B)}, "Newer tool")
    commit({"elements/base.bst": ELEMENTS["elements/base.bst"].replace(A, B)}, "Same base, other bytes")
    commit({"files/local/etc/x": "2\n"}, "Other file")
    commit({"project.refs": ELEMENTS["project.refs"].replace(A, C)}, "Locked")
    commit({"elements/old.bst": None, "elements/second.bst": "kind: stack\ndepends: [locked.bst, new.bst]\n"}, "Old")
    head = commit({"elements/new.bst": ELEMENTS["elements/old.bst"], "README": "x"}, "New")
    systems = ["first.bst", "second.bst"]
    found = find(tmp_path, head, systems=systems, products={"first": ["first.bst"], "second": ["second.bst"]})
    assert tell(found) == [
        f"base changed 7 ({'a' * 12}) 7 ({'b' * 12})",
        "local rebuilt",
        f"locked changed {'a' * 12} {'c' * 12}",
        f"new new {'a' * 12}",
        f"old gone {'a' * 12}",
        f"one changed v1.0 ({'a' * 12}) v1.1 ({'b' * 12})",
        "tool changed 1.2 1.3",
    ]
    assert found["total"] == 7
    first, second = found["products"]["first"], found["products"]["second"]
    assert [each.split()[0] for each in tell(first)] == ["base", "local", "one", "tool"]
    subjects = [each["subject"] for each in first["changes"]]
    assert subjects == ["Other file", "Same base, other bytes", "Newer tool", "Newer one"]
    assert [each.split()[0] for each in tell(second)] == ["locked", "new", "old"]


def test_a_product_is_compared_with_the_last_release_that_it_took_part_in(tmp_path: Path, commit: Commit) -> None:
    commit(ELEMENTS, tag="p-1.0")
    newer = ELEMENTS["elements/tool.bst"].replace("1.2", "1.3").replace(A, B)
    commit({"elements/tool.bst": newer}, "Newer tool", tag="p-1.1")
    head = commit({}, "Nothing")
    for version, named in (("1.0", ["first", "second"]), ("1.1", ["second"])):
        record = {
            "stage": "preflight",
            "project": "p",
            "version": version,
            "inputs": {"products": [{"name": name, "title": name.title(), "supported": None} for name in named]},
            "outputs": {},
        }
        keep_record(tmp_path / "releases" / version / "records", record)
    (tmp_path / "releases/1.2/records").mkdir(parents=True)
    (tmp_path / "releases/1.2/records/preflight.json").write_text(json.dumps({"edited": True}))
    versions = read_products(tmp_path / "releases", "p")
    assert versions == {"1.0": ["first", "second"], "1.1": ["second"]}
    products = {"first": ["first.bst"], "second": ["second.bst"]}
    found = find(tmp_path, head, products=products, versions=versions, taking=["first", "third"])
    assert found["before"] == {"first": "1.0", "third": None}
    assert found["previous"] == "p-1.1"
    assert {name: each["previous"] for name, each in found["products"].items()} == {"first": "p-1.0", "second": "p-1.1"}
    assert tell(found["products"]["first"]) == ["tool changed 1.2 1.3"]
    assert found["products"]["second"]["total"] == 0


STRATUM = """name: core
kind: stratum
build-depends: [{{morph: strata/build.morph}}]
chunks:
- {{name: one, repo: 'upstream:one', ref: {one}, unpetrify-ref: {version}, morph: strata/core/one.morph}}
- {{name: two, repo: 'upstream:two', ref: {two}, unpetrify-ref: master}}
"""
MORPH = {
    "systems/s.morph": "name: s\nkind: system\narch: x86_64\nstrata: [{name: core, morph: strata/core.morph}]\n",
    "strata/build.morph": f"name: build\nkind: stratum\nchunks: [{{name: gcc, repo: x, ref: {A}}}]\n",
    "strata/core.morph": STRATUM.format(one=A, two=A, version="v1.0"),
    "strata/core/one.morph": "name: one\nkind: chunk\n",
    "strata/broken.morph": "a: [",
}


def test_chunks_of_strata_are_told_old_and_new(tmp_path: Path, commit: Commit) -> None:
    commit(MORPH, tag="p-1.0")
    commit({"strata/core.morph": STRATUM.format(one=B, two=A, version="v1.1")}, "Newer one")
    commit({"strata/core/one.morph": "name: one\nkind: chunk\nbuild-system: cmake\n"}, "By cmake")
    head = commit({"strata/build.morph": MORPH["strata/build.morph"].replace("gcc", "clang")}, "Clang")
    found = find(tmp_path, head, products={"all": ["systems/s.morph"]})["products"]["all"]
    assert tell(found) == [
        f"clang new {'a' * 12}",
        f"gcc gone {'a' * 12}",
        f"one changed v1.0 ({'a' * 12}) v1.1 ({'b' * 12})",
    ]
    assert [each["subject"] for each in found["changes"]] == ["Clang", "By cmake", "Newer one"]
    head = commit({"strata/core/one.morph": "name: one\nkind: chunk\n"}, "Back")
    commit({}, tag="p-1.1")
    assert tell(find(tmp_path, head, "1.1", systems=["systems/s.morph"]))[-1].startswith("one changed v1.0")


def test_what_cannot_be_read_says_nothing(tmp_path: Path, commit: Commit) -> None:
    commit({**MORPH, "systems/s.morph": "a: [", "elements/x.bst": "[", "project.conf": "- x\n"}, tag="p-1.0")
    head = commit({}, "Nothing")
    assert find(tmp_path, head, systems=["systems/s.morph", "x.bst", "gone.bst"])["components"] == []
