# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mailing lists that are told of a product."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from ..release.addresses import is_address, is_plain_line
from .notes import PLACES, find_place_faults
from .values import describe_kind, find_key_faults, read_count, show, suggest

TEXTS = ("subject", "sender", "host", "user", "ca_path")
TLS = ("starttls", "implicit", "none")
MOST_PORT = 65535
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,253}[A-Za-z0-9])?\Z|\[?[0-9A-Fa-f:.]{2,45}\]?\Z")


@dataclass(frozen=True)
class MailingList:
    """Who is told, and how; what is empty is as of the main lists. A list with a host has a server of its own."""

    to: str
    subject: str = ""
    sender: str = ""
    host: str = ""
    port: int | None = None
    tls: str = ""
    user: str = ""
    ca_path: str = ""


def read_lists(value: object, where: str) -> tuple[list[MailingList], list[str]]:
    """The lists of a product, each an address, or a mapping with one."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [f"{where}: it is {describe_kind(value)}, not a list of mailing lists, such as [dev@example.org]"]
    lists: list[MailingList] = []
    faults: list[str] = []
    for number, entry in enumerate(value):
        found, wrong = _read_list(entry, f"{where}[{number}]")
        faults += wrong
        if found is not None:
            if parseaddr(found.to)[1].lower() in {parseaddr(each.to)[1].lower() for each in lists}:
                faults.append(f"{where}[{number}].to: {found.to} is there a second time")
            lists.append(found)
    return lists, faults


def _read_list(value: object, where: str) -> tuple[MailingList | None, list[str]]:
    given: Any = {"to": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        return None, [
            f"{where}: it is {describe_kind(value)}, not an address or a mapping such as {{to: dev@example.org}}"
        ]
    faults = find_key_faults(given, ("to", "port", "tls", *TEXTS), where)
    to = given.get("to")
    if not isinstance(to, str) or not is_address(to):
        found = "missing" if to in (None, "") else show(to)
        return None, [*faults, f"{where}.to: it is {found}, not a mail address such as dev@lists.example.org"]
    texts: dict[str, str] = {}
    for key in TEXTS:
        text = given.get(key)
        if text is None:
            continue
        if not isinstance(text, str) or not is_plain_line(text):
            faults.append(f"{where}.{key}: it is {show(text)}, not one line of text")
        else:
            texts[key] = text
    faults += find_place_faults(texts.get("subject", ""), f"{where}.subject", PLACES, alone=True)
    if texts.get("sender") and not is_address(texts["sender"]):
        faults.append(f"{where}.sender: {texts['sender']!r} is not a mail address")
    if texts.get("host") and not HOST.match(texts["host"]):
        faults.append(f"{where}.host: {show(texts['host'])} is no name or address of a server")
    tls = "" if given.get("tls") is None else given["tls"]
    if tls != "" and tls not in TLS:
        faults.append(f"{where}.tls: {show(tls)} is none{suggest(str(tls), TLS)}; known are {', '.join(TLS)}")
    port = None
    if given.get("port") is not None:
        port, wrong = read_count(given["port"], f"{where}.port")
        faults += wrong or ([f"{where}.port: {port} is no port"] if port is not None and port > MOST_PORT else [])
    alone = [key for key in ("port", "tls", "user", "ca_path") if given.get(key) and not texts.get("host")]
    faults += [f"{where}.{key}: it is of a server, and there is no host" for key in alone]
    return MailingList(to, port=port, tls=str(tls), **texts), faults
