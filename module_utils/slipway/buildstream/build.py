# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds systems with BuildStream 2 and takes them out of its cache."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import string
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SlipwayError
from ..process import Completed, run
from ..progress import Progress
from ..yamltext import read_strictly
from .cache import cached, read_setting
from .log import MESSAGE, Event, Failure, Log, Node, remote_faults

SHOWN = "slipway\t%{state}\t%{full-key}\t%{name}\t%{deps}"
NORMAL = frozenset(string.ascii_letters + string.digits + "-._")

#: Where BuildStream 2.8 stumbles, before it begins, when another one starts at the same moment: both want to remove
#: the oldest of ten logs. It is started again, at most so many times.
STUMBLED = "_rotate_and_get_next_logfile"
TRIES = 8

STUMBLED_WITHIN = 10_000

#: BuildStream writes into files, not into a pipe: when the reader of its pipe is gone, it cannot end any more.
INTO_FILES = ["sh", "-c", 'out=$1 err=$2; shift 2; exec "$@" >>"$out" 2>>"$err"', "sh"]

OUTPUT_BYTES = 16 << 20

#: What helps when an artifact cannot be taken out of the cache.
NOT_CACHED = "Run the build stage again, or name an artifact server that has it in BuildStream's configuration."
NOT_TO_BE_PULLED = (
    "See that the server runs and that the build host pushes to it. If the server lost it, remove the record of the "
    "system's build, so that it is pushed again, and run again."
)

#: Seconds between two looks at what it wrote.
LOOK = 0.2

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


@dataclass(frozen=True)
class Built:
    """One element in the cache; ``cached`` if it was there before. ``key`` is empty while nothing is known."""

    element: str
    architecture: str
    key: str
    artifact: str
    cached: bool


@dataclass(frozen=True)
class Fault:
    """What keeps an element from being built: the failed action, empty if BuildStream itself failed, and its log."""

    action: str
    sentence: str
    log: Path


class BuildError(SlipwayError):
    """Not all was built. ``lost`` has the faults of each wanted element that was not, by architecture and element."""

    lost: Mapping[tuple[str, str], Sequence[Fault]] = {}


#: Called with an architecture and what happened there to an element.
Told = Callable[[str, Event], None]


def look(project: Project, builds: Sequence[Build], recorded: Mapping[tuple[str, str], tuple[str, str]]) -> list[Built]:
    """Each wanted element, and whether it is in the cache, without starting ``bst`` or writing anything.

    ``recorded`` holds key and artifact by architecture and element, as an earlier build of the same
    definitions with the same options returned them. What it does not hold counts as not built.
    """
    return [
        Built(element, build.architecture, key, artifact, bool(artifact) and cached(project.config, artifact))
        for build in builds
        for element in build.elements
        for key, artifact in [recorded.get((build.architecture, element), ("", ""))]
    ]


def build_all(
    project: Project,
    builds: Sequence[Build],
    *,
    log_directory: Path,
    timeout: float,
    progress: Progress | None = None,
    told: Told | None = None,
) -> tuple[list[Built], str]:
    """Build every entry of ``builds`` at the same time; return each element, and BuildStream's version.

    ``told`` is called from several threads, with an architecture and what happens there.

    A failing element stops neither the other elements nor the other entries. When all have ended, one
    failure names each failed element with its architecture and its log, which is kept in ``log_directory``
    beside the whole output, ``build-<architecture>.log``. An entry may take ``timeout`` seconds.

    An artifact server that the configuration says to push to must have each wanted element in the end: BuildStream
    itself goes on with a warning without it, and other hosts would not find what was built.
    """
    _require_bst(project)
    _require_project(project)
    log_directory.mkdir(parents=True, exist_ok=True)
    progress = progress or Progress(None)
    sessions = [
        _Session(project, build, log_directory=log_directory, progress=progress, told=told or _nobody)
        for build in builds
    ]
    with ThreadPoolExecutor(max_workers=max(1, len(sessions))) as pool:
        found = list(pool.map(lambda session: session.run(timeout), sessions))
    if len(sessions) > 1:
        # While one bst fills its mirror of a git repository, another one takes what is there for the whole.
        for number, session in enumerate(sessions):
            if session.failed_to_fetch:
                sessions[number] = session.alone()
                found[number] = sessions[number].run(timeout)
    if findings := [finding for each in found for finding in each]:
        lost = sum(len(session.unbuilt) for session in sessions)
        count = sum(len(build.elements) for build in builds)
        error = BuildError(
            "build",
            f"{lost} of {count} systems" if lost else f"all {count} systems without a failure",
            "what does not depend on the failures below is built and kept",
            do_next="Read the log, correct the cause, and run again.",
            findings=findings,
        )
        error.lost = {key: faults for session in sessions for key, faults in session.lost()}
        raise error
    if unpushed := [finding for session in sessions for finding in session.unpushed()]:
        raise SlipwayError(
            "push",
            "what was built",
            "all is built, but not all is where other hosts can pull it from",
            do_next="See that the server runs and takes this host's artifacts, and run again: nothing is built twice.",
            findings=unpushed,
        )
    versions = [session.log.version for session in sessions]
    return [built for session in sessions for built in session.results()], next(filter(None, versions), "")


def show(project: Project, build: Build, *, dependencies: str = "all", timeout: float = 300.0) -> dict[str, Node]:
    """What ``bst show`` knows of the elements of ``build`` and, unless ``dependencies`` is none, of all below them."""
    shown = bst(
        project,
        *(*_options(build.options), "show", "--deps", dependencies, "--format", SHOWN, *build.elements),
        attempt=f"look at the elements for {build.architecture} in",
        timeout=timeout,
    )
    nodes: dict[str, Node] = {}
    if shown.returncode == 0:
        for part in ("\n" + shown.stdout).split("\nslipway\t")[1:]:
            state, key, element, below = part.split("\t", 3)
            names = read_strictly(below.encode(), file="what bst show wrote").items or []
            nodes[element] = Node(element, key, state.strip(), tuple(name.text or "" for name in names))
    return nodes


def checkout(project: Project, artifact: str, *, archive: Path, timeout: float) -> None:
    """Write the tree of ``artifact`` to the tar file ``archive``, pulling it if it is not in the local cache.

    Any directory serves as the project: without a ``project.conf`` it gets one that has the artifact's project name.
    """
    conf = project.directory / "project.conf"
    if not conf.exists():
        conf.write_text(f"name: {artifact.partition('/')[0]}\nmin-version: 2.0\n", encoding="utf-8")
    done = bst(
        project,
        *("artifact", "checkout", "--deps", "none", "--no-integrate", "--tar", str(archive), artifact),
        attempt=f"take {artifact} out of",
        timeout=timeout,
        log=project.directory / "checkout.log",
    )
    if done.returncode != 0:
        faults = remote_faults(done.stdout)
        raise SlipwayError(
            f"take {artifact} out of",
            "BuildStream's cache" + (f" or pull it from {' or '.join(faults)}" if faults else ""),
            "; ".join(f"{url}: {fault}" for url, fault in faults.items())
            or _said(done.stderr)
            or f"bst ended with status {done.returncode}",
            do_next=NOT_TO_BE_PULLED if faults else NOT_CACHED,
        )


def bst(
    project: Project,
    *words: str,
    attempt: str,
    timeout: float,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run ``bst`` on a project; any exit status is returned, only a missing bst and the end of the time fail.

    With ``log`` (appended to), standard output and error are one stream in that file, and each of its lines is
    passed to ``on_line`` while bst runs.

    BuildStream ends its sandboxes and its cache server when it is interrupted, and only then. So it gets
    SIGINT at the end of the time, and also when the thread that calls this is no more, however it ended.
    """
    _require_bst(project)
    limits = ["setpriv", "--pdeathsig", "INT", "timeout", "--signal=INT", f"--kill-after={GRACE}", f"{timeout:.0f}"]
    config = [] if project.config is None else ["--config", str(project.config)]
    common = [*config, "--directory", str(project.directory), "--no-interactive", "--no-colors"]
    with contextlib.nullcontext() if log else tempfile.TemporaryDirectory(prefix="slipway-bst-") as scratch:
        out = log or Path(str(scratch), "out")
        err = log or Path(str(scratch), "err")
        for _unused in range(TRIES):
            out.touch()
            with _followed(out, on_line):
                done = run(
                    [*limits, *INTO_FILES, str(out), str(err), project.bst, *common, *words],
                    attempt=attempt,
                    on=str(project.directory),
                    timeout=timeout + 2 * GRACE,
                    ok_codes=range(256),
                )
            said = [_end(path) for path in (out, err)]
            if done.returncode == 0 or not any(STUMBLED in text[-STUMBLED_WITHIN:] for text in said):
                break
    if done.returncode in (124, 137):
        raise SlipwayError(
            attempt,
            str(project.directory),
            f"bst was not done after {timeout:.0f} s and was ended",
            do_next="Find out why it takes so long, or allow it more time, and run again.",
            log=None if log is None else str(log),
        )
    return dataclasses.replace(done, stdout=said[0], stderr=said[1])


def _end(path: Path) -> str:
    """As much of a file's end as a program's output is worth in memory."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - OUTPUT_BYTES))
        return stream.read().decode("utf-8", "replace")


@contextlib.contextmanager
def _followed(path: Path, on_line: Callable[[str], None] | None) -> Iterator[None]:
    """Pass the lines that are appended to ``path`` meanwhile to ``on_line``."""
    if on_line is None:
        yield
        return
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(path, path.stat().st_size, on_line, ended))
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def _follow(path: Path, offset: int, on_line: Callable[[str], None], ended: threading.Event) -> None:
    rest = ""
    last = False
    with open(path, encoding="utf-8", errors="replace") as stream:
        stream.seek(offset)
        while not last:
            last = ended.wait(LOOK)
            *lines, rest = (rest + stream.read()).split("\n")
            for line in lines:
                on_line(line)


def artifact_name(project: Project, element: str, key: str) -> str:
    """The name by which ``bst artifact`` knows an element of the project."""
    name = read_setting(project.directory / "project.conf", "name")
    normal = "".join(each if each in NORMAL else "_" for each in element.removesuffix(".bst").replace("/", "-"))
    return f"{name}/{normal}/{key}"


class _Session:
    """One ``bst build``, from its start to what became of its elements."""

    def __init__(self, project: Project, build: Build, *, log_directory: Path, progress: Progress, told: Told) -> None:
        self.log = Log()
        self.unbuilt: tuple[str, ...] = build.elements
        self._project = project
        self._build = build
        self._progress = progress
        self._log_directory = log_directory
        self._told = told
        self._faults: dict[str, list[Fault]] = {}
        self._counted = False
        output = log_directory / f"build-{build.architecture}.log"
        self._general = Fault("", "it was not built, and no failure says why", output)

    def run(self, timeout: float) -> list[str]:
        """Build; return a sentence for each thing that went wrong."""
        architecture = self._build.architecture
        output = self._log_directory / f"build-{architecture}.log"
        for earlier in (output, *self._log_directory.glob(f"failed-{architecture}-*.log")):
            earlier.unlink(missing_ok=True)
        try:
            ended = bst(
                self._project,
                *("--on-error", "continue", "--error-lines", "20", "--verbose", "--strict"),
                *(*_options(self._build.options), "build", "--retry-failed", *self._build.elements),
                attempt=f"build for {architecture} in",
                timeout=timeout,
                log=output,
                on_line=self._line,
            )
        except SlipwayError as error:
            self._general = Fault("", str(error), output)
            return [f"{architecture}: {error}"]
        if ended.returncode == 0:
            self.unbuilt = ()
            return []
        if self.log.failures:
            return self._blame()
        said = self.log.complained() or f"bst ended with status {ended.returncode}"
        self._general = Fault("", said, output)
        return [f"{architecture}: {said.rstrip('.')}; the whole output is {output}"]

    @property
    def failed_to_fetch(self) -> bool:
        """Whether the sources of an element could not be had."""
        return any(failure.action == "fetch" for failure in self.log.failures.values())

    def alone(self) -> _Session:
        """The same once more, for what is still missing, while no other one runs."""
        self._progress.say(f"{self._build.architecture}: fetching once more, while nothing else is fetched")
        again = _Session(
            self._project, self._build, log_directory=self._log_directory, progress=self._progress, told=self._told
        )
        again._counted = self._counted
        return again

    def lost(self) -> Iterator[tuple[tuple[str, str], Sequence[Fault]]]:
        """Each wanted element that is not built, and what keeps it from that."""
        for element in self.unbuilt:
            yield (self._build.architecture, element), self._faults.get(element) or [self._general]

    def results(self) -> Iterator[Built]:
        """The wanted elements, once they are built."""
        nodes = self.log.listed
        if not nodes.keys() >= set(self._build.elements):
            nodes = show(self._project, self._build, dependencies="none")
        for element in self._build.elements:
            artifact = artifact_name(self._project, element, nodes[element].key)
            was = element in self.log.listed and self.log.listed[element].state == "cached"
            yield Built(element, self._build.architecture, nodes[element].key, artifact, was)

    def unpushed(self) -> list[str]:
        """A sentence for each wanted element that a server did not get."""
        if self.log.push_servers is None:
            return [f"{self._build.architecture}: the output of bst does not say to which servers it pushes"]
        return [
            f"{self._build.architecture}: {element} is not on {server}"
            + (f" ({self.log.remote_faults[server]})" if server in self.log.remote_faults else "")
            for server in self.log.push_servers
            for element in self._build.elements
            if server not in self.log.pushed.get(element, ())
        ]

    def _line(self, line: str) -> None:
        event = self.log.read(line)
        if event is not None:
            self._told(self._build.architecture, event)
        if event is None or event.action not in ("fetch", "pull", "build"):
            return
        if not self._counted:
            self._counted = True
            self._progress.total += sum(node.state != "cached" for node in self.log.listed.values())
        what = f"{self._build.architecture}: {event.element}"
        if event.outcome == "failed":
            self._progress.say(f"{what} FAILED to {event.action}, its log is {event.log}")
        elif event.action == "build" and event.outcome == "started":
            self._progress.say(f"{what} is being built, its log is {event.log}")
        elif event.action == "build":
            self._progress.step(f"{what} is built")
        elif event.outcome == "done":
            self._progress.say(f"{what} is {'fetched' if event.action == 'fetch' else 'pulled'}")

    def _blame(self) -> list[str]:
        """Say of each failed element which systems it keeps from being built; keep its log."""
        nodes = show(self._project, self._build)
        wanted = self._build.elements
        self.unbuilt = tuple(element for element in wanted if element not in nodes or nodes[element].state != "cached")
        findings = []
        for failure in self.log.failures.values():
            kept = self._keep(failure)
            lost = [element for element in self.unbuilt if failure.element in _below(nodes, element)]
            so = f", so {' and '.join(lost)} {'was' if len(lost) == 1 else 'were'} not built" if lost else ""
            what = f"{failure.element} failed to {failure.action} ({_sandbox_fault(kept) or failure.reason})"
            for element in lost:
                self._faults.setdefault(element, []).append(Fault(failure.action, what, kept))
            findings.append(f"{self._build.architecture}: {what}{so}; its log is {kept}")
        return findings

    def _keep(self, failure: Failure) -> Path:
        name = failure.element.removesuffix(".bst").replace("/", "-").replace(":", "-")
        kept = self._log_directory / f"failed-{self._build.architecture}-{name}-{failure.action}.log"
        try:
            shutil.copyfile(failure.log, kept)
        except OSError:
            return Path(failure.log)
        return kept


def _nobody(_architecture: str, _event: Event) -> None:
    """Told of everything, it says nothing."""


def _require_bst(project: Project) -> None:
    if shutil.which(project.bst) is None:
        raise SlipwayError(
            "run BuildStream in",
            str(project.directory),
            f"the program {project.bst} was not found",
            do_next="Install BuildStream 2 on this host, or set the path of bst, and run again.",
        )


def _require_project(project: Project) -> None:
    """Fail unless the directory holds a project and there is a sandbox to build in."""
    missing = project.config is not None and not project.config.is_file()
    config = "" if missing or project.config is None else project.config.read_text(encoding="utf-8")
    if missing:
        fault, cure = f"its configuration {project.config} is not there", "Provision this host, or correct the path"
    elif not (project.directory / "project.conf").is_file():
        fault, cure = "it is not a BuildStream project: it has no project.conf", "Name the directory of a project"
    elif "remote-execution:" not in config and shutil.which("bwrap") is None:
        fault, cure = "its sandbox needs the program bwrap, which was not found", "Install Debian's package bubblewrap"
    elif "remote-execution:" not in config and not Path("/dev/fuse").exists():
        fault, cure = "its sandbox needs /dev/fuse, which is not there", "Install fuse3 and load the kernel's fuse"
    else:
        return
    raise SlipwayError("build with BuildStream in", str(project.directory), fault, do_next=f"{cure}, and run again.")


def _options(options: Mapping[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("--option", name, value)]


def _below(nodes: Mapping[str, Node], element: str) -> set[str]:
    """Everything that ``element`` depends on, at any depth."""
    seen: set[str] = set()
    ahead = [element]
    while ahead:
        node = nodes.get(ahead.pop())
        for name in node.dependencies if node is not None else ():
            if name not in seen:
                seen.add(name)
                ahead.append(name)
    return seen


def _said(output: str) -> str:
    """What is left of BuildStream's output without its running messages, as one line."""
    return " ".join(line.strip() for line in output.splitlines() if line.strip() and not MESSAGE.match(line))


def _sandbox_fault(log: Path) -> str | None:
    """What bubblewrap said in a build's log, when it was the sandbox that failed."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    said = [line.strip() for line in lines if line.startswith(("bwrap: ", "fusermount3: "))]
    return f"the sandbox did not start: {said[-1]}" if said else None
