# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tree of files as one archive, to be taken to another machine."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from ..errors import SlipwayError
from ..tar import make_member
from .tree import FILE, LINK, PROGRAM, Entry, Tree


def pack_tree(tree: Tree) -> bytes:
    """The tree as a compressed tar archive; equal trees give equal members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for path, entry in sorted(tree.items()):
            name, content = os.fsdecode(path), entry.content
            if entry.mode == LINK:
                link = make_member(name, kind=tarfile.SYMTYPE, linkname=os.fsdecode(content), mode=0o644, mtime=0)
                archive.addfile(link)
            else:
                mode = 0o755 if entry.mode == PROGRAM else 0o644
                archive.addfile(make_member(name, size=len(content), mode=mode, mtime=0), io.BytesIO(content))
    return packed.getvalue()


def unpack_tree(path: Path) -> dict[bytes, Entry]:
    """The tree in an archive that :func:`pack_tree` made. Nothing of it is written to disk."""
    tree = {}
    try:
        with tarfile.open(path) as archive:
            for info in archive:
                name = os.fsencode(info.name)
                if info.issym():
                    tree[name] = Entry(LINK, os.fsencode(info.linkname))
                elif (content := archive.extractfile(info)) is not None:
                    tree[name] = Entry(PROGRAM if info.mode & 0o100 else FILE, content.read())
    except (OSError, EOFError, tarfile.TarError) as error:
        raise SlipwayError("read the files in", str(path), str(error), do_next="Run the same command again.") from error
    return tree
