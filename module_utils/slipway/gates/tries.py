# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is worth trying of what a release has still to do on servers of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parseaddr
from functools import partial
from typing import Any

from ..errors import SlipwayError
from ..escape import redacted
from ..git.remote import Annotation, Person
from ..openpgp.home import provide_environment
from ..openpgp.keys import find_signing_key
from ..publish.relay import Relay
from .access import try_branch, try_definitions, try_mail
from .preflight import Report

#: The options that say how an SMTP server is reached.
REACHED = ("host", "port", "tls", "user", "password", "ca_path")
Tries = dict[str, Callable[[], Report]]


def list_tries(wanted: Mapping[str, Any]) -> Tries:
    """Each try under a few words for it; ``wanted`` are the options of the module C(release_preflight).

    What a record says to be done, or what is there, is left out.
    """
    if not wanted["plan"] or not wanted["tag"]:
        return {}
    plan, done = wanted["plan"], wanted["records"]
    tries: Tries = {}
    if plan["definitions"] and not (plan["remote"]["branch_commit"] and plan["remote"]["tag_commit"]):
        url = redacted(plan["definitions"]["url"])
        words = f"a push of the branch {plan['branch']} and the tag {plan['tag']} to {url}"
        tries[words] = partial(_try_tag, plan, wanted["tag"])
    for each in wanted["repositories"] if "notes" not in done else []:
        if each["branch"]:
            words = f"a commit to {each['branch']} of the {each['name']} at {redacted(each['url'])}"
            tries[words] = partial(try_branch, each["url"], each["branch"], _make_annotation(plan, wanted["tag"]))
    # Of a public release each list that can be told is told, and the others are named then.
    for each in [] if {"publication", "announcement"} & {*done} else wanted["relays"]:
        reached: dict[str, Any] = {name: each[name] or None for name in REACHED}
        relay = Relay(**reached)
        sender, *recipients = [parseaddr(text)[1] for text in (each["sender"], *each["recipients"])]
        words = f"a mail from {sender} to {', '.join(recipients)} through {relay.address}, which is not sent"
        tries[words] = partial(try_mail, relay, sender=sender, recipients=recipients)
    return tries


def _try_tag(plan: Mapping[str, Any], tag: Mapping[str, Any]) -> Report:
    annotation = _make_annotation(plan, tag)
    if not tag["gnupghome"]:
        return try_definitions(plan, annotation)
    try:
        key = tag["signing_key"] or find_signing_key(tag["gnupghome"]).fingerprint
        with provide_environment(tag["gnupghome"]) as environment:
            return try_definitions(plan, replace(annotation, signing_key=key, environment=environment))
    except SlipwayError as error:
        return Report([str(error)])


def _make_annotation(plan: Mapping[str, Any], tag: Mapping[str, Any]) -> Annotation:
    return Annotation(f"{plan['project']} {plan['version']}\n", Person(tag["name"], tag["email"], plan["epoch"]))
