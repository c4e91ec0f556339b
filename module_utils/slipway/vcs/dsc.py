# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stack's source as a Debian source package: a ``.dsc`` at an address, and the files that it names beside it.

Its revision is the SHA-256 of the ``.dsc``, which binds those of all files. Whoever wrote it is not looked at here.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ..deb.control import Control, decode_control
from ..deb.dsc import strip_signature
from ..errors import SlipwayError
from ..files import open_regular
from ..http import FAILURES, Limit, explain_failure, open_url, receive_body
from ..release.names import FILE_NAME, MAX_FILE_NAME
from .source import Place, Source, Tag

#: No .dsc is larger.
MAX_DSC = 1 << 20
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) +(?P<size>[0-9]{1,15}) +(?P<name>\S+)\Z")


@dataclass(frozen=True)
class NamedFile:
    """A file as a .dsc names it."""

    name: str
    size: int
    sha256: str


class DscRepository:
    """A source package; what its ``.dsc`` says is read once."""

    def __init__(self, source: Source, timeout: float, max_bytes: int) -> None:
        self._uri, self._limit, self._max_bytes = source.uri, Limit(timeout), max_bytes
        self._name = unquote(urlsplit(source.uri).path).rpartition("/")[2]
        if not FILE_NAME.match(self._name) or not self._name.endswith(".dsc"):
            raise self._make_error("its name is not that of a .dsc")
        self._data = self._read_dsc()
        self.revision = hashlib.sha256(self._data).hexdigest()

    def find_head(self) -> Place:
        """The source package as it is there now."""
        return Place(self._uri, self.revision, self.revision)

    def find_revision(self, revision: str) -> Place:
        """The source package, if it still is that one."""
        if revision != self.revision:
            raise self._make_error(f"its SHA-256 should be {revision}, but is {self.revision}")
        return self.find_head()

    def find_tag(self, name: str) -> Tag | None:
        """There are none."""
        raise AssertionError(f"a source package has no tag {name}")

    def export(self, place: Place, target: Path) -> None:  # noqa: ARG002  # it is one revision
        """Write the ``.dsc`` and all its files to a directory; each has the size and the digest that it says."""
        try:
            files = parse_dsc(self._data)
        except ValueError as error:
            raise self._make_error(str(error)) from error
        if (size := len(self._data) + sum(file.size for file in files)) > self._max_bytes:
            raise self._make_error(f"it has {size} bytes, and at most {self._max_bytes} are allowed")
        target.mkdir()
        (target / self._name).write_bytes(self._data)
        for file in files:
            if file.name == self._name:
                raise self._make_error("it names itself among its files")
            self._fetch_file(file, target / file.name)

    def find_epoch(self, place: Place) -> int | None:  # noqa: ARG002  # as all kinds are asked
        """It does not say when it was made; its changelog does, which is not read here."""
        return None

    def _fetch_file(self, file: NamedFile, target: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with open(target, "xb") as sink:

            def take(data: bytes) -> None:
                nonlocal size
                size += len(data)
                digest.update(data)
                sink.write(data)

            self._receive(self._uri[: self._uri.rindex("/") + 1], file.name, take, size=file.size)
        if size != file.size:
            raise self._make_error(f"{file.name} has {size} bytes, and should have {file.size}")
        if digest.hexdigest() != file.sha256:
            raise self._make_error(f"the SHA-256 of {file.name} is {digest.hexdigest()}, and should be {file.sha256}")

    def _read_dsc(self) -> bytes:
        whole = bytearray()
        self._receive(self._uri[: self._uri.rindex("/") + 1], self._name, whole.extend, size=MAX_DSC)
        return bytes(whole)

    def _receive(self, base: str, name: str, take: Callable[[bytes], object], *, size: int) -> None:
        """Pass on what a file beside the .dsc holds, at most ``size`` bytes of it."""
        try:
            if base.startswith(("http://", "https://")):
                with open_url(base + quote(name, safe="~+"), self._limit) as answer:
                    receive_body(answer, take, size=size)
            else:
                path = Path(unquote(urlsplit(base).path) if base.startswith("file://") else base) / name
                with open(open_regular(path), "rb") as stream:
                    receive_body(stream, take, size=size)
        except FAILURES as error:
            raise self._make_error(f"{name}: {explain_failure(error)}") from error

    def _make_error(self, fault: str) -> SlipwayError:
        do_next = "Correct the address, or have it published anew, and run again."
        return SlipwayError("take the source package", self._uri, fault, do_next=do_next)


@contextlib.contextmanager
def open_dsc(source: Source, *, timeout: float, max_bytes: int) -> Iterator[DscRepository]:
    """The source package of a source; all of it is read within ``timeout`` seconds."""
    yield DscRepository(source, timeout, max_bytes)


def parse_dsc(data: bytes) -> list[NamedFile]:
    """The files that a ``.dsc`` names; ``ValueError`` with the fault where it is none, or names one elsewhere."""
    control = Control(decode_control(strip_signature(data)))
    absent = [name for name in ("Source", "Version", "Checksums-Sha256") if not control.get(name)]
    if absent:
        raise ValueError(f"it has no {', '.join(absent)}")
    files = [_parse_file(line.strip()) for line in (control.get("Checksums-Sha256") or "").split("\n")]
    names = [file.name for file in files]
    if len({*names}) != len(names):
        raise ValueError("it names a file twice")
    others = [line.split()[-1] for line in (control.get("Files") or "").split("\n") if line.strip()]
    if others and sorted(others) != sorted(names):
        raise ValueError("Files and Checksums-Sha256 name different files")
    return files


def _parse_file(line: str) -> NamedFile:
    found = _LINE.match(line)
    if found is None:
        raise ValueError(f"{line!r} is not digest, size and name of a file")
    name = found["name"]
    if not FILE_NAME.match(name) or len(name) > MAX_FILE_NAME:
        raise ValueError(f"{name!r} is not the name of a file beside it")
    return NamedFile(name, int(found["size"]), found["digest"])
