"""A release is tagged once, a distribution's tag moves, and neither is taken from under somebody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Annotation, Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.home import provide_environment
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs import git as vcs_git
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs import hg as vcs_hg
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs import svn as vcs_svn
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.checkout import check_out
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.hg import make_patch
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.source import read_source
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.tags import TagOutcome, TagRequest, ensure_tag
from vcs import Stack, call, make_stack

TEAM = Person("Team", "team@example.org", 1_700_000_000)
KINDS = ["git", "svn", "hg", "bzr"]


@pytest.fixture(params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    return make_stack(request.param, tmp_path / "stack")


def tag(
    stack: Stack, purpose: str, revision: str, *, write: bool = True, annotation: Annotation | None = None
) -> TagOutcome:
    request = TagRequest(purpose, revision, "Tag it\n\nFor us.", TEAM, annotation)
    return ensure_tag(read_source(stack.kind, stack.values), request, write=write)


def test_a_release_is_tagged_once_and_never_moved(stack: Stack) -> None:
    name = stack.values["release-tag"]
    first, second = stack.commit("one\n"), stack.commit("two\n")
    assert tag(stack, "release", first, write=False).changed
    assert stack.read_tag(name) == ""
    assert tag(stack, "release", first).changed
    assert stack.read_tag(name) == first
    assert not tag(stack, "release", first).changed
    with pytest.raises(SlipwayError) as caught:
        tag(stack, "release", second)
    assert first in str(caught.value)
    assert second in str(caught.value)
    assert stack.read_tag(name) == first


def test_a_distribution_is_tagged_and_its_tag_moves(stack: Stack, tmp_path: Path) -> None:
    name = stack.values["distro-tag"]
    first, second = stack.commit("one\n"), stack.commit("two\n")
    done = tag(stack, "distro", first)
    assert (done.before, done.changed) == (None, True)
    would = tag(stack, "distro", second, write=False)
    assert (would.before and would.before.place.revision, would.changed) == (first, True)
    assert stack.read_tag(name) == first
    assert tag(stack, "distro", second).changed
    assert stack.read_tag(name) == second
    assert not tag(stack, "distro", second).changed
    assert tag(stack, "distro", first).changed
    read = check_out(read_source(stack.kind, stack.values), tmp_path / "nav", write=False)
    assert read.tags["distro"] is not None
    assert (read.place.revision, read.tags["distro"].place.revision) == (second, first)


def test_a_source_package_and_a_stack_without_version_have_no_tag(tmp_path: Path) -> None:
    stack = make_stack("git", tmp_path / "stack")
    stack.values["release-tag"] = None
    with pytest.raises(SlipwayError, match="the rules say no release-tag"):
        tag(stack, "release", stack.commit("one\n"))
    with pytest.raises(SlipwayError, match="a source package has no tags"):
        ensure_tag(read_source("dsc", {"uri": "/x.dsc"}), TagRequest("release", "x", "", TEAM))


# git: kinds and keys


def test_a_release_of_git_is_signed_and_another_kind_of_tag_is_no_substitute(tmp_path: Path) -> None:
    stack, home = make_stack("git", tmp_path / "stack"), tmp_path / "gnupg"
    revision, key = stack.commit("one\n"), make_key(home, "Release <release@example.org>")
    source = read_source("git", stack.values)
    with provide_environment(home) as signing:
        signed = Annotation("nav 1.0\n", TEAM, key, signing)
        for kind, make in {
            "is no annotated tag": lambda: stack.tag("nav-1.0", revision),
            "is signed by nobody": lambda: tag(stack, "release", revision, annotation=Annotation("x\n", TEAM)),
        }.items():
            make()
            with pytest.raises(SlipwayError, match=kind):
                tag(stack, "release", revision, annotation=signed)
            call("git", "push", "-q", "origin", ":refs/tags/nav-1.0", cwd=stack.work)
        assert tag(stack, "release", revision, annotation=signed).changed
        assert not tag(stack, "release", revision, annotation=signed).changed
        read = check_out(source, tmp_path / "nav", at="release", write=False)
        found = read.tags["release"]
        assert found is not None
        assert read.epoch == stack.read_epoch(revision) != TEAM.date
        assert (found.kind, found.signed, found.place.revision) == ("annotated", True, revision)
        stack.tag("cturtle", revision)
        assert tag(stack, "distro", revision, annotation=signed).changed
        assert not tag(stack, "distro", revision, annotation=signed).changed
    assert "-----BEGIN PGP SIGNATURE-----" in call("git", "cat-file", "tag", "cturtle", cwd=Path(stack.uri))


# Somebody else is quicker: between the look and the change, another revision is tagged or committed.


def interrupt(monkeypatch: pytest.MonkeyPatch, place: object, name: str, first: Callable[[], object]) -> None:
    """Have ``first`` done once, just before a function is called."""
    real, waiting = getattr(place, name), [first]

    def call_late(*words: object, **more: object) -> object:
        if waiting:
            waiting.pop()()
        return real(*words, **more)

    monkeypatch.setattr(place, name, call_late)


def test_a_tag_of_git_that_somebody_moves_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack("git", tmp_path / "stack")
    first, second, third = (stack.commit(f"{number}\n") for number in range(3))
    stack.tag("cturtle", first)
    interrupt(monkeypatch, vcs_git, "push_ref", lambda: stack.tag("cturtle", third))
    with pytest.raises(SlipwayError, match="If somebody pushed there meanwhile, run again"):
        tag(stack, "distro", second)
    assert stack.read_tag("cturtle") == third


@pytest.mark.parametrize("purpose", ["release", "distro"])
def test_a_tag_of_subversion_that_somebody_makes_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: str
) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    first, second, third = (stack.commit(f"{number}\n") for number in range(3))
    name = stack.values[f"{purpose}-tag"]
    if purpose == "distro":
        stack.tag(name, first)
    real = vcs_svn.SvnRepository.run

    def run(repository: vcs_svn.SvnRepository, program: str, *words: str, **more: object) -> object:
        if program == "svnmucc":
            stack.tag(name, third)
        return real(repository, program, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(vcs_svn.SvnRepository, "run", run)
    with pytest.raises(SlipwayError, match="If somebody committed there meanwhile, run again"):
        tag(stack, purpose, second)
    assert stack.read_tag(name) == third
    assert call("svn", "ls", f"{name}@").splitlines() == ["link", "scripts/", "stack.xml"]


def test_a_branch_of_mercurial_that_somebody_pushes_to_meanwhile_gets_no_second_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    first, made = stack.commit("one\n"), []
    interrupt(monkeypatch, vcs_hg, "make_patch", lambda: made.append(stack.commit("two\n")))
    with pytest.raises(SlipwayError, match="If somebody pushed there meanwhile, run again"):
        tag(stack, "release", first)
    assert call("hg", "heads", "--template={node}", cwd=Path(stack.uri)) == made[0]
    assert tag(stack, "release", first).changed


def test_a_tag_of_bazaar_that_somebody_makes_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack("bzr", tmp_path / "stack")
    first, second = stack.commit("one\n"), stack.commit("two\n")
    from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.bzr import BzrRepository

    interrupt(monkeypatch, BzrRepository, "set_tag", lambda: stack.tag("nav-1.0", second))
    with pytest.raises(SlipwayError, match=r"nav-1\.0 already exists"):
        tag(stack, "release", first)
    assert stack.read_tag("nav-1.0") == second


# Mercurial's file of tags


def test_a_tag_of_mercurial_is_the_commit_that_hg_itself_would_make(tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    first, second = stack.commit("one\n"), stack.commit("two\n")
    twin = tmp_path / "twin"
    call("hg", "clone", "-q", stack.uri, twin)
    for revision in (first, second):
        tag(stack, "distro", revision)
        words = ("-f", "-r", revision, "-u", "Team <team@example.org>", "-d", "1700000000 0", "-m", "Tag it\n\nFor us.")
        call("hg", "tag", *words, "cturtle", cwd=twin)
    assert call("hg", "log", "-r", "tip", "-T", "{node}", cwd=twin) == call(
        "hg", "log", "-r", "tip", "-T", "{node}", cwd=Path(stack.uri)
    )


@pytest.mark.parametrize("before", [b"", b"a one\n", b"a one\nb two\n", b"a one", b"a one\nb two"])
def test_a_patch_appends_lines_to_any_file_of_tags(tmp_path: Path, before: bytes) -> None:
    call("hg", "init", tmp_path)
    (tmp_path / "other").touch()
    if before:
        (tmp_path / ".hgtags").write_bytes(before)
    call("hg", "commit", "-A", "-q", "-m", "x", cwd=tmp_path)
    (tmp_path / "patch").write_bytes(make_patch(before, ["c three", "d four"]))
    call("hg", "import", "-q", "--no-commit", "patch", cwd=tmp_path)
    ended = before if before.endswith(b"\n") or not before else before + b"\n"
    assert (tmp_path / ".hgtags").read_bytes() == ended + b"c three\nd four\n"


def test_subrepositories_of_mercurial_do_not_keep_it_from_being_tagged(tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    call("hg", "init", stack.work / "sub")
    (stack.work / "sub/file").touch()
    call("hg", "commit", "-q", "-A", "-m", "x", cwd=stack.work / "sub")
    (stack.work / ".hgsub").write_text("sub = http://127.0.0.1:1/gone\n")
    call("hg", "commit", "-q", "-A", "-m", "x", cwd=stack.work)
    revision = call("hg", "log", "-r", "tip", "-T", "{node}", cwd=stack.work)
    assert tag(stack, "release", revision).changed
    assert stack.read_tag("nav-1.0") == revision
