# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A mason: builds the head of the definitions with the tools of one release, over and over, and says how that goes.

Each call of :func:`look` is one look at the branch. What was tried stands in the published status, which is also
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
from ..files import write_atomic
from ..git.remote import ENVIRONMENT, git, remote_refs, shown
from ..locks import flocked
from ..plan.systems import systems_at
from ..process import run
from .status import BUILDING, FAILED, FORMAT, PASSED, WAITING, page, seconds, stamp

#: What may go well another time, since it hangs on other machines.
PASSING = frozenset({"fetch", "pull", "push", "track"})
TRY = re.compile(r"[0-9a-f]{12}-[0-9]{8}T[0-9]{6}Z\Z")

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


def read_settings(path: Path) -> Settings:
    """The settings that the provisioning wrote as JSON."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        paths = {name: Path(found[name]) for name in ("config", "work", "public")}
        return Settings(**{**found, **paths, "architectures": tuple(found["architectures"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SlipwayError(
            "read the settings", str(path), f"{type(error).__name__}: {error}", do_next="Provision this host again."
        ) from error


def look(
    settings: Settings,
    *,
    build: Callable[..., object] = build_all,
    clock: Callable[[], float] = time.time,
) -> Entry | None:
    """Look at the branch once, and build its head if that is due; return what became of it, ``None`` if it was not.

    A Trove that does not answer is told on the status page, and is no failure of the mason.
    """
    with flocked(settings.work / "lock", attempt="work as a mason in", on=str(settings.work), timeout=5):
        status = Published(settings, clock)
        try:
            commit = _head(settings)
        except SlipwayError as error:
            status.trouble(str(error))
            return None
        status.looked(commit)
        if not due(status.entry(commit), release=settings.release, retry=settings.retry, now=clock()):
            return None
        entry = status.begin(commit)
        with status.beating():
            _try(settings, status, entry, build)
        return entry


def due(entry: Mapping[str, Any] | None, *, release: str, retry: float, now: float) -> bool:
    """Whether to build a commit: it is new, was tried with other tools, was interrupted, or may go well now."""
    if entry is None or entry["tools"]["release"] != release or not entry["ended"]:
        return True
    ended = seconds(entry["ended"])
    return bool(entry["retry"]) and (ended is None or not 0 <= now - ended < retry)


class Published:
    """The status and the logs in the directory that the web server serves; each change is written at once."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.RLock()
        self._builds = _earlier(settings.public / "status.json")
        self._head = self._builds["commit"]
        self._looked = self._builds["looked"]
        self._bst = self._builds["bst"]
        self._entries: list[Entry] = self._builds["builds"]
        self._trouble = ""

    def now(self) -> str:
        """The time, as the status has it."""
        return stamp(self._clock())

    def entry(self, commit: str) -> Entry | None:
        """What became of a commit the last time."""
        return next((entry for entry in self._entries if entry["commit"] == commit), None)

    def trouble(self, sentence: str) -> None:
        """Say what keeps the mason from looking."""
        self._trouble = sentence
        self.write()

    def looked(self, commit: str) -> None:
        """Say that the branch was looked at, and what it names."""
        self._head, self._looked, self._trouble = commit, self.now(), ""
        self.write()

    def begin(self, commit: str) -> Entry:
        """A new try at a commit, in the place of an earlier one; the oldest tries and logs are forgotten."""
        now = self._clock()
        entry: Entry = {
            "commit": commit,
            "state": WAITING,
            "started": stamp(now),
            "ended": None,
            "tools": {"release": self._settings.release, "bst": ""},
            "logs": f"logs/{commit[:12]}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}/",
            "retry": False,
            "trouble": "",
            "systems": [],
        }
        with self._lock:
            others = [each for each in self._entries if each["commit"] != commit]
            self._entries = [entry, *others][: self._settings.keep]
            self.write()
            self._forget({each["logs"] for each in self._entries})
        return entry

    def tools(self, entry: Entry, bst: str) -> None:
        """Say which BuildStream builds."""
        self._bst = bst
        self.change(entry["tools"], bst=bst)

    def change(self, part: Entry, **values: object) -> None:
        """Change a part of the status, and publish it."""
        with self._lock:
            part.update(values)
            self.write()

    def write(self) -> None:
        """Publish the status as it is now."""
        with self._lock:
            status = {
                "format": FORMAT,
                "name": self._settings.name,
                "definitions": shown(self._settings.definitions),
                "branch": self._settings.branch,
                "cluster": self._settings.cluster,
                "architectures": list(self._settings.architectures),
                "tools": {"release": self._settings.release, "bst": self._bst},
                "commit": self._head,
                "looked": self._looked,
                "written": self.now(),
                "trouble": self._trouble,
                "builds": self._entries,
            }
            write_atomic(self._settings.public / "status.json", json.dumps(status, indent=1).encode() + b"\n")
            write_atomic(self._settings.public / "index.html", page(status).encode())

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Publish from time to time meanwhile, so that a long build does not look like a mason that has died."""
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

    def _forget(self, kept: set[str]) -> None:
        logs = self._settings.public / "logs"
        for directory in logs.iterdir() if logs.is_dir() else ():
            if TRY.match(directory.name) and f"logs/{directory.name}/" not in kept:
                shutil.rmtree(directory, ignore_errors=True)


def _earlier(path: Path) -> Entry:
    """What an earlier look published; nothing if that was none of ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] == FORMAT:
            return {**{name: found[name] for name in ("commit", "looked", "builds")}, "bst": found["tools"]["bst"]}
    except (OSError, ValueError, TypeError, KeyError):
        pass  # the first look, or another version of ours
    return {"commit": "", "looked": "", "builds": [], "bst": ""}


def _head(settings: Settings) -> str:
    ref = f"refs/heads/{settings.branch}"
    refs = remote_refs(settings.definitions, ref, attempt="look at the definitions at")
    if ref not in refs:
        raise SlipwayError(
            "look at the definitions at",
            shown(settings.definitions),
            f"there is no branch {settings.branch}",
            do_next="Wait until it is mirrored, or correct mason_branch.",
        )
    return refs[ref]


def _try(settings: Settings, status: Published, entry: Entry, build: Callable[..., object]) -> None:
    """Check a commit out and build its systems; whatever happens stands in ``entry`` in the end."""
    try:
        source = _checked_out(settings, entry["commit"])
        status.tools(entry, _version(settings))
    except SlipwayError as error:  # the Trove or this host, not the commit
        status.change(entry, state=FAILED, ended=status.now(), retry=True, trouble=str(error))
        return
    try:
        systems = _systems(settings, source, entry["commit"])
    except SlipwayError as error:
        status.change(entry, state=FAILED, ended=status.now(), trouble=str(error))
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
    try:
        build(
            Project(source, settings.config, settings.bst),
            builds,
            log_directory=logs,
            timeout=settings.build_timeout,
            told=attempt.told,
        )
    except BuildError as error:
        attempt.ended(error.lost)
    except SlipwayError as error:  # no sandbox, or a server that does not take what was built
        attempt.ended({(each["architecture"], each["file"]): [Fault("push", str(error), logs)] for each in systems})
    else:
        attempt.ended({})


class _Attempt:
    """What is known of each system while and after a commit is built."""

    def __init__(self, status: Published, entry: Entry, systems: Sequence[Mapping[str, str]]) -> None:
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
                "log": self._log(f"build-{each['architecture']}.log"),
            }
            for each in systems
        ]
        self._systems = dict(zip(((each["architecture"], each["file"]) for each in systems), parts, strict=True))
        status.change(entry, state=BUILDING, systems=parts)

    def told(self, architecture: str, event: Event) -> None:
        """A system whose own element is built has passed."""
        system = self._systems.get((architecture, event.element))
        if system is not None and (event.action, event.outcome) in (("build", "done"), ("pull", "done")):
            self._status.change(system, state=PASSED, ended=self._status.now())

    def ended(self, lost: Mapping[tuple[str, str], Sequence[Fault]]) -> None:
        """All is done; ``lost`` says why systems are not built."""
        now = self._status.now()
        for key, system in self._systems.items():
            faults = lost.get(key)
            if faults:
                message = "; ".join(fault.sentence for fault in faults)
                log = faults[0].log
                name = self._log(log.name) if log.is_file() else ""
                system.update(state=FAILED, ended=now, message=message, log=name)
            else:
                system.update(state=PASSED, ended=system["ended"] or now)
        self._status.change(
            self._entry,
            state=FAILED if lost else PASSED,
            ended=now,
            retry=any(fault.action in PASSING for faults in lost.values() for fault in faults),
        )

    def _log(self, name: str) -> str:
        return f"{self._entry['logs']}{quote(name)}"


def _systems(settings: Settings, source: Path, commit: str) -> list[dict[str, str]]:
    """The systems of the cluster that this mason builds."""
    every = systems_at(source, commit, cluster=settings.cluster)
    wanted = [each for each in every if each["architecture"] in settings.architectures]
    if not wanted:
        raise SlipwayError(
            "build",
            f"{settings.cluster} at {commit[:12]}",
            f"it has no system for {' or '.join(settings.architectures)}",
            do_next="Correct mason_cluster or mason_architectures.",
        )
    return wanted


def _checked_out(settings: Settings, commit: str) -> Path:
    """The definitions at a commit in the mason's own work tree, and nothing else there."""
    source = settings.work / "definitions"
    if not (source / ".git").is_dir():
        source.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", str(source), attempt="make a work tree in", on=str(source))
    where = shown(settings.definitions)
    git(
        *("fetch", "--quiet", "--no-tags", "--depth=1", "--", settings.definitions, commit),
        attempt=f"fetch {commit} from",
        on=where,
        cwd=source,
        timeout=settings.git_timeout,
    )
    for words in (("checkout", "--quiet", "--force", "--detach", commit), ("clean", "--quiet", "-ffdx")):
        git(*words, attempt=f"check {commit} out into", on=str(source), cwd=source, timeout=settings.git_timeout)
    return source


def _version(settings: Settings) -> str:
    """Which BuildStream this is."""
    done = run(
        [settings.bst, "--version"],
        attempt="ask for the version of",
        on=settings.bst,
        env=ENVIRONMENT,
        timeout=60,
        do_next="Give this host its build tools, or correct mason_bst.",
    )
    return done.stdout.strip()
