# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time the comparison of two images of one GB each, as tar archives and as ext4 file systems.

The peer unpacks both (tar, or debugfs), takes the digest of every file (sha256sum), and compares the lists (diff).

python benchmarks/image_difference/run.py [MIB] [FILES] [DIRECTORY]
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHANGED = 100
COMPARE = """
import sys
from pathlib import Path
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.compare import compare
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.gates import DifferenceGate
kind, before, now, scratch = sys.argv[1:]
gate = DifferenceGate(bounds={"files": {"changed": 0}})
print(compare(gate, (Path(before), Path(now)), (kind, kind), "before", Path(scratch)).facts["files"])
"""
UNPACK = {
    "tar": 'mkdir "$2" && tar -xf "$1" -C "$2"',
    "rawdisk": 'mkdir "$2" && debugfs -R "rdump / $2" "$1" 2>/dev/null',
}
PEER = """
set -e
unpack() {{ {unpack}; }}
unpack "$1" "$3/before"; unpack "$2" "$3/now"
for each in before now; do
  (cd "$3/$each" && find . -type f -print0 | sort -z | xargs -0 sha256sum >"$3/$each.sums")
done
diff "$3/before.sums" "$3/now.sums" | grep -c '^>' || true
"""


def make_tree(root: Path, *, mebibytes: int, count: int) -> None:
    """Files of many sizes that have so many bytes together."""
    noise = random.Random(1)  # noqa: S311 - the same files in each run
    sizes = [noise.expovariate(1) for _file in range(count)]
    scale = (mebibytes << 20) / sum(sizes)
    for number, size in enumerate(sizes):
        path = root / f"usr/{number % 97:02}/{number // 97 % 31:02}/file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise.randbytes(int(size * scale)))


def change_tree(root: Path) -> None:
    """One byte more in some files."""
    for path in sorted(root.rglob("file-*"))[:: max(1, len(list(root.rglob("file-*"))) // CHANGED)][:CHANGED]:
        with open(path, "ab") as stream:
            stream.write(b"x")


def make_images(root: Path, place: Path, name: str, *, mebibytes: int) -> None:
    """The tree as each kind of image."""
    subprocess.run(["tar", "-cf", place / f"{name}.tar", "-C", root, "."], check=True)
    image = place / f"{name}.rawdisk"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, image, f"{mebibytes * 5 // 4 + 64}M"], check=True)


def measure(words: list[str]) -> tuple[float, float, int, str]:
    """Seconds by the clock and of processors, MiB of memory, and what was said."""
    begun = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read().strip() if process.stdout else ""
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words[0]} ended with {process.returncode}")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10, said


def main(mebibytes: int, count: int, directory: str | None) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        place, root = Path(name), Path(name) / "tree"
        make_tree(root, mebibytes=mebibytes, count=count)
        make_images(root, place, "before", mebibytes=mebibytes)
        change_tree(root)
        make_images(root, place, "now", mebibytes=mebibytes)
        shutil.rmtree(root)
        print(f"Two images of {mebibytes} MiB in {count} files, {CHANGED} of them changed.\n")
        print("| what | wall | processor | memory | found |")
        print("| --- | ---: | ---: | ---: | --- |")
        for kind, unpack in UNPACK.items():
            images = [str(place / f"{each}.{kind}") for each in ("before", "now")]
            for what, words in (
                (f"gate difference, {kind}", [sys.executable, "-c", COMPARE, kind]),
                (f"peer, {kind}", ["bash", "-c", PEER.format(unpack=unpack), "peer"]),
            ):
                scratch = place / "scratch"
                scratch.mkdir()
                wall, used, memory, said = measure([*words, *images, str(scratch)])
                shutil.rmtree(scratch)
                print(f"| {what} | {wall:.1f} s | {used:.1f} s | {memory} MiB | {said} |", flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 1024,
        int(sys.argv[2]) if len(sys.argv) > 2 else 30000,
        sys.argv[3] if len(sys.argv) > 3 else None,
    )
