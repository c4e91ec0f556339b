# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A shadow archive of many small made packages, each with its source, and results of builds for it.

reprepro takes them all at once by its command ``update`` from a directory that looks like an archive.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.slipway.release.plugins.module_utils.slipway.apt.reprepro import open_archive
from debs import make_deb
from tinysources import Archive

SUITE = "bookworm"
#: The first of so many packages is one that the others are built with and depend on.
GROUP = 10
#: The options of a plan, besides the platforms.
PLAN: dict[str, Any] = {
    "distribution": "benchmark",
    "stacks": None,
    "package_name": "{stack}",
    "source_version": "{version}",
    "policy": "transitive",
    **{name: [] for name in ("abi_changed", "force", "rebuild", "profiles")},
    **{name: {} for name in ("policies", "hold", "excludes", "new")},
    "alternatives": "any",
    "timeout": 300.0,
}
UPDATE = "Name: made\nMethod: file://{place}\nSuite: bookworm\nComponents: main\nIgnoreRelease: yes\n"


def name(number: int) -> str:
    """What a package is called."""
    return f"made-{number:05}"


def list_needs(number: int) -> str:
    """What it depends on."""
    first = number - number % GROUP
    return "" if number == first else name(first)


def make_archive(place: Path, built: int, *, more: Sequence[str] = ()) -> Archive:
    """An archive with so many sources and their packages, and ``more`` sources without."""
    archive = Archive(place)
    upstream = place / "upstream"
    rows = [(name(number), list_needs(number)) for number in range(built)]
    debs = [make_result(upstream / "pool", *row) for row in rows]
    write_index(
        upstream,
        "binary-amd64/Packages",
        (describe_deb(upstream, deb, *row) for deb, row in zip(debs, rows, strict=True)),
    )
    sources = [*rows, *((one, "") for one in more)]
    write_index(upstream, "source/Sources", (make_source(upstream, *row) for row in sources))
    fill(archive.base, upstream)
    with open_archive(archive.base, gnupghome=archive.gnupghome) as opened:
        opened.export()
    return archive


def fill(base: Path, upstream: Path, env: Mapping[str, str] | None = None) -> None:
    """Have reprepro take all that ``upstream`` has; with ``env``, where its keys are, it writes the indexes too."""
    conf = base / "conf"
    said = (conf / "distributions").read_text()
    (conf / "updates").write_text(UPDATE.format(place=upstream))
    (conf / "distributions").write_text(f"{said.rstrip()}\nUpdate: made\n")
    export = "--export=silent-never" if env is None else "--export=normal"
    words = ["reprepro", "--basedir", str(base), export, "--noskipold", "update", SUITE]
    subprocess.run(words, env=env, check=True, capture_output=True)
    (conf / "distributions").write_text(said)


def make_result(place: Path, package: str, needs: str = "", version: str = "1.0") -> Path:
    """The deb that a build would make."""
    fields = {"Depends": needs} if needs else {}
    return make_deb(place, package, version, "amd64", fields=fields, files={"usr/share/made": package.encode() * 20})


def describe_deb(top: Path, deb: Path, package: str, needs: str) -> str:
    """Its paragraph in an index."""
    data = deb.read_bytes()
    depends = f"Depends: {needs}\n" if needs else ""
    return (
        f"Package: {package}\nVersion: 1.0\nArchitecture: amd64\nMaintainer: A Maintainer <maintainer@example.org>\n"
        f"Section: misc\nPriority: optional\n{depends}Filename: {deb.relative_to(top)}\nSize: {len(data)}\n"
        f"MD5sum: {hashlib.md5(data, usedforsecurity=False).hexdigest()}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        f"Description: {package} for tests\n"
    )


def make_source(top: Path, package: str, needs: str) -> str:
    """Its source package, of which nobody looks into the tarball, and its paragraph."""
    place = top / "pool"
    place.mkdir(parents=True, exist_ok=True)
    said = (
        f"Format: 3.0 (native)\nBinary: {package}\nArchitecture: any\nVersion: 1.0\n"
        f"Maintainer: A Maintainer <maintainer@example.org>\nStandards-Version: 4.6.2\n"
        + (f"Build-Depends: {needs}\n" if needs else "")
        + f"Package-List:\n {package} deb misc optional arch=any\n"
    )
    tarball = f"{package} 1.0\n".encode()
    (place / f"{package}_1.0.tar.gz").write_bytes(tarball)
    files = {f"{package}_1.0.tar.gz": tarball}
    dsc = f"Source: {package}\n{said}{_list_files(files)}".encode()
    (place / f"{package}_1.0.dsc").write_bytes(dsc)
    files[f"{package}_1.0.dsc"] = dsc
    return f"Package: {package}\n{said}Section: misc\nPriority: optional\nDirectory: pool\n{_list_files(files)}"


def _list_files(files: dict[str, bytes]) -> str:
    text = ""
    for field, kind in (("Files", "md5"), ("Checksums-Sha256", "sha256")):
        rows = (f" {hashlib.new(kind, data).hexdigest()} {len(data)} {file}\n" for file, data in files.items())
        text += f"{field}:\n{''.join(rows)}"
    return text


def write_index(top: Path, path: str, paragraphs: Iterable[str]) -> None:
    """Write an index as archives have them."""
    target = top / "dists" / SUITE / "main" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(paragraphs))
    subprocess.run(["gzip", "-kf1", str(target)], check=True)
