# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a mason publishes: its status as JSON, the same as a page, and whether a commit can be built according to it.

Addresses of logs are relative to the status. Times are in UTC, such as 2026-11-21T07:38:16Z.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

from .. import statuspage
from ..escape import escape_html, redacted
from ..statuspage import render_cell, render_state, render_time_cell

WAITING, BUILDING, PASSED, FAILED, SKIPPED = "waiting", "building", "passed", "failed", "skipped"
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


INTRO = """\
<p>Builds <code>{branch}</code> of <code>{definitions}</code> for {architectures} with the tools of {release}
({tool} {version}). It is at <code>{commit}</code>;
last looked <span class="nowrap">{looked}</span>, written <span class="nowrap">{written}</span>.</p>"""
TOOLS = {"bst": "BuildStream", "morph": "Morph"}
COLUMNS = ("State", "System", "Architecture", "Started", "Ended", "Log", "Commit")


def render_page(status: Status) -> str:
    """The status as a page for people."""
    tool = "morph" if "morph" in status["tools"] else "bst"
    shown = {
        **{name: status[name] for name in ("branch", "definitions", "written")},
        "architectures": ", ".join(status["architectures"]),
        "release": status["tools"]["release"],
        "tool": TOOLS[tool],
        "version": status["tools"][tool] or "not asked yet",
        "commit": status["commit"] or "nothing yet",
        "looked": status["looked"] or "never",
    }
    return statuspage.render_page(
        status["name"],
        intro=INTRO.format(**{name: escape_html(text) for name, text in shown.items()}),
        trouble=[status["trouble"]] if status["trouble"] else [],
        columns=COLUMNS,
        rows=(cells for build in status["builds"] for cells in _render_rows(build)),
    )


def _render_rows(build: Status) -> Iterator[list[str]]:
    """The cells of each row of one commit, the state first."""
    commit = f"<td><code>{escape_html(build['commit'][:12])}</code> {escape_html(build['tools']['release'])}</td>"
    systems = list(build["systems"])
    if build["trouble"] or not systems:
        systems.insert(0, {**build, "file": "", "architecture": "", "message": build["trouble"], "log": ""})
    systems += [{**step, "file": step["name"], "architecture": ""} for step in build.get("steps", ())]
    for each in systems:
        log = f'<a href="{escape_html(each["log"])}">log</a>' if each["log"] else ""
        yield [
            render_state(each["state"], each["message"]),
            render_cell(each["file"]),
            render_cell(each["architecture"]),
            render_time_cell(each["started"]),
            render_time_cell(each["ended"]),
            f"<td>{log}</td>",
            commit,
        ]


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
    mason = f"the mason at {redacted(url)}"
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
    return [each for each in found if each is not None] or _find_step_faults(build, mason=mason, url=url, commit=commit)


def _find_step_faults(build: Status, *, mason: str, url: str, commit: str) -> list[str]:
    """What a mason did not pass of what it does with built systems, such as trying them."""
    found = []
    for step in _select_mappings(build.get("steps")):
        name, state = _shorten_text(step.get("name")), step.get("state")
        if state in (WAITING, BUILDING):
            found.append(f"{mason} is not done with the step {name} of {commit}: wait until it is, and run again")
        elif state not in (PASSED, SKIPPED):
            log = f"; its log is {urljoin(url, _shorten_text(step.get('log')))}" if step.get("log") else ""
            reason = _shorten_text(step.get("message")) or "it failed"
            found.append(f"{commit} did not pass the step {name} on {mason}: {reason}{log}")
    return found


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
