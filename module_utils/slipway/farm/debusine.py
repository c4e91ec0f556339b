# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds by debusine, Debian's distributed build engine: it gets what a build host would, and gives the same back.

A build is up to three work requests: sbuild, an autopkgtest that only installs, and the package's own autopkgtest.
What is asked for is written down first, so that a run that was killed is gone on with: the number of the uploaded
source package is nobody else's, and by it the work request is found whose answer got lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..binary import sbuild
from ..binary.job import BUILD, DONE, FAILED, FETCH, GIVEN_BACK, INSTALL, TEST, Job, Result
from ..deb.dsc import read_dsc
from ..errors import SlipwayError
from ..files import hash_file, make_directory, make_scratch, write_atomic
from ..http import NoAnswerError
from ..release.records import format_json
from . import debusinetasks as tasks
from .debusineapi import Api, Artifact, StoppedError, WorkRequest
from .line import LostError, Watch
from .schedule import Host

#: Seconds between looks at a work request, longer the longer it takes.
FIRST_LOOK, LONGEST_LOOK = 1.0, 15.0
#: How often an environment is attempted in a run, and a work request whose answer does not come.
TRIES = 3
#: Seconds that an environment which debusine made is used.
FRESH = 7 * 86400.0
PASSED = ("success", "skipped")
BROKEN = ("error", "temporary failure", "")
#: The length of a time up to its seconds.
_SECONDS = len("2026-01-01T00:00:00")
_PRODUCTS = (".deb", ".ddeb", ".udeb", ".buildinfo")
_SUM = re.compile(r"^ ([0-9a-f]{64}) [0-9]+ (\S+)$", re.MULTILINE)
_INSTALLED = re.compile(r"^ ([a-z0-9][a-z0-9.+-]*)(?::[a-z0-9-]+)? \(= ([^)\s]+)\),?$", re.MULTILINE)


@dataclass
class Memory:
    """What is known of a job, or of an environment, whose artifact is ``made``.

    ``sources`` has the numbers of what was uploaded, by the names of the sources, and ``requests`` those of work
    requests by step. ``run`` is the run that wrote it, and ``since`` when the first upload was, as the server has it.
    """

    label: str
    run: str
    since: str = ""
    made: int = 0
    done: bool = False
    sources: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """How debusine is used; times in seconds.

    ``environments`` has by platform the number of an artifact, a lookup, or a line of sources.list of which debusine
    makes one. ``queue`` is how long a work request may wait for a worker, and ``directory`` where is written down what
    was asked for.
    """

    directory: Path
    environments: Mapping[str, str] = field(default_factory=dict)
    queue: float = 86400.0


class Engine:
    """A build host that is all of debusine. Safe to use from several threads.

    ``versions`` tells which packages the archive has now, for a platform and an architecture: what was built before
    the run began counts only if it was built with those.
    """

    def __init__(
        self,
        api: Api,
        terms: Terms,
        *,
        versions: Callable[[str, str], Mapping[str, str]],
        say: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self.api, self.terms, self.versions, self.say = api, terms, versions, say
        self.run = uuid.uuid4().hex
        self.clock, self.wait = clock, wait
        self._environments: dict[tuple[str, str], int | str] = {}
        self._attempts: dict[tuple[str, str], list[str]] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Engine:
        """Look whether debusine can be used, before anything is built."""
        make_directory(self.terms.directory, mode=0o700)
        self.api.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what nobody waits for any more, of this run and of earlier ones."""
        with contextlib.suppress(SlipwayError):
            for path in sorted(self.terms.directory.glob("job-*.json")):
                if memory := _read_memory(path):
                    self._forget(path, memory)

    def do_job(self, host: Host, job: Job, source: Sequence[Path], target: Path, watch: Watch) -> Result:
        """Have debusine do a job with these files, as :func:`.line.do_job` has a build host do it."""
        if fault := tasks.find_fault(job):
            return Result(FAILED, FETCH, f"{fault}.")
        path = self.terms.directory / f"job-{self._make_key(job, source, target)}.json"
        try:
            for _try in range(2):
                work = _Work(self, job, source, target, watch=watch, path=path)
                if (result := work.do()) is not None:
                    return replace(result, host=f"{host.name} worker {work.worker}" if work.worker else "")
            raise LostError(f"{host.name} gave no result: what it built is not of what the archive has")
        except StoppedError as fault_found:
            _remove_products(target)
            self.end(path)
            raise LostError(f"{host.name} gave no result: the run ends") from fault_found
        except NoAnswerError as error:  # what is written down is gone on with
            _remove_products(target)
            raise LostError(f"{host.name} gave no result: {self._explain(error)}") from error
        except SlipwayError as error:
            _remove_products(target)
            self.end(path)
            raise LostError(f"{host.name} gave no result: {self._explain(error)}") from error

    def _explain(self, error: SlipwayError) -> str:
        return f"could not {error.attempted} {error.on}: {error.came_back}"

    def _make_key(self, job: Job, source: Sequence[Path], target: Path) -> str:
        """What is the same for the same job, and for no other: a second build, which has another place, is one."""
        words = {name: value for name, value in job.as_dict().items() if name not in ("epoch", "limits")}
        files = {path.name: hash_file(path) for path in source}
        words |= {"files": files, "target": target.name, "url": self.api.url, "workspace": self.api.workspace}
        words["environment"] = self.terms.environments.get(job.platform, "")
        return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:32]

    def end(self, path: Path) -> None:
        """Forget a job, if there is something to forget and debusine is there to hear it."""
        with contextlib.suppress(SlipwayError):
            if memory := _read_memory(path):
                self._forget(path, memory)

    def _forget(self, path: Path, memory: Memory) -> None:
        for number in () if memory.done else memory.requests.values():
            self.api.abort_request(number)
        path.unlink(missing_ok=True)

    def find_environment(self, job: Job, *, stop: threading.Event) -> int | str:
        """The environment for a job, which debusine makes where none is given."""
        given = self.terms.environments.get(job.platform, tasks.DEFAULT_ENVIRONMENT)
        for name in ("platform", "architecture"):
            given = given.replace(f"{{{name}}}", getattr(job, name))
        if not given.startswith("deb "):
            return int(given) if given.isdecimal() else given
        where = (job.platform, job.architecture)
        with self._lock:
            lock = self._locks.setdefault(where, threading.Lock())
        while not lock.acquire(timeout=1.0):
            if stop.is_set():
                raise StoppedError
        try:
            if where not in self._environments:
                self._environments[where] = self._make_environment(where, given, stop=stop)
            return self._environments[where]
        finally:
            lock.release()

    def _make_environment(self, where: tuple[str, str], line: str, *, stop: threading.Event) -> int:
        data = tasks.make_bootstrap(line, where[1])
        words = json.dumps([self.api.url, self.api.workspace, data], sort_keys=True)
        path = self.terms.directory / f"environment-{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"
        memory = _read_memory(path) or Memory(f"the environment for {' '.join(where)}", self.run)
        if memory.made and time.time() - path.stat().st_mtime < FRESH:
            with contextlib.suppress(SlipwayError):
                if self.api.fetch_artifact(memory.made, stop=stop).category == tasks.TARBALL:
                    return memory.made
        failed = self._attempts.setdefault(where, [])
        if len(failed) >= TRIES:
            raise SlipwayError("make", memory.label, failed[-1], do_next="Look at the work request.")
        if memory.made or not memory.requests:
            request = self.api.create_request(tasks.MMDEBSTRAP, data, stop=stop, again=True)
            memory = Memory(memory.label, self.run, requests={tasks.MMDEBSTRAP: request.number})
            _write_memory(path, memory)
            self.say(f"{memory.label} is made by work request {request.number} of debusine, {request.page}")

        def follow(other: int) -> None:
            memory.requests[tasks.MMDEBSTRAP] = other
            _write_memory(path, memory)

        number = memory.requests[tasks.MMDEBSTRAP]
        request = self.wait_for(number, seconds=self.terms.queue, stop=stop, follow=follow)
        artifacts = [self.api.fetch_artifact(number, stop=stop) for number in request.artifacts]
        made = next((one.number for one in artifacts if one.category == tasks.TARBALL), 0)
        if request.result != "success" or not made:
            path.unlink(missing_ok=True)
            failed.append(f"work request {request.number} ended with {_describe_end(request)}, see {request.page}")
            raise SlipwayError("make", memory.label, failed[-1], do_next="Look at the work request.")
        memory.made, memory.requests = made, {}
        _write_memory(path, memory)
        return made

    def wait_for(
        self, number: int, *, seconds: float, stop: threading.Event, follow: Callable[[int], None]
    ) -> WorkRequest:
        """A work request that is over. One that takes too long is ended, and told by the status ``late``.

        When a worker dies, debusine aborts its work request and makes another of the same data. ``follow`` hears of it.
        """
        begin, pause = self.clock(), FIRST_LOOK
        running: float | None = None
        while True:
            request = self.api.fetch_request(number, stop=stop)
            if request.status == "aborted" and (other := self.find_successor(request, stop=stop)) is not None:
                self.say(f"work request {number} of debusine was lost with its worker, and is {other.number} now")
                number, running = other.number, None
                follow(number)
                continue
            if request.is_over:
                return request
            now = self.clock()
            if request.status == "running":
                running = now if running is None else running
            late = running is not None and now - running > seconds
            if late or now - begin > self.terms.queue + (seconds if running is not None else 0):
                self.api.abort_request(number)
                what = "late" if running is not None else "not begun"
                return WorkRequest(
                    request.number, request.task, what, "", request.created, request.data, (), request.page
                )
            if stop.is_set():
                raise StoppedError
            self.wait(stop, pause)
            pause = min(1.2 * pause, LONGEST_LOOK)

    def find_successor(self, lost: WorkRequest, *, stop: threading.Event) -> WorkRequest | None:
        """The next work request of the same data; the list begins with the newest."""
        found = None
        for request in self.api.list_requests(stop=stop):
            if request.number <= lost.number:
                break
            if (request.task, request.data) == (lost.task, lost.data):
                found = request
        return found


class _Work:
    """One job, as far as it is done."""

    def __init__(
        self,
        engine: Engine,
        job: Job,
        source: Sequence[Path],
        target: Path,
        *,
        watch: Watch,
        path: Path,
    ) -> None:
        self.engine, self.api, self.job, self.source, self.target = engine, engine.api, job, source, target
        self.watch, self.stop, self.path = watch, watch.stop, path
        found = _read_memory(path)
        self.memory = found or Memory(job.label, engine.run)
        self.is_older = found is not None
        self.is_taken_over = found is not None and found.run != engine.run
        self.seconds: dict[str, float] = {}
        self.tests: dict[str, str] = {}
        self.debs: list[Path] = []
        self.cause = ""
        self.worker: int | None = None
        self.environment: int | str = 0
        self.upload = 0

    @property
    def log(self) -> Path:
        """What sbuild and the tests said."""
        return self.target / f"{self.job.source}_{self.job.platform}_{self.job.architecture}.log"

    def do(self) -> Result | None:
        """The result; none if what was found of another run does not count, and all must begin again."""
        steps = ((FETCH, self.fetch), (BUILD, self.build), (INSTALL, self.install), (TEST, self.try_out))
        for step, act in steps:
            begin = self.engine.clock()
            fault = act()
            self.seconds[step] = round(self.engine.clock() - begin, 1)
            stale = fault is None and step == BUILD and self.is_stale()
            if stale or (fault is not None and self.is_taken_over):
                self.forget()
                why = "it was built with other packages than the archive has now" if stale else "what was found failed"
                self.engine.say(f"{self.job.label} is begun again with debusine, since {why}")
                return None
            if fault is not None:
                self.forget()
                return Result(fault[0], step, fault[1], self.seconds, self.tests)
        self.memory.done = True
        self.remember()
        return Result(DONE, TEST, "", self.seconds, self.tests)

    def forget(self) -> None:
        """End what still runs, and remove what came."""
        _remove_products(self.target)
        self.engine.end(self.path)
        self.path.unlink(missing_ok=True)

    def remember(self) -> None:
        """Write down what was asked for."""
        _write_memory(self.path, self.memory)

    def fetch(self) -> tuple[str, str] | None:
        """Have the source package at debusine, and an environment."""
        self.environment = self.engine.find_environment(self.job, stop=self.stop)
        return self.upload_source(self.job.source, self.job.version, self.job.dsc)

    def upload_source(self, name: str, version: str, dsc: str) -> tuple[str, str] | None:
        """Have a source package at debusine, once; why that of the job cannot be used."""
        if name in self.memory.sources:
            return None
        try:
            read = read_dsc(next(path for path in self.source if path.name == dsc))[1]
        except (ValueError, OSError, StopIteration) as fault:
            return FAILED, f"{dsc} cannot be used: {fault}."
        if (read.source, read.version) != (name, version):
            return FAILED, f"{dsc} is of {read.source} {read.version}."
        names = {dsc, *(file.name for file in read.files)}
        self.upload_files(name, [path for path in self.source if path.name in names])
        return None

    def upload_files(self, name: str, files: Sequence[Path]) -> None:
        """Upload the files of a source package, and write down their number."""
        made = self.api.create_artifact(tasks.SOURCE, tasks.describe_source(files), files, stop=self.stop)
        self.memory.sources[name] = made.number
        self.memory.since = self.memory.since or made.created
        self.remember()

    def request(self, step: str, task: str, data: Mapping[str, Any], *, seconds: float) -> WorkRequest:
        """The work request of a step when it is over, asked for once, whatever happens meanwhile."""
        if step not in self.memory.requests:
            made = (self.find(task, data) if self.is_older else None) or self.create(task, data)
            self.memory.requests[step] = made.number
            self.remember()
            self.engine.say(f"{self.job.label} is work request {made.number} of debusine ({task}), {made.page}")
        elif self.is_taken_over:
            number = self.memory.requests[step]
            self.engine.say(f"{self.job.label} is still work request {number} of debusine ({task}), of a run before")
        number = self.memory.requests[step]
        self.watch.tell({"at": step.partition("-")[0], "log": 0})

        def follow(other: int) -> None:
            self.memory.requests[step] = other
            self.remember()

        return self.engine.wait_for(number, seconds=seconds, stop=self.stop, follow=follow)

    def create(self, task: str, data: Mapping[str, Any]) -> WorkRequest:
        """A new work request. Where no answer comes it may have been heard all the same."""
        for left in reversed(range(TRIES)):
            try:
                return self.api.create_request(task, data, stop=self.stop)
            except NoAnswerError:
                if (made := self.find(task, data)) is not None:
                    return made
                if not left:
                    raise
                self.engine.wait(self.stop, FIRST_LOOK)
        raise AssertionError("unreachable")

    def find(self, task: str, data: Mapping[str, Any]) -> WorkRequest | None:
        """The work request for these: no other has this source package, and it is not older than the upload."""
        wanted = _find_input(data)
        for request in self.api.list_requests(stop=self.stop):
            if request.task == task and _find_input(request.data) == wanted:
                return request
            if request.created[:_SECONDS] < self.memory.since[:_SECONDS]:
                return None
        return None

    def build(self) -> tuple[str, str] | None:
        """Build the packages, and fetch them."""
        data = tasks.make_build(self.job, self.memory.sources[self.job.source], self.environment)
        request = self.request(BUILD, tasks.SBUILD, data, seconds=self.job.limits.seconds)
        self.worker = request.worker
        if fault := self.judge(request, "The build"):
            return fault
        artifacts = self.list_artifacts(request)
        if fault := self.take_log(artifacts, (tasks.LOG, tasks.DEBUG)):
            return fault
        if request.result != "success":
            said = sbuild.read_end(self.log) if self.log.is_file() else {}
            stage, cause = said.get("Fail-Stage", ""), self.cause if said else ""
            outcome = GIVEN_BACK if not stage or stage in sbuild.FETCHING else FAILED
            where = f"work request {request.number}"
            return outcome, f"sbuild failed in {where}{' at ' + stage if stage else ''}{': ' + cause if cause else ''}."
        upload = next((one for one in artifacts if one.category == tasks.UPLOAD), None)
        if upload is None:
            return GIVEN_BACK, f"Work request {request.number} says that it succeeded, and made no packages."
        self.upload = upload.number
        return self.take_packages(upload)

    def list_artifacts(self, request: WorkRequest) -> list[Artifact]:
        """What a work request made."""
        return [self.api.fetch_artifact(number, stop=self.stop) for number in request.artifacts]

    def judge(self, request: WorkRequest, what: str) -> tuple[str, str] | None:
        """Whether a work request came to a result that is the package's."""
        seconds = self.job.limits.seconds
        if request.status == "late":
            return FAILED, f"{what} was ended: it was not done after {seconds:.0f} s."
        if request.status == "not begun":
            return GIVEN_BACK, f"No worker took work request {request.number} in {self.engine.terms.queue:.0f} s."
        if request.status != "completed" or request.result in BROKEN:
            with contextlib.suppress(SlipwayError):
                self.take_log(self.list_artifacts(request), (tasks.LOG, tasks.TESTS, tasks.DEBUG))
            return GIVEN_BACK, f"Work request {request.number} ended with {_describe_end(request)}, see {request.page}."
        return None

    def take_log(self, artifacts: Sequence[Artifact], categories: Sequence[str]) -> tuple[str, str] | None:
        """Append what was said to the log: that of the first category that is there."""
        for category in categories:
            files = [file for one in artifacts if one.category == category for file in one.files.values()]
            if category == tasks.TESTS:
                files = [file for file in files if file.name == "log"]
            if not files:
                continue
            size, most = sum(file.size for file in files), self.job.limits.log_bytes
            if size > most:
                return FAILED, f"It was no success: its log has {size} bytes, and {most} are taken."
            self.cause = ""
            with make_scratch("slipway-log-") as scratch:
                for file in files:
                    self.api.download(file, scratch / "log", stop=self.stop)
                    self.cause = sbuild.find_cause(scratch / "log") or self.cause
                    with self.log.open("ab") as stream:
                        stream.write((scratch / "log").read_bytes())
            return None
        return None

    def take_packages(self, upload: Artifact) -> tuple[str, str] | None:
        """Fetch what was built, and compare it with what its .changes says."""
        wanted = [one for one in upload.files.values() if one.name.endswith((".changes", *_PRODUCTS))]
        size = sum(file.size for file in wanted)
        if size > self.watch.limit.bytes:
            return FAILED, f"What was built has {size} bytes, and {self.watch.limit.bytes} are taken."
        for file in wanted:
            self.api.download(file, self.target / file.name, stop=self.stop)
        changes = next((self.target / file.name for file in wanted if file.name.endswith(".changes")), None)
        try:
            products = sbuild.find_products(self.target, self.job)
            said = {name: digest for digest, name in _SUM.findall((changes or self.target).read_text(encoding="utf-8"))}
            if wrong := [path.name for path in products if hash_file(path) != said.get(path.name)]:
                raise ValueError(f"{wrong[0]} is not the file that {changes and changes.name} names")
        except (ValueError, OSError) as fault:
            return FAILED, f"The build was no success: {fault}."
        finally:
            if changes is not None:
                changes.unlink()
        self.debs = [path for path in products if path.suffix == ".deb"]
        return None

    def is_stale(self) -> bool:
        """Whether it was built for another run, with other packages than the archive has now."""
        if not self.is_older:
            return False
        there = self.engine.versions(self.job.platform, self.job.architecture)
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in self.target.glob("*.buildinfo")]
        used = [pair for text in texts for pair in _INSTALLED.findall(text)]
        return any(there.get(name, version) != version for name, version in used)

    def install(self) -> tuple[str, str] | None:
        """Install what was built in another clean environment."""
        if not self.job.install:
            return None
        if INSTALL not in self.memory.sources:
            with make_scratch("slipway-install-") as scratch:
                names = sorted({path.name.split("_", 1)[0] for path in self.debs})
                self.upload_files(INSTALL, tasks.make_install_source(scratch, names))
        request, tests = self.run_tests(INSTALL, self.memory.sources[INSTALL], [self.upload])
        if fault := self.judge(request, "The installation") or self.judge_testbed(request, tests):
            return fault
        if request.result not in PASSED:
            return FAILED, f"What was built cannot be installed: {self.cause or 'the log says why'}."
        return None

    def judge_testbed(self, request: WorkRequest, tests: Mapping[str, str]) -> tuple[str, str] | None:
        """Whether a failure is one of a test, and not of what it is run in."""
        if request.result in PASSED or tests:
            return None
        return GIVEN_BACK, f"Nothing was tested by work request {request.number}, see {request.page}."

    def try_out(self) -> tuple[str, str] | None:
        """Run the tests that the package has, and those of packages that depend on it."""
        if not self.job.test:
            return None
        dsc = next(path for path in self.source if path.name == self.job.dsc)
        faults = []
        if "\nTestsuite:" in f"\n{read_dsc(dsc)[1].text}":
            faults.append(self.find_regression(self.job.source, published=self.job.published))
        for other in self.job.dependents:
            fault = self.upload_source(other.source, other.version, other.dsc)
            faults.append(fault or self.find_regression(other.source, published=True))
        found = [fault for fault in faults if fault is not None]
        bad = [reason for outcome, reason in found if outcome == FAILED]
        return (FAILED, " ".join(bad)) if bad else next(iter(found), None)

    def find_regression(self, source: str, *, published: bool) -> tuple[str, str] | None:
        """What the tests of a source say against the new packages: not what they say of the published ones as well."""
        own, number, step = source == self.job.source, self.memory.sources[source], f"{TEST}-{source}"
        request, tests = self.run_tests(step, number, [self.upload])
        if fault := self.judge(request, f"The test of {source}") or self.judge_testbed(request, tests):
            return fault
        failed = [name for name, how in tests.items() if how.startswith("FAIL")]
        passed = request.result in PASSED
        before: dict[str, str] = {}
        if not passed and published:
            was, before = self.run_tests(f"{step}-published", number, [])
            if fault := self.judge(was, f"The test of {source}") or self.judge_testbed(was, before):
                return fault
            passed = not failed and was.result not in PASSED  # it names none, then and now
        red = [name for name in failed if before.get(name, "").startswith("FAIL")]
        for name, how in tests.items():
            self.tests[name if own else f"{source}/{name}"] = f"{how} (as before)" if name in red else how
        new = [name for name in failed if name not in red]
        if not new and (failed or passed):
            return None
        what = ", ".join(new) or "the log says which"
        if own and not published:
            return FAILED, f"Its tests failed: {what}."
        whose = "Its tests" if own else f"The tests of {source}"
        return FAILED, f"{whose} pass with what is published, and fail with the new packages: {what}."

    def run_tests(self, step: str, source: int, uploads: Sequence[int]) -> tuple[WorkRequest, dict[str, str]]:
        """The work request that tested, and what became of each test."""
        data = tasks.make_test(self.job, source, uploads, self.environment)
        request = self.request(step, tasks.AUTOPKGTEST, data, seconds=self.job.limits.seconds)
        if request.status != "completed" or request.result in BROKEN:
            return request, {}
        artifacts = self.list_artifacts(request)
        self.take_log(artifacts, (tasks.TESTS, tasks.DEBUG))
        found = next((one.data for one in artifacts if one.category == tasks.TESTS), {})
        return request, tasks.read_tests(found)


def _find_input(data: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """What a task works on: a source package, and what was built of it."""
    given = data.get("input")
    given = given if isinstance(given, dict) else {}
    return given.get("source_artifact"), list(given.get("binary_artifacts") or ())


def _remove_products(directory: Path) -> None:
    """Leave the log alone."""
    for path in directory.iterdir():
        if path.name.endswith((*_PRODUCTS, ".changes")):
            path.unlink()


def _describe_end(request: WorkRequest) -> str:
    return f"the status {request.status}" + (f" and the result {request.result}" if request.result else "")


def _read_memory(path: Path) -> Memory | None:
    """What was written down; what cannot be read was not."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        memory = Memory(**value)
        for known in (memory.requests, memory.sources):
            known.update({str(name): int(number) for name, number in known.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return memory


def _write_memory(path: Path, memory: Memory) -> None:
    write_atomic(path, format_json(asdict(memory)), mode=0o600)
