"""A tree becomes the same bytes, whatever order and times it was built with."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.tree import (
    Changes,
    rewrite_tree,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import EPOCH, SYSTEM, canonical, content, entry, link, listing


def test_a_tree_is_sorted_and_roots_and_of_one_time(tmp_path: Path) -> None:
    members = listing(canonical(tmp_path, SYSTEM))
    assert list(members) == sorted(members)
    assert {(info.uid, info.gid, info.uname, info.gname, info.mtime) for info in members.values()} == {
        (0, 0, "root", "root", EPOCH)
    }
    assert members["usr/bin/tool"].mode == 0o755
    assert members["bin"].linkname == "usr/bin"


def test_the_order_and_times_of_what_was_built_make_no_difference(tmp_path: Path) -> None:
    first = canonical(tmp_path, SYSTEM, "first")
    entries = [
        entry(info.name, data, **{"type": info.type, "mode": info.mode, "linkname": info.linkname, "mtime": 77})
        for info, data in reversed(SYSTEM)
    ]
    for (info, _), (was, _) in zip(entries, reversed(SYSTEM), strict=True):
        info.size = was.size
    second = canonical(tmp_path, entries, "second")
    assert first.read_bytes() == second.read_bytes()


def test_missing_parents_are_added(tmp_path: Path) -> None:
    members = listing(canonical(tmp_path, [entry("a/b/c", b"c")]))
    assert [(name, info.isdir()) for name, info in members.items()] == [("a", True), ("a/b", True), ("a/b/c", False)]


def test_hard_links_become_files(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("z", b"zz"), link("a", "z", tarfile.LNKTYPE)])
    assert content(tree, "a") == b"zz"
    assert all(info.isreg() for info in listing(tree).values())


@pytest.mark.parametrize(
    ("entries", "finding"),
    [
        ([entry("../x", b"x")], "'../x' leads out of the tree"),
        ([entry("a/../../x", b"x")], "'a/../../x' leads out of the tree"),
        ([entry("/etc/passwd", b"x")], "'/etc/passwd' leads out of the tree"),
        ([link("a", "/etc"), entry("a/passwd", b"x")], "'a/passwd' is below 'a', which is not a directory"),
        ([entry("a", b"x"), entry("a/b/c", b"x")], "'a/b/c' is below 'a', which is not a directory"),
        ([entry("x", type=b"V")], "'x' is of a type that no system has"),
    ],
)
def test_hostile_names_are_refused(tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], finding: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        canonical(tmp_path, entries)
    assert finding in caught.value.findings


NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map("/".join), st.binary(max_size=30), max_size=8)


@settings(max_examples=40, deadline=None)
@given(PATHS)
def test_a_canonical_tree_stays_as_it_is(tmp_path_factory: pytest.TempPathFactory, paths: dict[str, bytes]) -> None:
    files = {path: data for path, data in paths.items() if not any(other.startswith(f"{path}/") for other in paths)}
    home = tmp_path_factory.mktemp("tree")
    first = canonical(home, [entry(path, data) for path, data in files.items()])
    rewrite_tree(first, home / "again.tar", changes=Changes(EPOCH))
    assert first.read_bytes() == (home / "again.tar").read_bytes()
    assert {name: content(first, name) for name, info in listing(first).items() if info.isreg()} == files


def test_the_permissions_of_a_tree_are_restored(tmp_path: Path) -> None:
    members = listing(canonical(tmp_path, SYSTEM, permissions="/permissions"))
    found = {name: (info.mode, info.uid, info.gid) for name, info in members.items()}
    assert found["usr/bin/ping"] == (0o4755, 0, 0)
    assert found["sticky"] == (0o1777, 0, 0)
    assert found["etc/shadow"] == (0o640, 0, 42)
    assert found["etc/a name"] == (0o600, 5, 6)
    assert found["usr/bin/tool"] == (0o755, 0, 0)


@pytest.mark.parametrize("path", ["/none", "../x", "/etc", "/bin"])
def test_a_permissions_file_that_is_not_there_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(SlipwayError, match="the system has no such file. Correct the deployment's setting PERMISSIONS"):
        canonical(tmp_path, SYSTEM, permissions=path)


def test_the_os_release_says_which_image_it_is(tmp_path: Path) -> None:
    tree = canonical(tmp_path, SYSTEM, os_release={"IMAGE_ID": "system", "IMAGE_VERSION": "26.47"})
    assert content(tree, "usr/lib/os-release") == b'ID=debian\nNAME="Debian"\nIMAGE_ID=system\nIMAGE_VERSION=26.47\n'
    assert listing(tree)["etc/os-release"].issym()


def test_a_tree_without_os_release_gets_none(tmp_path: Path) -> None:
    assert list(listing(canonical(tmp_path, [entry("init", b"x")], os_release={"IMAGE_ID": "x"}))) == ["init"]


def test_a_file_is_added_with_its_directories(tmp_path: Path) -> None:
    added = tmp_path / "added"
    added.write_bytes(b"initramfs")
    tree = canonical(tmp_path, SYSTEM, added={"boot/deep/initramfs.gz": added})
    assert content(tree, "boot/deep/initramfs.gz") == b"initramfs"
    assert listing(tree)["boot/deep/initramfs.gz"].mtime == EPOCH


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("../x", "it leads out of the tree"),
        ("", "it leads out of the tree"),
        ("bin/x", "'bin/x' is below 'bin', which is not a directory"),
        ("etc", "the system has something else there"),
    ],
)
def test_a_file_is_not_added_where_it_cannot_be(tmp_path: Path, path: str, fault: str) -> None:
    added = tmp_path / "added"
    added.touch()
    with pytest.raises(SlipwayError, match=fault):
        canonical(tmp_path, SYSTEM, added={path: added})
