# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tarballs of others are taken over as they are or packed again, and refused by name when they are hostile."""

from __future__ import annotations

import bz2
import gzip
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.fetch import Reader
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.imports import (
    Imported,
    Importer,
    list_tarballs,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.package import EPOCH, Surroundings
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.repository import read_releases
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.rosdeps import Platform
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.tree import Limits
from publishing import run_module, tree
from stacktrees import make_tar, member, write_stack

AROUND = Surroundings("cturtle", ["ros", "a", "b", "common_msgs"], platforms=[Platform("bookworm")])
READER = Reader(timeout=20, idle_timeout=10)


def put_tarball(place: Path, stack: str, *, ending: str = ".tar.bz2", top: str | None = None, **content: Any) -> Path:
    """A tarball of a stack as tar makes it, with times and owners of this machine."""
    label = f"{stack}-1.0.3"
    place.mkdir(parents=True, exist_ok=True)
    work = place / "work" / label
    write_stack(work / (top or label), **content)
    flag = "-cjf" if ending.endswith("bz2") else "-czf"
    subprocess.run(["tar", flag, place / f"{label}{ending}", top or label], cwd=work, check=True)
    return place / f"{label}{ending}"


def take(tmp_path: Path, *sources: Path | str, write: bool = True, **fields: Any) -> list[Imported]:
    importer = Importer(tmp_path / "out", AROUND, READER, EPOCH)
    return replace(importer, **fields).import_all(list_tarballs(map(str, sources), {}, repository=None), write=write)


def test_a_tarball_of_the_right_shape_keeps_its_bytes(tmp_path: Path) -> None:
    tarball = put_tarball(tmp_path / "old", "common_msgs", depends=["ros"])
    (done,) = take(tmp_path, tarball)
    place = tmp_path / "out/common_msgs-1.0.3"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["common_msgs-1.0.3"]
    assert (place / tarball.name).read_bytes() == tarball.read_bytes()
    assert (done.reused, done.repacked) == (False, "")
    assert done.made is not None
    assert (done.made.control["depends"], done.made.control["tarball"]) == (["ros"], tarball.name)
    (tmp_path / "public").mkdir()
    place.parent.rename(tmp_path / "public/common_msgs")
    (release,) = read_releases(str(tmp_path / "public"), {"common_msgs": "1.0.3"}, reader=READER)
    assert (release.present, release.faults) == (True, [])


@pytest.mark.parametrize(
    ("ending", "top", "why"),
    [
        (".tar.gz", None, "it was not compressed by bzip2"),
        (".tgz", None, "it was not compressed by bzip2"),
        (".tar.bz2", "common_msgs", "its top directory was common_msgs"),
    ],
)
def test_one_of_another_shape_is_packed_again_which_is_said(
    tmp_path: Path, ending: str, top: str | None, why: str
) -> None:
    tarball = put_tarball(tmp_path / "old", "common_msgs", ending=ending, top=top)
    (done,) = take(tmp_path, tarball)
    assert done.repacked == why
    with tarfile.open(tmp_path / "out/common_msgs-1.0.3/common_msgs-1.0.3.tar.bz2", "r:bz2") as archive:
        assert archive.getnames()[0] == "common_msgs-1.0.3"
        assert {info.mtime for info in archive} == {EPOCH}


def test_what_was_imported_is_used_again_and_not_fetched(tmp_path: Path) -> None:
    tarball = put_tarball(tmp_path / "old", "common_msgs")
    take(tmp_path, tarball)
    before = tree(tmp_path / "out")
    tarball.unlink()
    (done,) = take(tmp_path, tarball)
    assert (done.reused, done.as_dict()["files"] != []) == (True, True)
    assert tree(tmp_path / "out") == before


def test_what_was_spoiled_since_is_imported_again(tmp_path: Path) -> None:
    tarball = put_tarball(tmp_path / "old", "common_msgs")
    take(tmp_path, tarball)
    before = tree(tmp_path / "out")
    for name in ("common_msgs-1.0.3.tar.bz2", "common_msgs-1.0.3.yaml"):
        (tmp_path / "out/common_msgs-1.0.3" / name).write_bytes(b"spoiled")
        assert not take(tmp_path, tarball)[0].reused
        assert tree(tmp_path / "out") == before


def test_stacks_that_need_each_other_are_imported_together(tmp_path: Path) -> None:
    first = put_tarball(tmp_path / "old", "a", packages={"pa": ""})
    second = put_tarball(tmp_path / "old", "b", depends=["a"], packages={"pb": '<depend package="pa"/>'})
    done = take(tmp_path, second, first)
    assert [one.made.control["depends"] for one in done if one.made] == [["a"], []]
    # Later the first is known from what is there.
    (tmp_path / "out/b-1.0.3/b-1.0.3.yaml").unlink()
    assert [one.reused for one in take(tmp_path, first, second)] == [True, False]


def test_those_that_are_refused_are_named_and_the_others_are_made(tmp_path: Path) -> None:
    good = put_tarball(tmp_path / "old", "a")
    gate = put_tarball(tmp_path / "old", "b", version="9", packages={"p": '<depend package="nowhere"/>'})
    hostile = tmp_path / "old/common_msgs-1.0.3.tar.bz2"
    hostile.write_bytes(bz2.compress(make_tar([member("x/"), member("x/../../evil", b"x")])))
    absent = tmp_path / "old/ros-1.0.3.tar.bz2"
    with pytest.raises(SlipwayError) as caught:
        take(tmp_path, good, gate, hostile, absent)
    assert caught.value.findings == [
        "common_msgs-1.0.3: its member 'x/../../evil' leads out of it",
        f"ros-1.0.3: there is no {absent}",
        "b-1.0.3: its sources are version 9, and 1.0.3 is to be released",
        "b-1.0.3: p depends on nowhere, which is in no stack that is known, and no rosdep key",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-1.0.3"]
    assert not (tmp_path / "evil").exists()


def test_a_bomb_and_an_endless_file_are_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "common_msgs-1.0.3.tar.gz"
    bomb.write_bytes(gzip.compress(make_tar([member("x/"), member("x/z", bytes(1 << 20))])))
    with pytest.raises(SlipwayError, match="it unpacks to more than 65536 bytes"):
        take(tmp_path, bomb, limits=Limits(size=1 << 16))
    large = tmp_path / "a-1.0.3.tar.gz"
    large.write_bytes(bytes(1 << 17))
    with pytest.raises(SlipwayError, match="the answer has more than 65536 bytes"):
        take(tmp_path, large, limits=Limits(size=1 << 16))
    assert list((tmp_path / "out").iterdir()) == []


def test_check_mode_fetches_nothing(tmp_path: Path) -> None:
    (done,) = take(tmp_path, tmp_path / "old/common_msgs-1.0.3.tar.bz2", write=False)
    assert (done.reused, done.made) == (False, None)
    assert not (tmp_path / "out").exists()


def test_tarballs_are_found_in_a_repository_under_any_of_their_names(tmp_path: Path) -> None:
    put_tarball(tmp_path / "old/common_msgs/common_msgs-1.0.3", "common_msgs", ending=".tgz")
    put_tarball(tmp_path / "old/a/a-1.0.3", "a")
    arguments = {
        "repository": (tmp_path / "old").as_uri(),
        "wanted": {"common_msgs": "1.0.3", "a": "1.0.3"},
        "stacks": ["common_msgs", "a"],
        "platforms": ["bookworm"],
        "directory": str(tmp_path / "out"),
    }
    assert run_module("stack_import", arguments, check=True)["imported"] == ["a-1.0.3", "common_msgs-1.0.3"]
    assert not (tmp_path / "out").exists()
    done = run_module("stack_import", arguments)
    assert done["changed"]
    assert [(one["label"], one["repacked"]) for one in done["releases"]] == [
        ("a-1.0.3", None),
        ("common_msgs-1.0.3", "it was not compressed by bzip2"),
    ]
    again = run_module("stack_import", arguments)
    assert (again["changed"], again["imported"]) == (False, [])
    assert [one["files"] for one in again["releases"]] == [one["files"] for one in done["releases"]]


@pytest.mark.parametrize(
    ("sources", "wanted", "said"),
    [
        (["/x/common_msgs.tar.bz2"], {}, "its name is not <stack>-<version>"),
        (["/x/common_msgs-1.0.zip"], {}, "its name is not <stack>-<version>"),
        (["/x/common_msgs-1.0-.tar.gz"], {}, "has an empty revision"),
        (["common_msgs-1.0.tar.gz"], {}, "it is neither an absolute path nor an address"),
        (["/x/a-1.tar.gz", "http://x/y/a-1.tgz"], {}, "a-1 is asked for twice"),
        ([], {"a": "1"}, "it is neither an absolute path nor an address"),
        ([], {"A": "1"}, "it cannot be the name of a stack"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(sources: list[str], wanted: dict[str, str], said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        list_tarballs(sources, wanted, repository=None)


@pytest.mark.parametrize(
    ("place", "stack", "version"),
    [
        ("https://x/y/common_msgs-1.0.3.tar.bz2", "common_msgs", "1.0.3"),
        ("https://x/y/laser-drivers-1.0.tgz?download=1", "laser-drivers", "1.0"),
        ("/y/a-2-1.0-2.tar.gz", "a", "2-1.0-2"),
    ],
)
def test_names_of_tarballs_say_stack_and_version(place: str, stack: str, version: str) -> None:
    (one,) = list_tarballs([place], {}, repository=None)
    assert (one.stack, one.version) == (stack, version)
