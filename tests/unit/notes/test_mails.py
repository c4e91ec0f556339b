# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which mails announce a release."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.mails import group_servers, list_mails
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.announcement import compose_mail

OWN = {"to": "own@b.org", "host": "mail.b.org", "port": 25, "tls": "none", "user": "u"}
PLAN: dict[str, Any] = {
    "project": "acme",
    "version": "1.2",
    "label": "acme-1.2",
    "products": [
        {"name": "acme", "title": "acme", "lists": []},
        {"name": "demo", "title": "Demo", "lists": [{"to": "Dev <dev@a.org>", "subject": "{title} {version}"}, OWN]},
        {"name": "tools", "title": "Tools", "lists": [{"to": "announce@a.org"}, {"to": "tools@a.org"}]},
    ],
}
SETTINGS: dict[str, Any] = {
    "recipients": ["announce@a.org", "Dev@a.org"],
    "subject": "Acme 1.2 is released",
    "sender": "Team <team@a.org>",
    **{"host": "smtp", "port": 587, "tls": "starttls", "user": "team", "ca_path": ""},
}


def find(record: dict[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
    return list_mails(PLAN, ["acme", "demo"], {**SETTINGS, **changes}, record)


def test_each_list_has_a_mail_of_its_own_and_gets_the_same_notes_once() -> None:
    mails = find()
    assert [(mail["to"], mail["notes"], mail["subject"]) for mail in mails] == [
        ("announce@a.org", "acme", "Acme 1.2 is released"),
        ("Dev@a.org", "acme", "Acme 1.2 is released"),
        ("Dev <dev@a.org>", "demo", "Demo 1.2"),
        ("own@b.org", "demo", "Demo 1.2 is released"),
        ("tools@a.org", "acme", "Tools 1.2 is released"),
    ]
    ids = [mail["message_id"] for mail in mails]
    assert ids[2] == "<acme-1.2.announcement.demo.dev=a.org@a.org>"
    assert len(set(ids)) == len(ids)
    facts = ("sender", "subject", "message_id")
    for mail in mails:
        compose_mail(recipients=[mail["to"]], body="x", date=0, **{fact: mail[fact] for fact in facts})
    assert [mail["message_id"] for mail in find(recipients=["Dev@a.org", "announce@a.org"])][:2] == [ids[1], ids[0]]


def test_servers_are_told_with_whom_they_take_mails_for_and_their_own_password() -> None:
    servers = group_servers(find(), {"smtp": "secret", "mail.b.org": "other"})
    assert [(each["host"], each["password"], len(each["recipients"])) for each in servers] == [
        ("smtp", "secret", 4),
        ("mail.b.org", "other", 1),
    ]
    assert group_servers(find(host="")) == group_servers(find()[3:4])


def test_what_a_record_says_was_sent_is_not_sent_again() -> None:
    new = {"outputs": {"mails": [{"key": "announce=a.org"}]}}
    assert [mail["sent"] for mail in find(new)] == [True, False, False, False, False]
    old = {"outputs": {"message_id": "<x@y>", "recipients": ["announce@a.org", "Dev@a.org"], "refused": ["Dev@a.org"]}}
    assert [mail["sent"] for mail in find(old)] == [True, False, False, False, False]


def test_a_long_or_odd_address_still_has_a_message_id() -> None:
    odd = ["a/b@c.org", f"{'x' * 64}@{'y' * 60}.org", "ä@c.org"]
    for mail in find(recipients=odd):
        facts = {fact: mail[fact] for fact in ("sender", "subject", "message_id")}
        compose_mail(recipients=[mail["to"]], body="x", date=0, **facts)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"recipients": ["nobody"]}, "release_announce_recipients: 'nobody' is not a mail address"),
        ({"recipients": [""]}, "release_announce_recipients: '' is not a mail address"),
        ({"subject": "a\nBcc: b"}, "is not a subject of one line"),
    ],
)
def test_a_list_that_is_wrong_is_named(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        find(**change)
    assert fault in str(caught.value)
    with pytest.raises(SlipwayError, match="there is no list to announce it to"):
        list_mails({**PLAN, "products": []}, [], {**SETTINGS, "recipients": []})
