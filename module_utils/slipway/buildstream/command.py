# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command bst: how it is called, followed and bounded."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import string
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import make_scratch
from ..process import Completed, run
from ..yamltext import read_strictly
from .cache import builds_remotely, read_setting
from .log import Node
from .watch import Verdict, Watch

SHOW_FORMAT = "slipway\t%{state}\t%{full-key}\t%{name}\t%{deps}"
NORMAL = frozenset(string.ascii_letters + string.digits + "-._")
#: BuildStream 2.8 fails before it begins when another one starts at the same moment: both remove the oldest of ten
#: logs. It is started again, at most so many times.
ROTATION_RACE = "_rotate_and_get_next_logfile"
TRIES = 8
RACE_WITHIN = 10_000
#: BuildStream writes into files, not into a pipe: when the reader of its pipe is gone, it cannot end any more.
#: First of all it tells by whom its time is limited: when that process is interrupted, it interrupts BuildStream, and
#: kills it if need be. It tells through a FIFO, since a file may not fit on the disk any more.
INTO_FILES = ["sh", "-c", 'echo $PPID >"$1"; out=$2 err=$3; shift 3; exec "$@" >>"$out" 2>>"$err"', "sh"]
OUTPUT_BYTES = 16 << 20
#: Seconds between two looks at what it wrote.
POLL_INTERVAL = 0.2
TOO_LONG = "Find out why it takes so long, or allow it more time, and run again."
#: Seconds that BuildStream may take to end its sandboxes after it was asked to.
GRACE = 30


@dataclass(frozen=True)
class Project:
    """A checked out BuildStream project, and how ``bst`` is called on it."""

    directory: Path
    config: Path | None = None
    bst: str = "bst"


@dataclass(frozen=True)
class Build:
    """What one ``bst`` process builds: ``elements`` under one set of project options."""

    architecture: str
    elements: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


def group_systems(systems: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> list[Build]:
    """One build for each architecture of the systems, of their files under its options."""
    files: dict[str, list[str]] = {}
    for system in systems:
        files.setdefault(system["architecture"], []).append(system["file"])
    return [Build(each, tuple(elements), dict(options.get(each) or {})) for each, elements in files.items()]


def show_elements(
    project: Project, build: Build, *, dependencies: str = "all", timeout: float = 300.0
) -> dict[str, Node]:
    """The elements of ``build`` by ``bst show`` and, unless ``dependencies`` is none, all below them."""
    listed = run_bst(
        project,
        *(*format_options(build.options), "show", "--deps", dependencies, "--format", SHOW_FORMAT, *build.elements),
        attempt=f"look at the elements for {build.architecture} in",
        timeout=timeout,
    )
    nodes: dict[str, Node] = {}
    if listed.returncode == 0:
        for part in ("\n" + listed.stdout).split("\nslipway\t")[1:]:
            state, key, element, below = part.split("\t", 3)
            names = read_strictly(below.encode(), file="what bst show wrote").items or []
            nodes[element] = Node(element, key, state.strip(), tuple(name.text or "" for name in names))
    return nodes


def run_bst(
    project: Project,
    *words: str,
    attempt: str,
    timeout: float,
    log: Path | None = None,
    watch: Watch | None = None,
    program: Sequence[str] = (),
) -> Completed:
    """Run ``bst`` on a project; any exit status is returned, only a missing bst and the end of the time fail.

    ``program`` is what runs bst, if it is not bst itself.

    With ``log`` (appended to), standard output and error are one stream in that file, and ``watch`` reads each of its
    lines while bst runs. When bst has reported its end and does not end, it is ended, and the status is what it
    reported; when it waits for room on a full disk, this fails.

    BuildStream ends its sandboxes and its cache server when it is interrupted, and only then. So it gets
    SIGINT at the end of the time, and also when the thread that calls this is no more, however it ended.
    """
    require_bst(project)
    limits = ["setpriv", "--pdeathsig", "INT", "timeout", "--signal=INT", f"--kill-after={GRACE}", f"{timeout:.0f}"]
    runner = program or [project.bst]
    config = [] if project.config is None else ["--config", str(project.config)]
    common = [*config, "--directory", str(project.directory), "--no-interactive", "--no-colors"]
    with make_scratch("slipway-bst-") as scratch, _open_fifo(scratch / "limiter") as limiter:
        out, err = log or scratch / "out", log or scratch / "err"
        for _unused in range(TRIES):
            out.touch()
            with _follow_file(out, watch, limiter) as follower:
                done = run(
                    [*limits, *INTO_FILES, f"{scratch}/limiter", str(out), str(err), *runner, *common, *words],
                    attempt=attempt,
                    on=str(project.directory),
                    timeout=timeout + 2 * GRACE,
                    ok_codes=range(256),
                )
            outputs = [_read_end(path) for path in (out, err)]
            if done.returncode == 0 or not any(ROTATION_RACE in text[-RACE_WITHIN:] for text in outputs):
                break
    verdict = None if follower is None else follower.verdict
    if verdict is None and done.returncode in (124, 137):
        verdict = Verdict(f"bst was not done after {timeout:.0f} s and was ended", do_next=TOO_LONG)
    if verdict is not None and verdict.status is None:
        where = None if log is None else str(log)
        raise SlipwayError(attempt, str(project.directory), verdict.reason, do_next=verdict.do_next, log=where)
    status = done.returncode if verdict is None or verdict.status is None else verdict.status
    return dataclasses.replace(done, returncode=status, stdout=outputs[0], stderr=outputs[1])


def _read_end(path: Path) -> str:
    """As much of a file's end as a program's output is worth in memory."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - OUTPUT_BYTES))
        return stream.read().decode("utf-8", "replace")


@contextlib.contextmanager
def _open_fifo(path: Path) -> Iterator[int]:
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Follower(threading.Thread):
    """Passes the lines that are appended to a file to a watch, and interrupts bst when the watch says so."""

    def __init__(self, path: Path, watch: Watch, limiter: int) -> None:
        super().__init__()
        self.verdict: Verdict | None = None
        self.ended = threading.Event()
        self._path, self._offset = path, path.stat().st_size
        self._watch = watch
        self._limiter = limiter

    def run(self) -> None:
        """Follow the file until the end is told, and then read the rest."""
        rest = ""
        last = False
        with open(self._path, encoding="utf-8", errors="replace") as stream:
            stream.seek(self._offset)
            while not last:
                last = self.ended.wait(POLL_INTERVAL)
                *lines, rest = (rest + stream.read()).split("\n")
                if self.verdict is not None:
                    continue  # what it says of being interrupted is not what happened
                for line in lines:
                    self._watch.read(line)
                if not last:
                    self._judge()

    def _judge(self) -> None:
        self.verdict = self._watch.judge()
        if self.verdict is not None:
            # The last one it was told of; it is not waited for before the follower has ended.
            os.kill(int(os.read(self._limiter, 4096).split()[-1]), signal.SIGINT)


@contextlib.contextmanager
def _follow_file(path: Path, watch: Watch | None, limiter: int) -> Iterator[_Follower | None]:
    """Have ``watch`` follow meanwhile what is appended to ``path``."""
    follower = None if watch is None else _Follower(path, watch, limiter)
    if follower is not None:
        follower.start()
    try:
        yield follower
    finally:
        if follower is not None:
            follower.ended.set()
            follower.join()


def name_artifact(project: Project, element: str, key: str) -> str:
    """The name by which ``bst artifact`` knows an element of the project."""
    name = read_setting(project.directory / "project.conf", "name")
    normal = "".join(each if each in NORMAL else "_" for each in element.removesuffix(".bst").replace("/", "-"))
    return f"{name}/{normal}/{key}"


def require_bst(project: Project) -> None:
    """Refuse a project whose program ``bst`` is not there."""
    if shutil.which(project.bst) is None:
        raise SlipwayError(
            "run BuildStream in",
            str(project.directory),
            f"the program {project.bst} was not found",
            do_next="Install BuildStream 2 on this host, or set the path of bst, and run again.",
        )


def require_project(project: Project) -> None:
    """Fail unless the directory holds a project and there is a sandbox to build in."""
    missing = project.config is not None and not project.config.is_file()
    locally = missing or not builds_remotely(project.config)
    if missing:
        fault, cure = f"its configuration {project.config} is not there", "Provision this host, or correct the path"
    elif not (project.directory / "project.conf").is_file():
        fault, cure = "it is not a BuildStream project: it has no project.conf", "Name the directory of a project"
    elif locally and shutil.which("bwrap") is None:
        fault, cure = "its sandbox needs the program bwrap, which was not found", "Install Debian's package bubblewrap"
    elif locally and not Path("/dev/fuse").exists():
        fault, cure = "its sandbox needs /dev/fuse, which is not there", "Install fuse3 and load the kernel's fuse"
    else:
        return
    raise SlipwayError("build with BuildStream in", str(project.directory), fault, do_next=f"{cure}, and run again.")


def format_options(options: Mapping[str, str]) -> list[str]:
    """The words of bst that set the project's options."""
    return [word for name, value in options.items() for word in ("--option", name, value)]
