#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: announcement_mail
short_description: Send the announcement of a release by mail, once
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - Delivers a plain text mail into a maildir, or through an SMTP server.
  - A maildir that has a message of this Message-ID, read or unread, gets no second one.
  - An SMTP server cannot be asked whether it was sent. O(journal) keeps what it answered, and O(already_sent), from the
    announcement's record, says so as well. Where a run did not learn or was killed before it learned whether the server
    took the mail, nothing is sent until a person says O(again) or O(arrived).
extends_documentation_fragment:
  - slipway.release.connection.https
  - slipway.release.attributes
options:
  maildir:
    description: The maildir to deliver into. It is made if it is absent.
    type: path
  host:
    description: The SMTP server to send through.
    type: str
  port:
    description: Its port.
    type: int
    default: 587
  tls:
    description: Whether the connection is encrypted after C(STARTTLS), from its beginning, or not at all.
    type: str
    choices: [starttls, implicit, none]
    default: starttls
  user:
    description: Who logs in to the server. Empty means that nobody does.
    type: str
  password:
    description: The password of O(user).
    type: str
  sender:
    description: Who sends, such as V(Release Team <release@example.org>).
    type: str
    required: true
  recipients:
    description: Who gets the mail.
    type: list
    elements: str
    required: true
  subject:
    description: The subject, one line.
    type: str
    required: true
  body:
    description: The text.
    type: str
    required: true
  message_id:
    description: The Message-ID, which must be the same in every run of the same release.
    type: str
    required: true
  date:
    description: The mail's date in seconds since the epoch. The default is now.
    type: int
  journal:
    description: A file that keeps what is known of the mail to an SMTP server. Without it a mail may be sent twice.
    type: path
  again:
    description:
      - Whether to send a mail whose fate is unknown, and what the SMTP server took only for some, again. Recipients for
        whom it took the mail do not get it a second time.
    type: bool
    default: false
  arrived:
    description: Whether a mail whose fate is unknown is known to have arrived.
    type: bool
    default: false
  already_sent:
    description: Whether a record says that this mail was sent.
    type: bool
    default: false
attributes:
  check_mode:
    details: Composes the mail, looks into the maildir, and says whether it would be sent.
  diff_mode:
    details: Shows the whole mail.
  idempotent:
    details: By Message-ID in a maildir, by O(journal) or O(already_sent) through SMTP.
    support: partial
"""

EXAMPLES = r"""
- name: Announce the release
  slipway.release.announcement_mail:
    host: mail.example.org
    user: release
    password: "{{ vault_mail_password }}"
    sender: Release Team <release@example.org>
    recipients: [announce@lists.example.org]
    subject: Baserock 26.47 is released
    body: "{{ lookup('ansible.builtin.template', 'announcement.txt.j2') }}"
    message_id: <baserock-26.47.announcement@example.org>
    journal: /srv/slipway/releases/26.47/announcement.json
"""

RETURN = r"""
message_id:
  description: The mail's Message-ID.
  returned: success
  type: str
text:
  description: The whole mail.
  returned: success
  type: str
refused:
  description: The recipients that the SMTP server refused, while it took the mail for the others.
  returned: success
  type: list
  elements: str
"""

import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import CONNECTION_HTTPS
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish import announcement
from ..module_utils.slipway.publish.relay import Relay, send_mail


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    maildir = Path(params["maildir"]) if params["maildir"] else None
    mail = announcement.compose_mail(
        **{name: params[name] for name in ("sender", "recipients", "subject", "body", "message_id")},
        date=int(time.time()) if params["date"] is None else params["date"],
    )
    text = mail.as_string()
    result: dict[str, Any] = {"message_id": params["message_id"], "text": text, "refused": []}
    if params["already_sent"]:
        return {"changed": False, **result}
    if maildir is None:
        sending = _send(params, mail, write=write)
        changed, result["refused"] = sending.changed, sorted(sending.refused)
        result["warnings"] = [
            f"{params['host']} refused the announcement for {recipient} ({reason}); the others got it. "
            "Run again with -e release_announce_again=true to send it to those alone who did not get it."
            for recipient, reason in sorted(sending.refused.items())
        ]
    elif write:
        changed = announcement.deliver_mail(maildir, mail)
    else:
        changed = announcement.find_mail(maildir, params["message_id"]) is None
    diff = {"diff": {"before": "", "after": text}} if changed else {}
    return {"changed": changed, **result, **diff}


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            "maildir": {"type": "path"},
            "host": {"type": "str"},
            "port": {"type": "int", "default": 587},
            "tls": {"type": "str", "choices": ["starttls", "implicit", "none"], "default": "starttls"},
            "user": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "sender": {"type": "str", "required": True},
            "recipients": {"type": "list", "elements": "str", "required": True},
            "subject": {"type": "str", "required": True},
            "body": {"type": "str", "required": True},
            "message_id": {"type": "str", "required": True},
            "date": {"type": "int"},
            "journal": {"type": "path"},
            "again": {"type": "bool", "default": False},
            "arrived": {"type": "bool", "default": False},
            "already_sent": {"type": "bool", "default": False},
        },
        required_one_of=[("maildir", "host")],
        mutually_exclusive=[("maildir", "host"), ("again", "arrived")],
        required_by={"password": ["user"]},
    )


def _send(params: dict[str, Any], mail: EmailMessage, *, write: bool) -> announcement.Sending:
    relay = _make_relay(params)
    if params["journal"]:
        journal, again, arrived = Path(params["journal"]), params["again"], params["arrived"]
        return announcement.send_once(relay, mail, journal=journal, again=again, arrived=arrived, write=write)
    return announcement.Sending(True, send_mail(relay, mail) if write else {})


def _make_relay(params: dict[str, Any]) -> Relay:
    return Relay(
        host=params["host"],
        port=params["port"],
        tls=params["tls"],
        user=params["user"] or None,
        password=params["password"],
        ca_path=params["ca_path"],
    )


if __name__ == "__main__":
    main()
