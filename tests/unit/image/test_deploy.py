from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.files import sha256
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.deploy import (
    Deployment,
    Made,
    Release,
    deploy,
    faults,
    tools,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.initramfs import write_initramfs
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.job import Job
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.rawdisk import write_rawdisk
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.tree import (
    Changes,
    rewrite,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from hypothesis import given, settings
from hypothesis import strategies as st

EPOCH = 1700000000
OS_RELEASE = 'ID=debian\nIMAGE_ID=old\nNAME="Debian"\n'


def entry(name: str, content: bytes | None = None, **more: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar: a file with ``content``, otherwise a directory, or what ``more`` says."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    info.mode = 0o644 if content is not None else 0o755
    info.size = len(content or b"")
    for key, value in more.items():
        setattr(info, key, value)
    return info, content or b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target, mode=0o777)


def write_tree(path: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return path


SYSTEM = [
    entry("./usr/"),
    entry("./usr/bin/"),
    entry("./usr/bin/tool", b"#!/bin/sh\n" * 1000, mode=0o755, uid=1000, mtime=5),
    entry("./usr/bin/ping", b"ping", mode=0o755),
    entry("./usr/lib/"),
    entry("./usr/lib/os-release", OS_RELEASE.encode()),
    link("./bin", "usr/bin"),
    entry("./etc/"),
    link("./etc/os-release", "../usr/lib/os-release"),
    entry("./etc/shadow", b"root:*:", mode=0o644),
    entry("./etc/a name", b"a", mode=0o644),
    entry("./sticky/"),
    entry(
        "./permissions",
        b"4755 0 0 /usr/bin/ping\n# all may write\n1777 0 0 sticky\n0640 0 42 etc/shadow\n600 5 6 etc/a%20name\n",
    ),
]


def canonical(
    tmp_path: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]], name: str = "tree", **more: object
) -> Path:
    target = tmp_path / f"{name}.tar"
    rewrite(write_tree(tmp_path / f"{name}.source.tar", entries), target, changes=Changes(EPOCH, **more))  # type: ignore[arg-type]  # passed on as they are
    return target


def listing(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return {info.name: info for info in tar}


def content(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        return stream.read()


# -- the canonical tree --


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
        ([link("a", "/etc"), entry("a/passwd", b"x")], "'a/passwd' is below 'a', which is no directory"),
        ([entry("a", b"x"), entry("a/b/c", b"x")], "'a/b/c' is below 'a', which is no directory"),
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
    rewrite(first, home / "again.tar", changes=Changes(EPOCH))
    assert first.read_bytes() == (home / "again.tar").read_bytes()
    assert {name: content(first, name) for name, info in listing(first).items() if info.isreg()} == files


# -- permissions --


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


# -- os-release and subsystems --


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
        ("bin/x", "'bin/x' is below 'bin', which is no directory"),
        ("etc", "the system has something else there that is no file"),
    ],
)
def test_a_file_is_not_added_where_it_cannot_be(tmp_path: Path, path: str, fault: str) -> None:
    added = tmp_path / "added"
    added.touch()
    with pytest.raises(SlipwayError, match=fault):
        canonical(tmp_path, SYSTEM, added={path: added})


# -- writers --


def job(tmp_path: Path, tree: Path, **settings_: str) -> Job:
    work = tmp_path / "work"
    work.mkdir(parents=True)
    return Job("system", "baserock-26.47", "x86_64", settings_, EPOCH, tree, work)


def test_an_initramfs_holds_the_tree_and_a_console(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("init", b"#!/bin/sh\n", mode=0o755), link("sh", "busybox")])
    write_initramfs(job(tmp_path, tree), tmp_path / "initramfs.gz")
    archive = gzip.decompress((tmp_path / "initramfs.gz").read_bytes())
    assert archive.startswith(b"070701")
    listed = subprocess.run(["bsdtar", "-tvf", "-"], input=archive, capture_output=True, check=True).stdout.decode()
    lines = [line.split() for line in listed.splitlines()]
    assert [(line[0], line[2], line[3], line[-1]) for line in lines if line[-1] == "init"] == [
        ("-rwxr-xr-x", "0", "0", "init")
    ]
    assert [(line[0], line[4]) for line in lines if line[-1] == "dev/console"] == [("crw-------", "5,1")]


def test_an_initramfs_is_the_same_in_every_run(tmp_path: Path) -> None:
    tree = canonical(tmp_path, SYSTEM)
    write_initramfs(job(tmp_path / "a", tree), tmp_path / "a.gz")
    time.sleep(1.1)
    write_initramfs(job(tmp_path / "b", tree), tmp_path / "b.gz")
    assert sha256(tmp_path / "a.gz") == sha256(tmp_path / "b.gz")


DISK = [
    *SYSTEM,
    entry('./etc/a "quoted" name', b"quoted", mode=0o600),
    entry("./etc/ünicode", b"unicode"),
    entry("./closed/", mode=0o000),
    entry("./closed/file", b"closed", mode=0o000),
    entry("./dev/"),
    entry("./dev/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o660),
    entry("./run/fifo", type=tarfile.FIFOTYPE, mode=0o600),
    entry("./large", bytes(300_000) + b"end"),
    entry("./long" + "x" * 200, b"long"),
    link("./longlink", "y" * 200),
]


def test_a_raw_disk_is_the_same_in_every_run_and_directory(tmp_path: Path) -> None:
    tree = canonical(tmp_path, DISK, permissions="/permissions")
    write_rawdisk(job(tmp_path / "a", tree, DISK_SIZE="24M"), tmp_path / "a.img")
    time.sleep(2.1)
    write_rawdisk(job(tmp_path / "b" / "deeper", tree, DISK_SIZE="24M"), tmp_path / "b.img")
    assert sha256(tmp_path / "a.img") == sha256(tmp_path / "b.img")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_raw_disk_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    tree = canonical(tmp_path, DISK, permissions="/permissions")
    write_rawdisk(job(tmp_path / "root", tree, DISK_SIZE="24M"), tmp_path / "root.img")
    other = job(tmp_path / "nobody", tree, DISK_SIZE="24M")
    for path in (tmp_path, *(parent for parent in tmp_path.parents if "pytest" in str(parent))):
        path.chmod(0o755)
    for path in (other.work, other.work.parent):
        os.chown(path, 65534, 65534)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            write_rawdisk(other, other.work.parent / "nobody.img")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert sha256(tmp_path / "root.img") == sha256(other.work.parent / "nobody.img")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk, and beside it ``root.ext4``, the content of its partition."""
    home = tmp_path_factory.mktemp("disk")
    tree = canonical(home, DISK, permissions="/permissions")
    write_rawdisk(job(home / "job", tree, DISK_SIZE="24M"), home / "disk.img")
    data = (home / "disk.img").read_bytes()
    (home / "root.ext4").write_bytes(data[1 << 20 : -(1 << 20)])
    return home / "disk.img"


def debugfs(disk: Path, command: str) -> str:
    done = subprocess.run(["debugfs", "-R", command, str(disk.with_name("root.ext4"))], capture_output=True, check=True)
    return done.stdout.decode()


def test_a_raw_disk_has_its_size_and_a_partition_table(disk: Path) -> None:
    assert disk.stat().st_size == 24 << 20
    shown = subprocess.run(
        ["partx", "--raw", "--noheadings", "-o", "START,SECTORS,NAME,TYPE", str(disk)],
        capture_output=True,
        check=True,
    )
    assert shown.stdout.decode().split() == ["2048", "45056", "root", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"]


def test_the_file_system_of_a_raw_disk_is_clean(disk: Path) -> None:
    done = subprocess.run(["e2fsck", "-fn", str(disk.with_name("root.ext4"))], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "kind", "mode", "owner"),
    [
        ("/", "directory", "0755", (0, 0)),
        ("/usr/bin/ping", "regular", "04755", (0, 0)),
        ("/etc/shadow", "regular", "0640", (0, 42)),
        ('"/etc/a name"', "regular", "0600", (5, 6)),
        ('"/etc/a ""quoted"" name"', "regular", "0600", (0, 0)),
        ("/etc/ünicode", "regular", "0644", (0, 0)),
        ("/sticky", "directory", "01777", (0, 0)),
        ("/bin", "symlink", "0777", (0, 0)),
        ("/dev/sda", "block special", "0660", (0, 0)),
        ("/run/fifo", "FIFO", "0600", (0, 0)),
        ("/closed", "directory", "0000", (0, 0)),
        ("/closed/file", "regular", "0000", (0, 0)),
    ],
)
def test_files_of_a_raw_disk_have_their_kind_mode_owner_and_time(
    disk: Path, path: str, kind: str, mode: str, owner: tuple[int, int]
) -> None:
    shown = debugfs(disk, f"stat {path}")
    assert f"Type: {kind}" in shown
    assert f"Mode:  {mode} " in shown
    assert f"User: {owner[0]:5d}   Group: {owner[1]:5d}" in shown
    for which in (" ctime", " atime", " mtime", "crtime"):
        assert f"{which}: 0x{EPOCH:08x}:00000000 " in shown


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/usr/bin/tool", b"#!/bin/sh\n" * 1000),
        ("/large", bytes(300_000) + b"end"),
        ('"/etc/a ""quoted"" name"', b"quoted"),
        ("/closed/file", b"closed"),
    ],
)
def test_files_of_a_raw_disk_have_their_content(disk: Path, tmp_path: Path, path: str, data: bytes) -> None:
    debugfs(disk, f"dump {path} {tmp_path}/dumped")
    assert (tmp_path / "dumped").read_bytes() == data


def test_a_disk_that_is_too_small_is_told_with_the_sizes(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("big", os.urandom(20 << 20))])
    with pytest.raises(SlipwayError) as caught:
        write_rawdisk(job(tmp_path, tree, DISK_SIZE="16M"), tmp_path / "disk.img")
    assert "1 files of 20 MiB do not fit into DISK_SIZE 16M" in str(caught.value)
    assert "Give the deployment a larger DISK_SIZE" in str(caught.value)
    assert not (tmp_path / "disk.img").exists()


def test_a_name_that_no_disk_can_hold_is_told(tmp_path: Path) -> None:
    tree = canonical(tmp_path, [entry("a\nb", b"x")])
    with pytest.raises(SlipwayError, match="its name has control characters"):
        write_rawdisk(job(tmp_path, tree, DISK_SIZE="16M"), tmp_path / "disk.img")


# -- deploying --

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
        self.recorded: dict[str, Made] = {}
        self.system = SYSTEM

    def checkout(self, artifact: str, archive: Path, scratch: Path) -> None:
        assert scratch.is_dir()
        self.checkouts.append(artifact)
        if artifact == "mini/broken/k":
            raise SlipwayError("take", artifact, "it is gone", do_next="Build it again.")
        write_tree(archive, [entry("init", b"init", mode=0o755)] if "initramfs" in artifact else self.system)

    def __call__(self, *deployments: Deployment, write: bool = True) -> tuple[dict[str, Made], list[str]]:
        return deploy(
            deployments,
            release=Release("baserock-26.47", "26.47", EPOCH),
            directory=self.images,
            artifacts=self.artifacts,
            checkout=self.checkout,
            recorded=self.recorded,
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
        name: ((shop.images / name).stat().st_size, sha256(shop.images / name)) for name in names
    }
    assert (
        content(shop.images / names[0], "usr/lib/os-release")
        .decode()
        .endswith("IMAGE_ID=minimal\nIMAGE_VERSION=26.47\n")
    )
    assert shop.progress.read_text().splitlines()[-1].endswith("2/2 x86_64: baserock-26.47-b.file is made, 16 MiB")


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
    shop.recorded, _ = shop(plan("a"))
    shop.checkouts.clear()
    made, names = shop(plan("a"))
    assert (made, names, shop.checkouts) == (shop.recorded, [], [])


def test_what_is_recorded_and_gone_is_made_again_with_the_same_bytes(shop: Shop) -> None:
    shop.recorded, names = shop(plan("a"))
    (shop.images / names[0]).unlink()
    assert shop(plan("a")) == (shop.recorded, names)


def test_a_changed_file_is_named_with_both_digests_and_stays(shop: Shop) -> None:
    shop.recorded, [name] = shop(plan("a"))
    (shop.images / name).write_bytes(b"changed")
    shop.checkouts.clear()
    with pytest.raises(SlipwayError) as caught:
        shop(plan("a"), plan("b"))
    changed = hashlib.sha256(b"changed").hexdigest()
    assert caught.value.findings == [f"{name} has the SHA-256 {changed}, its record says {shop.recorded[name].sha256}"]
    assert (shop.images / name).read_bytes() == b"changed"
    assert (shop.names(), shop.checkouts) == ([name], [])


def test_a_file_without_a_record_is_made_anew(shop: Shop) -> None:
    shop.images.mkdir()
    (shop.images / "baserock-26.47-a.file").write_bytes(b"interrupted")
    made, names = shop(plan("a"))
    assert names == ["baserock-26.47-a.file"]
    assert sha256(shop.images / names[0]) == made[names[0]].sha256


def test_what_an_interrupted_run_left_is_removed(shop: Shop) -> None:
    shop.recorded, [name] = shop(plan("a"))
    (shop.images / ".deploy-gone" / "deep").mkdir(parents=True)
    shop(plan("a"))
    assert shop.names() == [name]


def test_a_file_that_comes_out_differently_than_recorded_is_not_put_in_place(shop: Shop) -> None:
    shop.recorded, [name] = shop(plan("a"))
    (shop.images / name).unlink()
    shop.system = [*SYSTEM, entry("new", b"new")]
    with pytest.raises(SlipwayError, match=f"its record says {shop.recorded[name].sha256}"):
        shop(plan("a"))
    assert shop.names() == []


def test_without_writing_it_says_what_would_be_made_and_touches_nothing(shop: Shop) -> None:
    shop.artifacts = {}
    assert shop(plan("a"), write=False) == ({}, ["baserock-26.47-a.file"])
    assert not shop.images.exists()
    assert not shop.progress.exists()


def test_without_writing_recorded_files_are_verified_too(shop: Shop) -> None:
    shop.recorded, [name] = shop(plan("a"))
    assert shop(plan("a"), write=False) == (shop.recorded, [])
    (shop.images / name).write_bytes(b"changed")
    with pytest.raises(SlipwayError, match=name):
        shop(plan("a"), write=False)


def test_everything_that_is_wrong_is_told_before_anything_is_made(shop: Shop) -> None:
    shop.artifacts = {"minimal": "mini/minimal/k"}
    with pytest.raises(SlipwayError) as caught:
        shop(plan("a", "floppy"), plan("b", "rawdisk", subsystems=[INITRAMFS]), plan("c"))
    assert caught.value.findings == [
        "a: there is no deployment type 'floppy', known are initramfs, rawdisk, tar",
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
    assert faults([plan("a", "rawdisk", settings={"DISK_SIZE": size})]) == [f"a: {fault}"]


@pytest.mark.parametrize("size", ["2G", "512m", "16777216", "20480K"])
def test_sizes_that_a_disk_can_have(size: str) -> None:
    assert faults([plan("a", "rawdisk", settings={"DISK_SIZE": size})]) == []


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
    found = tools([plan("a", subsystems=[INITRAMFS]), plan("b", "rawdisk")])
    assert list(found) == ["bsdtar", "genimage", "mke2fs"]
    assert found["bsdtar"].startswith("bsdtar 3")
    assert found["mke2fs"].startswith("mke2fs 1")


def test_a_full_disk_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shop, "checkout", full)
    with pytest.raises(SlipwayError, match="No space left on device. See that the disk is not full"):
        shop(plan("a"))
    assert shop.names() == []
