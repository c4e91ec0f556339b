# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""gzip files with the same bytes on every run and on any number of cores, by pigz."""

from __future__ import annotations

import hashlib
import os
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

#: One thread alone takes another way through pigz than several do, and the bytes may differ.
MIN_THREADS = 2

Pipe = IO[bytes]


@dataclass(frozen=True)
class CompressionResult:
    """What was read and what was written: bytes and SHA-256."""

    source_size: int
    source_sha256: str
    size: int
    sha256: str


class _PigzFeeder(threading.Thread):
    """Reads a file into pigz and hashes what it reads."""

    def __init__(self, path: Path, pigz: subprocess.Popen[bytes], on_read: Callable[[int], None] | None) -> None:
        super().__init__(daemon=True)
        self.path, self.pigz, self.on_read = path, pigz, on_read
        self.digest, self.size = hashlib.sha256(), 0
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            with (
                cast(Pipe, self.pigz.stdin) as pipe,
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
    accept: Callable[[CompressionResult], None],
    on_read: Callable[[int], None] | None = None,
) -> CompressionResult:
    """Compress ``source`` to ``target``, which appears only when it is complete and ``accept`` raised nothing.

    Both are hashed as they pass; ``accept`` raises for wrong digests. ``on_read`` is called now and
    then with the number of bytes read so far.
    """
    words = ["pigz", "--no-name", "--no-time", f"-{level}", "--processes", str(max(MIN_THREADS, threads)), "--stdout"]
    attempt = "compress"
    with replace_file(target) as stream:
        try:
            pigz = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=make_environment()
            )
        except OSError as error:
            raise SlipwayError(
                attempt, str(source), f"pigz did not start: {error}", do_next="Install pigz and run again."
            ) from error
        with pigz:
            reader = _PigzFeeder(source, pigz, on_read)
            digest, size = hashlib.sha256(), 0
            try:
                reader.start()
                output, errors = cast(Pipe, pigz.stdout), cast(Pipe, pigz.stderr)
                while chunk := output.read(CHUNK):
                    stream.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                complaint = summarise_output(errors.read().decode("utf-8", "replace"))
            except BaseException:
                pigz.kill()
                raise
            finally:
                reader.join()
        if reader.error is not None and not isinstance(reader.error, BrokenPipeError):
            raise SlipwayError(attempt, str(source), str(reader.error), do_next="Make it readable and run again.")
        if pigz.returncode != 0 or reader.error is not None:
            raise SlipwayError(
                attempt,
                str(source),
                f"pigz ended with status {pigz.returncode}: {complaint}",
                do_next="Look at the message above and run again.",
            )
        done = CompressionResult(reader.size, reader.digest.hexdigest(), size, digest.hexdigest())
        accept(done)
    return done


def read_version() -> str:
    """pigz's version, for example 2.6."""
    return process.read_version("pigz", "--version").rsplit(" ", 1)[-1]
