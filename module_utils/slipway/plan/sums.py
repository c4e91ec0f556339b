# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checksums that came with files from elsewhere, as sha256sum writes them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from ..errors import SlipwayError, refuse
from ..files import open_below
from .found import clip_faults

LINE = re.compile(r"(?P<sha256>[0-9A-Fa-f]{64}) [ *](?P<name>.+)\Z")
#: Of so many bytes there may be; that is some hundred thousand files.
SIZE = 1 << 25


def read_sums(directory: Path, path: str) -> dict[str, str]:
    """The digests in the file at ``path`` below a directory, by the paths of the files there that they are of."""
    attempt, on = "read the checksums in", str(directory / path)
    do_next = "Nothing was changed. Correct release_files_sums, or have the file made again, and run again."
    try:
        with open(open_below(directory, path), "rb") as stream:
            data = stream.read(SIZE + 1)
        lines = data.decode().splitlines()
    except OSError as error:
        raise SlipwayError(attempt, on, error.strerror or str(error), do_next=do_next) from error
    except UnicodeDecodeError as error:
        raise SlipwayError(attempt, on, "it is not text", do_next=do_next) from error
    if len(data) > SIZE:
        raise SlipwayError(attempt, on, f"it has more than {SIZE >> 20} MiB", do_next=do_next)
    sums: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        parts = LINE.match(line)
        if parts is None and line.strip():
            faults.append(
                f"line {number} is not a SHA-256 with two blanks and a name behind it, as sha256sum writes it"
            )
        elif parts is not None:
            below = posixpath.normpath(posixpath.join(posixpath.dirname(path), parts["name"]))
            digest = parts["sha256"].lower()
            if sums.setdefault(below, digest) != digest:
                faults.append(f"line {number} has another digest for {parts['name']!r} than a line before it")
    refuse(attempt, on, clip_faults(faults), several="faults", do_next=do_next)
    return sums
