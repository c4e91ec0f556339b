"""Bills of a system that has what is odd, of a tree of Debian's, and of an index of packages."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.debian import take_tree
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.make import make_bills
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.parts import Job, Part

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: GPL-3+
 It is free.
"""
STATUS = b"""\
Package: hello
Status: install ok installed
Maintainer: J\xf6rg <joerg@example.org>
Architecture: armhf
Source: hello-source (2.10-1)
Version: 2.10-2+b1
Depends: libc6 (>= 2.36) | libc
Description: greets

Package: libc6
Status: install ok installed
Architecture: armhf
Multi-Arch: same
Version: 2.36-9
Essential: yes

Package: gone
Status: deinstall ok config-files
Architecture: armhf
Version: 1.0

Package: selected
Status: install ok not-installed

Package: unversioned
Status: install ok unpacked
Architecture: all
"""
PACKAGES = """\
Package: ros-cturtle-roscpp
Version: 1.0.1-s100~bookworm
Architecture: amd64
Maintainer: Release team <team@example.org>
Filename: pool/r/ros-cturtle-roscpp/ros-cturtle-roscpp_1.0.1_amd64.deb
Size: 12
SHA256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
Description: a stack
"""


def git(name: str, commit: str, **more: str) -> dict[str, str]:
    url = f"https://git.example.org/{name}.git"
    return {"kind": "git", "url": url, "medium": "git", "version-type": "commit", "version": commit, **more}


PATCH = {
    "kind": "patch",
    "url": "patches/fix.patch",
    "medium": "local",
    "version-type": "cas-digest",
    "version": "ff/3",
}
TAR = {
    "kind": "tar",
    "url": "https://download.example.org/tree-2.1.tar.gz",
    "medium": "remote-file",
    "version-type": "sha256",
    "version": "7" * 64,
    "version-guess": "2.1",
}
ODD = [
    Part("systems/odd_~.bst", below=("a/b.bst", "a-b.bst", "lib/x.bst", "empty.bst", "a/b.bst")),
    Part("a/b.bst", (git("b", "a" * 40, **{"version-guess": "1.0"}), TAR, PATCH, git("sub", "c" * 40))),
    Part("a-b.bst", (git("b", "b" * 40),), licences=("public-domain", "GPL-2.0-or-later"), declared="GPL-2.0-or-later"),
    Part("lib/x.bst", ({"kind": "local", "url": "files/\x01 ü", "medium": "local", "version": ""},)),
    Part("empty.bst"),
    Part("inner.bst", below=("a/b.bst",)),
]


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def describe_jobs(top: Path, *, architecture: str) -> list[Job]:
    def job(name: str, **more: object) -> Job:
        return Job(name, "26.47", 1700000000, top / f"{name}.spdx.json", top / f"{name}.cdx.json", **more)  # type: ignore[arg-type]

    stacks = {
        "ros-cturtle-roscpp": {"repository": "https://git.example.org/ros.git", "tag": "ros-1.0.1", "commit": "d" * 40}
    }
    return [
        job("x-26.47-odd_~", parts=ODD, contained=["inner.bst"]),
        job("x-26.47-debian", parts=ODD[:1], tree=top / "tree", architecture=architecture),
        job("x-26.47-index", index=top / "Packages", architecture="amd64", stacks=stacks),
    ]


def prepare(top: Path) -> list[Job]:
    files = {"./var/lib/dpkg/status": STATUS, "./usr/share/doc/hello/copyright": COPYRIGHT.encode()}
    archive = write_tar(top / "tree.tar", files)
    (top / "Packages").write_text(PACKAGES)
    return describe_jobs(top, architecture=take_tree(archive, top / "tree", name="debian"))


@pytest.fixture(scope="session")
def bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the bills."""
    top = tmp_path_factory.mktemp("bills")
    assert make_bills(prepare(top), python=sys.executable) == {}
    return top


def read(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_bytes()))
