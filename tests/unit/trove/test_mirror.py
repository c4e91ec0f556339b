"""A Trove mirrors another one in bulk, and only when it lacks something."""

from __future__ import annotations

import shutil

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import (
    FILE,
    Entry,
    commit_tree,
    read_refs,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.mirror import (
    Difference,
    find_differences,
    list_repositories,
    mirror_directory,
)

WHO = Person("Team", "team@example.org", 1_700_000_000)
CONFIGURATION = """\
[core]
toplevel = {top}/local
manifest = ${{toplevel}}/manifest.js.gz
log = {top}/grok.log
[remote]
site = file://{top}/public
manifest = file://{top}/public/manifest.js.gz
[pull]
refresh = 300
pull_threads = 2
"""


def put(top, path, text="1", ref="refs/heads/master"):
    return commit_tree(top / f"{path}.git", {b"a": Entry(FILE, text.encode())}, refs=[ref], message="m\n", person=WHO)


@pytest.fixture
def trove(tmp_path):
    tmp_path = tmp_path / ".local" / "state"
    tmp_path.mkdir(parents=True)
    put(tmp_path / "public", "delta/tree")
    put(tmp_path / "public", "baserock/baserock/definitions")
    (tmp_path / "grokmirror.conf").write_text(CONFIGURATION.format(top=tmp_path))
    return tmp_path


def go(trove, **options):
    return mirror_directory(
        trove / "public",
        trove / "local",
        configuration=trove / "grokmirror.conf",
        log=trove / "manifest.log",
        **options,
    )


def test_repositories_are_found_by_their_paths(trove):
    (trove / "public" / ".hidden.git").mkdir()
    assert list_repositories(trove / "public") == ["baserock/baserock/definitions", "delta/tree"]


def test_check_mode_mirrors_nothing(trove):
    assert go(trove, write=False) == [
        Difference("baserock/baserock/definitions", "all of it"),
        Difference("delta/tree", "all of it"),
    ]
    assert not (trove / "local").exists()


def test_a_whole_trove_is_mirrored_once_and_then_what_changed(trove):
    put(trove / "public" / "delta", ".making-tree.git-x/new")
    assert [one.path for one in go(trove)] == ["baserock/baserock/definitions", "delta/tree"]
    assert go(trove) == []
    assert sorted(path.name for path in (trove / "local/delta").glob("*")) == [".tree.git.lock", "tree.git"]
    put(trove / "public", "delta/tree", "2", "refs/heads/next")
    assert find_differences(trove / "public", trove / "local") == [Difference("delta/tree", "refs/heads/next")]
    go(trove)
    assert read_refs(trove / "local/delta/tree.git") == read_refs(trove / "public/delta/tree.git")


def test_what_the_public_trove_loses_the_local_one_keeps(trove):
    go(trove)
    shutil.rmtree(trove / "public/delta/tree.git")
    put(trove / "public", "delta/lua")
    assert [one.path for one in go(trove)] == ["delta/lua"]
    assert list_repositories(trove / "local") == ["baserock/baserock/definitions", "delta/lua", "delta/tree"]


def test_a_configuration_of_another_trove_is_refused(trove):
    (trove / "grokmirror.conf").write_text("[core]\ntoplevel = /elsewhere\n")
    with pytest.raises(SlipwayError, match=r"grokmirror\.conf keeps another Trove, /elsewhere\."):
        go(trove)


def test_a_missing_configuration_is_named(trove):
    (trove / "grokmirror.conf").unlink()
    with pytest.raises(SlipwayError, match=r"Could not read grokmirror's configuration .*grokmirror\.conf"):
        go(trove)


def test_a_pass_that_fails_says_so(trove):
    (trove / "grokmirror.conf").write_text((trove / "grokmirror.conf").read_text().replace("public/manifest", "none"))
    with pytest.raises(SlipwayError):
        go(trove)
