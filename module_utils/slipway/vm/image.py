# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disk of a release VM: a Debian base, Slipway with its tools, and a boot loader; made without root."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, name_refusals
from ..files import hash_file, make_scratch, move_synced, write_atomic
from ..host.base import PERMISSIONS
from ..image.job import MIB, Job
from ..image.rawdisk import convert_to_qcow2, find_disk_faults, write_rawdisk
from ..image.tree import Changes, rewrite_tree
from ..locks import hold_flock
from ..process import run
from ..progress import Progress
from ..release.records import format_json
from ..tar import make_member
from .software import SHIPPED, Software, copy_checkout, install, is_left_out, is_shipped, list_layer

#: Counts up when the same input gives another image than before.
FORMAT = 1
NAME = "release-vm"
FORMATS = ("raw", "qcow2")
LOCK_TIMEOUT = 7200.0
#: Links that systemd starts the machine's parts by.
ENABLED = {
    "multi-user.target.wants": ("slipway-seed", "slipway-site", "ssh", "systemd-networkd"),
    "sysinit.target.wants": ("systemd-resolved", "systemd-timesyncd"),
}
#: Timers and services that a machine of some hours does not need.
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "systemd-networkd-wait-online.service", "systemd-pstore.service"),
)
PROGRAMS = ("usr/lib/slipway/vm", "usr/lib/slipway/release", "usr/local/bin/release")


@dataclass(frozen=True)
class Wanted:
    """What an image is made of. ``files`` is a directory to lay over the tree; ``program`` runs in the machine."""

    base: Path
    software: Software
    files: Path
    program: Path
    version: str
    epoch: int
    format: str = "raw"
    settings: dict[str, str] = field(default_factory=dict)

    def key(self) -> str:
        """A digest of everything that goes in."""
        content = asdict(self.software) | {"checkout": "", "wheels": "", "pip_args": []}
        told = [FORMAT, self.base.name, content, self.version, self.epoch, self.format, self.settings]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        tops = [self.software.checkout / name for name in (*SHIPPED, "constraints.txt", "requirements.txt")]
        for top in (*tops, self.files, self.program):
            for path in sorted(path for path in _walk(top) if is_shipped(path.relative_to(top))):
                digest.update(f"\0{path.relative_to(top)}\0{stat.S_IMODE(path.lstat().st_mode):o}\0".encode())
                digest.update(
                    os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
                )
        return digest.hexdigest()


def ensure_image(wanted: Wanted, directory: Path, *, progress: Progress, write: bool = True) -> dict[str, Any]:
    """The image in ``directory``, made if there is none of the same input: path, size, digest, whether it was made."""
    _check(wanted)
    key = wanted.key()
    found = _find(directory, key)
    if found is not None or not write:
        return {**(found or {}), "made": False}
    directory.mkdir(parents=True, exist_ok=True)
    with hold_flock(directory / ".lock", attempt="make a release VM in", on=str(directory), timeout=LOCK_TIMEOUT):
        found = _find(directory, key)
        return {**(found or _make(wanted, directory, key=key, progress=progress)), "made": found is None}


def _check(wanted: Wanted) -> None:
    faults = find_disk_faults(wanted.settings)
    faults += [] if wanted.format in FORMATS else [f"the format is {wanted.format!r}; formats are {', '.join(FORMATS)}"]
    if faults:
        raise SlipwayError("make", "a release VM", "; ".join(faults), do_next="Correct the variables release_vm_*.")


def _find(directory: Path, key: str) -> dict[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads((directory / f"{NAME}.json").read_text(encoding="utf-8"))
        there = os.stat(note["path"]).st_size == note["size"] and note["key"] == key
    except (OSError, ValueError, KeyError):
        return None
    return note if there else None


def _make(wanted: Wanted, directory: Path, *, key: str, progress: Progress) -> dict[str, Any]:
    progress.total = 4
    log = directory / f"{NAME}.log"
    log.unlink(missing_ok=True)
    with make_scratch(".making-", directory=directory) as scratch, name_refusals("make", NAME):
        base, tree = scratch / "base.tar", scratch / "tree"
        tree.mkdir()
        with gzip.open(wanted.base, "rb") as packed, base.open("xb") as plain:
            shutil.copyfileobj(packed, plain, MIB)
        words = [
            "tar",
            "--extract",
            "--no-same-owner",
            "--no-same-permissions",
            "--file",
            str(base),
            "--directory",
            str(tree),
        ]
        run(words, attempt="unpack", on=wanted.base.name)
        (tree / "tmp").mkdir(exist_ok=True)
        progress.step("the base is unpacked")
        copy_checkout(wanted.software.checkout, tree)
        install(wanted.software, tree, log=log)
        progress.step("Slipway and its tools are installed")
        _append_layer(wanted, base, tree)
        shutil.rmtree(tree)
        rewrite_tree(base, scratch / "tree.tar", changes=Changes(wanted.epoch, permissions=f"/{PERMISSIONS}"))
        base.unlink()
        progress.step("the tree is complete")
        work = scratch / "work"
        work.mkdir()
        job = Job(NAME, wanted.version, "x86_64", wanted.settings, wanted.epoch, scratch / "tree.tar", work)
        write_rawdisk(job, scratch / "disk.img")
        made = scratch / f"disk.{wanted.format}"
        if wanted.format == "qcow2":
            convert_to_qcow2(scratch / "disk.img", made, name=NAME, words=["-c"])
        else:
            (scratch / "disk.img").rename(made)
        sha256 = hash_file(made)
        target = directory / f"{NAME}-{sha256[:12]}.{'img' if wanted.format == 'raw' else wanted.format}"
        move_synced(made, target)
        progress.step(f"{target.name} is made")
    note = {"key": key, "path": str(target), "sha256": sha256, "size": target.stat().st_size, "format": wanted.format}
    note["stored"] = target.stat().st_blocks * 512
    write_atomic(directory / f"{NAME}.json", format_json(note))
    return note


def _append_layer(wanted: Wanted, archive: Path, tree: Path) -> None:
    """Add to the base's archive what was installed, the machine's own files, and the links that enable services."""
    with tarfile.open(archive, "a", format=tarfile.PAX_FORMAT) as tar:
        for top in list_layer(tree):
            for path in sorted(_walk(top)):
                if not is_left_out(path.name):
                    _add(tar, path, str(path.relative_to(tree)), epoch=wanted.epoch)
        for path in sorted(_walk(wanted.files)):
            if not is_shipped(path.relative_to(wanted.files)):
                continue
            name = str(path.relative_to(wanted.files))
            _add(tar, path, name, epoch=wanted.epoch, mode=0o440 if name.startswith("etc/sudoers.d/") else None)
        for name in PROGRAMS:
            _add(tar, wanted.program, name, epoch=wanted.epoch, mode=0o755)
        for target, services in ENABLED.items():
            for name in services:
                _link(tar, f"etc/systemd/system/{target}/{name}.service", f"/lib/systemd/system/{name}.service")
        for unit in MASKED:
            _link(tar, f"etc/systemd/system/{unit}", "/dev/null")
        _link(tar, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
        # An empty machine-id makes systemd choose one; what is up to date is not updated at the first start.
        for name, text in (
            ("etc/machine-id", ""),
            ("etc/.updated", f"TIMESTAMP_NSEC={wanted.epoch * 10**9}\n"),
            ("var/.updated", f"TIMESTAMP_NSEC={wanted.epoch * 10**9}\n"),
            ("etc/slipway-release-vm", f"{wanted.version}\n"),
        ):
            _write(tar, name, text.encode(), epoch=wanted.epoch)
        for name, mode in (("run", 0o755), ("tmp", 0o1777), ("dev", 0o755), ("proc", 0o755), ("sys", 0o755)):
            tar.addfile(make_member(name, kind=tarfile.DIRTYPE, mode=mode, mtime=wanted.epoch))
        tar.addfile(make_member("srv/slipway", kind=tarfile.DIRTYPE, mode=0o755, mtime=wanted.epoch))


def _add(tar: tarfile.TarFile, path: Path, name: str, *, epoch: int, mode: int | None = None) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        _link(tar, name, os.readlink(path))
    elif stat.S_ISDIR(found.st_mode):
        tar.addfile(make_member(name, kind=tarfile.DIRTYPE, mode=0o755, mtime=epoch))
    else:
        usual = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
        with path.open("rb") as content:
            tar.addfile(make_member(name, size=found.st_size, mode=mode or usual, mtime=epoch), content)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    tar.addfile(make_member(name, kind=tarfile.SYMTYPE, mode=0o777, mtime=0, linkname=target))


def _write(tar: tarfile.TarFile, name: str, data: bytes, *, epoch: int) -> None:
    tar.addfile(make_member(name, size=len(data), mode=0o644, mtime=epoch), io.BytesIO(data))


def _walk(top: Path) -> list[Path]:
    """A file, or what is below a directory."""
    return list(top.rglob("*")) if top.is_dir() and not top.is_symlink() else [top]
