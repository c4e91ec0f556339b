# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tarballs have the same bytes each time; what a stranger made is unpacked as a whole, or nothing of it is."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.tarball import pack_tree, unpack_tarball
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.tree import Limits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publishing import tree
from stacktrees import PACKERS, make_tar, member, write_tree

EPOCH = 1_000_000_000
FILES = {"stack.xml": "<stack/>", "src/main.c": "int x;\n", "src/empty": "", "link": "-> src/main.c", "ü/lang": "ß"}
PARTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="/\\"), min_size=1, max_size=12)
NAMES = PARTS.filter(lambda name: name not in {".", "..", ".git", ".svn", ".hg", ".bzr", "CVS", "build"})
TREES = st.recursive(
    st.binary(max_size=2000), lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
).filter(lambda value: isinstance(value, dict))
FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def pack(top: Path, name: str = "x-1", **options: object) -> bytes:
    stream = io.BytesIO()
    pack_tree(top, name, stream, epoch=EPOCH, **options)
    return stream.getvalue()


def unpack(tmp_path: Path, data: bytes, **options: object) -> Path:
    tarball = tmp_path / "some.tar"
    tarball.write_bytes(data)
    return unpack_tarball(tarball, tmp_path / "out", **options)


def is_clean(tmp_path: Path) -> bool:
    out = tmp_path / "out"
    return not out.exists() or not any(out.iterdir())


def lay_out(top: Path, value: object) -> None:
    if isinstance(value, dict):
        top.mkdir()
        for name, below in value.items():
            lay_out(top / name, below)
    else:
        top.write_bytes(value)


def test_the_bytes_depend_on_nothing_but_the_tree_and_the_epoch(tmp_path: Path) -> None:
    first = write_tree(tmp_path / "a", FILES)
    second = write_tree(tmp_path / "b", dict(reversed(FILES.items())))
    for path in (second / "src", second / "stack.xml"):
        os.utime(path, (5, 5))
    (second / "stack.xml").chmod(0o600)
    os.chmod(second / "src", 0o700)
    assert pack(first) == pack(second)
    # These very bytes, on every machine: with others, what is released could not be made again.
    assert hashlib.md5(pack(first), usedforsecurity=False).hexdigest() == "0f4c0725940e92e610c3fa7caa6b781b"


def test_a_changed_file_or_mode_or_epoch_is_other_bytes(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "a", FILES)
    seen = {pack(top)}
    (top / "stack.xml").chmod(0o755)
    seen.add(pack(top))
    (top / "src/empty").write_text("x")
    seen.add(pack(top))
    stream = io.BytesIO()
    pack_tree(top, "x-1", stream, epoch=0)
    assert len(seen | {stream.getvalue()}) == 4


def test_tar_finds_members_without_anything_of_this_machine(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "a", {**FILES, ".git/config": "x", "src/.svn/x": "x", "CVS/y": "", "build/made": "x"})
    write_tree(top, {"src/build/kept": "x", ".hgignore": "x", "submodule/.git": "gitdir: elsewhere"})
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o6750)
    (tmp_path / "x.tar.bz2").write_bytes(pack(top))
    listed = subprocess.run(
        ["tar", "--numeric-owner", "--full-time", "--utc", "-tvf", tmp_path / "x.tar.bz2"],
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    ).stdout.splitlines()
    words = [line.split() for line in listed]
    assert {(word[1], word[3], word[4]) for word in words} == {("0/0", "2001-09-09", "01:46:40")}
    names = [word[5] for word in words]
    assert names == sorted(names, key=lambda name: name.rstrip("/"))
    assert {name: mode for mode, *_rest, name in ([word[0], word[5]] for word in words if word[5] == "x-1/run")} == {
        "x-1/run": "-rwxr-xr-x"
    }
    assert {"x-1/src/build/kept", "x-1/.hgignore", "x-1/submodule/"} <= {*names}
    assert not [name for name in names if ".git" in name or ".svn" in name or "CVS" in name or "made" in name]


@given(value=TREES)
@FAST
def test_what_is_packed_is_unpacked_as_it_was(
    value: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.mktemp("tree")
    lay_out(where / "top", value)
    data = pack(where / "top", "stack-1.2")
    assert pack(where / "top", "stack-1.2") == data
    found = unpack(where, data, top="stack-1.2")
    assert found == where / "out/stack-1.2"
    assert tree(found) == tree(where / "top")
    assert pack(found, "stack-1.2") == data


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": "-> /etc/passwd"}, "'a' is a link to '/etc/passwd', out of the tree"),
        ({"a": "-> ../x"}, "'a' is a link to '../x', out of the tree"),
        ({"s/a/b/x": "-> ../../../t", "t/f": "", "s/y": "-> a/b/x/../.."}, "'s/y' is a link to 'a/b/x/../..', out of"),
        ({"a": "-> b", "b": "-> a"}, "'a' is a link to 'b', out of the tree"),
        ({"a\nb": ""}, r"'a\\nb' has a control character in its name"),
        ({"a\udcff": ""}, "has a name that is not UTF-8"),
    ],
)
def test_a_tree_that_no_tarball_may_hold_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        pack(write_tree(tmp_path / "a", files))


def test_links_that_stay_inside_are_packed_and_unpacked(tmp_path: Path) -> None:
    files = {"d/e/f": "x", "up": "-> d/../d/e/f", "d/x": "-> e", "d/y": "-> x/f", "dangling": "-> d/none"}
    top = write_tree(tmp_path / "a", files)
    assert tree(unpack(tmp_path, pack(top))) == tree(top)


def test_devices_sockets_and_pipes_are_named_all_at_once(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "a", {"x": ""})
    os.mkfifo(top / "pipe")
    here = Path.cwd()
    os.chdir(top)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
            with pytest.raises(SlipwayError) as caught:
                pack(top)
    finally:
        os.chdir(here)
    assert caught.value.findings == [
        "pipe is neither a file, a directory nor a link",
        "socket is neither a file, a directory nor a link",
    ]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(size=10), "at most 10 may be"),
        (Limits(members=2), "more than 2 files"),
        (Limits(depth=1), "than 1 level"),
    ],
)
def test_a_tree_beyond_the_limits_is_refused(tmp_path: Path, limits: Limits, said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        pack(write_tree(tmp_path / "a", {"a/b": "x" * 9, "c": "y" * 9}), limits=limits)


GOOD = [member("x-1/"), member("x-1/f", b"content"), member("x-1/d/"), member("x-1/d/g", b"z", mode=0o755)]
HOSTILE = {
    "up": ([*GOOD, member("x-1/../../evil", b"x")], "leads out of it"),
    "absolute": ([*GOOD, member("/etc/evil", b"x")], "leads out of it"),
    "only a parent": ([member("../x/")], "leads out of it"),
    "symlink out": ([*GOOD, member("x-1/l", kind=tarfile.SYMTYPE, to="../../etc")], "is a link to '../../etc', out of"),
    "absolute symlink": ([*GOOD, member("x-1/l", kind=tarfile.SYMTYPE, to="/etc")], "is a link to '/etc', out of"),
    "empty symlink": ([*GOOD, member("x-1/l", kind=tarfile.SYMTYPE)], "is a link to '', out of"),
    "through a symlink": (
        [*GOOD, member("x-1/l", kind=tarfile.SYMTYPE, to="d"), member("x-1/l/h", b"x")],
        "is below 'x-1/l', which is a link",
    ),
    "below a file": ([*GOOD, member("x-1/f/h", b"x")], "is below 'x-1/f', which is a file"),
    "hard link out": ([*GOOD, member("x-1/h", kind=tarfile.LNKTYPE, to="/etc/passwd")], "no earlier file of it"),
    "hard link up": ([*GOOD, member("x-1/h", kind=tarfile.LNKTYPE, to="x-1/../../p")], "no earlier file of it"),
    "hard link ahead": ([member("x-1/h", kind=tarfile.LNKTYPE, to="x-1/f"), *GOOD], "no earlier file of it"),
    "hard link to a link": (
        [*GOOD, member("x-1/l", kind=tarfile.SYMTYPE, to="f"), member("x-1/h", kind=tarfile.LNKTYPE, to="x-1/l")],
        "no earlier file of it",
    ),
    "device": ([*GOOD, member("x-1/null", kind=tarfile.CHRTYPE)], "neither a file, a directory nor a link"),
    "block device": ([*GOOD, member("x-1/sda", kind=tarfile.BLKTYPE)], "neither a file, a directory nor a link"),
    "pipe": ([*GOOD, member("x-1/pipe", kind=tarfile.FIFOTYPE)], "neither a file, a directory nor a link"),
    "unknown": ([*GOOD, member("x-1/odd", kind=b"Q")], "neither a file, a directory nor a link"),
    "two tops": ([*GOOD, member("y/f", b"x")], "is not below the top directory 'x-1'"),
    "a file at the top": ([member("f", b"x")], "is not below a top directory"),
    "a link at the top": ([member("x-1", kind=tarfile.SYMTYPE, to="/")], "is not below a top directory"),
    "twice": ([*GOOD, member("x-1/f", b"other")], "is there twice"),
    "twice in other words": ([*GOOD, member("./x-1//f", b"other")], "is there twice"),
    "a directory twice": ([*GOOD, member("x-1/d/")], "is there twice"),
    "a link where a file was": ([*GOOD, member("x-1/f", kind=tarfile.SYMTYPE, to="d")], "is there twice"),
    "control character": ([*GOOD, member("x-1/a\x1bb", b"x")], "has a control character in its name"),
    "newline": ([*GOOD, member("x-1/a\nb", b"x")], "has a control character in its name"),
    "no UTF-8": ([*GOOD, member("x-1/\udcff", b"x")], "has a name that is not UTF-8"),
    "long": ([*GOOD, member("x-1/" + "n" * 256, b"x")], "has a name that is too long"),
    "deep": ([*GOOD, member("x-1/" + "d/" * 70 + "f", b"x")], "is more than 64 levels deep"),
    "empty": ([], "it is empty"),
}


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_tarball_is_refused_in_a_sentence_and_nothing_is_left(tmp_path: Path, what: str, ending: str) -> None:
    members, said = HOSTILE[what]
    data = make_tar(members, style=tarfile.GNU_FORMAT if what == "no UTF-8" else tarfile.PAX_FORMAT)
    with pytest.raises(SlipwayError) as caught:
        unpack(tmp_path, PACKERS[ending](data))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert is_clean(tmp_path)


@pytest.mark.parametrize("ending", PACKERS)
def test_an_honest_tarball_is_unpacked_with_plain_modes_and_hard_links_as_files(tmp_path: Path, ending: str) -> None:
    extra = [member("x-1/h", kind=tarfile.LNKTYPE, to="x-1/f"), member("x-1/l", kind=tarfile.SYMTYPE, to="d/g")]
    found = unpack(tmp_path, PACKERS[ending](make_tar([member("./"), *GOOD, *extra])), top="x-1")
    assert {path.name for path in found.iterdir()} == {"f", "d", "h", "l"}
    assert (found / "h").read_bytes() == b"content"
    assert (found / "h").stat().st_nlink == 1
    assert (found / "l").read_bytes() == b"z"
    assert [(found / name).stat().st_mode & 0o7777 for name in ("f", "d/g", "d")] == [0o644, 0o755, 0o755]


def test_what_tar_writes_is_unpacked(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "x-1", {**FILES, "n" * 200: "long"})
    for words in (["-cjf"], ["--format=posix", "-cJf"], ["--format=ustar", "--exclude=nnn*", "-czf"]):
        subprocess.run(["tar", *words, tmp_path / "made", "x-1"], cwd=tmp_path, check=True)
        found = unpack_tarball(tmp_path / "made", tmp_path / f"out{words[-1]}")
        wanted = {name: said for name, said in tree(top).items() if "ustar" not in words[0] or "nnn" not in name}
        assert tree(found) == wanted


def test_another_top_directory_than_the_wanted_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="its top directory is 'x-1' instead of 'y-2'"):
        unpack(tmp_path, bz2.compress(make_tar(GOOD)), top="y-2")
    assert is_clean(tmp_path)


def test_a_directory_that_is_there_is_never_unpacked_into(tmp_path: Path) -> None:
    write_tree(tmp_path / "out/x-1", {"mine": "x"})
    with pytest.raises(SlipwayError, match="out/x-1 is there already"):
        unpack(tmp_path, bz2.compress(make_tar(GOOD)))
    assert tree(tmp_path / "out").keys() == {"x-1", "x-1/mine"}


BOMB = [member("x-1/"), member("x-1/zeros", bytes(3 << 20))]


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(size=1 << 20), "it unpacks to more than 1048576 bytes"),
        (Limits(ratio=20, free=1 << 20), "it unpacks to more than 20 times its size"),
        (Limits(members=1), "it has more than 1 members"),
    ],
)
def test_a_bomb_is_refused_while_it_unpacks(tmp_path: Path, ending: str, limits: Limits, said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        unpack(tmp_path, PACKERS[ending](make_tar(BOMB)), limits=limits)
    assert is_clean(tmp_path)


def test_hard_links_count_as_what_they_become(tmp_path: Path) -> None:
    links = [member(f"x-1/{number}", kind=tarfile.LNKTYPE, to="x-1/zeros") for number in range(4)]
    with pytest.raises(SlipwayError, match="it unpacks to more than 8388608 bytes"):
        unpack(tmp_path, bz2.compress(make_tar([*BOMB, *links])), limits=Limits(size=8 << 20))
    assert is_clean(tmp_path)


def test_a_sparse_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x-1").mkdir()
    with open(tmp_path / "x-1/holes", "wb") as stream:
        stream.truncate(1 << 40)
    subprocess.run(["tar", "--sparse", "-cjf", tmp_path / "made", "x-1"], cwd=tmp_path, check=True)
    with pytest.raises(SlipwayError, match="'x-1/holes' is neither a file, a directory nor a link"):
        unpack_tarball(tmp_path / "made", tmp_path / "out")


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    info, _content = member("x-1/")
    info.type, info.size = tarfile.XHDTYPE, 1 << 31
    with pytest.raises(SlipwayError, match="it has a header of 2147483648 bytes"):
        unpack(tmp_path, bz2.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is compressed neither by bzip2, gzip nor xz"),
        (b"PK\3\4zip", "it is compressed neither by bzip2, gzip nor xz"),
        (make_tar(GOOD), "it is compressed neither by bzip2, gzip nor xz"),
        (bz2.compress(b""), "it is damaged, or no tarball (empty file)"),
        (bz2.compress(b"no tar" * 200), "it is damaged"),
        (b"BZh9 and then nonsense" * 20, "it is damaged"),
        (gzip.compress(make_tar(GOOD))[:-8] + bytes(8), "it is damaged"),
        (lzma.compress(make_tar(GOOD))[:-20] + bytes(20), "it is damaged"),
        (bz2.compress(make_tar(GOOD)) + b"more", "after its end there is something else"),
        (bz2.compress(make_tar(GOOD) + b"more"), "after its last whole member there is no end"),
        (bz2.compress(make_tar(GOOD)[:3072]), "after its last whole member there is no end"),
        (bz2.compress(make_tar(GOOD)[:1030]), "it is damaged"),
    ],
)
def test_what_is_no_whole_tarball_is_refused_in_a_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        unpack(tmp_path, data)
    assert said in str(caught.value)
    assert is_clean(tmp_path)


@pytest.mark.parametrize("ending", PACKERS)
def test_cut_off_at_any_byte_it_never_becomes_a_tree(tmp_path: Path, ending: str) -> None:
    data = PACKERS[ending](make_tar(GOOD))
    for length in range(len(data)):
        with pytest.raises(SlipwayError):
            unpack(tmp_path, data[:length])
        assert is_clean(tmp_path)
    assert unpack(tmp_path, data).is_dir()


@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
@FAST
def test_with_a_changed_byte_it_is_the_same_tree_or_none(
    place: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.mktemp("flipped")
    data = bytearray(bz2.compress(make_tar(GOOD)))
    data[place % len(data)] ^= flip
    try:
        found = unpack(where, bytes(data))
    except SlipwayError:
        assert is_clean(where)
    else:
        assert (found / "f").read_bytes() == b"content"


@given(place=st.integers(0, 4095), value=st.integers(0, 255))
@FAST
def test_with_any_byte_of_the_tar_changed_nothing_leaves_the_directory(
    place: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.mktemp("changed")
    data = bytearray(make_tar(GOOD))
    data[place] = value
    try:
        unpack(where, bz2.compress(bytes(data)))
    except SlipwayError:
        assert is_clean(where)
    assert {path.name for path in where.iterdir()} <= {"out", "some.tar"}


KILLED = """
import json, os, sys
from pathlib import Path
sys.path[:] = json.loads(sys.argv[1])
from ansible_collections.slipway.release.plugins.module_utils.slipway.stack.tarball import unpack_tarball
seen = 0
def audit(event, arguments):
    global seen
    if event in {"open", "os.mkdir", "os.rename", "os.symlink", "os.chmod", "os.utime"} and "out" in str(arguments[0]):
        seen += 1
        if seen == int(sys.argv[3]):
            os.kill(os.getpid(), 9)
sys.addaudithook(audit)
unpack_tarball(Path(sys.argv[2], "some.tar"), Path(sys.argv[2], "out"))
"""


def test_killed_at_any_step_a_rerun_unpacks_and_leaves_nothing_besides(tmp_path: Path) -> None:
    killed = 0
    for step in (1, 2, 3, 5, 8, 9, 10):
        where = tmp_path / str(step)
        where.mkdir()
        (where / "some.tar").write_bytes(bz2.compress(make_tar(GOOD)))
        done = subprocess.run([sys.executable, "-c", KILLED, json.dumps(sys.path), where, str(step)], check=False)
        assert done.returncode in {0, -9}
        if not (where / "out/x-1").exists():
            killed += 1
            unpack_tarball(where / "some.tar", where / "out")
        assert sorted(path.name for path in (where / "out").iterdir()) == ["x-1"]
    assert killed > 3
