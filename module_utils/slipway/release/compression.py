# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compressed files that have the same bytes on every run and on any number of cores, by pigz, xz and zstd."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from .. import process
from ..errors import SlipwayError
from ..files import CHUNK, open_regular, replace_file
from ..process import make_environment, summarise_output

#: One thread alone takes another way through these programs than several do, and the bytes may differ.
MIN_THREADS = 2
#: What xz compresses by itself, so that several threads have something to do; it would depend on the level otherwise.
XZ_BLOCK = 24 << 20
GZIP, XZ, ZSTD, NONE = "gzip", "xz", "zstd", "none"

Pipe = IO[bytes]
VERSION = re.compile(r"\d+(?:\.\d+)+\w*")


@dataclass(frozen=True)
class Method:
    """A way to compress: what it adds to a file's name, its levels and the usual one, the program's words."""

    suffix: str
    levels: range
    level: int
    words: tuple[str, ...]
    threads: str
    package: str

    @property
    def program(self) -> str:
        """What does it."""
        return self.words[0]


METHODS = {
    GZIP: Method(".gz", range(1, 10), 6, ("pigz", "--no-name", "--no-time", "--stdout"), "-p{}", "pigz"),
    XZ: Method(
        ".xz",
        range(10),
        6,
        ("xz", "--compress", "--stdout", "--check=crc64", f"--block-size={XZ_BLOCK}"),
        "-T{}",
        "xz-utils",
    ),
    ZSTD: Method(".zst", range(1, 20), 10, ("zstd", "--stdout", "--quiet", "--check"), "-T{}", "zstd"),
}


@dataclass(frozen=True)
class CompressionResult:
    """What was read and what was written: bytes and SHA-256."""

    source_size: int
    source_sha256: str
    size: int
    sha256: str


def find_suffix(method: str) -> str:
    """What a method adds to a file's name."""
    return METHODS[method].suffix if method in METHODS else ""


class _Feeder(threading.Thread):
    """Reads a file into a program and hashes what it reads."""

    def __init__(self, path: Path, program: subprocess.Popen[bytes], on_read: Callable[[int], None] | None) -> None:
        super().__init__(daemon=True)
        self.path, self.program, self.on_read = path, program, on_read
        self.digest, self.size = hashlib.sha256(), 0
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            with (
                cast(Pipe, self.program.stdin) as pipe,
                open(open_regular(self.path, os.O_RDONLY), "rb", buffering=0) as stream,
            ):
                while chunk := stream.read(CHUNK):
                    self.digest.update(chunk)
                    self.size += len(chunk)
                    pipe.write(chunk)
                    if self.on_read is not None:
                        self.on_read(self.size)
        except OSError as error:
            self.error = error


def compress_file(
    source: Path,
    target: Path,
    *,
    level: int,
    threads: int,
    method: str = GZIP,
    accept: Callable[[CompressionResult], None],
    on_read: Callable[[int], None] | None = None,
) -> CompressionResult:
    """Compress ``source`` to ``target``, which appears only when it is complete and ``accept`` raised nothing.

    Both are hashed as they pass; ``accept`` raises for wrong digests. ``on_read`` is called now and
    then with the number of bytes read so far.
    """
    how = METHODS[method]
    words = [*how.words, f"-{level}", how.threads.format(max(MIN_THREADS, threads))]
    attempt = "compress"
    with replace_file(target) as stream:
        try:
            program = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=make_environment()
            )
        except OSError as error:
            raise SlipwayError(
                attempt,
                str(source),
                f"{how.program} did not start: {error}",
                do_next=f"Install {how.program} and run again.",
            ) from error
        with program:
            reader = _Feeder(source, program, on_read)
            digest, size = hashlib.sha256(), 0
            try:
                reader.start()
                output, errors = cast(Pipe, program.stdout), cast(Pipe, program.stderr)
                while chunk := output.read(CHUNK):
                    stream.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                complaint = summarise_output(errors.read().decode("utf-8", "replace"))
            except BaseException:
                program.kill()
                raise
            finally:
                reader.join()
        if reader.error is not None and not isinstance(reader.error, BrokenPipeError):
            raise SlipwayError(attempt, str(source), str(reader.error), do_next="Make it readable and run again.")
        if program.returncode != 0 or reader.error is not None:
            raise SlipwayError(
                attempt,
                str(source),
                f"{how.program} ended with status {program.returncode}: {complaint}",
                do_next="Look at the message above and run again.",
            )
        done = CompressionResult(reader.size, reader.digest.hexdigest(), size, digest.hexdigest())
        accept(done)
    return done


def read_version(method: str) -> str:
    """The version of the program of a method, for example 2.6."""
    said = process.read_version(METHODS[method].program, "--version")
    match = VERSION.search(said)
    return said if match is None else match[0]
