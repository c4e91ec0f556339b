# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of that which is published ends when, read from outside: keys, certificates, what is signed, and archives."""

from __future__ import annotations

import calendar
import email.utils
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ..errors import SlipwayError
from ..openpgp.keyring import list_signing_ends, provide_keyring
from ..publish.channel import fetch_published
from ..publish.releases import KEY
from .dsse import KEYS, LATEST, MIRRORS, Envelope, read_envelope
from .latest import NAME
from .moments import format_moment, parse_moment
from .strictjson import load_object

DAY = 86400.0
GOOD, SOON, OVER, UNREADABLE = "good", "soon", "over", "unreadable"
#: At the same time, so that a channel that hangs holds up no other.
AT_ONCE = 8
#: The form of a time in a certificate.
CERTIFICATE_TIME = "%b %d %H:%M:%S %Y GMT"
BEST_BEFORE = re.compile(r"^[0-9a-f]{64} [ *]BEST-BEFORE-([0-9]{4}-[0-9]{2}-[0-9]{2})$", re.MULTILINE)
VALID_UNTIL = re.compile(r"^Valid-Until: *([^\r\n]{1,60})$", re.MULTILINE)
DO_NEXT = "See whether it is there and can be read."
#: The keys of an archive of debs, at the address of its site.
ARCHIVE_KEY = "key.asc"


@dataclass(frozen=True)
class End:
    """One thing that ends: ``ends`` in seconds since the epoch, None for never or if it cannot be read (``fault``)."""

    where: str
    what: str
    ends: int | None
    state: str
    fault: str = ""

    def as_dict(self, now: float) -> dict[str, Any]:
        """As people and programs read it."""
        return {
            "where": self.where,
            "what": self.what,
            "ends": None if self.ends is None else format_moment(self.ends),
            "days": None if self.ends is None else int((self.ends - now) // DAY),
            "state": self.state,
            "told": self.explain(now),
        }

    def explain(self, now: float) -> str:
        """What there is to say, as a sentence without its full stop."""
        if self.fault:
            return f"{self.what} of {self.where}: {self.fault}"
        if self.ends is None:
            return f"{self.what} of {self.where} does not end"
        days = int(abs(self.ends - now) // DAY)
        when = f"{format_moment(self.ends)}, {days} {'day' if days == 1 else 'days'}"
        return (
            f"{self.what} of {self.where} {f'ended at {when} ago' if self.ends <= now else f'ends at {when} from now'}"
        )


@dataclass(frozen=True)
class Visit:
    """One look at one address at the time ``now``: what ends within ``warn`` seconds is soon.

    ``read`` gives what is at a path below it, or ``None``, for those who read there anyway.
    """

    channel: str
    now: float
    warn: float
    timeout: float = 60.0
    ca_path: str | None = None
    read: Callable[[str], bytes | None] | None = field(default=None, compare=False)

    def judge(self, what: str, ends: int | None) -> End:
        """Whether that is good for long enough."""
        left = None if ends is None else ends - self.now
        state = GOOD if left is None or left > self.warn else OVER if left <= 0 else SOON
        return End(self.channel, what, ends, state)

    def fail(self, what: str, fault: str, *, state: str = UNREADABLE) -> End:
        """That something cannot be read is no better than that it is over."""
        return End(self.channel, what, None, state, fault)

    def fetch(self, path: str) -> bytes | None:
        """What is there, if it is."""
        if self.read is not None:
            return self.read(path)
        return fetch_published(
            self.channel, path, attempt="read", do_next=DO_NEXT, timeout=self.timeout, ca_path=self.ca_path
        )


def list_ends_published(
    channels: Sequence[str],
    archives: Sequence[str] = (),
    *,
    now: float,
    warn_days: float,
    timeout: float = 60.0,
    ca_path: str | None = None,
) -> list[End]:
    """Everything that ends at these channels, and of these suites of archives; what ends first comes first."""

    def visit(each: tuple[Callable[[Visit], list[End]], str]) -> list[End]:
        return each[0](Visit(each[1].rstrip("/"), now, warn_days * DAY, timeout, ca_path))

    looks = [(list_ends_of_releases, channel) for channel in channels] + [(list_ends_of_suites, at) for at in archives]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        ends = [end for each in pool.map(visit, looks) for end in each]
    return sorted(ends, key=lambda end: (end.ends is None and not end.fault, end.ends or 0, end.where, end.what))


def list_ends_of_releases(visit: Visit) -> list[End]:
    """Everything that ends at one channel."""
    return [*_look_at_certificate(visit), *_look_at_files(visit)]


def list_ends_of_suites(visit: Visit, suites: Sequence[str] = ("",), *, keys: Collection[str] = ()) -> list[End]:
    """Everything that ends of suites, by their paths below an address, and of the keys by which they are signed."""
    ends = [*_look_at_certificate(visit)]
    for suite in suites:
        name = f"{suite}/InRelease".lstrip("/")
        found = _read(visit, name, partial(_read_suite, visit, name))
        ends += found or [visit.fail(name, "it is not there")]
    return ends + (_read(visit, ARCHIVE_KEY, partial(_list_ends_of_keys, visit, set(keys))) if keys else [])


def _look_at_files(look: Visit) -> Iterator[End]:
    envelopes: dict[str, Envelope] = {}
    named = {NAME: LATEST, "keys.json": KEYS, "mirrors.json": MIRRORS}
    for name, kind in {**named, **{f"latest-{each}.json": LATEST for each in _list_products(look)}}.items():
        yield from _read(look, name, partial(_read_envelope, look, name, kind, envelopes))
    yield from _read(look, KEY, lambda data: _read_keys(look, data, envelopes))
    yield from _read(look, "updates/SHA256SUMS", lambda data: _read_updates(look, data))
    yield from _read(look, "tuf/timestamp.json", lambda data: _read_metadata(look, "tuf/timestamp.json", data))


def _read(look: Visit, name: str, read: Callable[[bytes], list[End]]) -> list[End]:
    """What a file says, if there is one."""
    try:
        data = look.fetch(name)
        return [] if data is None else read(data)
    except SlipwayError as error:
        return [look.fail(name, error.came_back)]
    except (ValueError, KeyError, TypeError) as error:
        return [look.fail(name, f"it does not say until when it is good: {error}")]


def _list_products(look: Visit) -> list[str]:
    """The products that have a file of their own, by the list of releases."""
    try:
        listed = json.loads(look.fetch("releases.json") or b"{}")["products"]
        return sorted(
            each["name"] for each in listed if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}", each["name"])
        )
    except (SlipwayError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _read_envelope(look: Visit, name: str, kind: str, envelopes: dict[str, Envelope], data: bytes) -> list[End]:
    envelopes[name] = read_envelope(data, payload_type=kind, attempt="read", on=name)
    said = load_object(envelopes[name].payload, attempt="read", on=name, do_next=DO_NEXT)
    return [look.judge(name, parse_moment(said["believe_until"]))]


def _read_keys(look: Visit, data: bytes, envelopes: dict[str, Envelope]) -> list[End]:
    """The keys that sign now, and whether one ends before what it signed is to be believed."""
    signing = {each.keyid for name in (NAME, "keys.json") if name in envelopes for each in envelopes[name].signatures}
    listed = _list_present(envelopes)
    ends = _read_ends(data)
    wanted = sorted((listed or signing or set(ends)) & ends.keys())
    found = [look.judge(f"the key {each}", ends[each]) for each in wanted]
    found += [look.fail(f"the key {each}", f"it is not in {KEY}") for each in sorted(listed - ends.keys())]
    latest = envelopes.get(NAME)
    if latest is not None:
        until = parse_moment(load_object(latest.payload, attempt="read", on=NAME, do_next=DO_NEXT)["believe_until"])
        for each in sorted({each.keyid for each in latest.signatures} & ends.keys()):
            end = ends[each]
            if end is not None and look.now < end < until:
                fault = f"it ends at {format_moment(end)}, before {NAME}, which it signed, at {format_moment(until)}"
                found.append(End(look.channel, f"the key {each}", end, SOON, fault))
    return found


def _list_ends_of_keys(look: Visit, keys: set[str], data: bytes) -> list[End]:
    """Those of these keys; whether one is not there is for who verifies."""
    ends = _read_ends(data)
    return [look.judge(f"the key {each}", ends[each]) for each in sorted(keys & ends.keys())]


def _read_ends(data: bytes) -> dict[str, int | None]:
    with provide_keyring({KEY: data}) as home:
        return list_signing_ends(home)


def _list_present(envelopes: dict[str, Envelope]) -> set[str]:
    """The keys that the list of keys has without an end."""
    if "keys.json" not in envelopes:
        return set()
    said = load_object(envelopes["keys.json"].payload, attempt="read", on="keys.json", do_next=DO_NEXT)
    return {str(each["fingerprint"]) for each in said["keys"] if each.get("until") is None}


def _read_updates(look: Visit, data: bytes) -> list[End]:
    days = BEST_BEFORE.findall(data.decode("utf-8", "replace"))
    return [look.judge("updates/SHA256SUMS", int(parse_moment(f"{day}T00:00:00Z") + DAY)) for day in days[:1]]


def _read_metadata(look: Visit, name: str, data: bytes) -> list[End]:
    return [look.judge(name, parse_moment(json.loads(data)["signed"]["expires"]))]


def _look_at_certificate(look: Visit) -> Iterator[End]:
    """When the certificate of the server ends, if it has one; one that is over is not read, and says so itself."""
    parts, what = urlsplit(look.channel), "the certificate"
    if parts.scheme != "https":
        return
    try:
        context = ssl.create_default_context(cafile=look.ca_path)
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), timeout=look.timeout) as line,
            context.wrap_socket(line, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert() or {}
        yield look.judge(what, calendar.timegm(time.strptime(str(certificate["notAfter"]), CERTIFICATE_TIME)))
    except ssl.SSLCertVerificationError as error:
        over = "expired" in error.verify_message
        yield look.fail(what, f"it is not good: {error.verify_message}", state=OVER if over else UNREADABLE)
    except (OSError, ValueError, KeyError) as error:
        yield look.fail(what, f"it cannot be read: {error}")


def _read_suite(look: Visit, name: str, data: bytes) -> list[End]:
    """Until when apt believes a suite; without such a line it does for ever."""
    said = VALID_UNTIL.search(data.decode("utf-8", "replace"))
    end = None if said is None else int(email.utils.parsedate_to_datetime(said[1]).timestamp())
    return [look.judge(name, end)]
