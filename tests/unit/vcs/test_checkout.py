"""A stack is checked out of a repository of each kind: exactly, whole, once, and nothing that is not of it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs import trees
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.checkout import CheckedOut, check_out
from ansible_collections.slipway.release.plugins.module_utils.slipway.vcs.source import read_source
from publishing import tree
from vcs import Stack, call, make_stack

KINDS = ["git", "svn", "hg", "bzr"]
DATE = 1_300_000_000
ABSENT = {"git": "b" * 40, "svn": "99", "hg": "b" * 40, "bzr": "nobody@example.org-20100101-x"}


@pytest.fixture(params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    return make_stack(request.param, tmp_path / "stack")


def have(stack: Stack, directory: Path, **options: object) -> CheckedOut:
    return check_out(read_source(stack.kind, stack.values), directory, **options)  # type: ignore[arg-type]


def test_the_head_is_checked_out_once_and_the_next_one_after_it(stack: Stack, tmp_path: Path) -> None:
    directory = tmp_path / "out/nav"
    first = stack.commit("one\n", epoch=DATE)
    done = have(stack, directory)
    assert (done.changed, done.place.revision, done.before.marker) == (True, first, None)
    assert done.epoch == stack.read_epoch(first) == DATE
    assert {path.name for path in directory.iterdir()} == {"stack.xml", "scripts", "link"}
    assert os.access(directory / "scripts/run", os.X_OK)
    assert not os.access(directory / "stack.xml", os.X_OK)
    assert (directory / "link").readlink() == Path("stack.xml")
    assert {(directory / name).stat().st_mode & 0o777 for name in ("", "scripts", "scripts/run")} == {0o755}
    inode = directory.stat().st_ino
    marker = directory.parent / ".nav.checkout.json"
    marker.write_text(marker.read_text().replace(f'"epoch": {DATE}', f'"epoch": {DATE + 1}'))
    done = have(stack, directory)
    assert (done.changed, done.epoch) == (False, DATE + 1)  # what was noted is not asked for again
    assert directory.stat().st_ino == inode
    second = stack.commit("two\n")
    done = have(stack, directory)
    assert (done.changed, done.place.revision, done.before.marker.revision) == (True, second, first)
    assert done.epoch == stack.read_epoch(second) > DATE + 1
    assert (directory / "stack.xml").read_text() == "two\n"
    assert sorted(path.name for path in directory.parent.iterdir()) == [".nav.checkout.json", "nav"]


def test_an_older_revision_and_the_release_are_what_they_were(stack: Stack, tmp_path: Path) -> None:
    revisions = [stack.commit(f"{number}\n", epoch=DATE + number) for number in range(3)]
    stack.tag(stack.values["release-tag"], revisions[1])
    assert have(stack, tmp_path / "release", at="release", write=False).epoch == DATE + 1
    release = have(stack, tmp_path / "release", at="release")
    older = have(stack, tmp_path / "older", at="revision", revision=revisions[0])
    assert (release.place.revision, older.place.revision) == (revisions[1], revisions[0])
    assert (release.epoch, older.epoch) == (DATE + 1, DATE)
    assert [(tmp_path / name / "stack.xml").read_text() for name in ("release", "older")] == ["1\n", "0\n"]
    named = release.tags["release"]
    assert (named.place.revision, release.tags["distro"]) == (revisions[1], None)
    assert not have(stack, tmp_path / "release", at="revision", revision=revisions[1]).changed


def test_the_same_revision_has_the_same_bytes_wherever_it_is_read(stack: Stack, tmp_path: Path) -> None:
    revision = stack.commit("one $Revision$ $HeadURL$\n")
    if stack.kind == "svn":
        call("svn", "propset", "-q", "svn:keywords", "Revision HeadURL", "stack.xml", cwd=stack.work)
        revision = stack.commit("one $Revision$ $HeadURL$\n")
    stack.tag(stack.values["release-tag"], revision)
    for name, at in (("a", "development"), ("b", "release")):
        have(stack, tmp_path / name, at=at)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert "$Revision$ $HeadURL$" in (tmp_path / "a/stack.xml").read_text()


@pytest.mark.parametrize("stack", ["git", "svn"], indirect=True)
def test_check_mode_says_it_and_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    revision = stack.commit("one\n", epoch=DATE)
    done = have(stack, tmp_path / "out/nav", write=False)
    assert (done.changed, done.place.revision, done.epoch) == (True, revision, DATE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["content", "mode", "added", "removed", "link"])
def test_an_altered_tree_is_made_anew(tmp_path: Path, change: str) -> None:
    stack, directory = make_stack("git", tmp_path / "stack"), tmp_path / "nav"
    stack.commit("one\n", epoch=0)
    assert have(stack, directory).epoch is None  # no file should be of 1970
    before = tree(directory)
    if change == "content":
        (directory / "stack.xml").write_text("two\n")
    elif change == "mode":
        (directory / "stack.xml").chmod(0o755)
    elif change == "added":
        (directory / "scripts/empty").mkdir()
    else:
        (directory / "link").unlink()
        if change == "link":
            (directory / "link").symlink_to("scripts")
    assert have(stack, directory, write=False).before.altered
    assert have(stack, directory).changed
    assert tree(directory) == before
    assert not os.access(directory / "stack.xml", os.X_OK)
    assert not have(stack, directory).changed


def test_files_of_somebody_else_are_left_and_named(tmp_path: Path) -> None:
    stack, directory = make_stack("git", tmp_path / "stack"), tmp_path / "mine"
    stack.commit("one\n")
    directory.mkdir()
    (directory / "thesis").write_text("precious\n")
    with pytest.raises(SlipwayError, match=r"mine: there are files that are not known to be of a checkout\. Move"):
        have(stack, directory)
    assert tree(directory).keys() == {"thesis"}
    (tmp_path / "link").symlink_to(directory)
    with pytest.raises(SlipwayError, match="link: it is there, and is no directory"):
        have(stack, tmp_path / "link")


@pytest.mark.parametrize("step", ["marker", "moved away"])
def test_what_a_killed_run_left_is_completed(tmp_path: Path, step: str) -> None:
    """The marker is written first, then the old tree is moved away, then the new one comes."""
    stack, directory = make_stack("git", tmp_path / "stack"), tmp_path / "nav"
    first = stack.commit("one\n")
    have(stack, directory)
    second = stack.commit("two\n")
    marker = tmp_path / ".nav.checkout.json"
    marker.write_text(re.sub(first, second, marker.read_text()).replace('"sha256": "', '"sha256": "0'))
    if step == "moved away":
        shutil.rmtree(directory)
    assert have(stack, directory).changed
    assert (directory / "stack.xml").read_text() == "two\n"


def test_a_failed_export_leaves_the_tree_as_it_was(tmp_path: Path) -> None:
    stack, directory = make_stack("git", tmp_path / "stack"), tmp_path / "nav"
    stack.commit("one\n")
    have(stack, directory)
    stack.commit("much too long\n" * 10)
    with pytest.raises(SlipwayError, match=r"it has 1\d\d bytes, and at most 100 are allowed"):
        have(stack, directory, max_bytes=100)
    assert (directory / "stack.xml").read_text() == "one\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".nav.checkout.json", "nav", "stack"]


@pytest.mark.parametrize("name", [".git", ".HG", ".bzr"])
def test_metadata_of_another_kind_of_repository_is_refused(tmp_path: Path, name: str) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    (stack.work / "below" / name).mkdir(parents=True)
    (stack.work / "below" / name / "config").write_text("[core]\nfsmonitor = evil\n")
    stack.commit("one\n")
    with pytest.raises(SlipwayError, match=f"below/{name} belongs to a repository, and programs would obey it"):
        have(stack, tmp_path / "nav")
    assert not (tmp_path / "nav").exists()


def test_a_revision_that_is_not_there_is_named(stack: Stack, tmp_path: Path) -> None:
    stack.commit("one\n")
    with pytest.raises(SlipwayError, match=re.escape(ABSENT[stack.kind])):
        have(stack, tmp_path / "nav", at="revision", revision=ABSENT[stack.kind])
    for wrong in ("--help", "one two"):
        with pytest.raises(SlipwayError, match="it is no (commit|revision|changeset|revision id)"):
            have(stack, tmp_path / "nav", at="revision", revision=wrong if stack.kind != "bzr" else f"{wrong} \n")


@pytest.mark.parametrize("stack", ["git", "svn"], indirect=True)
def test_a_release_that_is_not_tagged_is_named(stack: Stack, tmp_path: Path) -> None:
    stack.commit("one\n")
    with pytest.raises(SlipwayError, match=r"nav-1\.0 of .*: there is no such tag\. Tag the release first"):
        have(stack, tmp_path / "nav", at="release")
    stack.values["release-tag"] = None
    with pytest.raises(SlipwayError, match="the rules say no release-tag. Give the stack a version"):
        have(stack, tmp_path / "nav", at="release")


def test_a_repository_that_is_not_there_is_named(stack: Stack, tmp_path: Path) -> None:
    stack.values = {name: value.replace("/stack/", "/gone/") for name, value in stack.values.items()}
    with pytest.raises(SlipwayError, match="/gone/"):
        have(stack, tmp_path / "nav")


@pytest.fixture
def silent() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        ("git", "git://127.0.0.1:{port}/x"),
        ("git", "http://127.0.0.1:{port}/x"),
        ("svn", "svn://127.0.0.1:{port}/x"),
        ("svn", "http://127.0.0.1:{port}/x"),
        ("hg", "http://127.0.0.1:{port}/x"),
        ("bzr", "bzr://127.0.0.1:{port}/x"),
        ("bzr", "http://127.0.0.1:{port}/x"),
        ("dsc", "http://127.0.0.1:{port}/x.dsc"),
    ],
)
def test_a_server_that_says_nothing_is_not_waited_for(silent: int, tmp_path: Path, kind: str, uri: str) -> None:
    address = uri.format(port=silent)
    source = read_source(kind, {"uri": address, "dev": address, "dev-branch": "main"})
    with pytest.raises(SlipwayError, match=r"was ended after 1 s|no whole answer within 1 s|timed out") as caught:
        check_out(source, tmp_path / "out", timeout=1)
    assert address.removesuffix("/x") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


# What is particular to one kind.


def test_externals_of_subversion_are_not_followed(silent: int, tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    stack.commit("one\n")
    call("svn", "propset", "-q", "svn:externals", f"svn://127.0.0.1:{silent}/evil evil", ".", cwd=stack.work)
    call("svn", "commit", "-q", "-m", "x", cwd=stack.work)
    have(stack, tmp_path / "nav", timeout=20)
    assert not (tmp_path / "nav/evil").exists()


def test_an_at_sign_in_a_url_of_subversion_is_no_revision(tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    revision = stack.commit("one\n")
    root = stack.uri.removesuffix("/nav/trunk")
    call("svn", "cp", "-q", "-m", "x", stack.uri, f"{root}/tr@1@")
    stack.values |= {"dev": f"{root}/tr@1", "release-tag": f"{root}/rel@2", "distro-tag": None}
    call("svn", "cp", "-q", "-m", "x", f"{root}/tr@1@", f"{root}/rel@2@")
    done = have(stack, tmp_path / "nav")
    assert (tmp_path / "nav/stack.xml").read_text() == "one\n"
    assert done.tags["release"].place.revision == done.place.revision == str(int(revision) + 1)


def test_a_change_elsewhere_in_subversion_makes_no_new_revision(tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    stack.commit("one\n")
    have(stack, tmp_path / "nav")
    call("svn", "mkdir", "-q", "-m", "x", f"{stack.uri.removesuffix('/nav/trunk')}/other")
    assert not have(stack, tmp_path / "nav").changed


def test_a_tag_of_subversion_that_was_changed_is_another_revision(tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    revision = stack.commit("one\n")
    tag = stack.values["release-tag"]
    stack.tag(tag, revision)
    call("svn", "mkdir", "-q", "-m", "x", f"{tag}/added")
    done = have(stack, tmp_path / "nav", at="release")
    assert (done.place.uri, int(done.place.revision)) == (tag, int(revision) + 2)
    assert (tmp_path / "nav/added").is_dir()


def test_a_copy_of_a_tag_of_subversion_is_of_the_same_revision(tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    revision = stack.commit("one\n")
    stack.tag(stack.values["release-tag"], revision)
    call("svn", "cp", "-q", "-m", "x", stack.values["release-tag"], stack.values["distro-tag"])
    stack.commit("two\n")
    tags = have(stack, tmp_path / "nav").tags
    assert [tag.place.revision for tag in tags.values()] == [revision, revision]


def test_a_directory_that_was_moved_in_subversion_is_found(tmp_path: Path) -> None:
    stack = make_stack("svn", tmp_path / "stack")
    stack.commit("one\n")
    root = stack.uri.removesuffix("/nav/trunk")
    call("svn", "mv", "-q", "-m", "x", f"{root}/nav", f"{root}/navigation")
    stack.values["dev"] = f"{root}/navigation/trunk"
    assert have(stack, tmp_path / "nav").changed
    assert not have(stack, tmp_path / "nav").changed
    assert (tmp_path / "nav/stack.xml").read_text() == "one\n"


def test_a_branch_of_mercurial_with_two_heads_is_refused(tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    first = stack.commit("one\n")
    stack.commit("two\n")
    call("hg", "update", "-q", first, cwd=stack.work)
    (stack.work / "other").touch()
    call("hg", "commit", "-q", "-A", "-m", "x", cwd=stack.work)
    with pytest.raises(SlipwayError, match="the branch default of .*: it has 2 heads: "):
        have(stack, tmp_path / "nav")
    assert have(stack, tmp_path / "nav", at="revision", revision=first).changed


def test_a_tag_of_mercurial_is_no_change_of_its_branch(tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    revision = stack.commit("one\n")
    stack.tag("nav-1.0", revision)
    stack.tag("cturtle", revision)
    done = have(stack, tmp_path / "nav")
    assert {done.place.revision, *(tag.place.revision for tag in done.tags.values())} == {revision}


def test_a_name_in_mercurial_is_not_the_beginning_of_a_number(tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    revision = stack.commit("one\n")
    stack.values["release-tag"] = revision[:7] + "g"
    assert have(stack, tmp_path / "nav").tags["release"] is None
    # What is all digits would be taken for a number, and is refused before.
    stack.values["release-tag"] = next(revision[:length] for length in range(8, 40) if not revision[:length].isdigit())
    assert have(stack, tmp_path / "nav").tags["release"] is None


def test_a_tag_of_mercurial_is_no_changeset_that_is_not_there(tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    revision = stack.commit("one\n")
    stack.tag("a" * 40, revision)
    with pytest.raises(SlipwayError, match=f"a{{40}} in .*: it is a name of {revision}"):
        have(stack, tmp_path / "nav", at="revision", revision="a" * 40)
    assert not (tmp_path / "nav").exists()


def test_subrepositories_of_mercurial_are_not_followed(silent: int, tmp_path: Path) -> None:
    stack = make_stack("hg", tmp_path / "stack")
    call("hg", "init", stack.work / "sub")
    (stack.work / "sub/file").touch()
    call("hg", "commit", "-q", "-A", "-m", "x", cwd=stack.work / "sub")
    (stack.work / ".hgsub").write_text(f"sub = http://127.0.0.1:{silent}/evil\n")
    call("hg", "commit", "-q", "-A", "-m", "x", cwd=stack.work)
    have(stack, tmp_path / "nav", timeout=20)
    assert (tmp_path / "nav/.hgsub").is_file()
    assert not (tmp_path / "nav/sub").exists()


def test_submodules_of_git_are_not_followed(silent: int, tmp_path: Path) -> None:
    stack = make_stack("git", tmp_path / "stack")
    (stack.work / ".gitmodules").write_text(f'[submodule "s"]\n\tpath = s\n\turl = http://127.0.0.1:{silent}/evil\n')
    call("git", "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},s", cwd=stack.work)
    call("git", "add", ".gitmodules", cwd=stack.work)
    call("git", "commit", "-q", "-m", "x", cwd=stack.work)
    call("git", "push", "-q", "origin", "HEAD:main", cwd=stack.work)
    have(stack, tmp_path / "nav", timeout=20)
    assert list((tmp_path / "nav/s").iterdir()) == []


def test_a_branch_of_bazaar_is_a_directory_below(tmp_path: Path) -> None:
    stack = make_stack("bzr", tmp_path / "stack")
    stack.commit("one\n")
    stack.values |= {"uri": f"file://{stack.top}", "dev-branch": "work"}
    assert have(stack, tmp_path / "nav").place.uri == f"file://{stack.work}"


def test_the_twins_are_read_when_that_is_asked(tmp_path: Path) -> None:
    stack, other = make_stack("git", tmp_path / "stack"), make_stack("git", tmp_path / "mirror")
    stack.commit("one\n")
    behind = other.commit("zero\n")
    source = read_source("git", {**stack.values, "anon-uri": other.uri}, anonymous=True)
    assert check_out(source, tmp_path / "nav").place.revision == behind


def test_two_trees_with_the_same_names_and_other_borders_have_other_digests(tmp_path: Path) -> None:
    for name, files in {"a": {"x": b"1", "y": b""}, "b": {"x": b"", "y": b"1"}, "c": {"x": b"1"}}.items():
        (tmp_path / name).mkdir()
        for file, data in files.items():
            (tmp_path / name / file).write_bytes(data)
    assert len({trees.digest_tree(tmp_path / name) for name in "abc"}) == 3
