#!/usr/bin/env python3
"""Times the files that are made of a system against the programs alone that make such files."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))

from ansible_collections.slipway.release.plugins.module_utils.slipway.image.job import Job
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.tree import Changes, rewrite_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.image.writers import WRITERS

EPOCH = 1700000000
CONFIG = """image disk.img {{
  size = {size}M
  hdimage {{ partition-table-type = "gpt"
    align = 1M }}
  partition root {{ image = "root.ext4"
    offset = 1M }}
}}
"""


def measure(act: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of a process of its own and of all that it starts, and the MB of the largest of them."""
    child = os.fork()
    if child == 0:
        act()
        sys.stdout.flush()
        os._exit(0)
    _child, status, used = os.wait4(child, 0)
    if status:
        sys.exit("a measured step failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def unpack(tree: Path, work: Path) -> None:
    """What the peers need first, as everything begins with an archive."""
    (work / "tree").mkdir()
    subprocess.run(["tar", "-xpf", tree, "-C", work / "tree"], check=True)


def peer_ext4(tree: Path, work: Path, size: int) -> None:
    """mke2fs and genimage, as one calls them."""
    unpack(tree, work)
    (work / "in").mkdir()
    (work / "empty").mkdir()
    words: list[str | Path] = [
        "/sbin/mke2fs",
        "-q",
        "-t",
        "ext4",
        "-d",
        work / "tree",
        work / "in" / "root.ext4",
        f"{size - 2}M",
    ]
    subprocess.run(words, check=True, capture_output=True)
    (work / "genimage.cfg").write_text(CONFIG.format(size=size))
    places = ["--rootpath", "empty", "--tmppath", "tmp", "--inputpath", "in", "--outputpath", "out"]
    subprocess.run(["genimage", "--config", "genimage.cfg", *places], cwd=work, check=True, capture_output=True)


def peer_squashfs(tree: Path, work: Path, _size: int) -> None:
    """mksquashfs alone."""
    unpack(tree, work)
    words: list[str | Path] = ["mksquashfs", work / "tree", work / "out", "-comp", "zstd", "-quiet", "-no-progress"]
    subprocess.run(words, check=True)


def peer_erofs(tree: Path, work: Path, _size: int) -> None:
    """mkfs.erofs alone."""
    unpack(tree, work)
    subprocess.run(["mkfs.erofs", "--quiet", "-zlz4hc", work / "out", work / "tree"], check=True, capture_output=True)


def peer_qcow2(tree: Path, work: Path, size: int) -> None:
    """The disk, and qemu-img."""
    peer_ext4(tree, work, size)
    words: list[str | Path] = ["qemu-img", "convert", "-O", "qcow2", work / "out" / "disk.img", work / "disk.qcow2"]
    subprocess.run(words, check=True)


PEERS = {"rawdisk": peer_ext4, "qcow2": peer_qcow2, "squashfs": peer_squashfs, "erofs": peer_erofs}


def main() -> None:
    """Print a line for each type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "tree", type=Path, help="a tar archive of a system, such as the example's minimal-system-x86_64.tar"
    )
    parser.add_argument("--size", type=int, default=256, help="MiB of the disks")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-images-") as name:
        home = Path(name)
        rewrite_tree(options.tree.resolve(), home / "tree.tar", changes=Changes(EPOCH))
        with tarfile.open(home / "tree.tar") as tar:
            print(f"{len(tar.getmembers())} files, {(home / 'tree.tar').stat().st_size / 1e6:.0f} MB")
        print(f"{'type':<10}{'ours, cpu s':>12}{'alone, cpu s':>14}{'ratio':>8}{'ours, MB':>10}{'alone, MB':>11}")
        for kind, peer in PEERS.items():
            settings = {"DISK_SIZE": f"{options.size}M"} if kind in ("rawdisk", "qcow2") else {}
            ours: list[tuple[float, float]] = []
            theirs: list[tuple[float, float]] = []
            for _run in range(options.runs):
                work = Path(tempfile.mkdtemp(dir=home))
                job = Job("system", "b-1", "x86_64", settings, EPOCH, home / "tree.tar", work)
                ours.append(measure(partial(WRITERS[kind].write, job, work / "made")))
                shutil.rmtree(work)
                work = Path(tempfile.mkdtemp(dir=home))
                theirs.append(measure(partial(peer, home / "tree.tar", work, options.size)))
                shutil.rmtree(work)
            a, b = min(ours), min(theirs)
            print(
                f"{kind:<10}{a[0]:>12.2f}{b[0]:>14.2f}{a[0] / b[0]:>8.2f}{max(ours)[1]:>10.0f}{max(theirs)[1]:>11.0f}"
            )


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
