# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A mason: builds the head of the definitions with the tools of one release, continuously, and publishes the result.

Each call of :func:`build_head` is one look at the branch. What was tried stands in the published status, which is also
where the next look reads it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..buildstream.build import build_all
from ..buildstream.command import Build, Project
from ..buildstream.log import Event
from ..buildstream.session import BuildError, Fault
from ..errors import SlipwayError
from ..escape import redacted
from ..git.checkout import check_out
from ..git.remote import list_remote_refs
from ..locks import hold_flock
from ..plan.systems import list_systems_at
from ..process import run
from ..statuspage import publish_status
from .morph import Morph, build_with_morph
from .status import BUILDING, FAILED, FORMAT, PASSED, SKIPPED, WAITING, format_time, parse_time, render_page

#: What may succeed later, since it depends on other machines.
RETRIED_ACTIONS = frozenset({"fetch", "pull", "push", "track"})
#: How a step of a site's own, and the program as a whole, say that there was nothing to do, or no network.
NOTHING_CHANGED, NO_NETWORK = 33, 42
LOG_DIRECTORY = re.compile(r"[0-9a-f]{12}-[0-9]{8}T[0-9]{6}Z\Z")

Entry = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a mason builds, with what, and where it publishes that; times are in seconds."""

    name: str
    definitions: str
    branch: str
    cluster: str
    architectures: tuple[str, ...]
    release: str
    bst: str
    config: Path
    work: Path
    public: Path
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    keep: int = 20
    interval: float = 60.0
    retry: float = 600.0
    git_timeout: float = 300.0
    build_timeout: float = 86400.0
    builder: str = "buildstream"
    morph: Morph = field(default_factory=Morph)
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        """What the build tool is called in the status."""
        return "bst" if self.builder == "buildstream" else self.builder


def read_settings(path: Path) -> Settings:
    """The settings that the provisioning wrote as JSON."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        paths = {name: Path(found[name]) for name in ("config", "work", "public")}
        morph = {**found.pop("morph", {})}
        if "command" in morph:
            morph["command"] = tuple(morph["command"])
        steps = {name: tuple(words) for name, words in found.pop("steps", {}).items() if words}
        lists = {"architectures": tuple(found["architectures"]), "steps": steps, "morph": Morph(**morph)}
        return Settings(**{**found, **paths, **lists})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SlipwayError(
            "read the settings", str(path), f"{type(error).__name__}: {error}", do_next="Provision this host again."
        ) from error


def build_head(
    settings: Settings,
    *,
    build: Callable[..., object] | None = None,
    clock: Callable[[], float] = time.time,
) -> Entry | None:
    """Read the branch once, and build its head if that is due; return its entry, or ``None``.

    A Trove that does not answer is reported on the status page, and is not a failure of the mason.
    """
    with hold_flock(settings.work / "lock", attempt="work as a mason in", on=str(settings.work), timeout=5):
        status = StatusPublisher(settings, clock)
        try:
            commit = _find_head(settings)
        except SlipwayError as error:
            status.report_trouble(str(error))
            return None
        status.report_head(commit)
        if not is_due(status.find_entry(commit), release=settings.release, retry=settings.retry, now=clock()):
            return None
        entry = status.begin_build(commit)
        with status.heartbeat():
            _build_commit(settings, status, entry, build)
        return entry


def find_exit_status(settings: Settings, entry: Entry | None) -> int:
    """The status with which the scripts of Baserock's masons ended: 0, 33 nothing changed, 42 no network, 1 failed."""
    if entry is None:
        try:
            trouble = json.loads((settings.public / "status.json").read_text(encoding="utf-8"))["trouble"]
        except (OSError, ValueError, TypeError, KeyError):
            return 1
        return NO_NETWORK if trouble else NOTHING_CHANGED
    if entry["state"] == PASSED:
        return 0
    return NO_NETWORK if entry["retry"] else 1


def is_due(entry: Mapping[str, Any] | None, *, release: str, retry: float, now: float) -> bool:
    """Whether to build a commit: it is new, was tried with other tools, was interrupted, or may go well now."""
    if entry is None or entry["tools"]["release"] != release or not entry["ended"]:
        return True
    ended = parse_time(entry["ended"])
    return bool(entry["retry"]) and (ended is None or not 0 <= now - ended < retry)


class StatusPublisher:
    """The status and the logs in the directory that the web server serves; each change is written at once."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.RLock()
        self._status: Entry = {
            "format": FORMAT,
            "name": settings.name,
            "definitions": redacted(settings.definitions),
            "branch": settings.branch,
            "cluster": settings.cluster,
            "architectures": list(settings.architectures),
            "tools": {"release": settings.release, settings.tool: ""},
            "commit": "",
            "looked": "",
            "written": "",
            "trouble": "",
            "builds": [],
        }
        self._take_earlier(settings.public / "status.json")

    def now(self) -> str:
        """The time, as the status has it."""
        return format_time(self._clock())

    def find_entry(self, commit: str) -> Entry | None:
        """What became of a commit the last time."""
        return next((entry for entry in self._status["builds"] if entry["commit"] == commit), None)

    def report_trouble(self, sentence: str) -> None:
        """Publish what prevents the mason from reading the branch."""
        self.update(self._status, trouble=sentence)

    def report_head(self, commit: str) -> None:
        """Publish the head of the branch and when it was read."""
        self.update(self._status, commit=commit, looked=self.now(), trouble="")

    def begin_build(self, commit: str) -> Entry:
        """A new try at a commit, in the place of an earlier one; the oldest tries and logs are forgotten."""
        now = self._clock()
        entry: Entry = {
            "commit": commit,
            "state": WAITING,
            "started": format_time(now),
            "ended": None,
            "tools": {"release": self._settings.release, self._settings.tool: ""},
            "logs": f"logs/{commit[:12]}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}/",
            "retry": False,
            "trouble": "",
            "systems": [],
            **({"steps": []} if self._settings.steps else {}),
        }
        with self._lock:
            others = [each for each in self._status["builds"] if each["commit"] != commit]
            builds = [entry, *others][: self._settings.keep]
            self.update(self._status, builds=builds)
            self._remove_old_logs({each["logs"] for each in builds})
        return entry

    def set_tools(self, entry: Entry, version: str) -> None:
        """Publish the version of the build tool."""
        for part in (self._status["tools"], entry["tools"]):
            self.update(part, **{self._settings.tool: version})

    def update(self, part: Entry, **values: object) -> None:
        """Change a part of the status, and publish it."""
        with self._lock:
            part.update(values)
            self.write()

    def write(self) -> None:
        """Publish the status as it is now."""
        with self._lock:
            self._status["written"] = self.now()
            publish_status(self._settings.public, self._status, render_page(self._status))

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Publish regularly during a build, so that a long build does not look like a dead mason."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self._settings.interval):
                self.write()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _take_earlier(self, path: Path) -> None:
        """Go on from what an earlier look published, unless that was none of ours."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] == FORMAT:
                earlier = {name: found[name] for name in ("commit", "looked", "builds")}
                self._status["tools"][self._settings.tool] = found["tools"].get(self._settings.tool, "")
                self._status |= earlier
        except (OSError, ValueError, TypeError, KeyError):
            pass  # the first look, or another version of ours

    def _remove_old_logs(self, kept: set[str]) -> None:
        logs = self._settings.public / "logs"
        for directory in logs.iterdir() if logs.is_dir() else ():
            if LOG_DIRECTORY.match(directory.name) and f"logs/{directory.name}/" not in kept:
                shutil.rmtree(directory, ignore_errors=True)


def _find_head(settings: Settings) -> str:
    ref = f"refs/heads/{settings.branch}"
    refs = list_remote_refs(settings.definitions, ref, attempt="look at the definitions at")
    if ref not in refs:
        raise SlipwayError(
            "look at the definitions at",
            redacted(settings.definitions),
            f"there is no branch {settings.branch}",
            do_next="Wait until it is mirrored, or correct mason_branch.",
        )
    return refs[ref]


def _build_commit(
    settings: Settings, status: StatusPublisher, entry: Entry, build: Callable[..., object] | None
) -> None:
    """Check a commit out and build its systems; ``entry`` has the result."""
    try:
        source = settings.work / "definitions"
        check_out(settings.definitions, entry["commit"], source, discard=True, timeout=settings.git_timeout)
        status.set_tools(entry, _read_version(settings))
    except SlipwayError as error:  # the Trove or this host is at fault, not the commit
        status.update(entry, state=FAILED, ended=status.now(), retry=True, trouble=str(error))
        return
    try:
        systems = _find_systems(settings, source, entry["commit"])
    except SlipwayError as error:
        status.update(entry, state=FAILED, ended=status.now(), trouble=str(error))
        return
    logs = settings.public / entry["logs"]
    logs.mkdir(parents=True, exist_ok=True)
    attempt = _Attempt(status, entry, systems)
    builds = [
        Build(
            architecture,
            tuple(each["file"] for each in systems if each["architecture"] == architecture),
            settings.options.get(architecture, {}),
        )
        for architecture in settings.architectures
        if any(each["architecture"] == architecture for each in systems)
    ]
    shared = {"log_directory": logs, "timeout": settings.build_timeout, "on_event": attempt.on_event}
    try:
        if settings.builder == "morph":
            build_with_morph(settings.morph, builds, directory=source, commit=entry["commit"], **shared)
        else:
            (build or build_all)(Project(source, settings.config, settings.bst), builds, **shared)
    except BuildError as error:
        attempt.finish(error.lost)
    except SlipwayError as error:  # no sandbox, or a server that does not take what was built
        attempt.finish({(each["architecture"], each["file"]): [Fault("push", str(error), logs)] for each in systems})
    else:
        attempt.finish({}, steps=lambda: _run_steps(settings, status, entry, source))


def _run_steps(settings: Settings, status: StatusPublisher, entry: Entry, source: Path) -> str:
    """What follows a build, in the order of the settings, until one fails; the state of the whole.

    A step is a command of the site's. It ends with 0, with 33 where there was nothing to do, with 42 where there is no
    network, and with anything else if it failed.
    """
    for name, command in settings.steps.items():
        log = f"{entry['logs']}{quote(name)}.log"
        step: Entry = {
            "name": name,
            "state": BUILDING,
            "started": status.now(),
            "ended": None,
            "message": "",
            "log": log,
        }
        status.update(entry, steps=[*entry["steps"], step])
        facts = {"MASON_COMMIT": entry["commit"], "MASON_CLUSTER": settings.cluster, "MASON_RELEASE": settings.release}
        try:
            code = run(
                command,
                attempt=f"run the step {name} of",
                on=entry["commit"],
                cwd=source,
                env=facts,
                timeout=settings.build_timeout,
                log=settings.public / entry["logs"] / f"{name}.log",
                ok_codes=(0, NOTHING_CHANGED),
            ).returncode
            status.update(step, state=SKIPPED if code else PASSED, ended=status.now())
        except SlipwayError as error:
            away = f"ended with status {NO_NETWORK}" in error.came_back
            status.update(step, state=FAILED, ended=status.now(), message=error.came_back)
            status.update(entry, retry=away)
            return FAILED
    return PASSED


class _Attempt:
    """What is known of each system while and after a commit is built."""

    def __init__(self, status: StatusPublisher, entry: Entry, systems: Sequence[Mapping[str, str]]) -> None:
        self._status = status
        self._entry = entry
        now = status.now()
        parts: list[Entry] = [
            {
                **each,
                "state": BUILDING,
                "started": now,
                "ended": None,
                "message": "",
                "log": self._log_address(f"build-{each['architecture']}.log"),
            }
            for each in systems
        ]
        self._systems = dict(zip(((each["architecture"], each["file"]) for each in systems), parts, strict=True))
        status.update(entry, state=BUILDING, systems=parts)

    def on_event(self, architecture: str, event: Event) -> None:
        """A system whose own element is built has passed."""
        system = self._systems.get((architecture, event.element))
        if system is not None and (event.action, event.outcome) in (("build", "done"), ("pull", "done")):
            self._status.update(system, state=PASSED, ended=self._status.now())

    def finish(
        self, lost: Mapping[tuple[str, str], Sequence[Fault]], *, steps: Callable[[], str] = lambda: PASSED
    ) -> None:
        """All is built; ``lost`` says why systems are not, and ``steps`` does what follows if all are."""
        now = self._status.now()
        for key, system in self._systems.items():
            faults = lost.get(key)
            if faults:
                message = "; ".join(fault.sentence for fault in faults)
                log = faults[0].log
                name = self._log_address(log.name) if log.is_file() else ""
                system.update(state=FAILED, ended=now, message=message, log=name)
            else:
                system.update(state=PASSED, ended=system["ended"] or now)
        self._entry["retry"] = any(fault.action in RETRIED_ACTIONS for faults in lost.values() for fault in faults)
        state = FAILED if lost else steps()
        self._status.update(self._entry, state=state, ended=self._status.now())

    def _log_address(self, name: str) -> str:
        return f"{self._entry['logs']}{quote(name)}"


def _find_systems(settings: Settings, source: Path, commit: str) -> list[dict[str, str]]:
    """The systems of the cluster that this mason builds."""
    every = list_systems_at(source / ".git", commit, cluster=settings.cluster)
    wanted = [each for each in every if each["architecture"] in settings.architectures]
    if not wanted:
        raise SlipwayError(
            "build",
            f"{settings.cluster} at {commit[:12]}",
            f"it has no system for {' or '.join(settings.architectures)}",
            do_next="Correct mason_cluster or mason_architectures.",
        )
    return wanted


def _read_version(settings: Settings) -> str:
    """Which build tool this is."""
    morph = settings.builder == "morph"
    command = settings.morph.command if morph else (settings.bst,)
    done = run(
        [*command, "--version"],
        attempt="ask for the version of",
        on=command[0],
        timeout=60,
        do_next=f"Give this host its build tools, or correct {'mason_morph' if morph else 'mason_bst'}.",
    )
    return done.stdout.strip()
