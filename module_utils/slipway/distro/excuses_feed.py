# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The feed of the excuses: the newest results of builds in Atom's format, RFC 4287."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..escape import escape_xml

#: How many results it has; readers keep what they have seen.
MOST_ENTRIES = 100
FEED = """\
<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"{base}>
<title>Builds of {distribution}</title>
<id>{id}</id>
<updated>{updated}</updated>
<author><name>Slipway</name></author>
<link rel="self" type="application/atom+xml" href="excuses.atom"/>
<link rel="alternate" type="text/html" href="excuses.html"/>
{entries}</feed>
"""
ENTRY = """\
<entry>
<title>{title}</title>
<id>{id}</id>
<updated>{updated}</updated>
<category term="{state}"/>
<link rel="alternate" href="{link}"/>
<summary>{summary}</summary>
</entry>
"""
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:slipway:excuses")


def render_feed(excuses: Mapping[str, Any], *, url: str = "") -> str:
    """The feed of what :func:`excuses.build_excuses` made; ``url`` is the address of the directory that it is in."""
    builds = [build for build in excuses["builds"] if build["ended"] is not None][:MOST_ENTRIES]
    return FEED.format(
        base=f' xml:base="{_show(url.rstrip("/"))}/"' if url else "",
        distribution=_show(excuses["distribution"]),
        id=_make_id(excuses["distribution"]),
        updated=_format_moment(builds[0]["ended"] if builds else 0),
        entries="".join(_render_entry(excuses["distribution"], build) for build in builds),
    )


def _render_entry(distribution: str, build: Mapping[str, Any]) -> str:
    became = {"ok": "is built", "failed": "failed", "running": "is being built"}[build["state"]]
    named = [build[name] for name in ("stack", "version", "place", "state", "ended")]
    took = sum(build["seconds"].values())
    where = f" on {build['host']}" if build["host"] else ""
    return ENTRY.format(
        title=_show(f"{build['stack']} {build['version']} {became} for {build['place']}"),
        id=_make_id(distribution, *named),
        updated=_format_moment(build["ended"]),
        state=build["state"],
        link=_show(build["link"] or "excuses.html#builds"),
        summary=_show(build["reason"] or f"It took {took:.0f} s{where}."),
    )


def _make_id(*words: object) -> str:
    """The same for the same result in all runs."""
    name = "\n".join(map(str, words)).encode("utf-8", "backslashreplace").decode()
    return uuid.uuid5(_SPACE, name).urn


def _format_moment(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _show(text: object) -> str:
    return escape_xml(str(text))
