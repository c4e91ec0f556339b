"""A kernel out of archives and disks, none of which is mounted."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.extras.kernel import choose_path, take_kernel
from morphsystems import write_tar

TOOLS = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
MIB = 1 << 20


@pytest.fixture
def tree(tmp_path):
    """The top of a system with a kernel and a link to it."""
    boot = tmp_path / "tree/boot"
    boot.mkdir(parents=True)
    (boot / "zImage-6.1").write_bytes(b"a zImage" * 5000)
    (boot / "zImage").symlink_to("zImage-6.1")
    return tmp_path / "tree"


def make_ext4(path, tree):
    words = ["mke2fs", "-q", "-t", "ext4", "-d", tree, path, "8M"]
    subprocess.run(words, check=True, env=TOOLS, capture_output=True)


def make_btrfs(path, tree):
    with open(path, "wb") as stream:
        stream.truncate(120 * MIB)
    words = ["mkfs.btrfs", "-q", "--rootdir", tree, path]
    subprocess.run(words, check=True, env=TOOLS, capture_output=True)


def make_disk(path, content, table):
    """A disk with a file system in its second partition."""
    size = content.stat().st_size
    with open(path, "wb") as disk:
        disk.truncate(size + 4 * MIB)
    script = f"label: {table}\nstart=2048, size=2048\nstart=4096, size={size // 512}\n"
    subprocess.run(["sfdisk", "-q", path], input=script.encode(), check=True, env=TOOLS, capture_output=True)
    with open(path, "r+b") as disk:
        disk.seek(2 * MIB)
        disk.write(content.read_bytes())


def take(source, target, *patterns, kind="rawdisk"):
    found = take_kernel(source, target, kind=kind, patterns=patterns or ("boot/vmlinuz", "boot/zImage"), name="board")
    return found, target.read_bytes()


@pytest.mark.parametrize("table", ["gpt", "dos"])
def test_a_kernel_comes_out_of_an_ext4_partition(tmp_path, tree, table):
    make_ext4(tmp_path / "part", tree)
    make_disk(tmp_path / "disk?.img", tmp_path / "part", table)
    assert take(tmp_path / "disk?.img", tmp_path / "out") == ("boot/zImage-6.1", b"a zImage" * 5000)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("out")) == ["out"]


def test_a_kernel_comes_out_of_a_disk_without_partitions_as_morph_makes_it(tmp_path, tree):
    place = tree / "systems/baserock-26.47"
    place.mkdir(parents=True)
    (place / "kernel").write_bytes(b"a kernel of morph's")
    make_btrfs(tmp_path / "disk.img", tree)
    assert (
        take(tmp_path / "disk.img", tmp_path / "out", "boot/vmlinuz", "systems/*/kernel")[1] == b"a kernel of morph's"
    )


def test_a_link_to_the_kernel_is_followed_within_btrfs_in_a_partition(tmp_path, tree):
    make_btrfs(tmp_path / "part", tree)
    make_disk(tmp_path / "disk.img", tmp_path / "part", "gpt")
    assert take(tmp_path / "disk.img", tmp_path / "out", "boot/zImage*")[1] == b"a zImage" * 5000


def test_a_disk_without_a_kernel_is_told_with_the_places(tmp_path, tree):
    make_ext4(tmp_path / "disk.img", tree)
    with pytest.raises(SlipwayError, match=r"kernel out of board: disk.img has none of boot/vmlinuz\. Set the paths"):
        take(tmp_path / "disk.img", tmp_path / "out", "boot/vmlinuz")


@pytest.mark.parametrize("content", [b"", b"\0" * MIB, b"\0" * 510 + b"\x55\xaa" + b"\xff" * 4096])
def test_a_disk_that_is_none_is_told(tmp_path, content):
    (tmp_path / "disk.img").write_bytes(content)
    with pytest.raises(SlipwayError, match="has no file system that can be read without mounting it: ext4 or btrfs"):
        take(tmp_path / "disk.img", tmp_path / "out")


def test_an_empty_kernel_is_told(tmp_path):
    archive = write_tar(tmp_path / "x.tar", {"boot/zImage": b""})
    with pytest.raises(SlipwayError, match="boot/zImage in x.tar is empty"):
        take(archive, tmp_path / "out", kind="tar")


@pytest.mark.parametrize(
    ("paths", "patterns", "found"),
    [
        ({"boot/zImage": None}, ["boot/zImage"], "boot/zImage"),
        ({"boot/a": None, "boot/zImage": "../boot/a"}, ["boot/zImage"], "boot/a"),
        ({"vmlinuz": "/boot/v-1", "boot/v-1": None, "boot/v-2": None}, ["vmlinuz", "boot/v-*"], "boot/v-1"),
        ({"boot/v-1": None, "boot/v": "v-1"}, ["boot/v*"], "boot/v-1"),
        ({"boot/v-1": None, "boot/v-2": None}, ["boot/v-*"], "2 files that boot/v-* is for: boot/v-1, boot/v-2"),
        ({"boot/v": "gone"}, ["boot/v"], "is a link to something that is not there"),
        ({"boot/v": "v"}, ["boot/v"], "is a link to something that is not there"),
        ({"boot/deep/v": None}, ["boot/*"], "has none of boot/*"),
    ],
)
def test_the_first_pattern_that_matches_chooses_one_file(paths, patterns, found):
    try:
        chosen = choose_path(paths, patterns, name="board", where="the tree")
    except SlipwayError as error:
        chosen = str(error)
    assert found in chosen
