# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the ext2, ext3 or ext4 file system of an image, without mounting it and without root."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .tree import CAPABILITY, TOO_MUCH, Entry, ImageFaultError, Tree

SUPER_AT, SUPER_SIZE, MAGIC = 1024, 1024, 0xEF53
ROOT = 2
READ = 1 << 20
#: Features that change where things are: those that are read here, and what the others are called.
KNOWN = 0x2 | 0x4 | 0x40 | 0x80 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x20000
BIT64 = 0x80
#: Flags of an inode.
EXTENTS, INLINE, ENCRYPTED = 0x80000, 0x10000000, 0x800
EXTENT_MAGIC, ATTRIBUTE_MAGIC = 0xF30A, 0xEA020000
#: An extent that is longer is reserved, and reads as zeros.
WRITTEN = 32768
DEEPEST = 8
LARGEST_DIRECTORY = 1 << 28
SECURITY = 6


@dataclass(frozen=True)
class Inode:
    """What is known of a file, whatever its names are."""

    number: int
    mode: int
    owner: tuple[int, int]
    size: int
    flags: int
    blocks: bytes
    raw: bytes
    attribute_block: int


class Ext4:
    """A file system in a file, from ``offset`` on."""

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._offset = offset
        raw = self._read(SUPER_AT, SUPER_SIZE)
        (self._inodes,) = struct.unpack_from("<I", raw, 0)
        (first, log_size) = struct.unpack_from("<II", raw, 0x14)
        (self._per_group,) = struct.unpack_from("<I", raw, 0x28)
        (magic,) = struct.unpack_from("<H", raw, 0x38)
        if magic != MAGIC or log_size > 6 or not self._per_group:
            raise ImageFaultError("it has no ext4 file system where one should be")
        self._block = 1024 << log_size
        (self._inode_size,) = struct.unpack_from("<H", raw, 0x58)
        (revision,) = struct.unpack_from("<I", raw, 0x4C)
        if not revision:
            self._inode_size = 128
        (features,) = struct.unpack_from("<I", raw, 0x60)
        if features & ~KNOWN:
            raise ImageFaultError(f"its ext4 file system has features that are not known here ({features & ~KNOWN:#x})")
        (size,) = struct.unpack_from("<H", raw, 0xFE)
        self._descriptor_size = max(32, size) if features & BIT64 else 32
        self._groups_at = (first + 1) * self._block
        if not 128 <= self._inode_size <= self._block:
            raise ImageFaultError(f"its ext4 file system has inodes of {self._inode_size} bytes")

    def read_tree(self, tree: Tree) -> None:
        """Add all files, each directory once."""
        waiting, seen = [("", ROOT)], {ROOT}
        known: dict[int, Entry] = {}
        while waiting:
            above, number = waiting.pop()
            for name, child in self._list(self._find(number)):
                path = f"{above}/{name}" if above else name
                if child in known:  # another name of the same file
                    tree.add(path, known[child])
                    continue
                inode = self._find(child)
                self._add(tree, path, inode)
                if stat.S_ISDIR(inode.mode):
                    if child in seen:
                        raise ImageFaultError(f"its directory {path!r} is inside itself")
                    seen.add(child)
                    waiting.append((path, child))
                else:
                    known[child] = tree.entries[path]

    def _add(self, tree: Tree, path: str, inode: Inode) -> None:
        capability = self._find_capability(inode)

        def make(size: int, content: str) -> Entry:
            return Entry(inode.mode, inode.owner, size, content, capability)

        if inode.size > tree.bytes_left:
            raise ImageFaultError(TOO_MUCH)
        if stat.S_ISREG(inode.mode):
            tree.add_file(path, self._read_content(inode), make)
        elif stat.S_ISLNK(inode.mode):
            target = inode.blocks[: inode.size] if self._is_short_link(inode) else b"".join(self._read_content(inode))
            tree.add(path, make(0, os.fsdecode(target)))
        elif stat.S_ISCHR(inode.mode) or stat.S_ISBLK(inode.mode):
            tree.add(path, make(0, inode.blocks[:8].hex()))
        else:
            tree.add(path, make(0, ""))

    @staticmethod
    def _is_short_link(inode: Inode) -> bool:
        return inode.size < 60 and not inode.flags & EXTENTS

    def _find(self, number: int) -> Inode:
        if not 0 < number <= self._inodes:
            raise ImageFaultError(f"its ext4 file system names the inode {number}, which it does not have")
        group, index = divmod(number - 1, self._per_group)
        described = self._read(self._groups_at + group * self._descriptor_size, self._descriptor_size)
        (table,) = struct.unpack_from("<I", described, 8)
        if self._descriptor_size >= 64:
            table |= struct.unpack_from("<I", described, 0x28)[0] << 32
        raw = self._read(table * self._block + index * self._inode_size, self._inode_size)
        mode, uid, size = struct.unpack_from("<HHI", raw, 0)
        (gid,) = struct.unpack_from("<H", raw, 0x18)
        (flags,) = struct.unpack_from("<I", raw, 0x20)
        attributes, high = struct.unpack_from("<II", raw, 0x68)
        attributes_high, uid_high, gid_high = struct.unpack_from("<HHH", raw, 0x76)
        if flags & ENCRYPTED:
            raise ImageFaultError("it has encrypted files")
        owner = uid | uid_high << 16, gid | gid_high << 16
        whole = size | high << 32 if stat.S_ISREG(mode) else size
        return Inode(number, mode, owner, whole, flags, raw[0x28:0x64], raw, attributes | attributes_high << 32)

    def _list(self, inode: Inode) -> Iterator[tuple[str, int]]:
        if not stat.S_ISDIR(inode.mode):
            raise ImageFaultError(f"its inode {inode.number} is no directory")
        if inode.size > LARGEST_DIRECTORY:
            raise ImageFaultError(f"the directory in its inode {inode.number} is damaged")
        data = b"".join(self._read_content(inode))
        for part in (data[4:60], data[60:]) if inode.flags & INLINE else (data,):  # it begins with the one above
            yield from self._list_entries(part, inode)

    def _list_entries(self, data: bytes, inode: Inode) -> Iterator[tuple[str, int]]:
        at = 0
        while at + 8 <= len(data):
            child, length, name_length, _kind = struct.unpack_from("<IHBB", data, at)
            if length < 8 or at + length > len(data):
                raise ImageFaultError(f"the directory in its inode {inode.number} is damaged")
            name = data[at + 8 : at + 8 + name_length]
            if child and name not in (b".", b"..") and name:
                yield os.fsdecode(name), child
            at += length

    def _read_content(self, inode: Inode) -> Iterator[bytes]:
        if inode.flags & INLINE:
            rest = next((value for name, value in self._list_attributes(inode, any_index=True) if name == "data"), b"")
            yield (inode.blocks + rest)[: inode.size]
            return
        left, at = inode.size, 0
        pieces = self._list_extents(inode.blocks) if inode.flags & EXTENTS else self._list_blocks(inode)
        for logical, start, count in pieces:
            yield from self._read_zeros(min(left, logical * self._block - at))
            left -= min(left, max(0, logical * self._block - at))
            at = max(at, logical * self._block)
            length = min(left, count * self._block)
            if start is None:
                yield from self._read_zeros(length)
            else:
                for begin in range(0, length, READ):
                    yield self._read(start * self._block + begin, min(READ, length - begin))
            left -= length
            at += length
            if left <= 0:
                return
        yield from self._read_zeros(left)

    @staticmethod
    def _read_zeros(count: int) -> Iterator[bytes]:
        for begin in range(0, max(0, count), READ):
            yield bytes(min(READ, count - begin))

    def _list_extents(self, node: bytes, depth: int = 0) -> Iterator[tuple[int, int | None, int]]:
        magic, count, _most, levels = struct.unpack_from("<HHHH", node, 0)
        if magic != EXTENT_MAGIC or depth > DEEPEST or 12 + 12 * count > len(node):
            raise ImageFaultError("the map of one of its files is damaged")
        for number in range(count):
            logical, second, third = struct.unpack_from("<III", node, 12 + 12 * number)
            if levels:
                inner = self._read((second | (third & 0xFFFF) << 32) * self._block, self._block)
                yield from self._list_extents(inner, depth + 1)
            else:
                length, start = second & 0xFFFF, third | (second >> 16) << 32
                if length > WRITTEN:
                    yield logical, None, length - WRITTEN
                else:
                    yield logical, start, length

    def _list_blocks(self, inode: Inode) -> Iterator[tuple[int, int | None, int]]:
        """The blocks of a file of ext2 or ext3, in pieces that lie together."""
        wanted = -(-inode.size // self._block)
        begun: tuple[int, int, int] | None = None
        for logical, block in enumerate(self._walk_blocks(inode.blocks)):
            if logical >= wanted:
                break
            if begun is not None and block == begun[1] + begun[2]:
                begun = (begun[0], begun[1], begun[2] + 1)
                continue
            if begun is not None:
                yield begun
            begun = (logical, block, 1) if block else None
        if begun is not None:
            yield begun

    def _walk_blocks(self, blocks: bytes) -> Iterator[int]:
        numbers = struct.unpack("<15I", blocks)
        yield from numbers[:12]
        for levels, block in enumerate(numbers[12:], 1):
            yield from self._walk_indirect(block, levels)

    def _walk_indirect(self, block: int, levels: int) -> Iterator[int]:
        each = self._block // 4
        if not block:
            yield from (0 for _hole in range(each**levels))
            return
        for number in struct.unpack(f"<{each}I", self._read(block * self._block, self._block)):
            if levels == 1:
                yield number
            else:
                yield from self._walk_indirect(number, levels - 1)

    def _find_capability(self, inode: Inode) -> bytes:
        wanted = CAPABILITY.rpartition(".")[2]
        return next((value for name, value in self._list_attributes(inode) if name == wanted), b"")

    def _list_attributes(self, inode: Inode, *, any_index: bool = False) -> Iterator[tuple[str, bytes]]:
        """The attributes of the space ``security``, or with ``any_index`` of all, in the inode and in its block."""
        if len(inode.raw) > 132:
            (extra,) = struct.unpack_from("<H", inode.raw, 0x80)
            at = 128 + extra
            if at + 4 <= len(inode.raw) and struct.unpack_from("<I", inode.raw, at)[0] == ATTRIBUTE_MAGIC:
                yield from self._read_attributes(inode.raw, at + 4, base=at + 4, any_index=any_index)
        if inode.attribute_block:
            raw = self._read(inode.attribute_block * self._block, self._block)
            if struct.unpack_from("<I", raw, 0)[0] == ATTRIBUTE_MAGIC:
                yield from self._read_attributes(raw, 32, base=0, any_index=any_index)

    @staticmethod
    def _read_attributes(raw: bytes, at: int, *, base: int, any_index: bool) -> Iterator[tuple[str, bytes]]:
        while at + 16 <= len(raw) and raw[at : at + 4] != bytes(4):
            name_length, index, value_at = struct.unpack_from("<BBH", raw, at)
            (size,) = struct.unpack_from("<I", raw, at + 8)
            name = os.fsdecode(raw[at + 16 : at + 16 + name_length])
            if any_index or index == SECURITY:
                yield name, raw[base + value_at : base + value_at + size]
            at += (16 + name_length + 3) & ~3

    def _read(self, at: int, count: int) -> bytes:
        data = os.pread(self._descriptor, count, self._offset + at)
        if len(data) != count:
            raise ImageFaultError("its file system goes on beyond its end")
        return data


def is_ext4(descriptor: int, offset: int) -> bool:
    """Whether there is one there."""
    raw: Any = os.pread(descriptor, 2, offset + SUPER_AT + 0x38)
    return len(raw) == 2 and struct.unpack("<H", raw)[0] == MAGIC
