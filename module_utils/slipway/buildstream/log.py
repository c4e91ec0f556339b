# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parses the output of BuildStream 2 while it builds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

#: A line in BuildStream's default message format.
MESSAGE = re.compile(
    r"\[[-\d:]{8}\]\[[^]]*\]\[\s*(?P<action>[\w ]+?):(?P<element>.+?)\s*\] (?P<kind>[A-Z]+)\s+(?P<text>.*)\Z"
)
#: A line of the pipeline that BuildStream lists before it begins, in its default element format.
LISTED = re.compile(
    r"\s*(?P<state>cached|failed|buildable|waiting|fetch needed|junction) (?P<key>[0-9a-f]{64}) (?P<element>\S+)\s*\Z"
)
#: The servers of one project, in the list of the projects; the kinds of servers that hold artifacts, not only files.
SERVERS = "    Artifact cache servers"
HOLDERS = ("all", "index")
#: What it says of the servers that keep artifacts.
PUSHED = re.compile(r"Pushed artifact \S+ -> (?P<url>\S+)|Remote \((?P<there>\S+)\) already has artifact ")
REMOTE_AWAY = re.compile(r"Failed to initialize remote (?P<url>\S+?): (?P<why>.*)")
REMOTE_LACKS = re.compile(r"Remote \((?P<url>\S+)\) does not have artifact ")
#: What becomes of its jobs on a farm, as the module follow tells it, and as BuildStream does.
REMOTE = re.compile(r"Remote job is (?P<stage>queued|executing|completed): *(?P<told>.*)")
KNOWN_ACTION = "Action result found in action cache"
#: What a job may do in silence for hours: other programs do it.
RUNS = ("Running commands", "Integrating sandbox")
TRANSFERS = ("fetch", "pull", "push", "track")
#: What BuildStream calls a whole session, in its first and its last message.
SESSIONS = ("Build", "Push")
SUMMARIES = ("Failure Summary", "Pipeline Summary")
LOG_FOLLOWS = re.compile(r"\s+Printing the last \d+ lines from log file:\s*\Z")


@dataclass(frozen=True)
class Event:
    """What happened to an element: ``action`` is fetch, pull, build or push; ``outcome`` started, done or failed.

    When the action is remote, the outcome is queued, executing, completed, or known when a farm had the result before;
    then ``reason`` has the properties that are wanted, or the worker.
    """

    element: str
    action: str
    outcome: str
    log: str
    reason: str = ""


@dataclass(frozen=True)
class Node:
    """An element as ``bst show`` knows it, with its direct dependencies."""

    element: str
    key: str
    state: str
    dependencies: tuple[str, ...]


class Log:
    """Reads the output of ``bst build`` line by line."""

    def __init__(self) -> None:
        self.version = ""
        self.listed: dict[str, Node] = {}
        self.failures: dict[str, Event] = {}
        #: The servers that have an element's artifact, and what is wrong with a server.
        self.pushed: dict[str, set[str]] = {}
        #: The elements whose artifacts could not be pushed to some server, which BuildStream takes for its own bug.
        self.unpushed: set[str] = set()
        self.remote_faults: dict[str, str] = {}
        #: The servers to which the project's artifacts go, out of all its configuration; None until they are listed.
        self.push_servers: list[str] | None = None
        #: The elements that are built on a farm, each with the last it told of them; failed when nothing more is told.
        self.remote: dict[str, str] = {}
        #: How the whole session ended: SUCCESS, FAILURE, or empty while it goes on.
        self.outcome = ""
        self._open: set[tuple[str, str, str]] = set()
        self._complaint: list[str] = []
        self._directory = ""
        self._listing = False
        self._projects = 0
        self._serving = False
        self._server = ""
        self._failing: tuple[str, str, str] | None = None
        self._log_follows = False

    def read(self, line: str) -> Event | None:
        """Parse one line; return the event that it reports, if any."""
        if self._log_follows:
            self._log_follows = False
            return self._note_failure(line.strip())
        message = MESSAGE.match(line)
        if message is not None:
            return self._read_message(**message.groupdict())
        if LOG_FOLLOWS.match(line):
            self._log_follows = self._failing is not None
        elif line in ("Pipeline", "=" * 79):
            self._listing = line == "Pipeline"
        elif self._listing:
            self._read_listed(line)
        elif line.startswith("Project: "):
            self._projects += 1
            self.push_servers = self.push_servers or []
        elif line in (SERVERS, ""):
            self._serving = line == SERVERS and self._projects == 1
        elif self._serving:
            self._read_server(line)
        elif line.startswith("    Log Files:"):
            self._directory = line.partition(":")[2].strip()
        elif line.startswith("BuildStream Version "):
            self.version = line.rpartition(" ")[2]
            self._complaint.clear()
        elif line.strip() and (not self.version or self._gave_up(line)):
            self._complaint.append(line.strip())
        return None

    @property
    def is_busy(self) -> bool:
        """Whether a command of an element runs, or a transfer: both may take hours in silence."""
        return any(action in TRANSFERS or text in RUNS for action, _element, text in self._open)

    def explain_end(self) -> str:
        """Why BuildStream did not begin or gave up, as one line; of a traceback only its end."""
        crashed = any(line.startswith("Traceback (") for line in self._complaint)
        return " ".join(self._complaint[-1:] if crashed else self._complaint)

    def _gave_up(self, line: str) -> bool:
        """Whether a line says why the session failed: behind its end, and not part of a summary."""
        return self.outcome == "FAILURE" and not line[0].isspace() and line not in SUMMARIES

    def _note_activity(self, action: str, element: str, kind: str, text: str) -> None:
        activity = (action, element, text)
        if kind == "START":
            self._open.add(activity)
        elif kind in ("SUCCESS", "FAILURE", "SKIPPED"):
            if action == "main" and text in SESSIONS:
                self.outcome = kind
            over = {activity} if activity in self._open else {each for each in self._open if each[:2] == activity[:2]}
            self._open -= over

    def _read_message(self, action: str, element: str, kind: str, text: str) -> Event | None:
        self._note_activity(action, element, kind, text)
        if away := REMOTE_AWAY.match(text):
            self.remote_faults[away["url"]] = shorten_fault(away["why"])
        if action == "push" and (pushed := PUSHED.match(text)):
            self.pushed.setdefault(element, set()).add(pushed["url"] or pushed["there"])
        if action == "main":
            return None
        if kind == "INFO" and (event := self._read_remote(element, text)) is not None:
            return event
        if kind in ("FAILURE", "ERROR", "BUG"):
            if action == "push":
                self.unpushed.add(element)
            self._failing = (element, action, text)
        elif kind in ("START", "SUCCESS") and text.endswith(".log") and f"-{action}." in text:
            if kind == "SUCCESS" and element in self.failures and self.failures[element].action == action:
                del self.failures[element]  # a later try went well; that a failed artifact was pushed is no such try
            return Event(element, action, "started" if kind == "START" else "done", os.path.join(self._directory, text))
        return None

    def _read_remote(self, element: str, text: str) -> Event | None:
        found = REMOTE.fullmatch(text)
        stage = found["stage"] if found is not None else "known" if text == KNOWN_ACTION else ""
        if not stage:
            return None
        self.remote[element] = stage
        return Event(element, "remote", stage, "", found["told"].strip() if found is not None else "")

    def _note_failure(self, log: str) -> Event | None:
        if self._failing is None or self._failing[0] in self.failures:
            return None  # the summary at the end repeats the failures
        element, action, reason = self._failing
        self._failing = None
        if element in self.remote and action == "build":
            self.remote[element] = "failed"
        self.failures[element] = Event(element, action, "failed", log, reason)
        return self.failures[element]

    def _read_listed(self, line: str) -> None:
        listed = LISTED.match(line)
        if listed is not None:
            self.listed[listed["element"]] = Node(listed["element"], listed["key"], listed["state"], ())

    def _read_server(self, line: str) -> None:
        words = line.split()
        if words[0] == "*":
            self._server = words[-1]
        elif self.push_servers is not None and words[:3] == ["push:", "True", "type:"] and words[3] in HOLDERS:
            self.push_servers.append(self._server)


def find_remote_faults(output: str) -> dict[str, str]:
    """Why each server did not provide an artifact, from the output of ``bst artifact``."""
    found: dict[str, str] = {}
    for message in filter(None, map(MESSAGE.match, output.splitlines())):
        if away := REMOTE_AWAY.match(message["text"]):
            found[away["url"]] = shorten_fault(away["why"])
        elif lacks := REMOTE_LACKS.match(message["text"]):
            found[lacks["url"]] = "it does not have it"
    return found


def shorten_fault(why: str) -> str:
    """The last part of a nested gRPC error."""
    return re.sub(r"^[A-Z_]+: (?:ipv[46]:\S+: )?", "", why.rpartition("last error: ")[2].strip()).rstrip(".")
