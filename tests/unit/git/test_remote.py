from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.files import ensure_files
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import (
    Annotation,
    Person,
    ensure_ref,
    extract_reason,
    find_remote_commit,
    list_remote_refs,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.locks import hold_posix_lock
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.grokmirror import promote_mirror

TEAM = Person("Team", "team@example.org", 1_700_000_000)
BRANCH = "refs/heads/baserock/release/baserock-26.47"
TAG = "refs/tags/baserock-26.47"


def git(*arguments, cwd):
    environment = {**os.environ, **TEAM.environment()}
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def trove(tmp_path):
    """A bare repository with three commits; returns its path and the commits."""
    work, bare = tmp_path / "work", tmp_path / "trove.git"
    git("init", "-q", "-b", "master", str(work), cwd=tmp_path)
    commits = []
    for number in range(3):
        (work / "file").write_text(str(number))
        git("add", ".", cwd=work)
        git("commit", "-q", "-m", f"Change {number}", cwd=work)
        commits.append(git("rev-parse", "HEAD", cwd=work))
    git("clone", "-q", "--bare", str(work), str(bare), cwd=tmp_path)
    return bare, commits


def test_a_branch_is_made_once(trove):
    bare, commits = trove
    assert ensure_ref(str(bare), BRANCH, commit=commits[2]) == (None, True)
    assert ensure_ref(str(bare), BRANCH, commit=commits[2]) == (commits[2], False)
    assert git("rev-parse", BRANCH, cwd=bare) == commits[2]


def test_an_older_commit_that_no_ref_names_can_be_branched(trove):
    bare, commits = trove
    ensure_ref(f"file://{bare}", BRANCH, commit=commits[0])
    assert git("rev-parse", BRANCH, cwd=bare) == commits[0]


def test_a_ref_on_another_commit_is_not_moved_and_both_are_named(trove):
    bare, commits = trove
    git("update-ref", BRANCH, commits[1], cwd=bare)
    with pytest.raises(SlipwayError, match=f"should name {commits[2]}, but it names {commits[1]}"):
        ensure_ref(str(bare), BRANCH, commit=commits[2])
    assert git("rev-parse", BRANCH, cwd=bare) == commits[1]


def test_check_mode_pushes_nothing(trove):
    bare, commits = trove
    assert ensure_ref(str(bare), BRANCH, commit=commits[2], write=False) == (None, True)
    assert find_remote_commit(str(bare), BRANCH) is None


def test_an_annotated_tag_has_its_tagger_and_date_and_is_made_once(trove):
    bare, commits = trove
    annotation = Annotation("baserock 26.47\n", TEAM)
    assert ensure_ref(str(bare), TAG, commit=commits[2], annotation=annotation) == (None, True)
    assert ensure_ref(str(bare), TAG, commit=commits[2], annotation=annotation) == (commits[2], False)
    text = git("cat-file", "tag", "baserock-26.47", cwd=bare)
    assert text.splitlines() == [
        f"object {commits[2]}",
        "type commit",
        "tag baserock-26.47",
        "tagger Team <team@example.org> 1700000000 +0000",
        "",
        "baserock 26.47",
    ]


def test_an_unreachable_repository_is_named_with_gits_reason(tmp_path):
    with pytest.raises(
        SlipwayError, match=r"Could not read the refs of .*gone\.git: .*does not appear to be a git repository"
    ):
        list_remote_refs(str(tmp_path / "gone.git"))


@pytest.mark.parametrize(
    "url", ["https://me:secret@[trove/x", "https://me:secret@h\u2100/x", "https://secret@[trove/x"]
)
def test_what_is_no_address_is_said_without_its_account(url):
    with pytest.raises(SlipwayError, match=r"Could not use the address https://[^@]*: it is none") as caught:
        list_remote_refs(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("commit", ["", "master", "-x", "A" * 40])
def test_what_is_no_commit_is_refused(trove, commit):
    with pytest.raises(SlipwayError, match="is not a commit"):
        ensure_ref(str(trove[0]), BRANCH, commit=commit)


def keep(bare, text, **options):
    return ensure_files(str(bare), "main", files={"releases/x.mdwn": text}, message="Say it\n", person=TEAM, **options)


def test_files_are_committed_once_and_others_stay(tmp_path):
    bare = tmp_path / "wiki.git"
    git("init", "-q", "--bare", "-b", "main", str(bare), cwd=tmp_path)
    first = keep(bare, "one\n")
    ensure_files(str(bare), "main", files={"other": "o"}, message="Other\n", person=TEAM)
    second = keep(bare, "two\n")
    again = keep(bare, "two\n")
    assert first.changed == {"releases/x.mdwn": ("", "one\n")}
    assert second.changed == {"releases/x.mdwn": ("one\n", "two\n")}
    assert again.changed == {}
    assert again.head == second.head == git("rev-parse", "main", cwd=bare)
    assert git("ls-tree", "-r", "--name-only", "main", cwd=bare).split() == ["other", "releases/x.mdwn"]
    assert git("rev-list", "--count", "main", cwd=bare) == "3"


def test_files_are_not_committed_in_check_mode(tmp_path):
    bare = tmp_path / "wiki.git"
    git("init", "-q", "--bare", str(bare), cwd=tmp_path)
    assert keep(bare, "one\n", write=False).changed
    assert list_remote_refs(str(bare)) == {}


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ".git/config", "./x"])
def test_hostile_paths_of_files_are_refused(tmp_path, path):
    with pytest.raises(SlipwayError, match="not a path inside a repository"):
        ensure_files("nowhere", "main", files={path: ""}, message="", person=TEAM)


@pytest.fixture
def mirror(trove, tmp_path):
    """A mirror of the Trove as grokmirror keeps it, and its top level."""
    toplevel = tmp_path / "mirror"
    git("clone", "-q", "--mirror", str(trove[0]), str(toplevel / "baserock/definitions.git"), cwd=tmp_path)
    return toplevel


def test_promotion_fetches_the_commit_once(trove, mirror):
    bare, commits = trove
    ensure_ref(str(bare), BRANCH, commit=commits[2])
    wanted = {"ref": BRANCH, "commit": commits[2], "timeout": 10.0}
    assert promote_mirror(mirror, "baserock/definitions", **wanted, write=False)
    assert promote_mirror(mirror, "baserock/definitions", **wanted)
    assert not promote_mirror(mirror, "baserock/definitions", **wanted)
    assert git("rev-parse", BRANCH, cwd=mirror / "baserock/definitions.git") == commits[2]


def test_promotion_of_what_never_arrives_ends_with_the_limit(trove, mirror):
    with pytest.raises(SlipwayError, match=r"not done after 1 s.*must become b{40}"):
        promote_mirror(mirror, "baserock/definitions", ref=BRANCH, commit="b" * 40, timeout=1.0, interval=0.3)


def test_promotion_waits_for_grokmirrors_lock_with_a_limit(trove, mirror):
    bare, commits = trove
    ensure_ref(str(bare), BRANCH, commit=commits[2])
    lock = mirror / "baserock/.definitions.git.lock"
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    try:
        with pytest.raises(SlipwayError, match="held by another process"):
            promote_mirror(mirror, "baserock/definitions", ref=BRANCH, commit=commits[2], timeout=0.5)
    finally:
        holder.communicate()
    with hold_posix_lock(lock, attempt="x", on="y", timeout=1):
        pass


def test_a_repository_that_is_not_mirrored_is_named(mirror):
    with pytest.raises(SlipwayError, match="promote baserock/other on .*does not mirror it.*release_promote_backend"):
        promote_mirror(mirror, "baserock/other", ref=BRANCH, commit="b" * 40, timeout=1.0)


def test_the_reason_of_git_is_not_its_boilerplate():
    assert extract_reason(
        "fatal: Could not read from remote repository.\n\n"
        "Please make sure you have the correct access rights\nand the repository exists.\n"
    )
    assert (
        extract_reason(
            "ssh: connect to host trove port 22: No route to host\nfatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n"
        )
        == "ssh: connect to host trove port 22: No route to host"
    )
