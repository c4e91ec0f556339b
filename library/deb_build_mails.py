#!/usr/bin/python

# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: deb_build_mails
short_description: Mail each contact when a build fails, and when it recovers, once
version_added: "0.1.0"
author: The Slipway developers (@slipway)
description:
  - One mail for each contact for whom there is news. A build that fails in the same version at the same step as before
    is none. The first build that ends well after a failure that was told of is.
  - What was told is kept in C(mails.json) in O(directory). The mails that tell it are written there in the same moment,
    and then sent, so that a run that is killed does not tell a failure twice, nor never.
  - Mails are sent as M(slipway.release.announcement_mail) sends them. One that cannot be sent holds up no other, and
    the next run tries it again, as long as its recipient is a contact.
extends_documentation_fragment:
  - slipway.release.mail
  - slipway.release.connection.https
  - slipway.release.attributes
options:
  distribution:
    description: The distribution.
    type: str
    required: true
  directory:
    description: The directory in which M(slipway.release.deb_builds) keeps logs and results.
    type: path
    required: true
  results:
    description: The RV(slipway.release.deb_builds#module:results) of builds.
    type: list
    elements: dict
    required: true
  contact:
    description: Whose the distribution is. Empty means nobody, who gets no mail.
    type: str
    default: ""
  contacts:
    description: Who hears of a stack or a source instead, by its name.
    type: dict
    default: {}
  public:
    description:
      - What clients read of the archive. With it the maintainers whom its source packages name hear of them, unless
        O(contacts) names somebody. They may be people who know nothing of this archive.
    type: path
  component:
    description: Its component.
    type: str
    default: main
  url:
    description: The address of the page of excuses, without the page's name. Mails lead there, and to the logs there.
    type: str
    default: ""
attributes:
  check_mode:
    details: Composes the mails, and says to whom they would be sent.
  diff_mode:
    details: Shows the mails.
"""

EXAMPLES = r"""
- name: Mail whose builds failed
  slipway.release.deb_build_mails:
    distribution: cturtle
    directory: /srv/apt/builds/cturtle
    results: "{{ builds.results }}"
    contact: release@example.org
    contacts: {navigation: navigation@example.org}
    url: https://packages.example.org/excuses/cturtle
    host: mail.example.org
    sender: Builds <builds@example.org>
"""

RETURN = r"""
mails:
  description: What was sent, or would be, each with C(recipient), C(subject) and C(body).
  returned: success
  type: list
  elements: dict
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..module_utils.slipway.distro.excuses_builds import make_link, name_logs
from ..module_utils.slipway.errors import require_fields
from ..module_utils.slipway.farm.mails import (
    Contacts,
    Mail,
    find_address,
    read_maintainers,
    read_told,
    send_outbox,
    tell_news,
)
from ..module_utils.slipway.files import make_directory, read_regular
from ..module_utils.slipway.locks import hold_flock
from ..module_utils.slipway.module.options import CONNECTION_HTTPS, MAIL
from ..module_utils.slipway.module.report import run_module
from ..module_utils.slipway.publish.announcement import compose_mail
from ..module_utils.slipway.publish.delivery import deliver

#: Where it is kept what an SMTP server answered.
JOURNALS = "mails"
FIELDS = ("source", "version", "platform", "architecture", "state")


def main() -> None:
    run_module(
        act,
        {
            **CONNECTION_HTTPS,
            **MAIL,
            "distribution": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "results": {"type": "list", "elements": "dict", "required": True},
            "contact": {"type": "str", "default": ""},
            "contacts": {"type": "dict", "default": {}},
            "public": {"type": "path"},
            "component": {"type": "str", "default": "main"},
            "url": {"type": "str", "default": ""},
        },
        required_one_of=[("maildir", "host")],
        mutually_exclusive=[("maildir", "host"), ("again", "arrived")],
        required_by={"password": ["user"]},
    )


def act(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    on, directory, url = options["distribution"], Path(options["directory"]), options["url"].rstrip("/")
    do_next = "Give what deb_builds returned."
    require_fields(options["results"], FIELDS, attempted="mail whose builds failed in", on=on, do_next=do_next)
    results = [{**row, "at": int(row.get("at") or 0)} for row in options["results"]]

    def locate(log: str) -> str:
        names = name_logs(directory, [log]) if url and log.startswith(f"{directory}/") else {}
        return f"{url}/{make_link(names[log])}" if log in names else log

    with _hold(directory, write=write):
        path = directory / "mails.json"
        told = tell_news(read_told(path, on), results, make_contacts(options, results), url=url, locate=locate)
        if write and told.outbox:
            send_outbox(told, path, lambda mail: send(options, mail, write=True))
            shutil.rmtree(directory / JOURNALS, ignore_errors=True)  # all is sent, and on record
        elif not write:
            for mail in told.outbox:
                send(options, mail, write=False)
    mails = [{"recipient": mail.recipient, "subject": mail.subject, "body": mail.body} for mail in told.outbox]
    texts = "\n".join(f"To: {mail.recipient}\nSubject: {mail.subject}\n\n{mail.body}" for mail in told.outbox)
    return {"changed": bool(mails), "mails": mails, **({"diff": {"before": "", "after": texts}} if mails else {})}


@contextlib.contextmanager
def _hold(directory: Path, *, write: bool) -> Iterator[None]:
    """Two runs do not mail at once."""
    if not write:
        yield
        return
    make_directory(directory)
    with hold_flock(directory / ".mails.lock", attempt="mail from", on=str(directory), timeout=600):
        yield


def make_contacts(options: Mapping[str, Any], results: list[dict[str, Any]]) -> Contacts:
    maintainers: dict[str, str] = {}
    if options["public"] is not None:
        for platform in sorted({row["platform"] for row in results}):
            index = Path(options["public"]) / "dists" / platform / options["component"] / "source" / "Sources"
            with contextlib.suppress(FileNotFoundError):
                maintainers |= read_maintainers(read_regular(index).decode("utf-8", "replace"))
    named = {str(name): str(contact) for name, contact in options["contacts"].items()}
    return Contacts(named, maintainers, options["contact"])


def send(options: Mapping[str, Any], mail: Mail, *, write: bool) -> None:
    domain = find_address(options["sender"]).rpartition("@")[2] or "localhost"
    composed = compose_mail(
        sender=options["sender"],
        recipients=[mail.recipient],
        subject=mail.subject,
        body=mail.body,
        message_id=f"<{mail.name}.builds@{domain}>",
        date=mail.date,
    )
    journal = Path(options["directory"]) / JOURNALS / f"{mail.name}.json"
    deliver(options, composed, journal=journal, write=write)


if __name__ == "__main__":
    main()
