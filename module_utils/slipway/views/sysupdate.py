# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The view for systemd-sysupdate: SHA256SUMS of the disks of all releases, and links to them, in one flat directory.

A transfer has ``Path=https://.../updates/`` and ``MatchPattern=baserock-@v-system-x86_64.img.gz``. It takes the highest
version that is listed, so what is withdrawn, or not current yet, is not. A line
``BEST-BEFORE-YYYY-MM-DD``, with the digest of nothing, says until when the list is to be believed;
systemd 257 does not know it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from ..errors import SlipwayError
from .subject import View, ViewFile

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.gpg"
BEST_BEFORE = "BEST-BEFORE-"
NOTHING = hashlib.sha256(b"").hexdigest()
#: What systemd-sysupdate can write to a disk or a directory.
TYPES = ("rawdisk", "partition", "squashfs", "efi")


def format_sums(files: Sequence[ViewFile], *, believe_until: float) -> bytes:
    """The list, sorted by name. The day of ``believe_until`` itself is still good."""
    lines = [(name_best_before(believe_until), NOTHING), *((file.name, file.sha256) for file in files)]
    names = [name for name, _digest in lines]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SlipwayError(
            "list the disks in",
            SUMS,
            f"{', '.join(twice)} would be listed twice",
            do_next="Give files of different releases different names.",
        )
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(lines)).encode()


def name_best_before(believe_until: float) -> str:
    """The line that says when the list is over; systemd believes it until the end of that day in Greenwich."""
    return f"{BEST_BEFORE}{time.strftime('%Y-%m-%d', time.gmtime(believe_until))}"


def make_view(sums: bytes, signature: bytes, files: Sequence[ViewFile]) -> View:
    """The directory: the list, its signature, the file that the last line is of, and a link for each disk."""
    marks = [line.split("  ", 1)[1] for line in sums.decode().splitlines() if f"  {BEST_BEFORE}" in line]
    own = {SUMS: sums, SIGNATURE: signature, **dict.fromkeys(marks, b"")}
    return View(own, {file.name: file.path for file in files})
