"""Where the partitions of a disk are, whatever its table says."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.difference.partitions import list_partitions

MIB = 1 << 20
SIZE = 4 * MIB
BOOT_RECORD = b"\x55\xaa"


def make_gpt(*entries: tuple[int, int], at: int = 2, count: int | None = None, length: int = 128) -> bytes:
    """A disk with the first and last sectors of its partitions in a GUID partition table."""
    table = b"".join(b"t" * 32 + struct.pack("<QQ", *entry).ljust(length - 32, b"\0") for entry in entries)
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", at, len(entries) if count is None else count, length)
    disk = bytes(510) + BOOT_RECORD + header.ljust(512, b"\0") + table
    return disk + bytes(SIZE - len(disk))


def make_mbr(*entries: tuple[int, int, int]) -> bytes:
    """A disk with kind, first sector and sectors of its partitions in a table of the older kind."""
    table = b"".join(struct.pack("<4xB3xII", *entry) for entry in entries).ljust(64, b"\0")
    return bytes(446) + table + BOOT_RECORD + bytes(SIZE - 512)


@pytest.mark.parametrize(
    ("disk", "found"),
    [
        (make_gpt((2048, 4095), (4096, 8191)), [(MIB, MIB), (2 * MIB, 2 * MIB)]),
        (make_gpt((2048, 8192)), []),
        (make_gpt((4096, 2048)), []),
        (make_gpt((2048, 4095), count=5000), []),
        (make_gpt((2048, 4095), at=1 << 60), []),
        (make_gpt((2048, 4095), count=3), [(MIB, MIB)]),
        (make_gpt((2048, 1 << 63)), []),
        (make_mbr((0x83, 2048, 2048), (0, 4096, 2048), (0x0C, 4096, 4096)), [(MIB, MIB), (2 * MIB, 2 * MIB)]),
        (make_mbr((0x83, 2048, 1 << 30), (0x83, 0, 16)), []),
        (bytes(SIZE), []),
        (b"", []),
    ],
    ids=range(11),
)
def test_only_what_is_on_the_disk_is_listed(tmp_path: Path, disk: bytes, found: list[tuple[int, int]]) -> None:
    (tmp_path / "disk").write_bytes(disk)
    with (tmp_path / "disk").open("rb") as stream:
        assert list_partitions(stream.fileno()) == found
