# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a mason publishes: its status as JSON, the same as a page, and whether a commit can be built according to it.

Addresses of logs are relative to the status. Times are in UTC, such as 2026-11-21T07:38:16Z.
"""

from __future__ import annotations

import calendar
import html
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

WAITING, BUILDING, PASSED, FAILED = "waiting", "building", "passed", "failed"
FORMAT = 1
TIME = "%Y-%m-%dT%H:%M:%SZ"
#: Of what a mason says, as much as belongs into a sentence.
MAX_TEXT = 200

Status = Mapping[str, Any]


def format_time(seconds: float) -> str:
    """A time as the status has it."""
    return time.strftime(TIME, time.gmtime(seconds))


def parse_time(text: object) -> int | None:
    """The time that a status has, in seconds since 1970."""
    try:
        return calendar.timegm(time.strptime(str(text), TIME))
    except (ValueError, OverflowError):
        return None


def render_page(status: Status) -> str:
    """The status as a page for people, without scripts."""
    builds = status["builds"]
    trouble = f'\n<p class="failed">{html.escape(status["trouble"])}</p>' if status["trouble"] else ""
    return PAGE.format(
        name=html.escape(status["name"]),
        definitions=html.escape(status["definitions"]),
        branch=html.escape(status["branch"]),
        commit=html.escape(status["commit"] or "nothing yet"),
        looked=html.escape(status["looked"] or "never"),
        written=html.escape(status["written"]),
        release=html.escape(status["tools"]["release"]),
        bst=html.escape(status["tools"]["bst"] or "not asked yet"),
        architectures=html.escape(", ".join(status["architectures"])),
        trouble=trouble,
        rows="\n".join(row for build in builds for row in _render_rows(build)),
    )


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="30">
<meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; color: #222; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .3em .8em; border-bottom: 1px solid #ccc; vertical-align: top }}
.failed {{ color: #a00; font-weight: bold }}
.passed {{ color: #060 }}
.building, .waiting {{ color: #740 }}
</style>
</head>
<body>
<h1>{name}</h1>
<p>Builds <code>{branch}</code> of <code>{definitions}</code> for {architectures} with the tools of {release}
(BuildStream {bst}). It is at <code>{commit}</code>; last looked {looked}, written {written}.</p>{trouble}
<table>
<thead><tr><th>Commit</th><th>System</th><th>Architecture</th><th>State</th><th>Started</th><th>Ended</th><th>Log</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
<p>The same for programs: <a href="status.json">status.json</a></p>
</body>
</html>
"""


def _render_rows(build: Status) -> list[str]:
    """The rows of one commit; the first names it."""
    commit = f"<code>{html.escape(build['commit'][:12])}</code><br>{html.escape(build['tools']['release'])}"
    systems = [(each["file"], each["architecture"], each) for each in build["systems"]]
    if build["trouble"] or not systems:
        systems.insert(0, ("", "", {**build, "message": build["trouble"], "log": ""}))
    rows = []
    for number, (file, architecture, each) in enumerate(systems):
        message = f"<br>{html.escape(each['message'])}" if each["message"] else ""
        log = f'<a href="{html.escape(each["log"])}">log</a>' if each["log"] else ""
        cells = [
            commit if number == 0 else "",
            html.escape(file),
            html.escape(architecture),
            None,
            html.escape(each["started"] or ""),
            html.escape(each["ended"] or ""),
            log,
        ]
        state = f'<td class="{html.escape(each["state"])}">{html.escape(each["state"])}{message}</td>'
        rows.append("<tr>" + "".join(state if cell is None else f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return rows


def find_faults(
    status: object,
    *,
    url: str,
    commit: str,
    systems: Sequence[Mapping[str, str]],
    previous: Collection[str],
    now: float,
    max_age: float,
) -> list[str]:
    """The objections of a mason's status to releasing ``commit``; none if it built all ``systems``.

    ``systems`` (each with ``file`` and ``architecture``) may be of other architectures too. ``previous`` are the names
    of the release whose tools the mason must have; empty if there is none. The status is not trusted to have any form.
    """
    mason = f"the mason at {url}"
    if not isinstance(status, Mapping) or status.get("format") != FORMAT:
        return [f"{mason} serves no status of a mason, or one of another format: check that the address is right"]
    written = parse_time(status.get("written"))
    if written is None or abs(now - written) > max_age:
        since = "at an unknown time" if written is None else f"at {format_time(written)}"
        return [
            f"the status of {mason} is stale: it was written {since}, not within {max_age:.0f} s of now: "
            "see that slipway-mason.timer runs there, and compare the clocks"
        ]
    wanted = [each for each in systems if each["architecture"] in _select_texts(status.get("architectures"))]
    build = next((each for each in _select_mappings(status.get("builds")) if each.get("commit") == commit), None)
    if build is None:
        trouble = _shorten_text(status.get("trouble"))
        return [
            f"{mason} has not tried {commit}: it is at {_shorten_text(status.get('commit')) or 'nothing yet'} of "
            f"{_shorten_text(status.get('branch'))}; "
            + (
                f"it says: {trouble}"
                if trouble
                else "wait for it, or configure it to build the branch that is released"
            )
        ] * bool(wanted)
    tools = build.get("tools")
    release = _shorten_text(tools.get("release")) if isinstance(tools, Mapping) else ""
    if previous and release not in previous:
        return [
            f"{mason} built {commit} with the tools of {release or 'an unknown release'}, and the previous release is "
            f"{sorted(previous)[-1]}: provision the mason with the tools of that one"
        ] * bool(wanted)
    found = [_find_fault(build, each, mason=mason, url=url, commit=commit, release=release) for each in wanted]
    return [each for each in found if each is not None]


def covers(status: object, architecture: str) -> bool:
    """Whether the mason of this status builds for the architecture."""
    return isinstance(status, Mapping) and architecture in _select_texts(status.get("architectures"))


def _find_fault(
    build: Status, system: Mapping[str, str], *, mason: str, url: str, commit: str, release: str
) -> str | None:
    key = system["file"], system["architecture"]
    published = next(
        (
            each
            for each in _select_mappings(build.get("systems"))
            if (each.get("file"), each.get("architecture")) == key
        ),
        None,
    )
    what = f"{key[0]} ({key[1]})"
    state = (build if published is None else published).get("state")
    if published is None and state != PASSED:
        trouble = _shorten_text(build.get("trouble"))
        return f"{mason} could not build {what} of {commit}" + (f": {trouble}" if trouble else "")
    if published is None:
        return f"{mason} did not build {what} of {commit}: see that it builds the cluster that is released"
    if state == PASSED:
        return None
    if state in (WAITING, BUILDING):
        return f"{mason} is not done with {what} of {commit}: wait until it is, and run again"
    reason = _shorten_text(published.get("message")) or "it failed"
    log = f"; its log is {urljoin(url, _shorten_text(published.get('log')))}" if published.get("log") else ""
    return f"the tools of {release} did not build {what} of {commit} on {mason}: {reason}{log}"


def _select_mappings(value: object) -> list[Status]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _select_texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _shorten_text(value: object) -> str:
    """A text out of a status, as one printable line that is not too long."""
    if not isinstance(value, str):
        return ""
    line = " ".join("".join(each if each.isprintable() else " " for each in value).split())
    return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}..."
