# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Mails on builds: each contact hears of a build that fails, and of it again when it ends well, once.

What was told is a record, and the mails that tell it are written into it in the same moment, before any is sent. So a
run that is killed neither forgets a mail nor composes another one of the same, and each has the Message-ID that it had.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, count_of
from ..escape import escape_line
from ..files import read_regular, write_atomic
from ..release.records import format_json

FORMAT = 1
#: How many builds a mail tells of in full; the others are counted.
MOST_TOLD = 50
_FIELD = re.compile(r"^(Package|Maintainer): (.+)$", re.MULTILINE)
#: As strict as what mails are composed of.
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Mail:
    """What is sent; ``date`` is the end of the last build that it tells of, in seconds since the epoch."""

    name: str
    recipient: str
    subject: str
    body: str
    date: int


@dataclass
class Told:
    """What was told: by ``<source>/<platform>-<architecture>`` the failures, and the mails that are not sent yet."""

    distribution: str
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    outbox: list[Mail] = field(default_factory=list)

    def format(self) -> bytes:
        """As a file."""
        return format_json({"format": FORMAT, **asdict(self)})


@dataclass(frozen=True)
class Contacts:
    """Who hears of a stack: whoever is named for it, else the maintainer of its source, else the distribution's."""

    named: Mapping[str, str] = field(default_factory=dict)
    maintainers: Mapping[str, str] = field(default_factory=dict)
    distribution: str = ""

    def find(self, row: Row) -> str:
        """The address for a build, or nothing."""
        source = str(row["source"])
        given = self.named.get(str(row.get("stack") or source)) or self.named.get(source)
        return find_address(given or "") or self.maintainers.get(source, "") or find_address(self.distribution)

    def list_all(self) -> set[str]:
        """All who may hear of something."""
        return {*map(find_address, [*self.named.values(), self.distribution]), *self.maintainers.values()}


def find_address(text: str) -> str:
    """The address alone, without the name: names of people are for people."""
    address = parseaddr(text)[1]
    return address if _ADDRESS.fullmatch(address) else ""


def read_maintainers(index: str) -> dict[str, str]:
    """The maintainers' addresses in a Sources index, by source."""
    rows = (dict(_FIELD.findall(paragraph)) for paragraph in index.split("\n\n"))
    named = {row["Package"]: find_address(row.get("Maintainer", "")) for row in rows if "Package" in row}
    return {source: address for source, address in named.items() if address}


def read_told(path: Path, distribution: str) -> Told:
    """What earlier runs told."""
    try:
        found = json.loads(read_regular(path))
        if (found["format"], found["distribution"]) != (FORMAT, distribution):
            raise ValueError(f"it is not one of format {FORMAT} of {distribution}")
        return Told(distribution, dict(found["failures"]), [Mail(**mail) for mail in found["outbox"]])
    except FileNotFoundError:
        return Told(distribution)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SlipwayError(
            "learn who was told of failed builds from",
            str(path),
            f"it cannot be read ({error})",
            do_next="Restore it from a copy, or remove it: then all that fails now is told anew.",
        ) from error


def tell_news(
    told: Told, results: Iterable[Row], contacts: Contacts, *, url: str = "", locate: Callable[[str], str] = str
) -> Told:
    """What will have been told, with a mail more for each contact for whom there is news.

    ``locate`` makes of the path of a log where the contact finds it, and ``url`` is the address of the page.
    """
    told = _drop_strangers(told, contacts)
    failures, news = dict(told.failures), dict[str, list[tuple[Row, str]]]()
    for row in _choose_last(results):
        key, before = _name(row), told.failures.get(_name(row))
        failed = row["state"] == "failed"
        contact = contacts.find(row) if failed else (before or {}).get("contact", "")
        now = {"version": str(row["version"]), "stage": str(row.get("stage") or ""), "contact": contact}
        is_news = before is not None if row["state"] == "ok" else failed and not _is_same(before, now)
        if not contact or not is_news:
            continue
        news.setdefault(contact, []).append((row, locate(str(row.get("log") or "")) if failed else ""))
        failures.pop(key, None)
        if failed:
            failures[key] = now
    mails = [_compose(told.distribution, contact, rows, url) for contact, rows in sorted(news.items())]
    return Told(told.distribution, dict(sorted(failures.items())), [*told.outbox, *mails])


def _drop_strangers(told: Told, contacts: Contacts) -> Told:
    """Without the mails to whom nobody names any more: an address that no server takes is corrected there.

    What these would have told was not told.
    """
    known = contacts.list_all()
    gone = {mail.recipient for mail in told.outbox if mail.recipient not in known}
    failures = {key: failure for key, failure in told.failures.items() if failure["contact"] not in gone}
    return Told(told.distribution, failures, [mail for mail in told.outbox if mail.recipient not in gone])


def _is_same(before: Row | None, now: Row) -> bool:
    """Whether a failure is the one that was told of."""
    return before is not None and all(before.get(name) == now[name] for name in ("version", "stage"))


def _name(row: Row) -> str:
    return f"{row['source']}/{row['platform']}-{row['architecture']}"


def _choose_last(results: Iterable[Row]) -> list[Row]:
    """The last result of each build that ended, by name."""
    last: dict[str, Row] = {}
    for row in results:
        if row["state"] != "running" and row["at"] >= last.get(_name(row), row)["at"]:
            last[_name(row)] = row
    return [last[key] for key in sorted(last)]


def _compose(distribution: str, contact: str, rows: Sequence[tuple[Row, str]], url: str) -> Mail:
    failed = [both for both in rows if both[0]["state"] == "failed"]
    good = [row for row, _log in rows if row["state"] == "ok"]
    words = [f"{count_of(len(failed), 'build')} failed"] if failed else []
    words += [f"{count_of(len(good), 'build')} recovered"] if good else []
    parts = []
    if failed:
        parts += ["These builds failed:", *(_tell_failure(row, log) for row, log in failed[:MOST_TOLD])]
        parts += [f"  and {count_of(len(failed) - MOST_TOLD, 'other')}"] if failed[MOST_TOLD:] else []
    if good:
        parts += ["These failed before, and are built now:", "\n".join(f"  {_tell(row)}" for row in good[:MOST_TOLD])]
        parts += [f"  and {count_of(len(good) - MOST_TOLD, 'other')}"] if good[MOST_TOLD:] else []
    page = f", at {escape_line(url)}/excuses.html" if url else ""
    parts.append(f"What is missing of {escape_line(distribution)}, and why, is on the page of excuses{page}.")
    what = sorted([_name(row), str(row["version"]), str(row["state"]), int(row["at"])] for row, _log in rows)
    name = hashlib.sha256(json.dumps([distribution, contact, what]).encode()).hexdigest()[:20]
    subject = f"{escape_line(distribution)}: {', '.join(words)}"
    return Mail(name, contact, subject, "\n\n".join(parts) + "\n", max(int(row["at"]) for row, _log in rows))


def _tell(row: Row) -> str:
    return escape_line(f"{row['source']} {row['version']} for {row['platform']} {row['architecture']}")


def _tell_failure(row: Row, log: str) -> str:
    where = escape_line(f"{row.get('stage') or ''} on {row.get('host') or 'a host'}")
    lines = [f"  {_tell(row)}, at {where}", f"    {escape_line(str(row.get('reason') or 'no reason was given'))[:400]}"]
    return "\n".join([*lines, *([f"    The log: {escape_line(log)}"] if log else [])])


def send_outbox(told: Told, path: Path, send: Callable[[Mail], None]) -> list[Mail]:
    """Write what is told to ``path``, then send the mails one by one, each off the record when it is sent.

    One that fails holds up no other; the failure at the end tells of all.
    """
    sent, left, errors = list[Mail](), list(told.outbox), list[SlipwayError]()
    write_atomic(path, told.format())
    for mail in told.outbox:
        try:
            send(mail)
        except SlipwayError as error:
            errors.append(error)
            continue
        sent.append(mail)
        left.remove(mail)
        write_atomic(path, Told(told.distribution, told.failures, left).format())
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SlipwayError(
            "send",
            f"{len(errors)} of {count_of(len(told.outbox), 'mail')} on builds of {told.distribution}",
            errors[0].came_back,
            do_next=errors[0].do_next,
            findings=[str(error) for error in errors],
        )
    return sent
