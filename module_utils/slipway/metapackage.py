# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages that hold nothing and install others, in exactly the versions of one release."""

from __future__ import annotations

import gzip
import io
import tarfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: The date of everything inside, so that the same words give the same bytes.
MOMENT = 1_000_000_000


@dataclass(frozen=True)
class Metapackage:
    """``depends`` are package and version; ``fields`` further fields, such as the marker of the distribution."""

    package: str
    version: str
    architecture: str
    maintainer: str
    summary: str
    depends: Sequence[tuple[str, str]]
    fields: Mapping[str, str]

    @property
    def control(self) -> str:
        """Its control file."""
        lines = {
            "Package": self.package,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": self.maintainer,
            "Depends": ", ".join(f"{name} (= {version})" for name, version in self.depends),
            "Section": "metapackages",
            "Priority": "optional",
            **self.fields,
            "Description": self.summary,
        }
        text = "".join(f"{name}: {value}\n" for name, value in lines.items())
        return text + textwrap.indent("\n".join(textwrap.wrap(_LONG, 76)), " ") + "\n"

    def deb(self) -> bytes:
        """The package as a file."""
        documents = f"usr/share/doc/{self.package}"
        files = {
            f"{documents}/changelog.Debian.gz": gzip.compress(self._changelog().encode(), 9, mtime=0),
            f"{documents}/copyright": _COPYRIGHT.encode(),
        }
        return deb_of(self.control, files, mtime=MOMENT)

    def _changelog(self) -> str:
        date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(MOMENT))
        return (
            f"{self.package} ({self.version}) stable; urgency=low\n\n  * Lock the packages of this release.\n\n"
            f" -- {self.maintainer}  {date}\n"
        )


_LONG = (
    "This package holds nothing. It installs the packages of one release of the distribution, in exactly the versions "
    "that were built and tested together."
)
_COPYRIGHT = "This package holds no work of its own: nothing in it is subject to copyright.\n"


def deb_of(control: str, files: Mapping[str, bytes], *, mtime: int) -> bytes:
    """A deb with this control file and these ``files`` (by their paths), all of root and dated ``mtime``."""
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(_tar({"control": control.encode()}, mtime), 9, mtime=0)),
        ("data.tar.gz", gzip.compress(_tar(files, mtime), 9, mtime=0)),
    )
    parts = [b"!<arch>\n"]
    for name, content in members:
        header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), mtime, 0, 0, b"100644", len(content))
        parts += [header, content, b"\n" * (len(content) % 2)]
    return b"".join(parts)


def _tar(files: Mapping[str, bytes], mtime: int) -> bytes:
    stream = io.BytesIO()
    directories = {""}
    for name in files:
        parts = name.split("/")[:-1]
        directories |= {"/".join(parts[: count + 1]) + "/" for count in range(len(parts))}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for directory in sorted(directories):
            entry = tarfile.TarInfo(f"./{directory}")
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, mtime
            archive.addfile(_of_root(entry))
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"./{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o644, mtime
            archive.addfile(_of_root(entry), io.BytesIO(content))
    return stream.getvalue()


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uname = entry.gname = "root"
    return entry
