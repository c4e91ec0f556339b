"""Upstream source becomes a git repository, the same one everywhere."""

from __future__ import annotations

import io
import subprocess
import tarfile

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.tree import FILE, LINK, PROGRAM, Entry
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.trove.sources import (
    Archive,
    SourceRequest,
    ensure_imports,
    make_tag,
    parse_tarball_name,
    read_tarball,
)

SOURCES = ("deb-src http://deb.example.org/debian bookworm main",)
NEWEST = 1_500_000_100

FAKE = """#!/bin/sh
# Stands in for apt-get: knows one source package.
echo "$*" >> "{calls}"
case "$*" in
*--print-uris*) echo "'http://deb.example.org/{name}' {name} 10 SHA256:00" ;;
*--download-only*) cp "{tarball}" . ;;
esac
"""


def git(repository, *words):
    return subprocess.run(["git", *words], cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def tarball(path, files, *, top="tree-2.1.0/", mtime=NEWEST):
    """A tarball of names -> text; a name that ends in * is a program, a text that begins with -> a link's target."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix[1:]}") as tar:
        for number, (name, text) in enumerate(files.items()):
            info = tarfile.TarInfo(top + name.removesuffix("*"))
            info.mode = 0o775 if name.endswith("*") else 0o664
            info.mtime = mtime - number
            if text.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, text[2:]
                tar.addfile(info)
            else:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
    return path


FILES = {"tree.c": "int main;\n", "configure*": "#!/bin/sh\n", "docs/README": "->../tree.c"}


@pytest.fixture
def archive(tmp_path):
    return Archive(SOURCES, tmp_path / "sources")


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A stand-in for apt-get that has tree 2.1.0; returns its log."""
    tools = tmp_path / "tools"
    source = tarball(tools / "tree_2.1.0.orig.tar.gz", FILES)
    calls = tmp_path / "calls"
    (tools / "apt-get").write_text(FAKE.format(calls=calls, name=source.name, tarball=source))
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return calls


def imports(tmp_path, archive, *wanted, **options):
    return ensure_imports(list(wanted), tmp_path / "trove", archive=archive, progress=Progress(None), **options)


TREE = SourceRequest("tree", "delta/tree")


def test_a_source_package_becomes_a_repository_with_its_version_as_tag(tmp_path, archive, apt):
    (made,) = imports(tmp_path, archive, TREE)
    repository = tmp_path / "trove/delta/tree.git"
    assert (made.version, made.made) == ("2.1.0", True)
    assert git(repository, "rev-parse", "master", "2.1.0").split() == [made.commit, made.commit]
    assert git(repository, "ls-tree", "-r", "--format=%(objectmode) %(path)", "master").splitlines() == [
        "100755 configure",
        "120000 docs/README",
        "100644 tree.c",
    ]
    assert git(repository, "log", "-1", "--format=%ct %an|%s").startswith(f"{NEWEST} Slipway import|Import tree_2.1.0")


def test_it_is_imported_once_and_fetched_once(tmp_path, archive, apt):
    (made,) = imports(tmp_path, archive, TREE)
    calls = apt.read_text()
    (again,) = imports(tmp_path, archive, TREE)
    assert (again.made, again.commit, again.version) == (False, made.commit, "2.1.0")
    (elsewhere,) = ensure_imports([TREE], tmp_path / "other", archive=archive, progress=Progress(None))
    assert (elsewhere.made, elsewhere.commit) == (True, made.commit)
    assert apt.read_text() == calls


def test_the_machines_own_lists_of_sources_are_neither_used_nor_changed(tmp_path, archive, apt):
    imports(tmp_path, archive, TREE)
    for line in apt.read_text().splitlines():
        assert "Dir::Etc::SourceParts=/dev/null" in line
        assert f"Dir::State::Lists={archive.cache}" in line
    assert sorted(path.name for path in archive.cache.iterdir()) == [".lock", "tree_2.1.0.orig.tar.gz"]


def test_what_a_killed_run_left_is_removed(tmp_path, archive, apt):
    (archive.cache / ".apt-abc").mkdir(parents=True)
    imports(tmp_path, archive, TREE)
    assert not (archive.cache / ".apt-abc").exists()


def test_check_mode_imports_nothing(tmp_path, archive, apt):
    assert imports(tmp_path, archive, TREE, write=False) == [None]
    assert not (tmp_path / "trove").exists()
    assert not archive.cache.exists()
    assert not apt.exists()


def test_a_newer_version_is_a_history_of_its_own_and_the_old_tag_stays(tmp_path, archive):
    tarball(archive.cache / "tree_2.1.0.orig.tar.gz", FILES)
    (old,) = imports(tmp_path, archive, TREE)
    tarball(archive.cache / "tree_2.1.10.orig.tar.xz", {"tree.c": "int other;\n"})
    (kept,) = imports(tmp_path, archive, TREE)
    assert kept.commit == old.commit
    (new,) = imports(tmp_path, archive, SourceRequest("tree", "delta/tree", "2.1.10"))
    repository = tmp_path / "trove/delta/tree.git"
    assert git(repository, "rev-parse", "master", "2.1.0", "2.1.10").split() == [new.commit, old.commit, new.commit]
    assert git(repository, "rev-list", "--count", "master") == "1"


def test_a_branch_with_commits_of_somebody_else_is_not_moved(tmp_path, archive):
    tarball(archive.cache / "tree_2.1.0.orig.tar.gz", FILES)
    imports(tmp_path, archive, TREE)
    work = tmp_path / "work"
    repository = tmp_path / "trove/delta/tree.git"
    git(tmp_path, "clone", "-q", str(repository), str(work))
    git(work, "-c", "user.name=U", "-c", "user.email=u@example.org", "commit", "-q", "--allow-empty", "-m", "Mine")
    git(work, "push", "-q")
    tarball(archive.cache / "tree_2.2.orig.tar.gz", FILES)
    imports(tmp_path, archive, SourceRequest("tree", "delta/tree", "2.2"))
    assert git(repository, "log", "-1", "--format=%s", "master") == "Mine"
    assert git(repository, "tag") == "2.1.0\n2.2"


def test_a_version_that_the_archive_does_not_have_is_named(tmp_path, archive, apt):
    with pytest.raises(
        SlipwayError, match=r"Could not import tree 9 from the Debian archive: it has version 2\.1\.0\. "
    ):
        imports(tmp_path, archive, SourceRequest("tree", "delta/tree", "9"))
    assert not (tmp_path / "trove").exists()


def test_an_unknown_package_is_named(tmp_path, archive, apt):
    with pytest.raises(
        SlipwayError, match=r"Could not find nothing in the Debian archive: there is no upstream tarball"
    ):
        imports(tmp_path, archive, SourceRequest("nothing", "delta/nothing"))


def test_a_directory_that_all_files_share_is_left_out_and_others_are_kept(tmp_path):
    files, newest = read_tarball(tarball(tmp_path / "a_1.orig.tar.bz2", FILES, top="./anything/"))
    assert files == {
        b"tree.c": Entry(FILE, b"int main;\n"),
        b"configure": Entry(PROGRAM, b"#!/bin/sh\n"),
        b"docs/README": Entry(LINK, b"../tree.c"),
    }
    assert newest == NEWEST
    files, _ = read_tarball(tarball(tmp_path / "b_1.orig.tar.gz", {"x/a": "1", "y/b": "2"}, top=""))
    assert sorted(files) == [b"x/a", b"y/b"]


def test_a_tarball_that_leads_out_of_itself_is_refused(tmp_path):
    with pytest.raises(SlipwayError, match=r"'a/\.\./\.\./etc' leads out of it"):
        read_tarball(tarball(tmp_path / "a_1.orig.tar.gz", {"../../etc": "x"}, top="a/"))


def test_an_empty_tarball_is_refused(tmp_path):
    with pytest.raises(SlipwayError, match="it holds no files"):
        read_tarball(tarball(tmp_path / "a_1.orig.tar.gz", {}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tree_2.1.0.orig.tar.gz", ("tree", "2.1.0")),
        ("lua5.4_5.4.4.orig.tar.xz", ("lua5.4", "5.4.4")),
        ("gcc-12_12.2.0+dfsg1.orig.tar.bz2", ("gcc-12", "12.2.0+dfsg1")),
        ("native_1.5.tar.xz", ("native", "1.5")),
    ],
)
def test_a_tarballs_name_says_package_and_version(name, expected):
    assert parse_tarball_name(name) == expected


def test_other_names_are_refused():
    with pytest.raises(SlipwayError, match="it is not a source tarball of Debian"):
        parse_tarball_name("notes.txt")


@pytest.mark.parametrize(
    ("version", "tag"), [("1.2~rc1", "1.2_rc1"), ("1:2", "1%2"), ("1..2", "1.#.2"), ("3.lock", "3.#lock")]
)
def test_a_version_becomes_a_name_that_git_takes(version, tag):
    assert make_tag(version) == tag
    subprocess.run(["git", "check-ref-format", f"refs/tags/{tag}"], check=True)
