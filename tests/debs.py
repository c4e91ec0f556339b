# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small debs, made without starting a program, the same bytes for the same words."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

MTIME = 1_600_000_000


def make_deb(
    directory: Path,
    name: str,
    version: str,
    architecture: str = "all",
    *,
    fields: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Write ``<name>_<version>_<architecture>.deb``, without the epoch, with further control ``fields``."""
    control = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "A Maintainer <maintainer@example.org>",
        "Section": "misc",
        "Priority": "optional",
        **(fields or {}),
        "Description": f"{name} for tests",
    }
    text = "".join(f"{key}: {value}\n" for key, value in control.items())
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}_{version.partition(':')[2] or version}_{architecture}.deb"
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(_tar({"control": text.encode()}), mtime=0)),
        ("data.tar.gz", gzip.compress(_tar(files or {}), mtime=0)),
    )
    with open(path, "wb") as stream:
        stream.write(b"!<arch>\n")
        for member, content in members:
            stream.write(b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (member.encode(), MTIME, 0, 0, b"100644", len(content)))
            stream.write(content + b"\n" * (len(content) % 2))
    return path


def _tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        directories = {str(parent) for name in files for parent in Path(name).parents}
        for directory in sorted(directories | {"."}):
            entry = tarfile.TarInfo("./" if directory == "." else f"./{directory}/")
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, MTIME
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"./{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o644, MTIME
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
