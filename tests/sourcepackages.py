# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trees with their own ``debian``, and source packages of them as dpkg-source makes them, for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATE = "Thu, 01 Feb 2024 10:00:00 +0000"
MAINTAINER = "A Maintainer <maintainer@example.org>"
PATCH = "--- a/greet.sh\n+++ b/greet.sh\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-echo hello\n+echo good day\n"


def write_tree(
    place: Path, name: str, version: str, form: str, *, files: Mapping[str, str] | None = None, patched: bool = False
) -> Path:
    """A tree with ``debian``; with ``patched`` it has a patch, which is not applied."""
    texts = {
        "greet.sh": "#!/bin/sh\necho hello\n",
        ".gitignore": "*.o\n",
        "debian/changelog": f"{name} ({version}) unstable; urgency=high\n\n  * One.\n\n -- {MAINTAINER}  {DATE}\n",
        "debian/control": (
            f"Source: {name}\nSection: utils\nPriority: optional\nMaintainer: {MAINTAINER}\nStandards-Version: 4.6.2\n"
            f"Build-Depends: debhelper-compat (= 13)\n\nPackage: {name}\nArchitecture: all\n"
            "Depends: ${misc:Depends}\nDescription: greets\n It greets who runs it.\n"
        ),
        "debian/copyright": "Nobody has rights in this.\n",
        "debian/rules": "#!/usr/bin/make -f\n%:\n\tdh $@\n",
        **({"debian/source/format": f"{form}\n"} if form else {}),
        **({"debian/patches/series": "day.diff\n", "debian/patches/day.diff": PATCH} if patched else {}),
        **(files or {}),
    }
    tree = place / "tree"
    for path, text in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for path in ("debian/rules", "greet.sh"):
        (tree / path).chmod(0o755)
    (tree / "link").symlink_to("greet.sh")
    return tree


def build_source(place: Path, name: str, version: str, form: str, *, compression: str = "xz", **options: Any) -> Path:
    """A source package in ``place``; the path of its .dsc."""
    tree = write_tree(place / "work", name, version, form, **options)
    upstream = version.rpartition("-")[0].partition(":")[2] or version.rpartition("-")[0]
    place.mkdir(parents=True, exist_ok=True)
    words = ["-sn"] if form == "1.0" else [f"-Z{compression}"]
    if form in ("3.0 (quilt)", "1.0 with a diff"):
        (tree / "debian/source/format").write_text(f"{form.removesuffix(' with a diff')}\n")
        words = [] if form != "3.0 (quilt)" else words
        orig = place / f"{name}_{upstream}.orig.tar.gz"
        transform = f"--transform=s,^tree,{name}-{upstream},"
        tar = ["tar", "-C", tree.parent, "--exclude=debian", transform, "--mtime=2024-01-01", "-czf", orig, "tree"]
        subprocess.run(tar, check=True)
    subprocess.run(
        ["dpkg-source", "-q", *words, "-b", tree],
        cwd=place,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1706781600"},
    )
    return next(place.glob("*.dsc"))


def unpack(dsc: Path, target: Path, *words: str) -> Path:
    """What dpkg-source makes of a source package."""
    subprocess.run(["dpkg-source", "-q", "--no-copy", *words, "-x", dsc, target], check=True, capture_output=True)
    return target


def parse_changelog(path: Path, field: str, *, number: int = 0) -> str:
    """A field of an entry, as dpkg-parsechangelog reads it; 0 is the newest."""
    words = ["dpkg-parsechangelog", "-l", path, "--offset", str(number), "--count", "1", "--show-field", field]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.rstrip("\n")
