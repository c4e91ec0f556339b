# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time the pages of many releases: all of them anew, nothing to do, and one more release. The peer copies the files.

python benchmarks/release_pages/run.py [RELEASES]
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.slipway.release.plugins.action.release_index import render_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.pages import update_pages
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.releases import Site, describe_site

TEMPLATES = str(Path(__file__).resolve().parents[2] / "roles/release_current/templates")
SYSTEMS = ("minimal-system", "devel-system")
ARCHITECTURES = ("x86_64", "x86_32", "armv7lhf")
TYPES = {"tar": "tar", "rawdisk": "img"}
NOTES = "Some words on this release.\n\n## Changes\n\n" + "* Take *figlet* from its new home (`9be01d2`, Zoë)\n" * 20


def make_release(public: Path, number: int, signature: bytes) -> str:
    """A release of twelve small files with manifest, checksums, a signature and notes."""
    label = f"baserock-{number // 50 + 1}.{number % 50}"
    directory = public / label
    directory.mkdir()
    files = []
    for system in SYSTEMS:
        for architecture in ARCHITECTURES:
            for kind, suffix in TYPES.items():
                name = f"{label}-{system}-{architecture}.{suffix}.gz"
                (directory / name).write_text(name)
                digest = hashlib.sha256(name.encode()).hexdigest()
                (directory / f"{name}.sha256").write_text(f"{digest}  {name}\n")
                facts = {"system": f"systems/{system}-{architecture}.bst", "architecture": architecture, "type": kind}
                files.append({"name": name, "size": len(name), "sha256": digest, **facts})
    manifest = {"project": "baserock", "version": label.rpartition("-")[2], "commit": "c" * 40, "files": files}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "SHA256SUMS").write_text("".join(f"{file['sha256']}  {file['name']}\n" for file in files))
    (directory / "SHA256SUMS.asc").write_bytes(signature)
    (public / f"{label}.md").write_text(NOTES)
    return label


def time_of(act: Callable[[], object]) -> float:
    """Seconds of one call."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def main(count: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        public, home = Path(place) / "public", Path(place) / "gnupg"
        public.mkdir()
        key = make_key(home, "Benchmark <benchmark@localhost>")
        (public / "data").write_text("data")
        sign_detached(home, key, data=public / "data", signature=public / "sig")
        (public / "release-key.asc").write_bytes(export_public_key(home, key))
        signature = (public / "sig").read_bytes()
        for number in range(count):
            label = make_release(public, number, signature)
        (public / "current").symlink_to(label)
        site, spent = Site(public, "baserock"), {"describe": 0.0, "render": 0.0, "write": 0.0}

        def update() -> None:
            begun = time.monotonic()
            found = describe_site(site)
            described = time.monotonic()
            pages = render_pages([TEMPLATES], found)
            rendered = time.monotonic()
            update_pages(site, pages)
            ended = time.monotonic()
            spent.update(describe=described - begun, render=rendered - described, write=ended - rendered)

        print("| what | wall | reading | rendering | writing |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for what in (f"pages of {count} releases", "nothing to do", "one more release"):
            if what.startswith("one"):
                label = make_release(public, count, signature)
                (public / "current").unlink()
                (public / "current").symlink_to(label)
            wall = time_of(update)
            print(f"| {what} | {wall:.2f} s | {' | '.join(f'{part:.2f} s' for part in spent.values())} |")
        copied = [*public.glob("*.html"), *public.glob("releases.*")]
        (Path(place) / "copy").mkdir()
        wall = time_of(lambda: [shutil.copy(path, Path(place) / "copy") for path in copied])
        print(f"| peer: copying those {len(copied)} files | {wall:.2f} s | | | |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
