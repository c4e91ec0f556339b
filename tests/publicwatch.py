# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A reader of a download server that looks all the while whether what it gets is whole and right."""

from __future__ import annotations

import hashlib
import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from types import TracebackType

SUMS, INDEX = "SHA256SUMS", "index.html"


class UnreachableError(Exception):
    """The server did not answer; that is no wrong answer."""


class PublicWatch:
    """Fetches what is current, again and again, until the block ends.

    ``wrong`` is what no reader should ever see: a file that is listed and absent, cut off, or of another digest; a
    link that led somewhere and leads nowhere; a current release that went away. ``looks`` and ``unreachable`` count
    rounds.
    """

    def __init__(self, url: str, project: str = "baserock", pause: float = 1.0) -> None:
        self.url, self.project, self.pause = url, project, pause
        self.wrong: list[str] = []
        self.labels: list[str] = []
        self.looks = self.unreachable = 0
        self._digests: set[str] = set()
        self._links: set[str] = set()
        self._named: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> PublicWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def saw(self, label: str, limit: float = 20) -> bool:
        """Whether this release was current in a round until now, or is in one within ``limit`` seconds."""
        end = time.monotonic() + limit
        while label not in self.labels and time.monotonic() < end:
            time.sleep(self.pause)
        return label in self.labels

    def _run(self) -> None:
        while not self._stop.wait(self.pause):
            try:
                self._look()
                self.looks += 1
            except UnreachableError:
                self.unreachable += 1

    def _get(self, path: str, *, head: bool = False) -> bytes | None:
        """The content, or ``None`` if there is nothing."""
        request = urllib.request.Request(f"{self.url}/{path}", method="HEAD" if head else "GET")  # noqa: S310  # the test's own URL
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  # the test's own URL
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            self.wrong.append(f"{path}: status {error.code}")
            raise UnreachableError from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError from error
        if not head and len(content) != int(answer.headers["Content-Length"]):
            raise UnreachableError  # the connection was cut, and the reader knows
        return content

    def _look(self) -> None:
        sums = self._get(SUMS)
        if sums is None:
            if self.labels:
                self.wrong.append(f"{SUMS} went away")
            return
        listed = dict(reversed(line.split("  ", 1)) for line in sums.decode().splitlines())
        label = self._label(listed)
        if label not in self.labels:
            self.labels.append(label)
        self._digests.update(listed.values())
        for name, digest in listed.items():
            for path in (f"{label}/{name}", *([name] if name.startswith(label) else [])):
                self._check(path, {digest})
            if name.startswith(f"{label}-"):
                self._links.add(name.replace(label, f"{self.project}-current", 1))
        for link in self._links:
            self._check(link, None)
        self._look_at_pages()

    def _look_at_pages(self) -> None:
        """What the pages for people name must be there."""
        for page in [INDEX, *(f"{label}.html" for label in self.labels)]:
            for name in re.findall(r'href="([^"]+)"', (self._get(page) or b"").decode()):
                if name not in self._named and self._get(name, head=True) is None:
                    self.wrong.append(f"{page} names {name}, which is not there")
                self._named.add(name)

    def _label(self, listed: dict[str, str]) -> str:
        """What all names of a release begin with."""
        words = {name.split("-")[1] for name in listed if name.startswith(f"{self.project}-")}
        if len(words) != 1:
            self.wrong.append(f"{SUMS} lists files of {len(words)} releases")
        return f"{self.project}-{min(words)}"

    def _check(self, path: str, digests: set[str] | None) -> None:
        """Without digests, the content must be that of any release which is or was current."""
        content = self._get(path)
        if content is None:
            self.wrong.append(f"{path} is not there")
            return
        seen = hashlib.sha256(content).hexdigest()
        if digests is None and seen not in self._digests:
            # A release became current since its sums were read.
            self._digests.update(line.split()[0] for line in (self._get(SUMS) or b"").decode().splitlines())
        if seen not in (self._digests if digests is None else digests):
            self.wrong.append(f"{path} has the digest {seen}")
