# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debs put together part by part, so that each part can be wrong; and dpkg's word on them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import zstandard

MTIME = 1_600_000_000
CONTROL = b"Package: foo\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: short\n long\n"
POSTINST = b"#!/bin/sh\nexit 0\n"

SQUEEZE = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".xz": lzma.compress,
    ".zst": lambda content: zstandard.ZstdCompressor(level=3).compress(content),
    ".bz2": bz2.compress,
    ".lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
}


def entry(name: str, content: bytes = b"", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    """An entry of a tar, a regular file unless ``attributes`` say otherwise."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(content), MTIME, 0o644
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


TOP = entry("./", type=tarfile.DIRTYPE, mode=0o755)
USUAL = (TOP, entry("./control", CONTROL), entry("./postinst", POSTINST, mode=0o755))


def tar(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar with these entries."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return stream.getvalue()


def control_tar(text: bytes = CONTROL) -> bytes:
    """The control tar of a package with a maintainer script."""
    return tar(TOP, entry("./control", text), USUAL[2])


DATA_TAR = tar(TOP, entry("./usr/", type=tarfile.DIRTYPE, mode=0o755), entry("./usr/file", b"data\n" * 100))


def ar(*members: tuple[str, bytes]) -> bytes:
    """An ar archive with these members."""
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), MTIME, 0, 0, b"100644", len(content)))
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def members(text: bytes = CONTROL, *, control: str = ".xz", data: str = ".xz") -> list[tuple[str, bytes]]:
    """The members of a deb whose parts are in these compressions."""
    return [
        ("debian-binary", b"2.0\n"),
        (f"control.tar{control}", SQUEEZE[control](control_tar(text))),
        (f"data.tar{data}", SQUEEZE[data](DATA_TAR)),
    ]


def deb(text: bytes = CONTROL, *, control: str = ".xz", data: str = ".xz") -> bytes:
    """A whole deb."""
    return ar(*members(text, control=control, data=data))


def unpacked(content: bytes) -> dict[str, bytes]:
    """The members of an ar archive by name; for archives that are known to be whole."""
    found = {}
    position = 8
    while position < len(content):
        header = content[position : position + 60]
        size = int(header[48:58])
        found[header[:16].decode().rstrip(" /")] = content[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    return found


def entries(content: bytes) -> list[tuple[bytes, bytes]]:
    """Header and content of each entry of the control tar of a deb, as dpkg-deb gives it."""
    raw = dpkg_deb("--ctrl-tarfile", content).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return [
            (raw[info.offset_data - 512 : info.offset_data], raw[info.offset_data : info.offset_data + info.size])
            for info in archive
        ]


def dpkg_deb(command: str, content: bytes) -> subprocess.CompletedProcess[bytes]:
    """Ask dpkg-deb about a deb."""
    return subprocess.run(["dpkg-deb", command, "/dev/stdin"], input=content, capture_output=True, check=False)


def dpkg_takes(path: Path, root: Path) -> str | None:
    """Why dpkg would not unpack the deb at ``path`` into a system at ``root``, or ``None``."""
    database = root / "var" / "lib" / "dpkg"
    for directory in ("info", "updates"):
        (database / directory).mkdir(parents=True, exist_ok=True)
    for name in ("status", "available"):
        (database / name).touch()
    forced = "--force-depends,architecture,not-root,conflicts,breaks"
    words: Iterable[str] = ("dpkg", f"--root={root}", "--no-act", forced, "--unpack", str(path))
    done = subprocess.run(list(words), capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None
