# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases for programs: a list of all of them in JSON, and the newest ones as a feed in Atom's format, RFC 4287.

Both are made of what :func:`releases.describe_site` found; all addresses are relative to where they are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..errors import count_of
from ..escape import escape_xml
from ..release.tombstone import format_moment
from .releases import KEY, LATEST, name_notes

LISTING, FEED = "releases.json", "releases.atom"
GENERATOR = "Slipway release_index"
FORMAT = 1
#: How many releases the feed has; readers keep what they have seen.
MOST_ENTRIES = 50
TEXT = """\
<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<title>{title}</title>
<id>{id}</id>
<updated>{updated}</updated>
<generator>{generator}</generator>
<author><name>{project}</name></author>
<link rel="self" type="application/atom+xml" href="{feed}"/>
<link rel="alternate" type="text/html" href="index.html"/>
{entries}</feed>
"""
ENTRY = """\
<entry>
<title>{title}</title>
<id>{id}</id>
<published>{time}</published>
<updated>{updated}</updated>
<link rel="alternate" type="text/html" href="{page}"/>
<summary>{summary}</summary>
</entry>
"""
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:slipway:releases")


def render_listing(site: Mapping[str, Any]) -> str:
    """``releases.json``, as docs/public.md describes it; each release on a line of its own."""
    releases = ",\n".join(json.dumps(_list_release(release), ensure_ascii=False) for release in site["releases"])
    head = {
        "format": FORMAT,
        "generator": GENERATOR,
        "project": site["project"],
        "title": site["title"],
        "current": next((release["version"] for release in site["releases"] if release["current"]), None),
        "products": [
            {name: product[name] for name in ("name", "title", "version", "label", "date", "supported_until")}
            for product in site["products"]
        ],
        "latest": {"url": LATEST} if site.get("latest") else None,
        "key": {"url": KEY, "fingerprints": [key["fingerprint"] for key in site["keys"]]} if site["keys"] else None,
    }
    return f'{json.dumps(head, indent=1, ensure_ascii=False)[:-2]},\n "releases": [\n{releases}\n]\n}}\n'


def render_feed(site: Mapping[str, Any]) -> str:
    """``releases.atom``; a release without a date, since it is not signed, is not in it."""
    project, dated = site["project"], [release for release in site["releases"] if release["time"]]
    return TEXT.format(
        title=escape_xml(site["title"]),
        id=_make_id(project),
        updated=max((_find_update(release) for release in dated), default=format_moment(0)),
        generator=GENERATOR,
        project=escape_xml(project),
        feed=FEED,
        entries="".join(_render_entry(project, release) for release in dated[:MOST_ENTRIES]),
    )


def _list_release(release: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": release["version"],
        "label": release["label"],
        "date": release["time"],
        "supported_until": release["supported_until"],
        "products": release["products"],
        "url": f"{quote(release['label'])}/",
        "page": quote(release["page"]),
        "notes": quote(name_notes(release["label"])) if release["notes"] is not None else None,
        "notes_url": release["notes_url"],
        "inputs": release["inputs"],
        "signed_by": release["key"]["fingerprint"] if release["key"] else None,
        "withdrawn": _list_withdrawal(release["withdrawn"]),
        "commit": next((fact["value"] for fact in release["facts"] if fact["name"] == "commit"), None),
        "size": release["size"],
        "files": [
            {
                **{name: file[name] for name in ("name", "url", "size", "sha256", "system", "architecture", "type")},
                "product": file["product"],
            }
            for file in release["files"]
        ],
    }


def _list_withdrawal(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "date": found["time"],
        "by": found["by"],
        "reason": found["reason"],
        "files": found["files"],
        "url": found["url"],
        "signature_url": found["signature_url"],
    }


def _find_update(release: Mapping[str, Any]) -> str:
    """When there was something new of a release: readers of feeds show what was updated."""
    withdrawn = release["withdrawn"]
    return str(max(release["time"], withdrawn["time"]) if withdrawn else release["time"])


def _render_entry(project: str, release: Mapping[str, Any]) -> str:
    return ENTRY.format(
        title=escape_xml(f"{project} {release['version']}{' (withdrawn)' if release['withdrawn'] else ''}"),
        id=_make_id(project, release["label"]),
        time=release["time"],
        updated=_find_update(release),
        page=escape_xml(quote(release["page"])),
        summary=escape_xml(_summarise(release)),
    )


def _summarise(release: Mapping[str, Any]) -> str:
    if withdrawn := release["withdrawn"]:
        return f"Withdrawn on {withdrawn['date']} by {withdrawn['by']}: {withdrawn['reason']}"
    architectures: Sequence[str] = release["architectures"]
    parts = [count_of(release["count"], "file"), release["size_text"]]
    parts += [f"for {', '.join(architectures)}"] if architectures else []
    until = f" It is supported until {release['supported_until']}." if release["supported_until"] else ""
    signed = f" It is signed by the key {release['key']['fingerprint']}." if release["key"] else ""
    return f"{', '.join(parts)}.{until}{signed}"


def _make_id(*words: str) -> str:
    """The same for the same release, wherever and whenever the feed is made."""
    return uuid.uuid5(_SPACE, "\n".join(words)).urn
