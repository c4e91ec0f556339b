"""A promotion outlasts a moment without the upstream Trove, and no more."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import FILE, Entry, commit_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove import grokmirror

WHO = Person("Team", "team@example.org", 1_700_000_000)
BRANCH = "refs/heads/master"


@pytest.fixture
def troves(tmp_path):
    def put(text):
        return commit_tree(
            tmp_path / "public/x.git", {b"a": Entry(FILE, text)}, refs=[BRANCH], message="m\n", person=WHO
        )

    put(b"1")
    words = ["git", "clone", "-q", "--mirror", str(tmp_path / "public/x.git"), str(tmp_path / "local/x.git")]
    subprocess.run(words, check=True)
    return tmp_path, put(b"2")


def promote(top, wanted):
    return grokmirror.promote_mirror(top / "local", "x", ref=BRANCH, commit=wanted, timeout=30.0, interval=0.05)


def test_an_upstream_that_comes_back_is_asked_again(troves, monkeypatch):
    top, wanted = troves
    real, asked = grokmirror.run_git, []

    def git(*words, **options):
        if words[0] == "remote":
            asked.append(words)
            if len(asked) == 2:
                (top / "away").rename(top / "public")
        return real(*words, **options)

    (top / "public").rename(top / "away")
    monkeypatch.setattr(grokmirror, "run_git", git)
    assert promote(top, wanted)
    assert len(asked) == 2


def test_an_upstream_that_stays_away_is_told(troves):
    top, wanted = troves
    (top / "public").rename(top / "away")
    with pytest.raises(SlipwayError, match=r"Could not update the mirror .*x\.git: .*Could not read from remote"):
        promote(top, wanted)
