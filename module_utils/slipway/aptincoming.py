# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes packages for an apt archive from those who may bring something, and nothing else.

The forced command of their SSH keys. It knows one word, and reads the package from its standard input::

    put <suite> <package>_<version>_<architecture>.deb <sha256>

A package is there whole, with that digest, or not at all. One that is there is never replaced, and nothing can be read
back. This file runs by itself on the archive's host, so it needs nothing but Python.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import select
import stat
import sys
import syslog
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SUITE = re.compile(r"[a-z0-9][a-z0-9.+-]*\Z")
#: dpkg's file names: a colon after an epoch is left out, or written %3a.
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+_[0-9][A-Za-z0-9.+~%-]*_[a-z0-9][a-z0-9-]*\.deb\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
MAGIC = b"!<arch>\ndebian-binary"
CHUNK = 1 << 20
#: What an upload that was cut off left is removed after this many seconds.
STALE = 86400.0


class RefusedError(Exception):
    """Why a package is not taken, as a sentence for whoever brings it."""


def main(words: list[str] | None = None) -> int:
    """Do what the SSH client asked for, if it may."""
    parser = argparse.ArgumentParser(description="Take a package in from standard input.")
    parser.add_argument("incoming", type=Path, help="the directory with one directory for each suite")
    parser.add_argument("--from", dest="who", default="somebody", help="whose key it is, for the system's log")
    parser.add_argument("--largest", type=int, default=4 << 30, help="how many bytes a package may have")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds of silence after which it gives up")
    given = parser.parse_args(words)
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    syslog.openlog("slipway-apt-incoming", facility=syslog.LOG_AUTH)
    try:
        said = take(asked, given.incoming, sys.stdin.fileno(), largest=given.largest, patience=given.patience)
    except (RefusedError, OSError) as error:
        syslog.syslog(syslog.LOG_WARNING, f"refused {given.who}: {asked[:200]!r}: {error}")
        print(f"Refused: {error}", file=sys.stderr)
        return 1
    syslog.syslog(syslog.LOG_INFO, f"{given.who}: {said}")
    print(said)
    return 0


def take(asked: str, incoming: Path, source: int, *, largest: int, patience: float) -> str:
    """Take in what the command ``asked`` announces, from the descriptor ``source``; what happened, as a sentence."""
    suite, name, digest = _parsed(asked)
    place = incoming / suite
    if not SUITE.match(suite) or not _is_directory(place):
        raise RefusedError(f"there is no suite {suite!r} here")
    _drop_leftovers(place)
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=place)
    try:
        with os.fdopen(descriptor, "wb") as target:
            seen = _received(source, target.write, largest=largest, patience=patience)
            target.flush()
            os.fchmod(target.fileno(), 0o640)
            os.fsync(target.fileno())
        if seen != digest:
            raise RefusedError(f"{name} came with the digest {seen}, not the one announced; send it again")
        try:
            os.link(temporary, place / name)
        except FileExistsError:
            if _digest(place / name) != digest:
                raise RefusedError(f"{name} is there with other content; give the package a new version") from None
            return f"{name} is there already"
        return f"{name} is there"
    finally:
        os.unlink(temporary)


def _parsed(asked: str) -> tuple[str, str, str]:
    words = asked.split(" ")
    if len(words) != 4 or words[0] != "put":
        raise RefusedError("this account only knows: put <suite> <file name> <sha256>")
    _put, suite, name, digest = words
    if not NAME.match(name) or len(name) > 250:
        raise RefusedError("the file name is not of the form <package>_<version>_<architecture>.deb")
    if not DIGEST.match(digest):
        raise RefusedError("the digest is not a SHA-256 in 64 hexadecimal digits")
    return suite, name, digest


def _received(source: int, write: Callable[[bytes], object], *, largest: int, patience: float) -> str:
    digest, size = hashlib.sha256(), 0
    while True:
        if not select.select([source], [], [], patience)[0]:
            raise RefusedError(f"nothing came for {patience:g} seconds")
        chunk = os.read(source, CHUNK)
        if not chunk:
            return digest.hexdigest()
        if size == 0 and not (MAGIC.startswith(chunk) or chunk.startswith(MAGIC)):
            raise RefusedError("it is no Debian package")
        size += len(chunk)
        if size > largest:
            raise RefusedError(f"it is larger than {largest} bytes")
        digest.update(chunk)
        write(chunk)


def _is_directory(place: Path) -> bool:
    try:
        return stat.S_ISDIR(place.lstat().st_mode)
    except OSError:
        return False


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _drop_leftovers(place: Path) -> None:
    for left in place.glob(".*.tmp"):
        try:
            if left.lstat().st_mtime < time.time() - STALE:
                left.unlink()
        except FileNotFoundError:
            continue


if __name__ == "__main__":
    sys.exit(main())
