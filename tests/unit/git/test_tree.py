"""Trees become commits whose names depend on nothing but what is in them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import (
    FILE,
    LINK,
    PROGRAM,
    Entry,
    commit_tree,
    hash_tree,
    read_refs,
    read_tree,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.locks import hold_flock
from hypothesis import given, settings
from hypothesis import strategies as st

WHO = Person("Team", "team@example.org", 1_700_000_000)
MASTER = "refs/heads/master"
NAME = st.binary(min_size=1, max_size=6).filter(
    lambda name: b"/" not in name and b"\0" not in name and name.lower() not in (b".", b"..", b".git")
)
ENTRY = st.builds(Entry, st.sampled_from([FILE, PROGRAM]), st.binary(max_size=40))


def git(repository, *words):
    answer = subprocess.run(["git", *words], cwd=repository, check=True, capture_output=True)
    return answer.stdout.decode("utf-8", "surrogateescape").strip()


def without_clashes(tree):
    """Drop files whose path is also a directory's."""
    directories = {b"/".join(path.split(b"/")[:count]) for path in tree for count in range(1, path.count(b"/") + 1)}
    return {path: entry for path, entry in tree.items() if path not in directories}


TREES = st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map(b"/".join), ENTRY, min_size=1, max_size=8).map(
    without_clashes
)


@given(TREES)
@settings(max_examples=40, deadline=None)
def test_git_gives_a_tree_the_name_that_we_computed(tree):
    with tempfile.TemporaryDirectory() as directory:
        repository = Path(directory) / "x.git"
        made = commit_tree(repository, tree, refs=[MASTER], message="All of it\n", person=WHO)
        assert git(repository, "rev-parse", f"{made}^{{tree}}") == hash_tree(tree)
        assert git(repository, "fsck", "--strict", "--no-dangling") in ("", "notice: HEAD points to an unborn branch")


def test_the_same_files_are_the_same_commit_in_another_repository(tmp_path):
    tree = {b"a": Entry(FILE, b"1\n"), b"b/c": Entry(PROGRAM, b"#!/bin/sh\n"), b"b/d": Entry(LINK, b"c")}
    made = {
        commit_tree(tmp_path / f"{number}.git", tree, refs=[MASTER], message="m\n", person=WHO) for number in range(3)
    }
    assert len(made) == 1


def test_a_commit_replaces_all_files_and_has_its_parent(tmp_path):
    repository = tmp_path / "deep" / "x.git"
    first = commit_tree(repository, {b"a": Entry(FILE, b"1")}, refs=[MASTER, "refs/tags/1"], message="1\n", person=WHO)
    second = commit_tree(repository, {b"b": Entry(FILE, b"2")}, refs=[MASTER], message="2\n", person=WHO, parent=first)
    assert git(repository, "ls-tree", "--name-only", second) == "b"
    assert git(repository, "rev-parse", f"{second}^") == first
    assert read_refs(repository) == {MASTER: second, "refs/tags/1": first}
    assert git(repository, "symbolic-ref", "HEAD") == MASTER


def test_an_absent_repository_has_no_refs_and_is_not_made_by_looking(tmp_path):
    assert read_refs(tmp_path / "x.git") == {}
    assert list(tmp_path.iterdir()) == []


def test_files_are_read_with_their_modes_and_without_leftovers(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "run").write_text("x")
    (tmp_path / "sub" / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "note~").write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("x")
    assert read_tree(tmp_path) == {b"sub/run": Entry(PROGRAM, b"x"), b"link": Entry(LINK, b"sub")}


def test_what_a_killed_process_left_is_removed_and_what_another_makes_is_not(tmp_path):
    for name in ("left", "used"):
        (tmp_path / f".making-x.git-{name}").mkdir()
    with hold_flock(tmp_path / ".making-x.git-used", attempt="make", on="x.git", timeout=1):
        commit_tree(tmp_path / "x.git", {b"a": Entry(FILE, b"1")}, refs=[MASTER], message="m\n", person=WHO)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".making-x.git-used", "x.git"]


def test_something_else_than_files_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SlipwayError, match=r"Could not take the file .*/pipe: it is neither a file nor a link\."):
        read_tree(tmp_path)
