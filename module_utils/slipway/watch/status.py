# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a watch has done and refused: ``status.json``, which is also where the next look reads it, and the journal.

Times are in UTC, such as 2026-11-21T07:38:16Z.
"""

from __future__ import annotations

import calendar
import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..escape import escape_line, redacted
from ..files import write_atomic

WAITING, RUNNING, DONE, REFUSED, FAILED, GONE = "waiting", "running", "done", "refused", "failed", "gone"
FORMAT = 1
TIME = "%Y-%m-%dT%H:%M:%SZ"

Entry = dict[str, Any]


def format_time(seconds: float) -> str:
    """A time as the status has it."""
    return time.strftime(TIME, time.gmtime(seconds))


def parse_time(text: str) -> int:
    """The time that a status has, in seconds since 1970."""
    return calendar.timegm(time.strptime(text, TIME))


def describe(entry: Entry) -> str:
    """A tag in the journal."""
    return f"{entry['tag']} ({entry['stack']} {entry['version']} for {entry['distribution']})"


class Status:
    """The state of each tag, and what is in the way of looking; each change is on the disk before it is told."""

    def __init__(self, work: Path, *, clock: Callable[[], float] = time.time, tell: Callable[[str], None]) -> None:
        self._work = work
        self._clock = clock
        self._tell = tell
        self._known: Entry = {"format": FORMAT, "looked": "", "troubles": {}, "servers": {}, "stacks": {}, "tags": []}
        path = work / "status.json"
        if path.exists():
            self._known = _read(path, self._known)

    @property
    def tags(self) -> list[Entry]:
        """All entries, the oldest first."""
        tags: list[Entry] = self._known["tags"]
        return tags

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def find(self, distribution: str, stack: str, tag: str) -> Entry | None:
        """What is known of a tag."""
        wanted = (distribution, stack, tag)
        return next((each for each in self.tags if (each["distribution"], each["stack"], each["tag"]) == wanted), None)

    def put(self, entry: Entry, message: str) -> None:
        """Note a tag, in the place of what was known of it, and tell the journal."""
        old = self.find(entry["distribution"], entry["stack"], entry["tag"])
        self._known["tags"] = [*(each for each in self.tags if each is not old), entry]
        self.update(entry, message)

    def update(self, entry: Entry, message: str, **values: object) -> None:
        """Change what is known of a tag, and tell the journal."""
        entry.update(values)
        self.write()
        self._tell(escape_line(message))

    def write(self) -> None:
        """Write the status as it is now."""
        write_atomic(self._work / "status.json", json.dumps(self._known, indent=1).encode() + b"\n")

    def report_look(self) -> None:
        """Note that the servers were looked at."""
        self._known["looked"] = format_time(self.now())

    @contextlib.contextmanager
    def noting(self, subject: str) -> Iterator[None]:
        """Note what cannot be done about ``subject``, once as long as it stays the same; go on with the rest."""
        troubles: dict[str, str] = self._known["troubles"]
        try:
            yield
        except SlipwayError as error:
            sentence = escape_line(str(error))
            if troubles.get(subject) != sentence:
                troubles[subject] = sentence
                self._tell(sentence)
            return
        if troubles.pop(subject, None) is not None:
            self._tell(f"Works again: {escape_line(subject)}")

    def has_trouble(self, subject: str) -> bool:
        """Whether something is in the way of ``subject``."""
        return subject in self._known["troubles"]

    def forget_troubles(self, subjects: Collection[str]) -> None:
        """Keep the troubles with ``subjects``, and none with what is watched no more."""
        troubles = self._known["troubles"]
        self._known["troubles"] = {each: text for each, text in troubles.items() if each in subjects}

    def sort_by_look(self, servers: Collection[str]) -> list[str]:
        """Those first whose last look is longest ago, since the time for all may end before the last one's turn."""
        looked = self._known["servers"]
        return sorted(servers, key=lambda url: (looked.get(redacted(url), ""), url))

    def report_servers(self, watched: Collection[str], answered: Collection[str]) -> None:
        """Note which of the repositories answered now."""
        now, before = format_time(self.now()), self._known["servers"]
        self._known["servers"] = {
            redacted(url): now if url in answered else before.get(redacted(url), "") for url in sorted(watched)
        }

    def report_stacks(self, distribution: str, stacks: Mapping[str, str]) -> None:
        """Note which stacks a distribution has, and the repository of each."""
        self._known["stacks"][distribution] = {stack: redacted(url) for stack, url in stacks.items()}

    def find_sharing(self, distributions: Sequence[str], stack: str, url: str) -> tuple[str, ...]:
        """Those of the distributions that have a stack from this repository."""
        noted = self._known["stacks"]
        return tuple(name for name in distributions if noted.get(name, {}).get(stack) == redacted(url))

    def forget_tags(self, idle: Sequence[Entry], keep: int) -> None:
        """Keep ``keep`` of the entries that no look needs, the newest; the logs of the others go with them."""
        ordered = [entry for entry in self.tags if any(entry is each for each in idle)]
        dropped = ordered[: max(0, len(ordered) - keep)]
        for entry in dropped:
            if entry["log"]:
                Path(entry["log"]).unlink(missing_ok=True)
        self._known["tags"] = [entry for entry in self.tags if not any(entry is each for each in dropped)]


def _read(path: Path, empty: Entry) -> Entry:
    try:
        found: Entry = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']}")
        return {name: found[name] for name in empty}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SlipwayError(
            "read what was done, in",
            str(path),
            f"{type(error).__name__}: {error}",
            do_next="Nothing is released meanwhile, so that nothing is released twice. Repair it, or move it away.",
        ) from error
