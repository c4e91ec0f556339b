# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files from a directory or from http(s) addresses, within bounds; what is absent is told from what fails."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import ssl
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote, urlsplit

from ..errors import SlipwayError, name_refusals
from ..escape import redacted
from ..files import open_regular
from ..http import FAILURES, Limit, explain_failure, open_url, receive_body

SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class Reader:
    """Reads from addresses and paths: each file within ``timeout`` seconds and ``idle_timeout`` of silence."""

    timeout: float = 3600.0
    idle_timeout: float = 60.0
    ca_path: str | None = None

    def read(self, place: str, *, size: int) -> bytes | None:
        """The content of a small file, None if it is absent."""
        data = bytearray()
        return bytes(data) if self.receive(place, data.extend, size=size) is not None else None

    def receive(self, place: str, take: Callable[[bytes], object], *, size: int) -> int | None:
        """Pass at most ``size`` bytes of what is at ``place`` to ``take``; their number, or None if it is absent."""
        try:
            with self._open(place) as stream:
                return receive_body(stream, take, size=size)
        except FAILURES as error:
            if _is_absence(error):
                return None
            raise SlipwayError(
                "read", place, explain_failure(error), do_next="Check the address and what serves it, and run again."
            ) from error

    def exists(self, place: str) -> bool:
        """Whether there is something at ``place``; of its content nothing is read."""
        try:
            with self._open(place):
                return True
        except FAILURES as error:
            if _is_absence(error):
                return False
            raise SlipwayError(
                "look for",
                place,
                explain_failure(error),
                do_next="Check the address and what serves it, and run again.",
            ) from error

    @contextlib.contextmanager
    def _open(self, place: str) -> Iterator[IO[bytes]]:
        if place.startswith("/"):
            with open(open_regular(place, os.O_RDONLY), "rb") as stream:
                yield stream
            return
        with open_url(place, Limit(self.timeout, self.idle_timeout), trust=self._trust) as answer:
            yield answer

    @functools.cached_property
    def _trust(self) -> ssl.SSLContext:
        """Certificates to trust; a file of them that is not there is no answer of a server."""
        where = self.ca_path or "of the system"
        with name_refusals("read the certificates", where, do_next="Correct ca_path and run again."):
            return ssl.create_default_context(cafile=self.ca_path)


def check_place(place: str) -> str:
    """An address or an absolute path, without a slash at its end."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(place)
        if parts.username is not None:
            # It would be told in messages and records.
            where, fault = parts.hostname or "", "its address has an account in it"
            do_next = "Give the address without one."
            raise SlipwayError("read from", where, fault, do_next=do_next)
        is_served = parts.scheme in ("http", "https") and parts.hostname
        if place.startswith("/") or is_served or (parts.scheme == "file" and parts.path):
            return place.rstrip("/")
    raise SlipwayError(
        "read from",
        repr(redacted(place)),
        "it is neither an absolute path nor an address",
        do_next=f"Give a path, or an address that begins with {', '.join(f'{scheme}://' for scheme in SCHEMES)}.",
    )


def join_place(base: str, *names: str) -> str:
    """What is below a directory or an address."""
    parts = names if base.startswith("/") else [quote(name) for name in names]
    return "/".join([base, *parts])


def _is_absence(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code == http.client.NOT_FOUND
    reason = getattr(error, "reason", error)
    return isinstance(reason, (FileNotFoundError, NotADirectoryError))
