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
  - slipway.release.mail
  - slipway.release.connection.https
  - slipway.release.attributes
options:
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
    description: A file that keeps what is known of the mail. Without it one to an SMTP server may be sent twice.
    type: path
  earlier_journal:
    description: A journal of one mail to these recipients and others. It counts as long as there is no O(journal).
    type: path
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
from pathlib import Path
from typing import Any

from ..module_utils.slipway.module.options import CONNECTION_HTTPS, MAIL
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish import announcement
from ..module_utils.slipway.publish.delivery import deliver


def act(params: dict[str, Any], *, write: bool) -> dict[str, Any]:
    mail = announcement.compose_mail(
        **{name: params[name] for name in ("sender", "recipients", "subject", "body", "message_id")},
        date=int(time.time()) if params["date"] is None else params["date"],
    )
    text = mail.as_string()
    result: dict[str, Any] = {"message_id": params["message_id"], "text": text, "refused": []}
    if params["already_sent"]:
        return {"changed": False, **result}
    sending = deliver(params, mail, journal=Path(params["journal"]) if params["journal"] else None, write=write)
    result["refused"] = sorted(sending.refused)
    result["warnings"] = [
        f"{params['host']} refused the announcement for {recipient} ({reason}); the others got it. "
        f"Run again with -e {params['role']}_again=true to send it to those alone who did not get it."
        for recipient, reason in sorted(sending.refused.items())
    ]
    diff = {"diff": {"before": "", "after": text}} if sending.changed else {}
    return {"changed": sending.changed, **result, **diff}


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            **MAIL,
            "recipients": {"type": "list", "elements": "str", "required": True},
            "subject": {"type": "str", "required": True},
            "body": {"type": "str", "required": True},
            "message_id": {"type": "str", "required": True},
            "date": {"type": "int"},
            "journal": {"type": "path"},
            "earlier_journal": {"type": "path"},
            "already_sent": {"type": "bool", "default": False},
        },
        required_one_of=[("maildir", "host")],
        mutually_exclusive=[("maildir", "host"), ("again", "arrived")],
        required_by={"password": ["user"]},
    )


if __name__ == "__main__":
    main()
