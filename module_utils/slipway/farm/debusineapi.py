# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The REST API of debusine, as far as builds need it: artifacts, work requests, and a server that is away for a while.

Every exchange waits for a server that does not answer, longer each time, but not without end. Nothing that the server
says is believed unseen: what is no JSON of the expected kind, or a file of another digest, is a failure in a sentence.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote, urlsplit

from ..errors import SlipwayError
from ..files import hash_file, read_regular, replace_file
from ..http import Answer, NoAnswerError, Service

API = "/api/1.0"
#: Seconds for one exchange, and for a file.
TIMEOUT, FILE_TIMEOUT = 60.0, 3600.0
#: Seconds between tries while the server is away.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Bytes of a file that are sent at once. The server's nginx takes 100 MB.
PIECE = 32 << 20
#: Pages of the list of work requests that are read, with ten on each.
MOST_PAGES = 500
#: How often a file is fetched that does not come whole.
DOWNLOADS = 3
#: What the service answers when it is the one that is not well.
UNWELL = (429, 500, 502, 503, 504)
#: What is told of what a server says.
MOST_WORDS = 300
_NOISE = re.compile(r"^Error: |Task data: .* Error: ", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~:%-]{0,254}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


class StoppedError(Exception):
    """Nobody waits any more."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of an artifact, as the server describes it; ``path`` is where it is downloaded."""

    name: str
    size: int
    sha256: str
    path: str


@dataclass(frozen=True)
class Artifact:
    """An artifact: its files by their names, and what the server knows of it."""

    number: int
    category: str
    created: str
    data: Mapping[str, Any]
    files: Mapping[str, RemoteFile]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkRequest:
    """A task of the server's; ``status`` and ``result`` are its words. ``worker`` is who does it, by number."""

    number: int
    task: str
    status: str
    result: str
    created: str
    data: Mapping[str, Any]
    artifacts: tuple[int, ...]
    page: str
    worker: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("completed", "aborted")


def read_token(path: Path) -> str:
    """The token in a file."""
    try:
        token = read_regular(path).decode("ascii", "replace").strip()
    except OSError as error:
        raise SlipwayError(
            "read the token of debusine from",
            str(path),
            error.strerror or str(error),
            do_next="Write it there, readable by its owner alone.",
        ) from error
    if not _TOKEN.fullmatch(token):
        do_next = "Write what debusine-admin create_token says into it, and nothing else."
        raise SlipwayError("use the token of debusine in", str(path), "it is not one line of letters", do_next=do_next)
    return token


class Api:
    """A server of debusine at ``url``, in one workspace of one scope. Safe to use from several threads.

    ``away`` is how many seconds it may not answer; ``say`` hears when it begins and ends to be away.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        scope: str = "debusine",
        workspace: str = "System",
        away: float = 1800.0,
        say: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self.service = Service(url, headers={"Token": token, "X-Debusine-Scope": scope, "Accept": "application/json"})
        self.url, self.workspace, self.away, self.say = self.service.url, workspace, away, say
        self._clock, self._wait = clock, wait
        self._lock = threading.Lock()
        self._since: float | None = None

    def check(self) -> None:
        """Whether the server knows the token, and the workspace."""
        attempt, stop = "use", threading.Event()
        known = self.fetch(f"{API}/whoami/", attempt=attempt, stop=stop)
        if known.get("auth") is not True:
            raise self._make_error(attempt, "it does not know the token", do_next="Give one that is enabled.")
        self.fetch(f"{API}/workspace/{quote(self.workspace, safe='')}/inheritance/", attempt=attempt, stop=stop)

    def ask(
        self,
        method: str,
        path: str,
        *,
        attempt: str,
        stop: threading.Event,
        body: bytes | None = None,
        content_type: str | None = "application/json",
        content_range: str | None = None,
        again: bool = True,
    ) -> Answer:
        """One request and its answer. While the server is away it is asked again, unless ``again`` is false."""
        until, pause = self._clock() + self.away, FIRST_PAUSE
        while True:
            if stop.is_set():
                raise StoppedError
            try:
                answer = self.service.ask(
                    method,
                    path,
                    attempt=attempt,
                    body=body,
                    content_type=content_type if body is not None else None,
                    content_range=content_range,
                    timeout=TIMEOUT if content_range is None else FILE_TIMEOUT,
                    tries=1,
                )
                failure = self.service.answer_error(attempt, answer) if answer.status in UNWELL else None
            except NoAnswerError as error:
                failure = error
            if failure is None:
                self._note_presence()
                return answer
            if not again:
                raise NoAnswerError(attempt, self.url, failure.came_back, do_next=failure.do_next)
            self._note_absence(failure.came_back)
            if self._clock() + pause > until:
                raise NoAnswerError(
                    attempt,
                    self.url,
                    f"it was away for {self.away:.0f} s, and at last {failure.came_back}",
                    do_next="Look at its log, and run the same command again: it goes on where it was.",
                )
            self._wait(stop, pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _note_absence(self, why: str) -> None:
        with self._lock:
            first, self._since = self._since is None, self._since or self._clock()
        if first:
            self.say(f"debusine at {self.url} is away ({why}), and is asked again for {self.away:.0f} s")

    def _note_presence(self) -> None:
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            self.say(f"debusine at {self.url} answers again after {self._clock() - since:.0f} s")

    def fetch(self, path: str, *, attempt: str, stop: threading.Event) -> dict[str, Any]:
        """The object at a path."""
        return self._read(attempt, self.ask("GET", path, attempt=attempt, stop=stop))

    def send(
        self, path: str, value: Mapping[str, Any], *, attempt: str, stop: threading.Event, again: bool = True
    ) -> dict[str, Any]:
        """The object that comes back for this one."""
        body = json.dumps(value, sort_keys=True).encode()
        return self._read(attempt, self.ask("POST", path, attempt=attempt, stop=stop, body=body, again=again))

    def _read(self, attempt: str, answer: Answer) -> dict[str, Any]:
        """The object in an answer; what is none is a failure that says what the server meant."""
        try:
            value = json.loads(answer.body)
        except ValueError:
            value = None
        if answer.status in (200, 201) and isinstance(value, dict):
            return value
        if answer.status in (200, 201):
            raise self._make_error(attempt, f"it answers with what is no JSON object: {answer.text}")
        said = answer.text
        if isinstance(value, dict):
            said = ": ".join(str(value[name]) for name in ("title", "detail") if value.get(name)) or said
            said = _NOISE.sub("", said)[:MOST_WORDS]
        do_next = {
            401: "Give a token that is enabled.",
            403: "Give a token that is enabled, of a user who may do this in the workspace.",
            404: "Check its address, the scope and the workspace.",
        }.get(answer.status, "Check that this is debusine, and its log.")
        came_back = f"it answers {answer.status} {answer.reason}" + (f": {said}" if said else "")
        raise self._make_error(attempt, came_back, do_next=do_next)

    def _make_error(
        self, attempt: str, came_back: str, *, do_next: str = "Check that this is debusine, and its log."
    ) -> SlipwayError:
        return SlipwayError(attempt, f"debusine at {self.url}", came_back, do_next=do_next)

    def create_artifact(
        self, category: str, data: Mapping[str, Any], files: Sequence[Path], *, stop: threading.Event
    ) -> Artifact:
        """Upload files; the artifact that has them."""
        attempt = f"give {files[0].name} to"
        rows = {
            path.name: {"type": "file", "size": path.stat().st_size, "checksums": {"sha256": hash_file(path)}}
            for path in files
        }
        value = {"category": category, "workspace": self.workspace, "files": rows, "data": data}
        made = self.read_artifact(attempt, self.send(f"{API}/artifact/", value, attempt=attempt, stop=stop))
        for path in files:
            if path.name in made.missing:
                self._upload(made.number, path, stop=stop)
        if missing := self.fetch_artifact(made.number, stop=stop).missing:
            raise self._make_error(attempt, f"{missing[0]} is still not there")
        return made

    def _upload(self, number: int, path: Path, *, stop: threading.Event) -> None:
        attempt, size, begin = f"send {path.name} to", path.stat().st_size, 0
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                end = begin + len(piece)
                answer = self.ask(
                    "PUT",
                    f"{API}/artifact/{number}/files/{quote(path.name)}/",
                    attempt=attempt,
                    stop=stop,
                    body=piece,
                    content_type="application/octet-stream",
                    content_range=f"bytes {begin}-{end - 1}/{size}",
                )
                if answer.status not in (200, 201):
                    # What was sent twice, since the first answer got lost, may be refused the second time.
                    if path.name not in self.fetch_artifact(number, stop=stop).missing:
                        return
                    self._read(attempt, answer)
                begin = end

    def fetch_artifact(self, number: int, *, stop: threading.Event) -> Artifact:
        """What there is of an artifact."""
        attempt = f"look at artifact {number} of"
        return self.read_artifact(attempt, self.fetch(f"{API}/artifact/{number}/", attempt=attempt, stop=stop))

    def read_artifact(self, attempt: str, value: Mapping[str, Any]) -> Artifact:
        """An artifact as the server describes it."""
        try:
            files = {}
            for name, row in value["files"].items():
                address = urlsplit(str(row["url"]))
                files[name] = RemoteFile(name, int(row["size"]), str(row["checksums"]["sha256"]), address.path)
                if not _DIGEST.fullmatch(files[name].sha256):
                    raise ValueError(f"{name} has no sha256")
            missing = tuple(map(str, value["files_to_upload"]))
            number, category, created = int(value["id"]), str(value["category"]), str(value["created_at"])
            return Artifact(number, category, created, dict(value["data"]), files, missing)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._make_error(attempt, f"what it says of an artifact cannot be used: {error!r}") from error

    def download(self, file: RemoteFile, target: Path, *, stop: threading.Event) -> None:
        """Fetch a file, which has the size and the digest that were told."""
        name = file.name.rpartition("/")[2]
        attempt = f"fetch {name} from"
        if not _NAME.fullmatch(name):
            raise self._make_error(attempt, "that is no name of a file")
        for tries in range(DOWNLOADS):
            if stop.is_set():
                raise StoppedError
            try:
                self._download_once(file, target, attempt)
            except NoAnswerError as error:
                answer = self.ask("HEAD", file.path, attempt=attempt, stop=stop)  # waits while the server is away
                if answer.status != 200:
                    self._read(attempt, answer)
                if tries + 1 == DOWNLOADS:
                    raise self._make_error(attempt, error.came_back) from error
            else:
                return

    def _download_once(self, file: RemoteFile, target: Path, attempt: str) -> None:
        with replace_file(target) as stream:
            sink = _Bounded(stream, file.size)
            length = self.service.download(file.path, cast("IO[bytes]", sink), attempt=attempt, timeout=FILE_TIMEOUT)
            if length is None:
                raise self._make_error(attempt, f"it answers 404 Not Found for {file.path}")
            if (sink.size, sink.digest) != (file.size, file.sha256):
                came_back = f"{sink.size} bytes with the sha256 {sink.digest} came, instead of {file.size}"
                raise self._make_error(attempt, f"{came_back} with {file.sha256}")

    def create_request(
        self, task: str, data: Mapping[str, Any], *, stop: threading.Event, again: bool = False
    ) -> WorkRequest:
        """A new work request."""
        attempt, value = f"ask for {task} at", {"task_name": task, "workspace": self.workspace, "task_data": data}
        made = self.send(f"{API}/work-request/", value, attempt=attempt, stop=stop, again=again)
        return self.read_request(attempt, made)

    def fetch_request(self, number: int, *, stop: threading.Event) -> WorkRequest:
        """What became of a work request."""
        attempt = f"look at work request {number} of"
        return self.read_request(attempt, self.fetch(f"{API}/work-request/{number}/", attempt=attempt, stop=stop))

    def list_requests(self, *, stop: threading.Event) -> Iterator[WorkRequest]:
        """All work requests, the newest first."""
        attempt, path = "list the work requests of", f"{API}/work-request/"
        for _page in range(MOST_PAGES):
            value = self.fetch(path, attempt=attempt, stop=stop)
            rows, after = value.get("results"), value.get("next")
            if not isinstance(rows, list) or not isinstance(after, (str, type(None))):
                raise self._make_error(attempt, "its list is none")
            for row in rows:
                yield self.read_request(attempt, row)
            if not after:
                return
            address = urlsplit(after)
            path = f"{address.path}?{address.query}"

    def abort_request(self, number: int) -> None:
        """Have a work request ended, if it is not over; there is one try, since nothing depends on it."""
        attempt, stop = f"end work request {number} of", threading.Event()
        self.ask("POST", f"{API}/work-request/{number}/abort/", attempt=attempt, stop=stop, body=b"{}", again=False)

    def read_request(self, attempt: str, value: Any) -> WorkRequest:
        """A work request as the server describes it."""
        try:
            return WorkRequest(
                int(value["id"]),
                str(value["task_name"]),
                str(value["status"]),
                str(value["result"]),
                str(value["created_at"]),
                dict(value["task_data"]),
                tuple(map(int, value["artifacts"])),
                f"{self.url}{urlsplit(str(value['url'])).path}",
                None if value["worker"] is None else int(value["worker"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._make_error(attempt, f"what it says of a work request cannot be used: {error!r}") from error


class _Bounded(io.RawIOBase):
    """A file that takes no more than was told, and knows the digest of what it took."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self.size, self._hash = 0, hashlib.sha256()

    @property
    def digest(self) -> str:
        """The sha256 of all that was written."""
        return self._hash.hexdigest()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Begin again; nothing else is asked for."""
        self.size, self._hash = 0, hashlib.sha256()
        return int(self._stream.seek(offset, whence))

    def truncate(self, size: int | None = None, /) -> int:
        """Forget what was written."""
        return int(self._stream.truncate(size))

    def write(self, data: Any, /) -> int:
        """Take a piece."""
        self.size += len(data)
        if self.size > self._most:
            raise http.client.HTTPException(f"the answer has more than the {self._most} bytes that were told")
        self._hash.update(data)
        return int(self._stream.write(data))
