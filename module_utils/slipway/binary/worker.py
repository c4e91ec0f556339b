# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One job on a build host: a source package comes in, and what was built and a log go out.

The coordinator sends the job and then holds the line. When the line is cut, nobody waits any more: the job ends and
leaves nothing behind. While it runs, the coordinator hears once in a while where it is.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..deb.dsc import find_wrong_files, read_dsc
from ..errors import SlipwayError
from ..files import make_directory, make_scratch, write_atomic
from . import autopkgtest, sbuild
from .job import BUILD, BUSY, DONE, FAILED, FETCH, GIVEN_BACK, INSTALL, TEST, Job, Result
from .limits import Ended, adopt_orphans, end_orphans, find_free, run_limited
from .rooms import PREFIX, remove_leftovers, remove_rooms
from .station import WORD, Station, can_run, limit_time, read_architecture
from .wire import list_files, receive_files, receive_message, send_message, skip_files

#: Seconds between words to the coordinator.
BEAT = 5.0


def serve(incoming: IO[bytes], outgoing: IO[bytes], *, station: Station | None = None) -> None:
    """Do the job that comes in, and send back what became of it; or tell what this host has."""
    here = station or Station()
    try:
        with limit_time(here.transfer_seconds, "the first word"):
            message = receive_message(incoming)
        if message is None:
            return
        if "ping" in message:
            send_message(outgoing, {"host": here.describe()})
            return
        given = message.get("job")
        job = here.bound(Job.from_dict(given if isinstance(given, dict) else {}))
    except TimeoutError:
        return  # nobody said anything
    except ValueError as fault:
        send_message(outgoing, {"result": Result(FAILED, FETCH, f"{fault}.").as_dict(), "files": []})
        return
    adopt_orphans()
    with here.hold_slot() as has_room:
        if has_room:
            _serve_job(job, message.get("files"), incoming, outgoing, here)
        else:
            with limit_time(here.transfer_seconds, "the source package"):
                skip_files(incoming, message.get("files"), most=here.source_bytes)
            busy = Result(BUSY, FETCH, f"All of its {here.slots} slots are taken.")
            send_message(outgoing, {"result": busy.as_dict(), "files": []})


def _serve_job(job: Job, rows: object, incoming: IO[bytes], outgoing: IO[bytes], here: Station) -> None:
    remove_leftovers(here.work)
    with make_scratch(PREFIX, directory=here.work) as scratch:
        scratch.chmod(0o755)  # ids of the chroot pass through it
        worker = Worker(job, scratch, outgoing, station=here)
        signal.signal(signal.SIGTERM, lambda _number, _frame: worker.stop.set())
        try:
            try:
                with limit_time(here.transfer_seconds, "the source package"):
                    receive_files(incoming, rows, worker.source, most=here.source_bytes)
            except (ValueError, EOFError, TimeoutError) as fault:
                result = Result(GIVEN_BACK, FETCH, f"The source package did not come whole: {fault}.")
            else:
                with worker.watch_line(incoming):
                    result = worker.work()
            products = worker.list_products(result)
            with limit_time(here.transfer_seconds, "the answer"):
                send_message(outgoing, {"result": result.as_dict(), "files": list_files(products)}, products)
        finally:
            end_orphans()
            worker.remove()


@dataclass
class Worker:
    """A job while it is done in a directory of its own."""

    job: Job
    scratch: Path
    outgoing: IO[bytes]
    station: Station = field(default_factory=Station)
    stop: threading.Event = field(default_factory=threading.Event)
    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    products: list[Path] = field(default_factory=list)
    told: float = 0.0

    def __post_init__(self) -> None:
        for directory in (self.source, self.built, self.rooms):
            make_directory(directory)

    @property
    def source(self) -> Path:
        """What came in."""
        return self.scratch / "source"

    @property
    def built(self) -> Path:
        """What was built."""
        return self.scratch / "built"

    @property
    def rooms(self) -> Path:
        """Where chroots are unpacked."""
        return self.scratch / "rooms"

    @property
    def log(self) -> Path:
        """What was said meanwhile, by sbuild and by the tests."""
        return self.scratch / f"{self.job.source}_{self.job.platform}_{self.job.architecture}.log"

    def work(self) -> Result:
        """Fetch, build, install and test; the first step that fails is the last."""
        try:
            for step, act in ((FETCH, self.check), (BUILD, self.build), (INSTALL, self.install), (TEST, self.try_out)):
                begin = time.monotonic()
                fault = act()
                self.seconds[step] = round(time.monotonic() - begin, 1)
                if fault is not None:
                    return self.conclude(*fault, step)
        except (SlipwayError, OSError) as error:  # of this host, not of the package
            return self.conclude(GIVEN_BACK, str(error), BUILD)
        return self.conclude(DONE, "", TEST)

    def conclude(self, outcome: str, reason: str, stage: str) -> Result:
        """What became of the job."""
        return Result(outcome, stage, reason, self.seconds, self.tests)

    def list_products(self, result: Result) -> list[Path]:
        """What goes out: packages only if all is well."""
        log = [self.log] if self.log.is_file() else []
        return [*(self.products if result.outcome == DONE else []), *log]

    def check(self) -> tuple[str, str] | None:
        """Whether what came in is what the job says, and whether there is room and a chroot for it."""
        try:
            _data, dsc = read_dsc(self.source / self.job.dsc)
        except (ValueError, OSError) as fault:
            return FAILED, f"{self.job.dsc} cannot be used: {fault}."
        if (dsc.source, dsc.version) != (self.job.source, self.job.version):
            return FAILED, f"{self.job.dsc} is of {dsc.source} {dsc.version}."
        if wrong := find_wrong_files(dsc, self.source):
            return GIVEN_BACK, f"The source package did not come whole: {'; '.join(wrong)}."
        if unusable := self.check_chroot():
            return GIVEN_BACK, unusable
        free, wanted = find_free(self.scratch), self.job.limits.free_bytes
        if free < wanted:
            return GIVEN_BACK, f"Only {free} bytes are free on the disk of {self.scratch.parent}, and {wanted} must be."
        for number, repository in enumerate(self.job.repositories):
            write_atomic(self.scratch / f"slipway-{number}.asc", repository.key.encode())
        exactly = self.job.exactly
        for name, text in (sbuild.make_exact_files(exactly) if exactly else {}).items():
            write_atomic(self.scratch / name, text.encode())
        settings = sbuild.make_settings(self.rooms, exactly.environment if exactly else None)
        write_atomic(self.scratch / "sbuildrc", settings.encode())
        return None

    def find_chroot(self, architecture: str) -> Path | None:
        """The archive of a clean system for the platform."""
        return self.station.find_chroot(self.job.platform, architecture)

    def check_chroot(self) -> str:
        """Why there is no chroot for the build that can be used, in a sentence."""
        name = f"{self.job.platform}-{self.job.chroot}"
        chroot = self.find_chroot(self.job.chroot)
        if chroot is None:
            return f"There is no chroot {name} in {self.station.chroots}."
        found = read_architecture(chroot)
        if not found:
            return f"The chroot {chroot} holds no Debian system that can be read."
        if found != self.job.chroot:
            return f"The chroot {chroot} is a system for {found}, not for {self.job.chroot}."
        return "" if can_run(found) else f"This host runs no programs for {found}, so {name} is of no use here."

    def lacks_testbed(self) -> bool:
        """Whether what was cross-built can be tried nowhere on this host."""
        job = self.job
        cross = job.chroot != job.architecture
        return cross and (self.find_chroot(job.architecture) is None or not can_run(job.architecture))

    def list_keys(self) -> list[Path]:
        """The keys of the repositories, as files."""
        return [self.scratch / f"slipway-{number}.asc" for number in range(len(self.job.repositories))]

    def build(self) -> tuple[str, str] | None:
        """Build the packages with sbuild."""
        chroot = self.find_chroot(self.job.chroot)
        if chroot is None:
            return GIVEN_BACK, "The chroot is gone."
        native = self.job.chroot == self.job.architecture
        source = self.source / self.job.dsc
        words = sbuild.make_command(self.job, chroot, source, keys=self.list_keys(), native=native)
        ended = self.run(words, BUILD, directory=self.built, SBUILD_CONFIG=str(self.scratch / "sbuildrc"))
        if fault := _judge_end(ended, "The build"):
            return fault
        said = sbuild.read_end(self.log)
        if ended.status or said.get("Status") not in ("successful", None):
            stage = said.get("Fail-Stage", "")
            cause = sbuild.find_cause(self.log)
            if self.job.exactly and (gone := sbuild.find_gone(self.log, self.job.exactly)):
                return FAILED, f"{sbuild.GONE}{', '.join(gone)}."
            outcome = GIVEN_BACK if not stage or stage in sbuild.FETCHING else FAILED
            return outcome, f"sbuild failed{' at ' + stage if stage else ''}{': ' + cause if cause else ''}."
        try:
            self.products = sbuild.find_products(self.built, self.job)
        except ValueError as fault_found:
            return FAILED, f"The build was no success: {fault_found}."
        return None

    def install(self) -> tuple[str, str] | None:
        """Install what was built in another clean chroot."""
        if not self.job.install:
            return None
        if self.lacks_testbed():
            self.tests[INSTALL] = f"SKIP this host runs no system for {self.job.architecture}"
            return None
        names = sorted({path.name.split("_", 1)[0] for path in self.list_debs()})
        tree = autopkgtest.make_install_test(self.scratch, names)
        status, tests = self.run_tests(tree, INSTALL)
        if status is None:
            return GIVEN_BACK, ""
        if status in autopkgtest.PASSED:
            return None
        if status in autopkgtest.TESTBED and not tests:
            return GIVEN_BACK, f"A clean chroot could not be had: {sbuild.find_cause(self.log)}."
        return FAILED, f"What was built cannot be installed: {sbuild.find_cause(self.log) or 'the log says why'}."

    def try_out(self) -> tuple[str, str] | None:
        """Run the tests that the package has, and those of packages that depend on it."""
        if not self.job.test or self.lacks_testbed():
            return None
        _data, dsc = read_dsc(self.source / self.job.dsc)
        faults = []
        if "\nTestsuite:" in f"\n{dsc.text}":
            faults.append(self.find_regression(self.job.source, self.job.dsc, published=self.job.published))
        for other in self.job.dependents:
            faults.append(self.find_regression(other.source, other.dsc, published=True))
        found = [fault for fault in faults if fault is not None]
        bad = [reason for outcome, reason in found if outcome == FAILED]
        return (FAILED, " ".join(bad)) if bad else next(iter(found), None)

    def find_regression(self, source: str, dsc: str, *, published: bool) -> tuple[str, str] | None:
        """What the tests of a source say against the new packages: not what they say of the published ones as well."""
        own = source == self.job.source
        status, tests = self.run_tests(self.source / dsc, f"{TEST}-{source}")
        if status is None:
            return GIVEN_BACK, ""
        failed = [name for name, how in tests.items() if how.startswith("FAIL")]
        if status in autopkgtest.TESTBED and not failed:
            return GIVEN_BACK, f"A testbed for {source} could not be had: {sbuild.find_cause(self.log)}."
        before: dict[str, str] = {}
        if status not in autopkgtest.PASSED and published:
            was, before = self.run_tests(self.source / dsc, f"{TEST}-{source}-published", debs=())
            if was is None:
                return GIVEN_BACK, ""
            if was in autopkgtest.TESTBED and not before:
                return GIVEN_BACK, f"A testbed for {source} could not be had: {sbuild.find_cause(self.log)}."
            if not failed and was not in autopkgtest.PASSED:
                status = autopkgtest.PASSED[0]  # not even the summary came, then and now
        red = [name for name in failed if before.get(name, "").startswith("FAIL")]
        for name, how in tests.items():
            self.tests[name if own else f"{source}/{name}"] = f"{how} (as before)" if name in red else how
        new = [name for name in failed if name not in red]
        if not new and (failed or status in autopkgtest.PASSED):
            return None
        what = ", ".join(new) or "the log says which"
        if own and not published:
            return FAILED, f"Its tests failed: {what}."
        whose = "Its tests" if own else f"The tests of {source}"
        return FAILED, f"{whose} pass with what is published, and fail with the new packages: {what}."

    def run_tests(
        self, tested: Path, step: str, debs: Sequence[Path] | None = None
    ) -> tuple[int | None, dict[str, str]]:
        """Status and results of autopkgtest with what was built, or with ``debs``; no status where nobody waits any
        more.
        """
        chroot = self.find_chroot(self.job.architecture)
        if chroot is None:
            return autopkgtest.TESTBED[0], {}
        place = self.scratch / step
        make_directory(place)
        summary = place / "summary"
        words = autopkgtest.make_command(
            self.job,
            chroot,
            tested,
            self.list_debs() if debs is None else debs,
            keys=self.list_keys(),
            scratch=self.rooms,
            summary=summary,
        )
        ended = self.run(words, step.partition("-")[0], directory=place)
        found = autopkgtest.read_summary(summary)
        if ended.stopped:
            return None, found
        if ended.limit:
            return autopkgtest.FAILED[0], {**found, "limit": f"FAIL {ended.limit}"}
        return ended.status, found

    def list_debs(self) -> list[Path]:
        """The packages that were built."""
        return [path for path in self.products if path.suffix == ".deb"]

    def run(self, words: list[str], step: str, *, directory: Path, **env: str) -> Ended:
        """Run a program, and tell the coordinator about once in five seconds that it does."""

        def tell(size: int) -> None:
            if time.monotonic() - self.told >= BEAT:
                self.told = time.monotonic()
                self.say({"at": step, "log": size})

        self.say({"at": step, "log": 0})
        return run_limited(
            words,
            log=self.log,
            limits=self.job.limits,
            stop=self.stop,
            directory=directory,
            env={"TMPDIR": str(self.rooms), **env},
            tell=tell,
        )

    def say(self, message: dict[str, object]) -> None:
        """Tell the coordinator; if the line is cut, nobody waits any more."""
        try:
            with limit_time(WORD, "a word"):
                send_message(self.outgoing, message)
        except OSError:
            self.stop.set()

    @contextlib.contextmanager
    def watch_line(self, incoming: IO[bytes]) -> Iterator[None]:
        """Stop the work when the coordinator hangs up."""
        done, told = os.pipe()

        def watch() -> None:
            # Nothing comes after the source package, so what can be read is the end.
            ready, _writable, _other = select.select([incoming.fileno(), done], [], [])
            if incoming.fileno() in ready:
                self.stop.set()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            os.close(told)
            thread.join()
            os.close(done)

    def remove(self) -> None:
        """Remove what belongs to ids of chroots: nobody else can."""
        if any(self.rooms.iterdir()):
            remove_rooms(self.rooms)


def _judge_end(ended: Ended, what: str) -> tuple[str, str] | None:
    if ended.stopped:
        return GIVEN_BACK, ""
    if ended.limit:
        return FAILED, f"{what} was ended: {ended.limit}."
    return None
