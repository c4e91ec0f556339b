"""Images of every kind are read without root or mounting, and all tell the same of the same files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import stat
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.difference.images import read_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.difference.tree import Entry, Tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
NOISE = random.Random(1).randbytes(300_000)  # noqa: S311 - for tests
FILES = {
    "bin/tool": (b"\x7fELF tool", 0o4755),
    "bin/empty": (b"", 0o644),
    "etc/os-release": (b"ID=tiny\n", 0o644),
    "var/lib/dpkg/status": (b"Package: a\nStatus: install ok installed\nVersion: 1\n", 0o644),
    "large": (NOISE, 0o600),
    "with a blank": (b"blank", 0o666),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files") / "root"
    for name, (data, mode) in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
    (root / "open").mkdir()
    (root / "open").chmod(0o777)
    os.symlink("tool", root / "bin/short")
    os.symlink("x" * 100, root / "bin/long")
    os.link(root / "bin/empty", root / "bin/other-name")
    (root / "many").mkdir()
    for number in range(400):
        (root / "many" / f"{number:03}-{'n' * 60}").write_bytes(b"%d" % number)
    with open(root / "sparse", "wb") as sparse:
        sparse.seek(200_000)
        sparse.write(b"end")
        sparse.truncate(400_000)
    return root


def expected(root: Path) -> dict[str, tuple[int, str]]:
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(root))] = (status.st_mode, content)
    return found


def told(tree: Tree) -> dict[str, tuple[int, str]]:
    return {path: (entry.mode, entry.content) for path, entry in tree.entries.items() if path != "lost+found"}


def make_ext4(root: Path, image: Path, *options: str) -> Path:
    words = ["mke2fs", "-q", "-F", *options, "-d", root, image, "8M"]
    subprocess.run(words, check=True, env={**os.environ, "PATH": SBIN})
    return image


def debugfs(image: Path, *commands: str) -> None:
    for command in commands:
        subprocess.run(["debugfs", "-w", "-R", command, image], check=True, capture_output=True, env={"PATH": SBIN})


@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ext4"),
        ("-t", "ext4", "-b", "1024", "-O", "^64bit,^metadata_csum"),
        ("-t", "ext4", "-b", "4096", "-O", "inline_data", "-I", "256"),
        ("-t", "ext2", "-b", "1024"),
        ("-t", "ext3", "-b", "4096", "-I", "128"),
    ],
    ids=["ext4", "small-blocks", "inline", "ext2", "ext3"],
)
def test_a_file_system_of_any_of_its_kinds_is_read_as_it_was_made(root: Path, tmp_path: Path, options: tuple[str, ...]):
    image = make_ext4(root, tmp_path / "image", *options)
    tree = read_tree(image, "rawdisk", tmp_path)
    wanted = expected(root)
    if "inline_data" in options:  # mke2fs writes less of a file with holes then, as debugfs says too
        del wanted["sparse"], tree.entries["sparse"]
    assert told(tree) == wanted
    assert tree.kept == {"var/lib/dpkg/status": FILES["var/lib/dpkg/status"][0]}


def test_owners_and_capabilities_are_told(root: Path, tmp_path: Path):
    image = make_ext4(root, tmp_path / "image", "-t", "ext4")
    (tmp_path / "capability").write_bytes(CAPABILITY)
    debugfs(
        image,
        "set_inode_field /bin/tool uid 70000",
        "set_inode_field /bin/tool gid 7",
        f"ea_set -f {tmp_path / 'capability'} /bin/tool security.capability",
    )
    entry = read_tree(image, "rawdisk", tmp_path).entries["bin/tool"]
    assert entry == Entry(0o104755, (70000, 7), 9, hashlib.sha256(b"\x7fELF tool").hexdigest(), CAPABILITY)


@pytest.mark.parametrize("kind", ["ext4", "squashfs"])
def test_a_disk_is_read_by_its_largest_file_system(root: Path, tmp_path: Path, kind: str):
    whole = tmp_path / "disk"
    made = tmp_path / "system"
    if kind == "ext4":
        make_ext4(root, made, "-t", "ext4")
    else:
        subprocess.run(["mksquashfs", root, made, "-quiet", "-no-progress"], check=True, capture_output=True)
    system = made.read_bytes()
    with open(whole, "wb") as disk:
        disk.truncate(20 << 20)
    table = "label: gpt\nstart=2048, size=2048\nstart=8192, size=16384\n"
    subprocess.run(["sfdisk", "-q", whole], input=table.encode(), check=True, env={"PATH": SBIN})
    with open(whole, "r+b") as disk:
        disk.seek(8192 * 512)
        disk.write(system)
    assert told(read_tree(whole, "rawdisk", tmp_path)) == expected(root)


def test_a_tar_and_a_squashfs_tell_the_same_as_a_disk(root: Path, tmp_path: Path):
    with tarfile.open(tmp_path / "tar", "w") as archive:
        archive.add(root, ".")
    subprocess.run(["mksquashfs", root, tmp_path / "squash", "-quiet", "-no-progress"], check=True, capture_output=True)
    assert told(read_tree(tmp_path / "tar", "tar", tmp_path)) == expected(root)
    assert told(read_tree(tmp_path / "squash", "squashfs", tmp_path)) == expected(root)


def test_an_erofs_is_read_without_owners(root: Path, tmp_path: Path):
    subprocess.run(["mkfs.erofs", tmp_path / "erofs", root], check=True, capture_output=True)
    tree = read_tree(tmp_path / "erofs", "erofs", tmp_path)
    assert told(tree) == expected(root)
    assert {entry.owner for entry in tree.entries.values()} == {None}


def damage(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_what_is_no_image_or_a_damaged_one_is_told_in_a_sentence(root: Path, tmp_path: Path):
    (tmp_path / "noise").write_bytes(NOISE)
    with pytest.raises(SlipwayError, match="none of its partitions has an ext4, squashfs or erofs file system"):
        read_tree(tmp_path / "noise", "rawdisk", tmp_path)
    with pytest.raises(SlipwayError, match="Could not read the files in an image of the type tar: "):
        read_tree(tmp_path / "noise", "tar", tmp_path)
    whole = make_ext4(root, tmp_path / "image", "-t", "ext4").read_bytes()
    (tmp_path / "short").write_bytes(whole[: 1 << 20])
    with pytest.raises(SlipwayError, match="its file system goes on beyond its end"):
        read_tree(tmp_path / "short", "rawdisk", tmp_path)
    (tmp_path / "strange").write_bytes(damage(whole, 1024 + 0x60, b"\xff\xff\xff\xff"))
    with pytest.raises(SlipwayError, match="features that are not known here"):
        read_tree(tmp_path / "strange", "rawdisk", tmp_path)


def test_no_damage_to_a_file_system_gets_out_as_anything_but_a_sentence(root: Path, tmp_path: Path):
    whole = make_ext4(root, tmp_path / "image", "-t", "ext4").read_bytes()
    noise = random.Random(2)  # noqa: S311 - for tests
    used = [at for at in range(0, len(whole), 4096) if any(whole[at : at + 4096])]
    for _attempt in range(40):
        data = whole
        for _place in range(8):
            at = noise.choice(used[:60]) + noise.randrange(4096)
            data = damage(data, at, noise.randbytes(4))
        (tmp_path / "damaged").write_bytes(data)
        with contextlib.suppress(SlipwayError):
            read_tree(tmp_path / "damaged", "rawdisk", tmp_path)


def test_a_tar_whose_names_lead_elsewhere_is_read_as_names_only(tmp_path: Path):
    with tarfile.open(tmp_path / "tar", "w") as archive:
        for name in ("../../etc/passwd", "/abs/olute", "./a//b"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, BytesIO(b"x"))
        lost = tarfile.TarInfo("lost")
        lost.type, lost.linkname = tarfile.LNKTYPE, "nowhere"
        archive.addfile(lost)
    with pytest.raises(SlipwayError, match="'lost' is a link to 'nowhere', which was not there before"):
        read_tree(tmp_path / "tar", "tar", tmp_path)
    assert stat.S_ISREG(Entry(0o100644).mode)
