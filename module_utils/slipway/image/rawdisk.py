# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Raw disks: the system in an ext4 file system, and on request a partition to boot from, made without root."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SlipwayError
from ..process import run
from ..tar import make_member
from .esp import find_boot_faults, list_boots, read_boot_sector, read_boot_size, write_esp
from .job import MIB, Job, program_path, read_size
from .tree import read_members

SMALLEST_DISK = 16 * MIB
#: What the partition types of root file systems are called by the Discoverable Partitions Specification.
ROOT_PARTITION = {
    "x86_64": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "x86_32": "44479540-f297-41b2-9af7-d131d5f0458a",
    "armv7lhf": "69dad710-2ce4-4e3c-b16c-21a1d49abed3",
    "armv7l": "69dad710-2ce4-4e3c-b16c-21a1d49abed3",
    "armv8l64": "b921b045-1df0-41c3-af44-4c6f280d3fae",
}
BOOT_PARTITION = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
LINUX_PARTITION = "0fc63daf-8483-4772-8e79-3d69d8477de4"
#: Named one by one, so that the defaults of a machine's mke2fs.conf make no difference.
EXT4_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"
    "huge_file,dir_nlink,extra_isize,metadata_csum"
)
#: What the mode of an inode says of its kind.
KINDS = {
    tarfile.REGTYPE: 0o100000,
    tarfile.DIRTYPE: 0o040000,
    tarfile.SYMTYPE: 0o120000,
    tarfile.CHRTYPE: 0o020000,
    tarfile.BLKTYPE: 0o060000,
    tarfile.FIFOTYPE: 0o010000,
}


def find_disk_faults(settings: Mapping[str, str]) -> list[str]:
    """What is wrong with the settings of a raw disk."""
    if "DISK_SIZE" not in settings:
        return ["a raw disk needs the setting DISK_SIZE, such as 2G"]
    size = read_size(settings["DISK_SIZE"])
    if size is None:
        return [f"DISK_SIZE is {settings['DISK_SIZE']!r}, not a number of bytes or one with K, M, G or T"]
    if size < SMALLEST_DISK or size % 512:
        return [f"DISK_SIZE is {settings['DISK_SIZE']}; it is at least 16M, and whole sectors of 512 bytes"]
    faults = find_boot_faults(settings)
    boot = read_boot_size(settings)
    if not faults and size < boot + SMALLEST_DISK:
        faults.append(f"DISK_SIZE is {settings['DISK_SIZE']}, of which BOOT_SIZE leaves less than 16M for the system")
    return faults


def write_rawdisk(job: Job, target: Path) -> None:
    """A disk with a partition table and the system's tree in an ext4 file system.

    Needs no root. What would differ from run to run is fixed: UUIDs are derived, and times are written into
    every inode afterwards, because mke2fs takes over the access and change times of the files it copies.
    With ``BOOT`` there is a partition before it that firmware boots from.
    """
    size, boot = read_size(job.settings["DISK_SIZE"]) or 0, read_boot_size(job.settings)
    (job.work / "input").mkdir()
    if boot:
        identities = {"root_uuid": job.make_uuid("filesystem"), "root_partition": job.make_uuid("partition")}
        write_esp(job, job.work / "input" / "boot.fat", **identities)
    image, staged = job.work / "input" / "root.ext4", job.work / "root"
    script = _stage_tree(job, staged)
    _make_ext4(job, image, staged=staged, mebibytes=(size - boot) // MIB - 2)
    _fix_inodes(job, image, script=script)
    shutil.rmtree(staged)
    config = job.work / "genimage.cfg"
    config.write_text(_format_disk(job, size=size, boot=boot))
    (job.work / "empty").mkdir()
    run(
        [
            *("genimage", "--config", config.name, "--rootpath", "empty", "--tmppath", "temporary"),
            *("--inputpath", "input", "--outputpath", "output"),
        ],
        attempt="make the raw disk",
        on=job.name,
        cwd=job.work,
        do_next="Install Debian's package genimage, and check that the disk is not full.",
    )
    disk = job.work / "output" / "disk.img"
    if "bios" in list_boots(job.architecture, job.settings):
        with disk.open("r+b") as stream:
            stream.write(read_boot_sector())
    os.replace(disk, target)


def write_qcow2(job: Job, target: Path) -> None:
    """A raw disk in the format of qemu, in which what is empty takes no room."""
    disk = job.work / "disk.raw"
    write_rawdisk(job, disk)
    convert_to_qcow2(disk, target, name=job.name)


def convert_to_qcow2(disk: Path, target: Path, *, name: str, words: Sequence[str] = ()) -> None:
    """Write a raw disk as qcow2, with the same bytes each time; ``words`` are further options of qemu-img."""
    run(
        # One piece after the other: several at once lie where they happen to be finished.
        [
            *("qemu-img", "convert", "-q", "-m", "1", "-f", "raw", "-O", "qcow2", *words),
            *(str(disk.absolute()), str(target.absolute())),
        ],
        attempt="make the qcow2 disk",
        on=name,
        env={"PATH": program_path()},
        do_next="Install Debian's package qemu-utils, and check that the disk is not full.",
    )


def _format_disk(job: Job, *, size: int, boot: int) -> str:
    """What genimage makes the disk by."""
    first = f"""  partition boot {{
    partition-type-uuid = "{BOOT_PARTITION}"
    partition-uuid = "{job.make_uuid("boot partition")}"
    image = "boot.fat"
    offset = 1M
    bootable = true
  }}
"""
    return f"""image disk.img {{
  size = {size}
  hdimage {{
    partition-table-type = "gpt"
    disk-uuid = "{job.make_uuid("disk")}"
    align = 1M
  }}
{first if boot else ""}  partition root {{
    partition-type-uuid = "{ROOT_PARTITION.get(job.architecture, LINUX_PARTITION)}"
    partition-uuid = "{job.make_uuid("partition")}"
    image = "root.ext4"
    offset = {1 + boot // MIB}M
  }}
}}
"""


def _stage_tree(job: Job, root: Path) -> list[str]:
    """Unpack the tree for mke2fs; return debugfs commands for all that an ordinary user cannot give a file."""
    root.mkdir()
    top = make_member("", kind=tarfile.DIRTYPE, mode=0o755, mtime=0)
    members, script = [top], []
    for info, content in read_members(job.tree):
        path = f"{root}/{info.name}"
        members.append(info)
        if info.isdir():
            os.mkdir(path, info.mode & 0o777 | 0o700)
        elif info.issym():
            os.symlink(info.linkname, path)
        elif content is not None:
            with open(path, "xb") as stream:
                shutil.copyfileobj(content, stream, MIB)
                os.fchmod(stream.fileno(), info.mode & 0o777 | 0o400)
        else:
            script += _format_mknod(info)
    for info in reversed(members):
        script += _format_inode(info, f"{root}/{info.name}", epoch=job.epoch)
    # The count of kilobytes ever written would tell who made the file system.
    return [*script, "set_super_value kbytes_written 0"]


def _format_mknod(info: tarfile.TarInfo) -> list[str]:
    """debugfs commands that make a device node or a pipe."""
    kind = "p" if info.isfifo() else f"{'c' if info.ischr() else 'b'} {info.devmajor} {info.devminor}"
    parent, name = os.path.split(f"/{info.name}")
    return [f"cd {_quote_path(parent)}", f"mknod {_quote_path(name)} {kind}", "cd /"]


def _format_inode(info: tarfile.TarInfo, staged: str, *, epoch: int) -> list[str]:
    """debugfs commands that set what an inode does not get, or not for certain, from the staged file."""
    fixed = {"ctime": f"@{epoch}", "ctime_extra": "0", "atime": f"@{epoch}", "atime_extra": "0"}
    wanted = {"mode": KINDS[info.type] | info.mode, "uid": info.uid, "gid": info.gid}
    has = {}
    if info.type in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE):
        os.utime(staged, (epoch, epoch), follow_symlinks=False)
        found = os.lstat(staged)
        has = {"mode": found.st_mode, "uid": found.st_uid, "gid": found.st_gid}
    else:
        fixed |= {"mtime": f"@{epoch}", "mtime_extra": "0"}
    fixed |= {name: f"0{value:o}" for name, value in wanted.items() if has.get(name) != value}
    path = _quote_path(f"/{info.name}")
    return [f"set_inode_field {path} {name} {value}" for name, value in fixed.items()]


def _quote_path(path: str) -> str:
    if any(ord(character) < 32 for character in path):
        raise SlipwayError(
            "make a raw disk with the file",
            repr(path),
            "its name has control characters",
            do_next="Find out which element makes it, and correct that in the definitions.",
        )
    return '"' + path.replace('"', '""') + '"'


def _make_ext4(job: Job, image: Path, *, staged: Path, mebibytes: int) -> None:
    # What is behind a question mark in an image's path mke2fs and debugfs take for options: they run where it is.
    sizes = [info.size for info, _unused in read_members(job.tree)]
    files = len(sizes)
    config = job.work / "mke2fs.conf"
    config.write_text("[fs_types]\n  ext4 = {\n  }\n")
    identity = job.make_uuid("filesystem")
    extended = f"hash_seed={identity},root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    try:
        run(
            [
                *("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-L", "root"),
                *("-N", str(max(mebibytes * 64, files + files // 4 + 64)), "-U", identity, "-E", extended),
                *("-O", EXT4_FEATURES, "-d", staged.name, str(image.relative_to(job.work)), f"{mebibytes}M"),
            ],
            attempt="make the file system of",
            on=job.name,
            cwd=job.work,
            env=_make_environment(job),
        )
    except SlipwayError as error:
        raise SlipwayError(
            "make the raw disk",
            job.name,
            f"{files} files of {-(-sum(sizes) // MIB)} MiB do not fit into DISK_SIZE {job.settings['DISK_SIZE']}, "
            f"or mke2fs failed otherwise ({error.came_back})",
            do_next="Give the deployment a larger DISK_SIZE in the cluster file.",
        ) from error


def _fix_inodes(job: Job, image: Path, *, script: list[str]) -> None:
    commands = job.work / "debugfs.script"
    commands.write_text("\n".join([*script, ""]), encoding="utf-8", errors="surrogateescape")
    done = run(
        ["debugfs", "-w", "-f", commands.name, str(image.relative_to(job.work))],
        attempt="set owners and times in the file system of",
        on=job.name,
        cwd=job.work,
        env=_make_environment(job),
    )
    # debugfs ends with 0 whatever happens; after the line with its version it says only what went wrong.
    complaints = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("debugfs ")]
    if complaints:
        raise SlipwayError(
            "set owners and times in the file system of",
            job.name,
            f"debugfs wrote {complaints[0]!r}",
            do_next="Check that the disk is not full, and run again.",
        )


def _make_environment(job: Job) -> dict[str, str]:
    return {
        "E2FSPROGS_FAKE_TIME": str(job.epoch),
        "MKE2FS_CONFIG": str(job.work / "mke2fs.conf"),
        "PATH": program_path(),
    }
