# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mails that announce a release: one for each list, with a Message-ID and a subject of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from typing import Any

from ..errors import refuse
from ..release.addresses import is_address, is_plain_line
from ..release.names import fill_places

Plain = Mapping[str, Any]
PLAIN_ID = re.compile(r"[A-Za-z0-9._+~-]+=[A-Za-z0-9.-]+\Z")
MOST_ID, MOST_NAME = 60, 120
#: How a list's server is reached; what it does not say is as of the main ones.
REACHED = ("host", "port", "tls", "user", "ca_path")


def plan_mails(plan: Plain, notes: Sequence[str], settings: Plain) -> list[dict[str, Any]]:
    """Each mail: ``product notes to subject message_id key sender``, its ``facts`` for a record, and its server.

    ``notes`` are the names of the notes that there are; a product without notes of its own announces the main ones,
    to lists that do not get them anyway. ``settings`` are ``recipients subject sender`` and what else is in
    :data:`REACHED`.
    """
    mails: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    told: set[tuple[str, str]] = set()
    for product, title, entry in _list_entries(plan, settings):
        to, body = str(entry.get("to") or ""), product if product in notes else plan["project"]
        where = "release_announce_recipients" if product == plan["project"] else f"the lists of {product}"
        if not is_address(to):
            faults.append(f"{where}: {to!r} is not a mail address")
            continue
        address = parseaddr(to)[1]
        key = _make_key(address, product if product != plan["project"] else "")
        if (body, address.lower()) in told:
            continue  # one of another product of the same notes, or named twice
        told.add((body, address.lower()))
        subject = _fill_subject(str(entry.get("subject") or settings["subject"]), plan, product=product, title=title)
        if not subject.strip() or not is_plain_line(subject):
            faults.append(f"{where}: {subject!r} is not a subject of one line")
        facts = {
            "key": key,
            "product": product,
            "to": to,
            "subject": subject,
            "message_id": _make_message_id(str(plan["label"]), key, str(settings["sender"])),
        }
        sender = str(entry.get("sender") or settings["sender"])
        mails[key] = {**facts, "facts": facts, "notes": body, "sender": sender, **_find_server(entry, settings)}
    if not mails and not faults:
        faults.append("there is no list to announce it to")
    refuse(
        "announce",
        str(plan["label"]),
        faults,
        summary="the lists are not usable",
        do_next="Correct release_announce_recipients, or the lists in release_policy, and run again.",
    )
    return list(mails.values())


def list_mails(plan: Plain, notes: Sequence[str], settings: Plain, record: Plain | None = None) -> list[dict[str, Any]]:
    """The mails of :func:`plan_mails`, each with whether it was ``sent`` by the stage's record."""
    mails = plan_mails(plan, notes, settings)
    sent = {each["key"] for each in list_sent(record, mails)}
    return [{**mail, "sent": mail["key"] in sent} for mail in mails]


def group_servers(mails: Sequence[Plain], passwords: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The SMTP servers of mails, each with its sender, whom it is to take mails for, and its host's password."""
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for mail in mails:
        if mail["host"]:
            reached = {name: mail[name] for name in (*REACHED, "sender")}
            reached["password"] = (passwords or {}).get(mail["host"], "") if mail["user"] else ""
            group = groups.setdefault(tuple(map(str, reached.values())), {**reached, "recipients": []})
            group["recipients"] += [mail["to"]] if mail["to"] not in group["recipients"] else []
    return list(groups.values())


def list_sent(record: Plain | None, mails: Sequence[Plain]) -> list[dict[str, Any]]:
    """What a record of the stage says of mails that were sent; as earlier versions wrote it, too."""
    outputs = (record or {}).get("outputs") or {}
    if "mails" in outputs or not outputs:
        return list(outputs.get("mails") or [])
    facts = {key: outputs.get(key) for key in ("message_id", "subject")}
    refused = outputs.get("refused") or []
    addresses = [parseaddr(to)[1] for to in outputs.get("recipients") or []]
    keys = {parseaddr(mail["to"])[1]: mail["key"] for mail in mails}
    return [
        {"key": keys.get(address, _make_key(address, "")), "to": address, **facts}
        for address in addresses
        if address not in refused
    ]


def _list_entries(plan: Plain, settings: Plain) -> list[tuple[str, str, Plain]]:
    """The lists of all products with the products' names and titles, the main ones first."""
    products = {product["name"]: product for product in plan.get("products") or []}
    project = str(plan["project"])
    main = [{"to": to} for to in settings["recipients"]] + list((products.pop(project, {})).get("lists") or [])
    return [
        *((project, project.capitalize(), entry) for entry in main),
        *(
            (name, str(product.get("title") or name), {"subject": "{title} {version} is released", **_given(entry)})
            for name, product in products.items()
            for entry in product.get("lists") or []
        ),
    ]


def _given(entry: Plain) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value not in (None, "")}


def _fill_subject(subject: str, plan: Plain, *, product: str, title: str) -> str:
    names = {**{key: str(plan[key]) for key in ("project", "version", "label")}, "product": product, "title": title}
    return fill_places(subject, names)


def _find_server(entry: Plain, settings: Plain) -> dict[str, Any]:
    """A list with a host of its own shares nothing but the defaults with the main server."""
    if entry.get("host"):
        defaults: dict[str, Any] = {"port": 587, "tls": "starttls", "user": "", "ca_path": ""}
        return {"host": entry["host"], **{key: entry.get(key) or value for key, value in defaults.items()}}
    return {key: settings[key] for key in REACHED}


def _make_message_id(label: str, key: str, sender: str) -> str:
    name = f"{label}.announcement.{key}"
    if len(name) > MOST_NAME:
        name = f"announcement.{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    return f"<{name}@{parseaddr(sender)[1].rpartition('@')[2]}>"


def _make_key(address: str, product: str) -> str:
    """What tells one mail of a release from the others, and depends on nothing but whom it is for."""
    name = f"{product}.{address}".removeprefix(".").lower().replace("@", "=")
    if PLAIN_ID.match(name) and len(name) <= MOST_ID:
        return name
    return hashlib.sha256(f"{product}.{address.lower()}".encode()).hexdigest()[:16]
