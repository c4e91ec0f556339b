# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mail that announces a release: composed once, delivered once."""

from __future__ import annotations

import email.parser
import email.policy
import mailbox
import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from pathlib import Path
from unicodedata import category

from ..errors import SlipwayError, name_refusals, refuse
from ..locks import hold_flock

MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+~=-]{1,120}@[A-Za-z0-9.-]{1,120}>\Z")
ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\\x00-\x1f\x7f]+@[A-Za-z0-9.-]+\Z")
#: A line of a mail may not be longer; beyond it the text is encoded.
MAX_LINE = 900


@dataclass(frozen=True)
class Relay:
    """An SMTP server; ``tls`` is ``starttls``, ``implicit`` or ``none``, ``timeout`` in seconds."""

    host: str
    port: int
    tls: str = "starttls"
    user: str | None = None
    password: str | None = None
    ca_path: str | None = None
    timeout: float = 30.0


def compose_mail(
    *, sender: str, recipients: Sequence[str], subject: str, body: str, message_id: str, date: int
) -> EmailMessage:
    """A plain text mail; ``date`` in seconds since the epoch. What could forge headers is refused."""
    faults = [f"{text!r} is not a mail address" for text in (sender, *recipients) if not _is_address(text)]
    if not recipients:
        faults.append("there are no recipients")
    if not MESSAGE_ID.match(message_id):
        faults.append(f"{message_id!r} is not a Message-ID of the form <name@domain>")
    if not subject.strip() or len(subject.splitlines()) > 1 or any(category(letter) == "Cc" for letter in subject):
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


def send_mail(relay: Relay, mail: EmailMessage) -> list[str]:
    """Give the mail to an SMTP server; the recipients that it refused while it took the mail for others.

    A failure means that nobody got it.
    """
    context = ssl.create_default_context(cafile=relay.ca_path) if relay.tls != "none" else None
    try:
        with _connect_relay(relay, context) as server:
            if relay.tls == "starttls":
                server.starttls(context=context)
            if relay.user is not None:
                server.login(relay.user, relay.password or "")
            refused = server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        reasons = [
            f"{address}: {code} {_decode_text(said)}" for address, (code, said) in sorted(error.recipients.items())
        ]
        raise SlipwayError(
            "send the announcement through",
            relay.host,
            "it refused every recipient",
            do_next="Correct the recipients, or ask the server's administrator, and run again.",
            findings=reasons,
        ) from error
    except smtplib.SMTPResponseException as error:
        raise _relay_error(relay, f"{error.smtp_code} {_decode_text(error.smtp_error)}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise _relay_error(relay, str(error) or type(error).__name__) from error
    return sorted(refused)


def _connect_relay(relay: Relay, context: ssl.SSLContext | None) -> smtplib.SMTP:
    if relay.tls == "implicit":
        return smtplib.SMTP_SSL(relay.host, relay.port, timeout=relay.timeout, context=context)
    return smtplib.SMTP(relay.host, relay.port, timeout=relay.timeout)


def _relay_error(relay: Relay, answer: str) -> SlipwayError:
    return SlipwayError(
        "send the announcement through",
        f"{relay.host}:{relay.port}",
        answer,
        do_next="Check the mail settings; nothing was sent. Run again with the tag announce.",
    )


def _decode_text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _is_address(text: str) -> bool:
    name, address = parseaddr(text)
    one_line = not any(ord(letter) < 32 for letter in text)
    return (
        one_line and bool(ADDRESS.match(address)) and text in {address, f"{name} <{address}>", f'"{name}" <{address}>'}
    )
