# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What readers get: fetch files from public addresses, and compare their digests."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from ..errors import SlipwayError
from ..http import FAILURES, Limit, explain_failure, fetch_url, open_url, receive_body
from ..progress import Progress
from ..release.artifact import Artifact, check_name
from ..wait import wait_for

SCHEMES = ("file", "http", "https")
AT_ONCE = 4
#: What stays in an address as it is; a path may hold spaces.
SAFE = "%/:?#[]@!$&'()*+,;=~"
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class ServedFile:
    """One file at one address."""

    url: str
    artifact: Artifact
    channel: str


def verify_channels(
    channels: Sequence[str],
    path: str,
    files: Sequence[Artifact],
    *,
    beside: Sequence[Artifact] = (),
    timeout: float = 0.0,
    interval: float = 5.0,
    idle_timeout: float = 30.0,
    fetch_timeout: float = 3600.0,
    progress: Progress | None = None,
    ca_path: str | None = None,
) -> list[str]:
    """Fetch ``<channel>/<path>/<file>`` of every channel and file; the addresses that serve the right bytes.

    Those of ``beside`` are at ``<channel>/<file>``.

    What is wrong is looked at again until ``timeout`` seconds have passed (0: one look); then everything
    that is still wrong fails at once. ``idle_timeout`` bounds a silence, ``fetch_timeout`` one file; a channel that
    uses up the latter is asked for no more files in that look. ``ca_path`` is a file of certificates to trust instead
    of the system's.
    """
    reporter, trust = progress or Progress(None), ssl.create_default_context(cafile=ca_path)
    places = [
        ServedFile(_format_address(channel, where, file.name), file, channel)
        for channel in _check_channels(channels)
        for where, listed in ((path, files), ("", beside))
        for file in listed
    ]
    reporter.total, reporter.total_bytes = len(places), sum(place.artifact.size or 0 for place in places)
    wrong: dict[ServedFile, str] = {}
    endless: dict[str, str] = {}
    waiting = list(places)

    def fetch_all() -> list[str]:
        nonlocal waiting
        wrong.clear()
        endless.clear()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for place, fault in zip(waiting, pool.map(fetch, waiting), strict=True):
                if fault is not None:
                    wrong[place] = fault
        waiting = list(wrong)
        if wrong and timeout > 0:
            reporter.report(f"{len(wrong)} of {len(places)} files are not served yet: {next(iter(wrong.values()))}")
        return list(wrong.values())

    def fetch(place: ServedFile) -> str | None:
        if place.channel in endless:
            return f"{place.url} was not asked for, since {endless[place.channel]}"
        limit = Limit(fetch_timeout, idle_timeout)
        fault = _find_fault(place, limit, trust)
        if fault is not None and time.monotonic() >= limit.ends:
            endless[place.channel] = fault  # its other files would take as long, one after the other
        if fault is None:
            reporter.step(f"{place.url} is right", size=place.artifact.size)
        return fault

    try:
        wait_for(
            fetch_all,
            lambda faults: not faults,
            attempt="verify",
            on=path,
            timeout=timeout,
            interval=interval,
        )
    except SlipwayError:
        within = f" within {timeout:.0f} s" if timeout > 0 else ""
        raise SlipwayError(
            "verify",
            f"{path} at {', '.join(channels)}",
            f"{len(wrong)} of {len(places)} files are not served with the right bytes{within}",
            do_next="Fix the channel, or wait until its mirrors have caught up, and run again.",
            findings=sorted(wrong.values()),
        ) from None
    return [place.url for place in places]


def _check_channels(channels: Sequence[str]) -> Sequence[str]:
    faults = [channel for channel in channels if not _is_address(channel)]
    if faults or not channels:
        raise SlipwayError(
            "verify",
            "the channels",
            f"these are not addresses: {faults}" if faults else "there are none",
            do_next=f"Give addresses that begin with {', '.join(f'{scheme}://' for scheme in SCHEMES)}.",
        )
    return channels


def _is_address(channel: str) -> bool:
    try:
        return urlsplit(channel).scheme in SCHEMES
    except ValueError:
        return False


def _format_address(channel: str, path: str, name: str) -> str:
    label = f"/{quote(check_name(path, attempt='verify the release'))}" if path else ""
    return f"{_quote_channel(channel)}{label}/{quote(name)}"


def _quote_channel(channel: str) -> str:
    return quote(channel.rstrip("/"), safe=SAFE)


def fetch_published(
    channel: str, path: str, *, attempt: str, do_next: str, timeout: float = 60.0, ca_path: str | None = None
) -> bytes | None:
    """A file of a public address; ``None`` if it has no such file."""
    (channel,) = _check_channels([channel])
    url = f"{_quote_channel(channel)}/{quote(path)}"
    try:
        trust = ssl.create_default_context(cafile=ca_path)
        return fetch_url(url, size=MOST_BYTES, timeout=timeout, trust=trust)
    except FAILURES as error:
        if isinstance(error, HTTPError):
            absent = error.code in (404, 410)
        else:
            absent = url.startswith("file:") and isinstance(getattr(error, "reason", error), FileNotFoundError)
        if absent:
            return None
        raise SlipwayError(attempt, url, explain_failure(error), do_next=do_next) from error


def fetch_published_mapping(
    channel: str, path: str, *, attempt: str, do_next: str, timeout: float = 60.0, ca_path: str | None = None
) -> dict[str, Any] | None:
    """A mapping in JSON of a public address; ``None`` if it has no such file."""
    data = fetch_published(channel, path, attempt=attempt, do_next=do_next, timeout=timeout, ca_path=ca_path)
    if data is None:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        came_back = f"it is no JSON: {error}"
    else:
        if isinstance(found, dict):
            return found
        came_back = "it is no mapping"
    raise SlipwayError(attempt, f"{_quote_channel(channel)}/{path}", came_back, do_next=do_next)


def _find_fault(place: ServedFile, limit: Limit, trust: ssl.SSLContext) -> str | None:
    """What is wrong with what one address serves; None if it is right."""
    wanted = place.artifact
    digest = hashlib.sha256()
    try:
        with open_url(place.url, limit, trust=trust) as answer:
            size = receive_body(answer, digest.update, size=wanted.size)
    except HTTPError as error:
        return f"{place.url} answers {error.code} {error.reason}"
    except FAILURES as error:
        return f"{place.url} cannot be read: {explain_failure(error)}"
    if fault := wanted.describe_difference(size, digest.hexdigest()):
        return f"{place.url}: {fault}"
    return None
