from __future__ import annotations

import os
import socket
import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.checkout import check_out


def git(*words, cwd):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words], cwd=cwd, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=cwd, check=False, capture_output=True, text=True).stdout[
        :40
    ]


@pytest.fixture
def origin(tmp_path):
    """A repository with two commits; the second has a submodule and wants a filter."""
    top = tmp_path / "origin"
    git("init", "-q", "-b", "main", str(top), cwd=tmp_path)
    (top / "file").write_text("one\n")
    git("add", ".", cwd=top)
    first = git("commit", "-q", "-m", "one", cwd=top)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/evil.git"
        (top / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = {url}\n')
        (top / ".gitattributes").write_text("file filter=mine\n")
        (top / "file").write_text("two\n")
        git("add", ".", cwd=top)
        git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},s", cwd=top)
        yield top, (first, git("commit", "-q", "-m", "two", cwd=top)), silent


def test_a_commit_is_checked_out_once_and_another_after_it(origin, tmp_path):
    top, commits, _silent = origin
    tree = tmp_path / "tree"
    assert check_out(str(top), commits[0], tree) is None
    assert check_out(str(top), commits[0], tree) == commits[0]
    (tree / "untracked").touch()
    assert check_out(str(top), commits[1], tree) == commits[0]
    assert (tree / "file").read_text() == "two\n"
    assert (tree / "untracked").exists()


def test_submodules_are_not_fetched(origin, tmp_path, monkeypatch):
    top, commits, silent = origin
    (tmp_path / ".gitconfig").write_text("[submodule]\nrecurse = true\n[fetch]\nrecurseSubmodules = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    check_out(str(top), commits[1], tmp_path / "tree")
    assert list((tmp_path / "tree/s").iterdir()) == []
    with pytest.raises(BlockingIOError):
        silent.accept()


def test_filters_of_a_person_are_not_run(origin, tmp_path, monkeypatch):
    top, commits, _silent = origin
    (tmp_path / ".gitconfig").write_text('[filter "mine"]\nsmudge = tr a-z A-Z\nclean = tr A-Z a-z\nrequired = true\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    check_out(str(top), commits[1], tmp_path / "tree")
    assert (tmp_path / "tree/file").read_text() == "two\n"


def test_check_mode_writes_nothing(origin, tmp_path):
    top, commits, _silent = origin
    assert check_out(str(top), commits[1], tmp_path / "tree", write=False) is None
    assert not (tmp_path / "tree").exists()


def test_what_somebody_changed_is_refused_or_discarded(origin, tmp_path):
    top, commits, _silent = origin
    tree = tmp_path / "tree"
    check_out(str(top), commits[0], tree)
    (tree / "file").write_text("mine\n")
    for commit in commits:
        with pytest.raises(SlipwayError, match="somebody changed file there"):
            check_out(str(top), commit, tree)
    assert (tree / "file").read_text() == "mine\n"
    (tree / "untracked").touch()
    check_out(str(top), commits[0], tree, discard=True)
    assert sorted(os.listdir(tree)) == [".git", "file"]
    assert (tree / "file").read_text() == "one\n"


def test_the_locks_of_a_killed_run_are_removed(origin, tmp_path):
    top, commits, _silent = origin
    tree = tmp_path / "tree"
    check_out(str(top), commits[0], tree)
    for name in ("index.lock", "HEAD.lock", "shallow.lock"):
        (tree / ".git" / name).touch()
        os.utime(tree / ".git" / name, (0, 0))
    check_out(str(top), commits[1], tree)
    assert (tree / "file").read_text() == "two\n"


def test_a_run_that_was_killed_in_the_middle_is_completed(origin, tmp_path):
    """HEAD is at the commit, and files are missing, or the other way round."""
    top, commits, _silent = origin
    tree = tmp_path / "tree"
    check_out(str(top), commits[1], tree)
    (tree / ".git/HEAD").write_text("ref: refs/heads/master\n")
    (tree / ".git/index").unlink()
    check_out(str(top), commits[1], tree)
    assert (tree / "file").read_text() == "two\n"


@pytest.mark.parametrize("commit", ["main", "-x", ""])
def test_what_is_no_commit_is_refused(tmp_path, commit):
    with pytest.raises(SlipwayError, match="is not a commit"):
        check_out("nowhere", commit, tmp_path / "tree")
