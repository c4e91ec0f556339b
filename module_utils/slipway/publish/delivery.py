# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way that mails take: into a maildir, or through an SMTP server, as the options of modules say."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from .announcement import Sending, deliver_mail, deliver_once, find_mail, read_journal, send_once
from .relay import Relay, send_mail


def deliver(options: Mapping[str, Any], mail: EmailMessage, *, journal: Path | None, write: bool = True) -> Sending:
    """Deliver a mail once; an SMTP server needs a ``journal`` for that. Without ``write`` it is only looked at."""
    if options["maildir"]:
        maildir = Path(options["maildir"])
        past = read_journal(journal) if journal is not None else None
        if not write:
            known = past is not None and past.sent and not options["again"]
            return Sending(not known and find_mail(maildir, str(mail["Message-ID"])) is None)
        if journal is None:
            return Sending(deliver_mail(maildir, mail))
        return Sending(deliver_once(maildir, mail, journal=journal, again=bool(options["again"])))
    relay = make_relay(options)
    if journal is None:
        return Sending(True, send_mail(relay, mail) if write else {})
    again, arrived = options["again"], options["arrived"]
    earlier = Path(options["earlier_journal"]) if options.get("earlier_journal") else None
    return send_once(relay, mail, journal=journal, earlier=earlier, again=again, arrived=arrived, write=write)


def make_relay(options: Mapping[str, Any]) -> Relay:
    """The SMTP server of options."""
    return Relay(
        host=options["host"],
        port=options["port"],
        tls=options["tls"],
        user=options["user"] or None,
        password=options["password"],
        ca_path=options["ca_path"],
        role=options["role"],
    )
