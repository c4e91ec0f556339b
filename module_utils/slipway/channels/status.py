# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a watch found, and since when: ``status.json``, where the next round reads it, a page, and the journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..escape import escape_html, escape_line
from ..files import read_regular
from ..statuspage import publish_status, render_cell, render_page, render_state, render_time_cell
from ..trust.moments import format_moment
from ..verify.finding import Finding

FORMAT = 1
OK, WRONG, BEHIND, UNREACHABLE, READING, TROUBLE = "ok", "wrong", "behind", "unreachable", "reading", "trouble"
#: How the page shows each, by the classes that it has for states.
CLASSES = {OK: "ok", WRONG: "failed", BEHIND: "waiting", UNREACHABLE: "blocked", READING: "running", TROUBLE: "failed"}
#: So many findings of a channel are kept one by one, and so many lines of each sort are told in a round.
MOST_FINDINGS, MOST_TOLD = 200, 10
#: What others follow from is told first.
CAUSES = ("key", "clock", "rollback", "frozen", "signature", "sums", "unreachable")

Entry = dict[str, Any]


class Status:
    """The state of each channel. What is new, or over, is told."""

    def __init__(self, work: Path, *, clock: Callable[[], float] = time.time, tell: Callable[[str], None]) -> None:
        self._work, self._clock, self._tell = work, clock, tell
        self.channels: dict[str, Entry] = _read(work / "status.json")

    def report(self, name: str, described: Mapping[str, Any], findings: Sequence[Finding]) -> None:
        """Put down what a round found of a channel; what was found before keeps its time."""
        before, now = self.channels.get(name, {}), format_moment(self._clock())
        since = {_identify(entry): str(entry["since"]) for entry in before.get("findings", [])}
        entries, new = [], []
        for finding in sorted(findings)[:MOST_FINDINGS]:
            entry = {**finding.as_dict(), "since": now}
            if _identify(entry) in since:
                entry["since"] = since[_identify(entry)]
            else:
                new.append(finding)
            entries.append(entry)
        state = _choose_state(described, findings)
        if state in (WRONG, BEHIND, UNREACHABLE) and state != before.get("state"):
            self._tell(f"{name} is {state}, which was right {_describe_last(before)}")
        new.sort(key=lambda finding: finding.kind not in CAUSES)
        self._tell_some([f"{name}: {finding.describe()}" for finding in new], f"{name}: {{}} more findings are")
        if not described["trouble"] and not described["unread"]:
            over = {subject: f"{name}: {subject} is right again" for _kind, subject, _expected in since}
            for entry in entries:
                over.pop(entry["subject"], None)
            self._tell_some(list(over.values()), f"{name}: {{}} more that are right again were")
        if described["trouble"] and described["trouble"] != before.get("trouble"):
            self._tell(f"{name}: {described['trouble']}")
        if state == OK and before.get("state") not in (OK, None):
            self._tell(f"{name} is right, after it was {before['state']} since {before['since']}")
        for sentence in described["soon"]:
            if sentence not in before.get("soon", []):
                self._tell(f"{name}: {sentence}")
        self.channels[name] = {
            **described,
            "state": state,
            "since": before.get("since", now) if before.get("state") == state else now,
            "checked": now,
            "right": now if state == OK else before.get("right"),
            "findings": entries,
            "more": max(0, len(findings) - MOST_FINDINGS),
        }

    def _tell_some(self, lines: Sequence[str], more: str) -> None:
        for line in lines[:MOST_TOLD]:
            self._tell(line)
        if len(lines) > MOST_TOLD:
            self._tell(f"{more.format(len(lines) - MOST_TOLD)} in status.json")

    def forget(self, kept: Collection[str]) -> None:
        """Keep nothing of channels that are watched no more."""
        self.channels = {name: entry for name, entry in self.channels.items() if name in kept}

    def write(self, title: str) -> None:
        """Write ``status.json`` and the page."""
        status = {"format": FORMAT, "looked": format_moment(self._clock()), "channels": self.channels}
        publish_status(self._work, status, _render(title, self.channels, status["looked"]))


def _describe_last(before: Mapping[str, Any]) -> str:
    right = before.get("right")
    return f"last at {right}" if right else "in no round yet"


def _identify(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """The same finding in another round: what is seen instead may change."""
    return str(entry["kind"]), str(entry["subject"]), str(entry["expected"])


def _choose_state(described: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    kinds = {finding.kind for finding in findings}
    if described["trouble"]:
        return TROUBLE
    if kinds - {BEHIND, "unreachable"}:
        return WRONG
    if "unreachable" in kinds:
        return UNREACHABLE
    if BEHIND in kinds:
        return BEHIND
    return READING if described["unread"] else OK


def _read(path: Path) -> dict[str, Entry]:
    """What the last round found; of what cannot be read, nothing."""
    try:
        found = json.loads(read_regular(path))
        channels = found["channels"] if found["format"] == FORMAT else {}
        for entry in channels.values():
            for finding in entry["findings"]:
                _identify(finding)
        return dict(channels)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _render(title: str, channels: Mapping[str, Entry], looked: object) -> str:
    columns = ("Channel", "State", "Since", "Release", "To be believed until", "Last right", "What is wrong")
    return render_page(
        title,
        intro=f"<p>Looked at {escape_html(str(looked))}.</p>",
        trouble=[f"{name}: {entry['trouble']}" for name, entry in sorted(channels.items()) if entry["trouble"]],
        columns=columns,
        rows=[_render_row(name, entry) for name, entry in sorted(channels.items())],
    )


def _render_row(name: str, entry: Entry) -> list[str]:
    latest = entry.get("latest") or {}
    said = "; ".join(entry["soon"])
    if entry["unread"]:
        said = f"{entry['unread']} files are not read yet"
    state = render_state(CLASSES[entry["state"]], said).replace(f">{CLASSES[entry['state']]}", f">{entry['state']}", 1)
    found = "".join(f"<li>{escape_html(_tell_finding(finding))}</li>" for finding in entry["findings"][:20])
    return [
        f'<th scope="row"><a href="{escape_html(entry["url"])}">{escape_html(name)}</a></th>',
        state,
        render_time_cell(entry["since"]),
        render_cell(latest.get("version")),
        render_time_cell(latest.get("believe_until")),
        render_time_cell(entry.get("right")),
        f'<td><ul class="files">{found}</ul></td>' if found else "<td></td>",
    ]


def _tell_finding(finding: Mapping[str, Any]) -> str:
    return escape_line(
        f"{finding['kind']}: {finding['subject']}: expected {finding['expected']}, found {finding['seen']}, "
        f"since {finding['since']}"
    )
