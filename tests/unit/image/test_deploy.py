"""Each deployment of a release becomes one file, once."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import hash_file
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.deploy import (
    Deployment,
    Release,
    deploy_files,
    find_faults,
    read_tool_versions,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.writers import WRITERS
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.artifact import Artifact
from trees import EPOCH, SYSTEM, content, entry, write_tree

INITRAMFS = {
    "name": "initramfs",
    "system": "systems/initramfs.bst",
    "system_name": "initramfs",
    "architecture": "x86_64",
    "type": "initramfs",
    "location": "boot/initramfs.gz",
    "settings": {},
    "subsystems": [],
}


def plan(name: str, kind: str = "tar", **more: object) -> Deployment:
    return Deployment.from_plan(
        {
            "name": name,
            "system": "systems/minimal.bst",
            "system_name": "minimal",
            "architecture": "x86_64",
            "type": kind,
            "location": f"{name}.file",
            "file": f"baserock-26.47-{name}.file",
            "settings": {},
            "subsystems": [],
            **more,
        }
    )


class Shop:
    """Deploys into a directory, with a stand-in for the cache of what was built."""

    def __init__(self, home: Path) -> None:
        self.images = home / "images"
        self.progress = home / "progress"
        self.checkouts: list[str] = []
        self.artifacts = {"minimal": "mini/minimal/k", "initramfs": "mini/initramfs/k"}
        self.previous: dict[str, Artifact] = {}
        self.system = SYSTEM

    def checkout(self, artifact: str, archive: Path, scratch: Path) -> None:
        assert scratch.is_dir()
        self.checkouts.append(artifact)
        if artifact == "mini/broken/k":
            raise SlipwayError("take", artifact, "it is gone", do_next="Build it again.")
        write_tree(archive, [entry("init", b"init", mode=0o755)] if "initramfs" in artifact else self.system)

    def __call__(self, *deployments: Deployment, write: bool = True) -> tuple[dict[str, Artifact], list[str]]:
        return deploy_files(
            deployments,
            release=Release("baserock-26.47", "26.47", EPOCH),
            directory=self.images,
            artifacts=self.artifacts,
            checkout=self.checkout,
            previous=self.previous,
            progress=Progress(self.progress),
            write=write,
        )

    def names(self) -> list[str]:
        return sorted(path.name for path in self.images.iterdir())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_each_deployment_becomes_one_file(shop: Shop) -> None:
    made, names = shop(plan("a"), plan("b", "rawdisk", settings={"DISK_SIZE": "16M"}))
    assert names == ["baserock-26.47-a.file", "baserock-26.47-b.file"]
    assert shop.names() == names
    assert {name: (each.size, each.sha256) for name, each in made.items()} == {
        name: ((shop.images / name).stat().st_size, hash_file(shop.images / name)) for name in names
    }
    assert (
        content(shop.images / names[0], "usr/lib/os-release")
        .decode()
        .endswith("IMAGE_ID=minimal\nIMAGE_VERSION=26.47\n")
    )
    assert shop.progress.read_text().splitlines()[-1].endswith("2/2 x86_64: baserock-26.47-b.file is made, 16 MiB")


def test_the_umask_changes_neither_modes_nor_bytes(tmp_path: Path) -> None:
    made = []
    for mask in (0o022, 0o000, 0o077):
        before = os.umask(mask)
        try:
            shop = Shop(tmp_path / oct(mask))
            files, _unused = shop(
                plan("a"), plan("b", "rawdisk", settings={"DISK_SIZE": "16M"}), plan("c", subsystems=[INITRAMFS])
            )
        finally:
            os.umask(before)
        made.append({name: file.sha256 for name, file in files.items()})
        assert {stat.S_IMODE(path.stat().st_mode) for path in shop.images.iterdir()} == {0o644}
        assert stat.S_IMODE(shop.images.stat().st_mode) == 0o755
    assert made[0] == made[1] == made[2]


def test_files_are_made_where_the_path_holds_what_programs_take_for_more(tmp_path: Path) -> None:
    files = []
    for name in ("plain", "it's #1?offset=0 100%41 <z>|*&b;"):
        made, _names = Shop(tmp_path / name)(
            plan("a"), plan("b", "rawdisk", settings={"DISK_SIZE": "16M"}), plan("c", subsystems=[INITRAMFS])
        )
        files.append(made)
    assert files[0] == files[1]


def test_deployments_of_the_same_tree_share_the_work_but_no_bytes(shop: Shop) -> None:
    shop(plan("a"), plan("b"))
    assert shop.checkouts == ["mini/minimal/k"]
    first, second = (shop.images / f"baserock-26.47-{name}.file" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert not first.samefile(second)


def test_a_subsystem_ends_up_in_its_parents_tree(shop: Shop) -> None:
    shop(plan("a", subsystems=[INITRAMFS]))
    tree = shop.images / "baserock-26.47-a.file"
    assert gzip.decompress(content(tree, "boot/initramfs.gz")).startswith(b"070701")


def test_a_subsystem_of_a_subsystem_is_inside_it(shop: Shop) -> None:
    inner = {**INITRAMFS, "name": "inner", "type": "tar", "location": "inner.tar"}
    shop(plan("a", subsystems=[{**INITRAMFS, "type": "tar", "location": "outer.tar", "subsystems": [inner]}]))
    outer = content(shop.images / "baserock-26.47-a.file", "outer.tar")
    with tarfile.open(fileobj=io.BytesIO(outer)) as tar:
        assert tar.getnames() == ["init", "inner.tar"]


def test_what_is_recorded_and_there_is_not_made_again(shop: Shop) -> None:
    shop.previous, _ = shop(plan("a"))
    shop.checkouts.clear()
    made, names = shop(plan("a"))
    assert (made, names, shop.checkouts) == (shop.previous, [], [])


def test_what_is_recorded_and_gone_is_made_again_with_the_same_bytes(shop: Shop) -> None:
    shop.previous, names = shop(plan("a"))
    (shop.images / names[0]).unlink()
    assert shop(plan("a")) == (shop.previous, names)


def test_a_changed_file_is_named_with_both_digests_and_stays(shop: Shop) -> None:
    shop.previous, [name] = shop(plan("a"))
    (shop.images / name).write_bytes(b"changed")
    shop.checkouts.clear()
    with pytest.raises(SlipwayError) as caught:
        shop(plan("a"), plan("b"))
    changed, before = hashlib.sha256(b"changed").hexdigest(), shop.previous[name]
    found = f"{name} has sha256 {changed} (7 bytes) instead of {before.sha256} ({before.size} bytes)"
    assert caught.value.findings == [found]
    assert (shop.images / name).read_bytes() == b"changed"
    assert (shop.names(), shop.checkouts) == ([name], [])


def test_a_file_without_a_record_is_made_anew(shop: Shop) -> None:
    shop.images.mkdir()
    (shop.images / "baserock-26.47-a.file").write_bytes(b"interrupted")
    made, names = shop(plan("a"))
    assert names == ["baserock-26.47-a.file"]
    assert hash_file(shop.images / names[0]) == made[names[0]].sha256


def test_what_an_interrupted_run_left_is_removed(shop: Shop) -> None:
    shop.previous, [name] = shop(plan("a"))
    (shop.images / ".making-gone" / "deep").mkdir(parents=True)
    shop(plan("a"))
    assert shop.names() == [name]


def test_a_file_that_comes_out_differently_than_recorded_is_not_put_in_place(shop: Shop) -> None:
    shop.previous, [name] = shop(plan("a"))
    (shop.images / name).unlink()
    shop.system = [*SYSTEM, entry("new", b"new")]
    with pytest.raises(SlipwayError, match=f"its record says {shop.previous[name].sha256}"):
        shop(plan("a"))
    assert shop.names() == []


def test_without_writing_it_says_what_would_be_made_and_touches_nothing(shop: Shop) -> None:
    shop.artifacts = {}
    assert shop(plan("a"), write=False) == ({}, ["baserock-26.47-a.file"])
    assert not shop.images.exists()
    assert not shop.progress.exists()


def test_without_writing_recorded_files_are_verified_too(shop: Shop) -> None:
    shop.previous, [name] = shop(plan("a"))
    assert shop(plan("a"), write=False) == (shop.previous, [])
    (shop.images / name).write_bytes(b"changed")
    with pytest.raises(SlipwayError, match=name):
        shop(plan("a"), write=False)


def test_everything_that_is_wrong_is_told_before_anything_is_made(shop: Shop) -> None:
    shop.artifacts = {"minimal": "mini/minimal/k"}
    with pytest.raises(SlipwayError) as caught:
        shop(plan("a", "floppy"), plan("b", "rawdisk", subsystems=[INITRAMFS]), plan("c"))
    assert caught.value.findings == [
        "a: there is no deployment type 'floppy', "
        "known are erofs, initramfs, kernel, qcow2, rawdisk, squashfs, tar, uki",
        "b: a raw disk needs the setting DISK_SIZE, such as 2G",
        "initramfs has not been built",
    ]
    assert not shop.images.exists()


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        ("huge", "DISK_SIZE is 'huge', not a number of bytes or one with K, M, G or T"),
        ("-1G", "DISK_SIZE is '-1G', not a number of bytes or one with K, M, G or T"),
        ("8M", "DISK_SIZE is 8M; it is at least 16M, and whole sectors of 512 bytes"),
        ("20000001", "DISK_SIZE is 20000001; it is at least 16M, and whole sectors of 512 bytes"),
    ],
)
def test_a_size_that_no_disk_has_is_told(size: str, fault: str) -> None:
    assert find_faults([plan("a", "rawdisk", settings={"DISK_SIZE": size})]) == [f"a: {fault}"]


@pytest.mark.parametrize("size", ["2G", "512m", "16777216", "20480K"])
def test_sizes_that_a_disk_can_have(size: str) -> None:
    assert find_faults([plan("a", "rawdisk", settings={"DISK_SIZE": size})]) == []


def test_a_system_that_cannot_be_deployed_does_not_stop_the_others(shop: Shop) -> None:
    shop.artifacts |= {"broken": "mini/broken/k"}
    with pytest.raises(SlipwayError, match="it is gone. Build it again."):
        shop(plan("a", system_name="broken"), plan("b"))
    assert shop.names() == ["baserock-26.47-b.file"]


def test_several_failures_are_told_together(shop: Shop) -> None:
    shop.artifacts |= {"broken": "mini/broken/k"}
    with pytest.raises(SlipwayError) as caught:
        shop(
            plan("a", system_name="broken"),
            plan("b", settings={"PERMISSIONS": "/none"}),
        )
    assert len(caught.value.findings) == 2
    assert shop.names() == []


def test_the_tools_of_each_type_tell_their_versions() -> None:
    found = read_tool_versions([plan("a", subsystems=[INITRAMFS]), plan("b", "rawdisk")])
    assert list(found) == ["bsdtar", "genimage", "mke2fs"]
    assert found["bsdtar"].startswith("bsdtar 3")
    assert found["mke2fs"].startswith("mke2fs 1")
    every = read_tool_versions([plan(kind, kind, settings={"BOOT": "both"}) for kind in WRITERS])
    assert [name for name, version in every.items() if not re.search("[0-9]", version)] == []
    assert {"mkfs.erofs", "mksquashfs", "qemu-img", "syslinux"} <= every.keys()


def test_a_full_disk_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shop, "checkout", full)
    with pytest.raises(SlipwayError, match="No space left on device. Check that the disk is not full"):
        shop(plan("a"))
    assert shop.names() == []
