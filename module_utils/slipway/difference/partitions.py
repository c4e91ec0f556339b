# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the partitions of a disk are."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

SECTOR = 512
MOST_PARTITIONS = 1024


def list_partitions(descriptor: int) -> list[tuple[int, int]]:
    """Where partitions begin, and how long they are, by a GUID partition table or one of the older kind.

    What a damaged table places outside of the disk is left out.
    """
    size = os.fstat(descriptor).st_size
    return [(begin, length) for begin, length in _read_table(descriptor) if 0 < begin < begin + length <= size]


def _read_table(descriptor: int) -> Iterator[tuple[int, int]]:
    first, header = os.pread(descriptor, SECTOR, 0), os.pread(descriptor, SECTOR, SECTOR)
    if first[510:512] != b"\x55\xaa":
        return
    if header[:8] == b"EFI PART":
        at, count, size = struct.unpack_from("<QII", header, 72)
        if not 128 <= size <= 4096 or count > MOST_PARTITIONS or (at + 1) * SECTOR > os.fstat(descriptor).st_size:
            return
        table = os.pread(descriptor, count * size, at * SECTOR)
        for start in range(0, len(table) - 127, size):
            begin, end = struct.unpack_from("<QQ", table, start + 32)
            if any(table[start : start + 16]):
                yield begin * SECTOR, (end + 1 - begin) * SECTOR
        return
    for start in range(446, 510, 16):
        begin, count = struct.unpack_from("<II", first, start + 8)
        if first[start + 4]:
            yield begin * SECTOR, count * SECTOR
