"""What waited for a release is merged when it is made, as a whole or not at all."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.cycle import merge
from ansible_collections.slipway.release.plugins.module_utils.slipway.cycle.merge import Wanted, merge_held
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.held import Held
from publishing import run_module

TEAM = Person("Team", "team@example.org", 1_700_000_000)
PEOPLE = ["-c", "user.name=Anne", "-c", "user.email=anne@example.org"]


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *PEOPLE, *words], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Definitions:
    """A bare repository and somebody's clone of it."""

    def __init__(self, base: Path) -> None:
        self.bare, self.work = base / "definitions.git", base / "work"
        git("init", "-q", "--bare", "-b", "master", str(self.bare), cwd=base)
        git("clone", "-q", str(self.bare), str(self.work), cwd=base)
        git("symbolic-ref", "HEAD", "refs/heads/master", cwd=self.work)
        self.commit("master", VERSION="version: 7\n", a="1\n2\n3\n", b="b\n")

    def commit(self, branch: str, base: str = "", **files: str) -> str:
        if branch != git("symbolic-ref", "--short", "HEAD", cwd=self.work):
            git("checkout", "-q", *(["-B", branch, base] if base else [branch]), cwd=self.work)
        for name, text in files.items():
            (self.work / name).write_text(text)
        git("add", ".", cwd=self.work)
        git("commit", "-q", "-m", f"Change {', '.join(files)}", cwd=self.work)
        git("push", "-q", "origin", branch, cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work)

    def head(self, branch: str = "master") -> str:
        return git("rev-parse", f"refs/heads/{branch}", cwd=self.bare)

    def wanted(self, *held: Held, whole: bool = False) -> Wanted:
        return Wanted(str(self.bare), "master", "baserock-26.47", "26.47", held, TEAM, whole)


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    return Definitions(tmp_path)


def states(found: merge.Merges) -> dict[str, str]:
    return {each["branch"]: each["state"] for each in found.results}


def test_what_waited_is_merged_by_a_real_merge_and_only_once(definitions: Definitions) -> None:
    first = definitions.commit("sam/format-8", "master", VERSION="version: 8\n")
    second = definitions.commit("joe/b", "master", b="c\n")
    main = definitions.commit("master", a="one\n2\n3\n")
    held = (Held("sam/format-8", "26.47", "Morph of 26.46 does not take it"), Held("joe/b", "26.40"))
    said = merge_held(definitions.wanted(*held), write=False)
    assert states(said) == {"sam/format-8": "merged", "joe/b": "merged"}
    assert definitions.head() == main
    found = merge_held(definitions.wanted(*held))
    assert (found.before, found.after) == (main, said.after) == (main, definitions.head())
    assert git("show", "master:VERSION", cwd=definitions.bare) == "version: 8"
    assert git("show", "master:a", cwd=definitions.bare) == "one\n2\n3"
    assert git("log", "--first-parent", "-2", "--format=%an %s|%P", cwd=definitions.bare).splitlines() == [
        f"Team Merge joe/b, which waited for 26.40|{found.results[0]['merge']} {second}",
        f"Team Merge sam/format-8, which waited for 26.47|{main} {first}",
    ]
    assert "Morph of 26.46 does not take it" in git("log", "-1", "--format=%b", "master^", cwd=definitions.bare)
    again = merge_held(definitions.wanted(*held))
    assert states(again) == {"sam/format-8": "already", "joe/b": "already"}
    assert definitions.head() == again.before == again.after == found.after


def test_what_waits_for_later_or_is_gone_is_told(definitions: Definitions) -> None:
    definitions.commit("later", "master", b="c\n")
    found = merge_held(definitions.wanted(Held("later", "26.48"), Held("gone", "26.47")))
    assert [(each["state"], each["reason"]) for each in found.results] == [
        ("waiting", "it waits for 26.48"),
        ("gone", "there is no branch gone any more"),
    ]
    assert found.failed == []


@pytest.mark.parametrize("whole", [False, True])
def test_a_conflict_is_told_with_its_files_and_nothing_of_it_is_merged(definitions: Definitions, whole: bool) -> None:
    definitions.commit("bad", "master", a="x\n2\n3\n", b="x\n", new="new\n")
    good = definitions.commit("good", "master", c="c\n")
    main = definitions.commit("master", a="y\n2\n3\n", b="y\n")
    found = merge_held(definitions.wanted(Held("good", "26.47"), Held("bad", "26.47"), whole=whole))
    assert states(found) == {"good": "left" if whole else "merged", "bad": "conflict"}
    assert found.results[1]["files"] == ["a", "b"]
    assert found.results[1]["reason"] == "it conflicts with master in a, b"
    assert len(found.failed) == (2 if whole else 1)
    assert definitions.head() == (main if whole else found.results[0]["merge"])
    assert (git("ls-tree", "--name-only", "master", "c", cwd=definitions.bare) == "c") is not whole
    assert git("ls-tree", "--name-only", "master", "new", cwd=definitions.bare) == ""
    assert definitions.head("good") == good


def test_a_file_that_one_side_removed_is_a_conflict(definitions: Definitions) -> None:
    definitions.commit("bad", "master", b="x\n")
    git("checkout", "-q", "master", cwd=definitions.work)
    git("rm", "-q", "b", cwd=definitions.work)
    main = definitions.commit("master", c="c\n")
    found = merge_held(definitions.wanted(Held("bad", "26.47")))
    assert found.results[0]["reason"] == "it conflicts with master in b"
    assert definitions.head() == main


def test_a_history_of_its_own_is_no_half_merge(definitions: Definitions) -> None:
    git("checkout", "-q", "--orphan", "alien", cwd=definitions.work)
    definitions.commit("alien", a="alien\n")
    found = merge_held(definitions.wanted(Held("alien", "26.47")))
    assert found.results[0]["state"] == "conflict"
    assert "unrelated histories" in found.results[0]["reason"]


def test_where_the_branch_moves_meanwhile_all_is_merged_anew(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = definitions.commit("held", "master", b="c\n")
    moved, push = [], merge.push_ref

    def racing(*arguments: str, **more: object) -> None:
        if len(moved) < 2:
            moved.append(definitions.commit("master", c=f"{len(moved)}\n"))
        push(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(merge, "push_ref", racing)
    found = merge_held(definitions.wanted(Held("held", "26.47")))
    assert found.before == moved[-1]
    assert git("log", "-1", "--format=%P", "master", cwd=definitions.bare) == f"{moved[-1]} {held}"


def test_a_branch_that_never_rests_ends_it(definitions: Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    definitions.commit("held", "master", b="c\n")
    count, push = iter(range(100)), merge.push_ref

    def racing(*arguments: str, **more: object) -> None:
        definitions.commit("master", c=f"{next(count)}\n")
        push(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(merge, "push_ref", racing)
    with pytest.raises(SlipwayError, match="somebody pushed there meanwhile"):
        merge_held(definitions.wanted(Held("held", "26.47")), attempts=2)
    assert next(count) == 2


def test_what_the_release_does_not_understand_is_not_merged(definitions: Definitions) -> None:
    definitions.commit("sam/format-9", "master", VERSION="version: 9\n")
    main = definitions.head()
    found = merge_held(
        definitions.wanted(Held("sam/format-9", "26.47")), judge=lambda _where, _tree: "it does not take version 9"
    )
    assert states(found) == {"sam/format-9": "refused"}
    assert definitions.head() == main


def test_a_development_branch_that_is_none_is_named(definitions: Definitions) -> None:
    with pytest.raises(SlipwayError, match="no branch of this name"):
        merge_held(replace(definitions.wanted(Held("a", "26.47")), branch="main"))


def test_the_module_merges_what_file_and_policy_name_and_unlists_it(definitions: Definitions) -> None:
    text = """\
# What waits.
- branch: sam/format-8
  until: 26.47
  why: Morph of 26.46 does not take it

# later
- {branch: joe/x, until: 26.50}
"""
    definitions.commit("sam/format-8", "master", VERSION="version: 8\n")
    definitions.commit("sam/format-9", "master", VERSION="version: 9\n")
    main = definitions.commit("master", **{"held.yml": text})
    options = {
        "repository": str(definitions.bare),
        "branch": "master",
        "label": "baserock-26.47",
        "version": "26.47",
        "held": [{"branch": "sam/format-9", "until": "26.47", "why": ""}],
        "file": "held.yml",
        "name": "Team",
        "email": "team@example.org",
        "epoch": 1_700_000_000,
    }
    said = run_module("release_held", options, check=True)
    assert said["changed"]
    assert "sam/format-8 is merged into master" in said["diff"]["after"]
    assert definitions.head() == main
    done = run_module("release_held", options)
    assert {each["branch"]: each["state"] for each in done["results"]} == {
        "sam/format-9": "refused", "sam/format-8": "merged", "joe/x": "waiting"
    }  # fmt: skip
    assert done["failed_changes"] == [
        "the held change sam/format-9 is not merged into master: baserock-26.47 does not take version 9 of Morph's "
        "definitions format (VERSION), since it understands 7, 8 only"
    ]
    assert git("show", "master:VERSION", cwd=definitions.bare) == "version: 8"
    assert git("show", "master:held.yml", cwd=definitions.bare) == "# What waits.\n- {branch: joe/x, until: 26.50}"
    assert done["unlisted"] == ["sam/format-8"]
    assert done["commit"] == definitions.head()
    again = run_module("release_held", options)
    assert not again["changed"]
    assert again["commit"] == done["commit"]
