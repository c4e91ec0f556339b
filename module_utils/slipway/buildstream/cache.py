# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks into BuildStream's artifact cache on disk, without starting BuildStream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..yamltext import read_mapping

# Field numbers of BuildStream's Artifact and of Remote Execution's Directory, FileNode, DirectoryNode and Digest.
ARTIFACT_FILES = 8
DIRECTORY_FILES = 1
DIRECTORY_DIRECTORIES = 2
NODE_DIGEST = 2
DIGEST_HASH = 1


def is_cached(config: Path | None, artifact: str) -> bool:
    """Whether the whole tree of ``artifact`` is in the local cache, found out without starting ``bst``.

    Reads what is on disk and writes nothing, so it also serves for check mode.
    """
    cache = find_cache(config)
    try:
        proto = (cache / "artifacts" / "refs" / artifact).read_bytes()
        return _is_whole(cache / "cas" / "objects", _read_hash(_read_field(proto, ARTIFACT_FILES)))
    except (OSError, ValueError, IndexError):
        return False  # not there, or not whole


def read_setting(file: Path, name: str) -> str | None:
    """A setting at the top level of one of BuildStream's files that is text."""
    node = read_mapping(file.read_bytes(), file=str(file)).get(name)
    return None if node is None else node.text


def read_setting_texts(file: Path, name: str) -> dict[str, str]:
    """A mapping of texts at the top level of one of BuildStream's files; what is no text in it is left out."""
    node = read_mapping(file.read_bytes(), file=str(file)).get(name)
    listed = {} if node is None else node.mapping or {}
    return {key: each.text for key, each in listed.items() if each.text is not None}


def builds_remotely(config: Path | None) -> bool:
    """Whether elements are built by a remote execution service, and not on this host."""
    file = find_configuration(config)
    node = None if file is None else read_mapping(file.read_bytes(), file=str(file)).get("remote-execution")
    return node is not None and "execution-service" in (node.mapping or {})


def list_names(config: Path | None) -> dict[str, str]:
    """The names of the artifacts in the local cache, by their keys."""
    refs = find_cache(config) / "artifacts" / "refs"
    return {path.name: path.relative_to(refs).as_posix() for path in refs.glob("*/*/*")}


def find_configuration(config: Path | None) -> Path | None:
    """BuildStream's user configuration, if there is one."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    files = [home / "buildstream2.conf", home / "buildstream.conf"] if config is None else [config]
    return next((file for file in files if file.is_file()), None)


def find_cache(config: Path | None) -> Path:
    """The directory of BuildStream's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "buildstream"
    file = find_configuration(config)
    stated = None if file is None else read_setting(file, "cachedir")
    return default if stated is None else Path(os.path.expandvars(os.path.expanduser(stated)))


def _is_whole(objects: Path, root: str) -> bool:
    """Whether a directory of the content-addressed store, with all that is below it, is there."""
    seen: set[str] = set()
    ahead = [root]
    while ahead:
        directory = ahead.pop()
        for number, node in _read_fields(_locate_object(objects, directory).read_bytes()):
            if number not in (DIRECTORY_FILES, DIRECTORY_DIRECTORIES):
                continue
            digest = _read_hash(_read_field(node, NODE_DIGEST))
            if digest in seen:
                continue
            seen.add(digest)
            if number == DIRECTORY_DIRECTORIES:
                ahead.append(digest)
            elif not _locate_object(objects, digest).exists():
                return False
    return True


def _locate_object(objects: Path, digest: str) -> Path:
    return objects / digest[:2] / digest[2:]


def _read_hash(digest: bytes) -> str:
    return _read_field(digest, DIGEST_HASH).decode("ascii")


def _read_field(message: bytes, wanted: int) -> bytes:
    for number, value in _read_fields(message):
        if number == wanted:
            return value
    raise ValueError(f"a message has no field {wanted}")


def _read_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protocol buffer that hold bytes: strings and other messages."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag & 7 == 0:
            _unused, at = _read_varint(message, at)
        elif tag & 7 == 2:
            length, at = _read_varint(message, at)
            if at + length > len(message):
                raise ValueError("a field is longer than its message")
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError("a field is of a kind that these messages do not have")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
