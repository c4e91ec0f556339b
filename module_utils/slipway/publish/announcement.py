# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mail that announces a release: composed once, delivered once."""

from __future__ import annotations

import email.parser
import email.policy
import json
import mailbox
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..escape import escape_mail
from ..files import write_atomic
from ..locks import hold_flock
from ..release.addresses import is_address, is_plain_line
from .relay import MaybeSentError, Relay, explain_search, list_addresses, send_mail

MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+~=-]{1,120}@[A-Za-z0-9.-]{1,120}>\Z")
#: A line of a mail may not be longer; beyond it the text is encoded.
MAX_LINE = 900


def compose_mail(
    *, sender: str, recipients: Sequence[str], subject: str, body: str, message_id: str, date: int
) -> EmailMessage:
    """A plain text mail; ``date`` in seconds since the epoch. What could forge headers is refused."""
    faults = [f"{text!r} is not a mail address" for text in (sender, *recipients) if not is_address(text)]
    if not recipients:
        faults.append("there are no recipients")
    if not MESSAGE_ID.match(message_id):
        faults.append(f"{message_id!r} is not a Message-ID of the form <name@domain>")
    if not subject.strip() or not is_plain_line(subject):
        faults.append(f"{subject!r} is not a subject of one line")
    if not body.strip():
        faults.append("the text is empty")
    refuse("compose the announcement", "", faults, summary="it is not usable", do_next="Correct it and run again.")
    mail = EmailMessage(policy=email.policy.default)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = subject
    mail["Date"] = formatdate(date)
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    body = escape_mail(body)
    plain = body.isascii() and all(len(line) <= MAX_LINE for line in body.splitlines())
    mail.set_content(body if body.endswith("\n") else f"{body}\n", cte="7bit" if plain else "quoted-printable")
    return mail


def find_mail(maildir: Path, message_id: str) -> Path | None:
    """The message of that Message-ID in a maildir, read or unread."""
    parser = email.parser.BytesHeaderParser(policy=email.policy.compat32)
    for folder in ("new", "cur"):
        for path in sorted((maildir / folder).glob("*")):
            try:
                with path.open("rb") as stream:
                    if str(parser.parse(stream)["Message-ID"]).strip() == message_id:
                        return path
            except FileNotFoundError:
                continue  # its reader moved it meanwhile
    return None


def deliver_mail(maildir: Path, mail: EmailMessage) -> bool:
    """Deliver the mail to a maildir (created if absent) unless its Message-ID is there; whether it was new."""
    message_id = str(mail["Message-ID"])
    with name_refusals("deliver to", str(maildir)):
        for folder in ("tmp", "new", "cur"):
            (maildir / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        with hold_flock(maildir, attempt="deliver to", on=str(maildir), timeout=60):
            if find_mail(maildir, message_id) is not None:
                return False
            mailbox.Maildir(maildir, create=False).add(mail.as_bytes())
    return True


def deliver_once(maildir: Path, mail: EmailMessage, *, journal: Path, again: bool = False) -> bool:
    """Deliver the mail unless ``journal`` or the maildir says that it was; whether it was new.

    A maildir tells only as long as its reader leaves the mail there.
    """
    past = read_journal(journal)
    if past is not None and past.sent and not again:
        return False
    is_new = deliver_mail(maildir, mail)
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    _write_journal(
        journal, Journal(str(mail["Message-ID"]), str(maildir), begun, sent=True, accepted=list_addresses(mail))
    )
    return is_new


@dataclass(frozen=True)
class Journal:
    """What is known of the mail to an SMTP server: ``sent`` is whether it answered; who was taken and who refused."""

    message_id: str
    relay: str
    begun: str
    sent: bool
    accepted: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sending:
    """Whether something was sent, or would be, and which recipients the server refused, and why."""

    changed: bool
    refused: Mapping[str, str] = field(default_factory=dict)


def send_once(
    relay: Relay,
    mail: EmailMessage,
    *,
    journal: Path,
    earlier: Path | None = None,
    again: bool = False,
    arrived: bool = False,
    write: bool = True,
) -> Sending:
    """Send the mail unless ``journal`` says that it was sent; what it may have got is written there before.

    ``earlier`` is a journal of one mail to these and others; it counts as long as this mail has none of its own.

    Where an earlier mail's fate is unknown, that is a failure, unless a person says that it ``arrived``, or to send it
    ``again``. What the server took is never sent again: then only those get it who did not.
    """
    everyone = list_addresses(mail)
    past = read_journal(journal) or (_read_earlier(earlier, everyone) if earlier is not None else None)
    accepted = list(past.accepted) if past is not None else []
    left = [address for address in everyone if address not in accepted]
    if past is not None and not past.sent:
        if arrived:
            return _record_arrival(journal, past, everyone, write=write)
        if not again:
            raise _unknown_error(relay, past, journal, left)
    if past is not None and past.sent and not again:
        return Sending(False, past.refused)
    if not left or not write:
        return Sending(bool(left))
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    now = Journal(str(mail["Message-ID"]), relay.address, begun, sent=False, accepted=accepted)
    _write_journal(journal, now)
    refused = _send_or_restore(relay, mail, left, journal=journal, past=past)
    taken = [*accepted, *(address for address in left if address not in refused)]
    _write_journal(journal, replace(now, sent=True, accepted=taken, refused=refused))
    return Sending(True, refused)


def _send_or_restore(
    relay: Relay, mail: EmailMessage, recipients: Sequence[str], *, journal: Path, past: Journal | None
) -> dict[str, str]:
    """Send the mail; where nothing was sent, the journal says what it said before."""
    try:
        return send_mail(relay, mail, recipients)
    except MaybeSentError:
        raise
    except SlipwayError:
        _write_journal(journal, past)
        raise


def read_journal(path: Path) -> Journal | None:
    """What an earlier run left; ``None`` if there was none."""
    if not path.exists():
        return None
    try:
        return Journal(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SlipwayError(
            "learn whether the announcement was sent from",
            str(path),
            f"it cannot be read ({error})",
            do_next="Find out whether the mail arrived. If it did not, remove this file and run again.",
        ) from error


def _read_earlier(path: Path, everyone: Sequence[str]) -> Journal | None:
    """What became, for these recipients, of one mail to them and others."""
    past = read_journal(path)
    if past is None:
        return None
    accepted = [address for address in everyone if address in past.accepted]
    if past.sent and len(accepted) < len(everyone):
        return None  # it was for others, or refused
    return replace(past, accepted=accepted, refused={})


def _write_journal(path: Path, journal: Journal | None) -> None:
    if journal is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(asdict(journal), indent=2).encode() + b"\n")


def _record_arrival(path: Path, past: Journal, everyone: Sequence[str], *, write: bool) -> Sending:
    if write:
        _write_journal(path, replace(past, sent=True, accepted=list(everyone)))
    return Sending(True)


def _unknown_error(relay: Relay, past: Journal, path: Path, recipients: Sequence[str]) -> SlipwayError:
    return SlipwayError(
        "send the announcement through",
        past.relay,
        f"it may have been sent at {past.begun}: a run gave that server the mail and did not learn, or did not live to "
        f"write into {path}, what became of it",
        do_next=explain_search(relay, past.message_id, recipients),
    )
