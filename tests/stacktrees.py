# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Trees of sources, and tarballs of any kind, for the tests of stacks."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

#: How each ending is compressed.
PACKERS = {".tar.bz2": bz2.compress, ".tar.gz": gzip.compress, ".tar.xz": lzma.compress}


def write_tree(top: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below ``top``; a text that begins with ``-> `` is the target of a link."""
    top.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return top


def write_stack(
    top: Path, *, version: str = "1.0.3", depends: Iterable[str] = (), packages: Mapping[str, str] | None = None
) -> Path:
    """A rosbuild stack; ``packages`` are what is in the manifests of its packages, by name."""
    below = "".join(f'<depend stack="{name}"/>' for name in depends)
    text = f"""<stack version="{version}">
  <description brief="Messages that many stacks share">Poses, and <b>paths</b>.<p>And more.</p></description>
  <author>Maintained by Ann Other/ann@example.org</author>
  <license>BSD</license>
  <url>https://example.org/common_msgs</url>
  {below}
</stack>
"""
    files = {"stack.xml": text, "CMakeLists.txt": "rosbuild_make_distribution(${VERSION})\n"}
    for name, content in (packages or {}).items():
        files[f"{name}/manifest.xml"] = f"<package><description>x</description>{content}</package>"
    return write_tree(top, files)


def write_catkin(top: Path, name: str, content: str = "", *, style: str = "2", version: str = "0.4.2") -> Path:
    """A catkin package with ``content`` in its package.xml."""
    text = f"""<?xml version="1.0"?>
<package format="{style}">
  <name>{name}</name>
  <version>{version}</version>
  <description>The {name} package. It does a lot of things that nobody else does.</description>
  <maintainer email="ann@example.org">Ann Other</maintainer>
  <maintainer email="bob@example.org">Bob Else</maintainer>
  <license>BSD</license>
  <url type="bugtracker">https://example.org/bugs</url>
  <url type="website">https://example.org/{name}</url>
  {content}
</package>
"""
    return write_tree(top, {"package.xml": text, "CMakeLists.txt": "project(x)\n"})


def write_debian(top: Path, *, source: str = "libhello", version: str = "1:2.3-4", style: str = "3.0 (quilt)") -> Path:
    """Sources with ``debian/`` that dpkg-source takes."""
    return write_tree(
        top,
        {
            "debian/changelog": f"""
{source} ({version}) unstable; urgency=medium

  * A release.

 -- Ann Other <ann@example.org>  Thu, 01 Jan 2026 12:00:00 +0000
""",
            "debian/control": f"""# a comment
Source: {source}
Section: libs
Priority: optional
Maintainer: Ann Other <ann@example.org>
# another
Homepage: https://example.org/hello
Build-Depends: debhelper-compat (= 13)
Standards-Version: 4.6.2

Package: {source}
Architecture: any
Description: Says hello
 To everybody.
 .
   verbatim
""",
            "debian/rules": "#!/usr/bin/make -f\n%:\n\tdh $@\n",
            "debian/source/format": f"{style}\n",
            "hello.c": "int main(void) { return 0; }\n",
        },
    )


def make_tar(members: Iterable[tuple[tarfile.TarInfo, bytes]], *, style: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of these members as they are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=style) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def member(
    name: str, content: bytes = b"", *, kind: bytes | None = None, to: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    """A member for :func:`make_tar`: a directory if its name ends with a slash, else a file, or of a ``kind``."""
    info = tarfile.TarInfo(name)
    is_directory = name.endswith("/")
    info.type = kind if kind is not None else tarfile.DIRTYPE if is_directory else tarfile.REGTYPE
    info.size, info.linkname, info.mode = len(content), to, 0o755 if is_directory else mode
    return info, content
