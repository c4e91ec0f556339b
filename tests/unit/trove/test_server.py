"""Promotion out of any git server: the one repository is fetched, and done is what its ref says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import (
    FILE,
    Entry,
    commit_tree,
    read_refs,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove import server
from ansible_collections.slipway.release.plugins.modules import trove_promote

WHO = Person("Team", "team@example.org", 1_700_000_000)
BRANCH = "refs/heads/acme/release/acme-1.0"
ABSENT = "0" * 40


class Server:
    """A git server's repository and the Trove that mirrors it."""

    def __init__(self, top: Path) -> None:
        self.url = top / "server/definitions.git"
        self.toplevel = top / "trove"
        self.mirror = self.toplevel / "acme/definitions.git"

    def put(self, text: str, *refs: str) -> str:
        tree = {b"a": Entry(FILE, text.encode())}
        return commit_tree(self.url, tree, refs=refs or [BRANCH], message="m\n", person=WHO)

    def promote(self, commit: str, *, write: bool = True, timeout: float = 30.0) -> bool:
        return server.promote_from_server(
            self.toplevel,
            "acme/definitions",
            url=str(self.url),
            ref=BRANCH,
            commit=commit,
            timeout=timeout,
            interval=0.05,
            write=write,
        )

    def run(self, *words: str) -> None:
        subprocess.run(["git", f"--git-dir={self.url}", *words], check=True)


@pytest.fixture
def served(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_a_mirror_is_made_once_and_follows_its_server(served: Server) -> None:
    first = served.put("1", "refs/heads/main", BRANCH, "refs/heads/old")
    assert served.promote(first, write=False)
    assert not served.toplevel.exists()
    assert served.promote(first)
    assert read_refs(served.mirror) == read_refs(served.url)
    assert not served.promote(first)
    served.run("branch", "-q", "-D", "old")
    second = served.put("2")
    assert served.promote(second, write=False)
    assert served.promote(second)
    assert read_refs(served.mirror) == read_refs(served.url)
    assert sorted(path.name for path in served.mirror.parent.iterdir()) == [".definitions.git.lock", "definitions.git"]


def test_a_branch_that_somebody_moved_is_told_at_once(served: Server) -> None:
    wanted = served.put("1")
    there = served.put("other")
    with pytest.raises(SlipwayError, match=f"{BRANCH} of {served.url} is at {there}, and not at {wanted}"):
        served.promote(wanted, timeout=600)
    assert not served.mirror.exists()


def test_a_branch_that_is_not_there_yet_is_waited_for(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = served.put("1", "refs/heads/main")
    real, looks = server.find_remote_commit, []

    def look(url: str, ref: str) -> str | None:
        looks.append(ref)
        if len(looks) == 3:
            served.run("branch", BRANCH.removeprefix("refs/heads/"), commit)
        return real(url, ref)

    monkeypatch.setattr(server, "find_remote_commit", look)
    assert served.promote(commit)
    assert len(looks) == 3


def test_the_wait_has_an_end(served: Server) -> None:
    served.put("1", "refs/heads/main")
    with pytest.raises(SlipwayError, match=f"the last state was absent.*must show {BRANCH} at {ABSENT}"):
        served.promote(ABSENT, timeout=0.2)


def test_a_server_that_stays_away_is_told_with_its_reason(served: Server) -> None:
    with pytest.raises(SlipwayError, match="does not appear to be a git repository"):
        served.promote(ABSENT)
    assert not served.mirror.exists()


@pytest.mark.parametrize("source", ["main", "1.0", "HEAD", "refs/heads/main", None])
def test_what_is_mirrored_has_the_commit_where_it_is_released_from(served: Server, source: str | None) -> None:
    commit = served.put("1", "refs/heads/main", "refs/tags/1.0")
    served.run("symbolic-ref", "HEAD", "refs/heads/main")
    server.check_upstream(str(served.url), "acme", refs=(BRANCH, source or commit), commit=commit)


def test_a_branch_that_went_on_is_no_fault_of_a_release_that_has_its_own(served: Server) -> None:
    commit = served.put("1")
    served.put("2", "refs/heads/main")
    server.check_upstream(str(served.url), "acme", refs=(BRANCH, "main"), commit=commit)


def test_another_repository_is_told_before_anything_is_waited_for(served: Server) -> None:
    other = served.put("other", "refs/heads/main")
    for source, there in (("main", f"it has main at {other}, and not at {ABSENT}"), ("master", "it has no master")):
        with pytest.raises(SlipwayError, match=there) as refused:
            server.check_upstream(str(served.url), "acme", refs=(BRANCH, source), commit=ABSENT)
        assert "set release_promote_backend to git" in str(refused.value)


def test_a_trove_that_mirrors_another_server_fails_in_check_mode_too(served: Server, tmp_path: Path) -> None:
    commit = served.put("1", "refs/heads/main")
    words = {
        "toplevel": str(served.toplevel),
        "path": "acme/definitions",
        "ref": BRANCH,
        "source": "main",
        "timeout": 5,
    }
    wanted = {"backend": "grokmirror", "upstream": None, "commit": commit, **words}
    with pytest.raises(SlipwayError, match="the local Trove does not mirror it"):
        trove_promote.act(wanted, write=False)
    other = Server(tmp_path / "elsewhere")
    other.put("other", "refs/heads/main")
    served.mirror.parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "-q", "--mirror", other.url, served.mirror], check=True)
    with pytest.raises(SlipwayError, match=f"Could not promote acme/definitions from {other.url}: it has main at"):
        trove_promote.act(wanted, write=False)
    by_git = {**wanted, "backend": "git", "upstream": str(served.url)}
    assert trove_promote.act(by_git, write=False) == {"changed": True, "commit": commit}
    served.run("branch", BRANCH.removeprefix("refs/heads/"), commit)
    assert trove_promote.act(by_git, write=True) == {"changed": True, "commit": commit}
    assert trove_promote.act(by_git, write=True) == {"changed": False, "commit": commit}
    assert read_refs(served.mirror)[BRANCH] == commit
