# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of bst that builds for one architecture, and what became of each element."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import make_scratch
from ..progress import Progress
from . import follow
from .cache import builds_remotely, find_cache, list_names
from .command import Build, Project, format_options, name_artifact, run_bst, show_elements
from .log import MESSAGE, Event, Log, Node
from .servers import Artifact, find_interpreter, write_program
from .watch import Watch


@dataclass(frozen=True)
class BuiltElement:
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


#: How the stages of jobs on a farm are counted for people.
STAGES = {"queued": "waiting", "executing": "running", "completed": "done", "known": "known before", "failed": "failed"}

#: Called with an architecture and what happened there to an element.
OnEvent = Callable[[str, Event], None]


class Session:
    """One ``bst build``, from its start to what became of its elements."""

    def __init__(
        self,
        project: Project,
        build: Build,
        *,
        log_directory: Path,
        progress: Progress,
        on_event: OnEvent,
        queue_timeout: float,
    ) -> None:
        self.log = Log()
        self.unbuilt: tuple[str, ...] = build.elements
        self._project = project
        self._build = build
        self._progress = progress
        self._log_directory = log_directory
        self._on_event = on_event
        self._queue_timeout = queue_timeout
        self._faults: dict[str, list[Fault]] = {}
        self._counted = False
        output = log_directory / f"build-{build.architecture}.log"
        self._general = Fault("", "it was not built, and no failure explains it", output)

    def run(self, timeout: float) -> list[str]:
        """Build; return a sentence for each thing that went wrong."""
        architecture = self._build.architecture
        output = self._log_directory / f"build-{architecture}.log"
        for earlier in (output, *self._log_directory.glob(f"failed-{architecture}-*.log")):
            earlier.unlink(missing_ok=True)
        try:
            with _follow_jobs(self._project, self._queue_timeout, self._progress) as program:
                ended = run_bst(
                    self._project,
                    *("--on-error", "continue", "--error-lines", "20", "--verbose", "--strict"),
                    *(*format_options(self._build.options), "build", "--retry-failed", *self._build.elements),
                    attempt=f"build for {architecture} in",
                    timeout=timeout,
                    log=output,
                    watch=Watch(self.log, find_cache(self._project.config), self._read_line),
                    program=program,
                )
        except SlipwayError as error:
            self._general = Fault("", str(error), output)
            return [f"{architecture}: {error}", *self._explain_failures({})]
        if ended.returncode == 0:
            self.unbuilt = ()
            return []
        if self._failed_only_to_push():
            self.unbuilt = ()
            return []
        if self.log.failures:
            return self._explain_failures(self._show_elements())
        complaint = self.log.explain_end() or f"bst ended with status {ended.returncode}"
        self._general = Fault("", complaint, output)
        return [f"{architecture}: {complaint.rstrip('.')}; the whole output is {output}"]

    @property
    def failed_to_fetch(self) -> bool:
        """Whether the sources of an element could not be had."""
        return any(failure.action == "fetch" for failure in self.log.failures.values())

    def _failed_only_to_push(self) -> bool:
        """Whether all that is wanted is built, and only a server did not take it, which is asked again anyway."""
        if not self.log.unpushed or any(failure.action != "push" for failure in self.log.failures.values()):
            return False
        nodes = self._show_elements()
        return all(element in nodes and nodes[element].state == "cached" for element in self._build.elements)

    def retry_alone(self) -> Session:
        """Run the same session once more while no other one runs."""
        self._progress.report(f"{self._build.architecture}: fetching once more, without other fetches beside it")
        again = Session(
            self._project,
            self._build,
            log_directory=self._log_directory,
            progress=self._progress,
            on_event=self._on_event,
            queue_timeout=self._queue_timeout,
        )
        again._counted = self._counted
        return again

    def list_lost(self) -> Iterator[tuple[tuple[str, str], Sequence[Fault]]]:
        """Each wanted element that is not built, and its faults."""
        for element in self.unbuilt:
            yield (self._build.architecture, element), self._faults.get(element) or [self._general]

    def list_built(self) -> Iterator[BuiltElement]:
        """The wanted elements, once they are built."""
        nodes = self.log.listed
        if not nodes.keys() >= set(self._build.elements):
            nodes = show_elements(self._project, self._build, dependencies="none")
        for element in self._build.elements:
            artifact = name_artifact(self._project, element, nodes[element].key)
            was = element in self.log.listed and self.log.listed[element].state == "cached"
            yield BuiltElement(element, self._build.architecture, nodes[element].key, artifact, was)

    def list_artifacts(self) -> list[Artifact]:
        """What the elements of the pipeline are built to, those of other projects as far as this host has them."""
        nodes = self.log.listed or show_elements(self._project, self._build)
        names = list_names(self._project.config) if any(":" in element for element in nodes) else {}
        listed = []
        for element, node in nodes.items():
            name = names.get(node.key) if ":" in element else name_artifact(self._project, element, node.key)
            if name is not None:
                listed.append(Artifact(self._build.architecture, element, name))
        return listed

    def find_unpushed(self, asked: Set[str]) -> list[str]:
        """A sentence for each wanted element that a server did not get, but for those that are asked themselves."""
        if self.log.push_servers is None:
            return [f"{self._build.architecture}: the output of bst does not say to which servers it pushes"]
        return [
            f"{self._build.architecture}: {element} is not on {server}"
            + (f" ({self.log.remote_faults[server]})" if server in self.log.remote_faults else "")
            for server in self.log.push_servers
            if server not in asked
            for element in self._build.elements
            if server not in self.log.pushed.get(element, ())
        ]

    def _read_line(self, line: str) -> None:
        event = self.log.read(line)
        if event is not None:
            self._on_event(self._build.architecture, event)
        if event is not None and event.action == "remote":
            self._report_job(event)
        if event is None or event.action not in ("fetch", "pull", "build"):
            return
        if not self._counted:
            self._counted = True
            self._progress.total += sum(node.state != "cached" for node in self.log.listed.values())
        what = f"{self._build.architecture}: {event.element}"
        if event.outcome == "failed":
            self._progress.report(f"{what} FAILED to {event.action}, its log is {event.log}")
        elif event.action == "build" and event.outcome == "started":
            self._progress.report(f"{what} is being built, its log is {event.log}")
        elif event.action == "build":
            self._progress.step(f"{what} is built")
        elif event.outcome == "done":
            self._progress.report(f"{what} is {'fetched' if event.action == 'fetch' else 'pulled'}")

    def _report_job(self, event: Event) -> None:
        counted = Counter(self.log.remote.values())
        farm = ", ".join(f"{counted[stage]} {word}" for stage, word in STAGES.items() if counted[stage])
        by = f" on {event.reason}" if event.reason else ""
        what = {
            "queued": f"waits for a worker with {event.reason}",
            "executing": f"runs{by}",
            "completed": f"has run{by}",
            "known": "has been built there before",
        }[event.outcome]
        self._progress.report(f"{self._build.architecture}: {event.element} {what} (the farm: {farm})")

    def _show_elements(self) -> Mapping[str, Node]:
        """What is known of the elements; nothing when not even that can be asked any more, as on a full disk."""
        try:
            return show_elements(self._project, self._build)
        except SlipwayError:
            return {}

    def _explain_failures(self, nodes: Mapping[str, Node]) -> list[str]:
        """Describe each failed element with the systems that it prevents, and keep its log."""
        wanted = self._build.elements
        self.unbuilt = tuple(element for element in wanted if element not in nodes or nodes[element].state != "cached")
        findings = []
        for failure in self.log.failures.values():
            kept = self._keep_log(failure)
            lost = [element for element in self.unbuilt if failure.element in _collect_dependencies(nodes, element)]
            so = f", so {' and '.join(lost)} {'was' if len(lost) == 1 else 'were'} not built" if lost else ""
            what = f"{failure.element} failed to {failure.action} ({_find_sandbox_fault(kept) or failure.reason})"
            for element in lost:
                self._faults.setdefault(element, []).append(Fault(failure.action, what, kept))
            findings.append(f"{self._build.architecture}: {what}{so}; its log is {kept}")
        return findings

    def _keep_log(self, failure: Event) -> Path:
        name = failure.element.removesuffix(".bst").replace("/", "-").replace(":", "-")
        kept = self._log_directory / f"failed-{self._build.architecture}-{name}-{failure.action}.log"
        try:
            shutil.copyfile(failure.log, kept)
        except OSError:
            return Path(failure.log)
        return kept


@contextlib.contextmanager
def _follow_jobs(project: Project, queue_timeout: float, progress: Progress) -> Iterator[Sequence[str]]:
    """What runs bst: where it builds on a farm, a program that tells what becomes of its jobs there."""
    if not builds_remotely(project.config):
        yield ()
        return
    try:
        interpreter = find_interpreter(project.bst)
    except SlipwayError as error:
        progress.report(f"what becomes of jobs on the farm is not known, and one that no worker takes is kept: {error}")
        yield ()
        return
    with make_scratch("slipway-follow-") as scratch:
        program = write_program(follow.__name__, scratch)
        bst = shutil.which(project.bst) or project.bst
        yield [interpreter, str(program), f"{queue_timeout:.0f}", bst]


def ignore_event(_architecture: str, _event: Event) -> None:
    """Ignore the event."""


def _collect_dependencies(nodes: Mapping[str, Node], element: str) -> set[str]:
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


def extract_complaint(output: str) -> str:
    """BuildStream's output without its regular messages, as one line."""
    return " ".join(line.strip() for line in output.splitlines() if line.strip() and not MESSAGE.match(line))


def _find_sandbox_fault(log: Path) -> str | None:
    """The message of bubblewrap in a build's log, when the sandbox failed."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    messages = [line.strip() for line in lines if line.startswith(("bwrap: ", "fusermount3: "))]
    return f"the sandbox did not start: {messages[-1]}" if messages else None
