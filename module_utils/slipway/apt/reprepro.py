# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apt archives kept by reprepro: one user at a time, one export a change, and whole again after a crash.

reprepro's own lock is a file that a killed process leaves behind, and then every command fails. Here a ``flock`` that
ends with its process decides who works; a lock file that is found while holding it is a leftover. What was begun is
marked, so that the next user exports the indexes that a killed one did not.

With ``conf/served`` reprepro's own directory is read by nobody: what it exports is published from there by generations
(see ``exported.py``). Without it, clients read what reprepro writes, and meet what is half changed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..deb.architectures import SOURCE
from ..deb.control import Control
from ..deb.dsc import digest_content
from ..deb.version import compare_versions
from ..errors import SlipwayError, refuse
from ..files import hash_file, make_directory, make_scratch, sync_directory, write_atomic
from ..locks import hold_flock
from ..openpgp.command import FINGERPRINT, normalise_fingerprint
from ..openpgp.home import provide_environment
from ..process import Completed, run
from ..wait import wait_for
from .exported import adopt_served, is_publication_due, publish_export
from .generations import remove_temporaries
from .index import Deb
from .signed import RELEASE, SIGNED, Expected, Signer, find_faults
from .uploads import IncludedSource, SourceUpload, find_pool_conflict, find_source_conflict

LOCK = "slipway.lock"
UNFINISHED = "slipway.unfinished"
SAVED = "slipway.saved"
#: What was saved before another change: of a large database most is the same the next time, and is not written again.
SPARE = "slipway.spare"
#: What reprepro makes again by itself, and files that Berkeley DB was making: it would wait for their end in vain.
REMADE = ("contents.cache.db", "release.caches.db", "__db.*")
#: How many files or names one call of reprepro is given; a command line holds 2 MB.
BATCH = 2000
#: What is compared, and written, at once of a file of the database.
PIECE = 1 << 14
SNAPSHOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~-]*\Z")

#: After how many failures, and no success, the packages are not what is at fault.
MOST_REFUSED = 20

_BY_VERSION = functools.cmp_to_key(compare_versions)
_CHECKSUM = re.compile(r"^(\S+) .*:2:([0-9a-f]{64})", re.MULTILINE)
_LIST_FORMAT = r"${package}\t${version}\t${architecture}\t${$architecture}\t${$filekey}\t${SHA256}\n"

#: Fields of source packages have several lines; a line that begins with a tabulator is in none of them.
_SOURCE_FORMAT = r"${package}\t${version}\t${Directory}\t${Checksums-Sha256}\n\t\n"
_SOURCE_FILE = re.compile(r"^\s*([0-9a-f]{64}) [0-9]+ (\S+)$", re.MULTILINE)

Change = dict[str, str]
#: What is included, and what refuses it.
Item = TypeVar("Item", Deb, SourceUpload)


@dataclass(frozen=True)
class Package:
    """A package as one of a suite's indexes holds it.

    ``architecture`` is its own (``all`` too), ``index`` the architecture whose index this is; ``path`` is relative
    to the archive's public directory. ``content`` is of source packages, see :func:`~..deb.dsc.digest_content`.
    """

    name: str
    version: str
    architecture: str
    index: str
    path: str
    sha256: str
    content: str = ""


@dataclass(frozen=True)
class Suite:
    """A suite as ``conf/distributions`` defines it; architectures without ``source``, which ``sources`` stands for."""

    codename: str
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    sign_with: str = ""
    sources: bool = False


@dataclass(frozen=True)
class Publication:
    """What ``conf/served`` says: the directory that clients read, and the key that signs what is in it."""

    directory: Path
    key: str

    def find_signer(self, gnupghome: Path | None) -> Signer:
        """Whose signature is on it."""
        if gnupghome is None:
            raise SlipwayError(
                "publish in",
                str(self.directory),
                f"nothing says where the key {self.key} is",
                do_next="Give the GnuPG directory (gnupghome) and run again.",
            )
        return Signer(gnupghome, self.key)


@dataclass
class Outcome:
    """What a change did, or would do: the packages as ``{package, architecture, version, was}``, and both states.

    ``architecture`` is that of the index, ``source`` for source packages; ``was`` is missing for what was not there.
    ``waiting`` are sentences about uploads that are not whole yet.
    """

    before: list[Package]
    after: list[Package]
    added: list[Change] = field(default_factory=list)
    updated: list[Change] = field(default_factory=list)
    removed: list[Change] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether any index differs."""
        return bool(self.added or self.updated or self.removed)


def compare_states(before: Iterable[Package], after: Iterable[Package]) -> Outcome:
    """Compare two states of a suite."""
    result = Outcome(list(before), list(after))
    old = {(package.name, package.index): package for package in result.before}
    new = {(package.name, package.index): package for package in result.after}
    for (name, index), package in sorted(new.items()):
        change = {"package": name, "architecture": index, "version": package.version}
        was = old.get((name, index))
        if was is None:
            result.added.append(change)
        elif (was.version, was.sha256) != (package.version, package.sha256):
            result.updated.append({**change, "was": was.version})
    result.removed = [
        {"package": name, "architecture": index, "was": package.version}
        for (name, index), package in sorted(old.items())
        if (name, index) not in new
    ]
    return result


def format_listing(packages: Iterable[Package]) -> str:
    """One line a package, for diffs."""
    return "".join(sorted(f"{package.name} {package.version} {package.index}\n" for package in packages))


class Archive:
    """An archive that is held open by :func:`open_archive`; ``base`` is what reprepro calls its base directory."""

    def __init__(self, base: Path, *, database: Path, gnupghome: Path | None = None) -> None:
        self.base = base
        self.database = database
        self.gnupghome = gnupghome
        self.suites = read_suites(base)

    def find_suite(self, name: str) -> Suite:
        """The suite of that codename."""
        if name not in self.suites:
            raise SlipwayError(
                "find the suite",
                f"{name} in {self.base}",
                f"its conf/distributions has {', '.join(self.suites) or 'no suites'}",
                do_next="Correct the name, or add the suite, and run again.",
            )
        return self.suites[name]

    def list_packages(self, suite: str) -> list[Package]:
        """What the suite holds, sorted by name and index."""
        self.find_suite(suite)
        done = self.run_reprepro("--list-format", _LIST_FORMAT, "-T", "deb", "list", suite, attempt="list")
        rows = (line.split("\t") for line in done.stdout.splitlines())
        return sorted((Package(*row) for row in rows), key=lambda package: (package.name, package.index))

    def list_sources(self, suite: str) -> dict[str, IncludedSource]:
        """The source packages that the suite holds, by name."""
        if not self.find_suite(suite).sources:
            return {}
        done = self.run_reprepro("--list-format", _SOURCE_FORMAT, "-T", "dsc", "list", suite, attempt="list")
        found = {}
        for row in done.stdout.split("\n\t\n")[:-1]:
            name, version, directory, files = row.lstrip("\n").split("\t")
            digests = {file: digest for digest, file in _SOURCE_FILE.findall(files)}
            found[name] = IncludedSource(name, version, directory, digests)
        return found

    def list_all(self, suite: str) -> list[Package]:
        """What the suite holds, source packages too, which are in the index ``source``."""
        sources = [describe_source(source) for source in self.list_sources(suite).values()]
        return [*self.list_packages(suite), *sources]

    def judge_sources(
        self, suite: str, uploads: Sequence[SourceUpload], *, component: str | None = None
    ) -> tuple[Outcome, list[tuple[SourceUpload, str]]]:
        """What including those of ``uploads`` that can be would do, and the others, each with the reason.

        Of several versions of a source package the newest is included, and nothing is wrong with the others.
        """
        before = self.list_sources(suite)
        known = self.list_checksums() if uploads else {}
        after, refused = dict(before), []
        for upload in sorted(uploads, key=lambda one: _BY_VERSION(one.dsc.version)):
            there = after.get(upload.dsc.source)
            faults = [None if self.find_suite(suite).sources else f"{suite} takes no source packages"]
            faults.append(find_source_conflict(upload, there, self.public))
            if component is not None and (there is None or there.version != upload.dsc.version):
                faults.append(find_pool_conflict(upload, known, component=component))
            if reasons := [fault for fault in faults if fault is not None]:
                refused.append((upload, reasons[0]))
            elif there is None or there.version != upload.dsc.version:
                name, directory = upload.dsc.source, upload.dsc.locate_pool(component or "")
                after[name] = IncludedSource(name, upload.dsc.version, directory, upload.digests)
            for name, digest in upload.digests.items() if not reasons else ():
                known.setdefault(f"{upload.dsc.locate_pool(component or '')}/{name}", digest)
        outcome = compare_states(map(describe_source, before.values()), map(describe_source, after.values()))
        return outcome, refused

    def include_sources(self, suite: str, uploads: Sequence[SourceUpload], *, component: str | None = None) -> Outcome:
        """Include source packages, each in a call of its own, as reprepro wants it; the indexes are written once."""
        plan, refused = self.judge_sources(suite, uploads, component=component)
        findings = [f"{upload.path}: {reason}" for upload, reason in refused]
        _refuse_findings("include source packages in", suite, self.base, findings)
        new = {change["package"]: change["version"] for change in (*plan.added, *plan.updated)}
        wanted = [upload for upload in uploads if new.get(upload.dsc.source) == upload.dsc.version]
        if wanted:
            options = [] if component is None else ["--component", component]
            with self.begin_change(suite):
                for upload in wanted:
                    section, priority = upload.choose_place()
                    self.run_reprepro(
                        *(*options, "--section", section, "--priority", priority, "--export=silent-never"),
                        *("includedsc", suite, os.fspath(upload.path)),
                        attempt="include source packages in",
                    )
                now = {name: source.version for name, source in self.list_sources(suite).items()}
                missing = [f"{name} {version} is missing" for name, version in new.items() if now.get(name) != version]
                _refuse_findings("confirm the change of", suite, self.base, missing)
        return plan

    def include_each_source(
        self, suite: str, uploads: Sequence[SourceUpload], *, component: str | None = None, timeout: float = 600.0
    ) -> list[tuple[SourceUpload, str]]:
        """Include those of ``uploads`` that can be; the others, each with the reason."""
        refused = self.judge_sources(suite, uploads, component=component)[1]

        def include(part: Sequence[SourceUpload]) -> object:
            return self.include_sources(suite, part, component=component)

        return refused + self._include_halves(_without(uploads, refused), include, len(refused), timeout=timeout)

    def plan_include(self, suite: str, debs: Sequence[Deb]) -> Outcome:
        """What including ``debs`` would do; a deb that cannot be included is a finding, all are listed."""
        plan, refused = self.judge_debs(suite, debs)
        findings = [f"{deb.path}: {reason}" for deb, reason in refused]
        _refuse_findings("include packages in", suite, self.base, findings)
        return plan

    def judge_debs(self, suite: str, debs: Sequence[Deb]) -> tuple[Outcome, list[tuple[Deb, str]]]:
        """What including those of ``debs`` that can be would do, and the others, each with the reason.

        Of several versions of a package the newest is included, and nothing is wrong with the others.
        """
        indexes = self.find_suite(suite).architectures
        before = self.list_packages(suite)
        after = {(package.name, package.index): package for package in before}
        refused = []
        for deb in sorted(debs, key=lambda deb: _BY_VERSION(deb.version)):
            places = indexes if deb.architecture == "all" else (deb.architecture,)
            if deb.architecture not in {"all", *indexes}:
                refused.append((deb, f"{suite} has no architecture {deb.architecture}"))
                continue
            present = [after.get((deb.name, index)) for index in places]
            reasons = [reason for there in present if there is not None for reason in find_deb_conflict(deb, there)]
            refused += [(deb, reason) for reason in reasons[:1]]
            for index, there in zip(places, present, strict=True):
                if not reasons and (there is None or there.sha256 != deb.sha256):
                    path = "" if there is None else there.path
                    after[deb.name, index] = Package(deb.name, deb.version, deb.architecture, index, path, deb.sha256)
        return compare_states(before, after.values()), refused

    def include(self, suite: str, debs: Sequence[Deb], *, component: str | None = None) -> Outcome:
        """Include ``debs`` in one call; what is present with the same bytes is left unchanged."""
        plan = self.plan_include(suite, debs)
        new = {(change["package"], change["architecture"]) for change in (*plan.added, *plan.updated)}
        kept = {package.sha256 for package in plan.after}
        wanted = [
            deb
            for deb in debs
            if deb.sha256 in kept
            and any(name == deb.name and deb.architecture in {"all", index} for name, index in new)
        ]
        if wanted:
            with self.begin_change(suite):
                self.include_files(suite, wanted, component=component)
                self.confirm(suite, plan)
        return plan

    def include_files(self, suite: str, debs: Sequence[Deb], *, component: str | None) -> None:
        """Have reprepro include these files, inside of :meth:`begin_change`."""
        options = [] if component is None else ["--component", component]
        for batch in _split_batches([os.fspath(deb.path) for deb in debs]):
            self.run_reprepro(
                *options, "--export=silent-never", "includedeb", suite, *batch, attempt="include packages in"
            )

    def judge_each(
        self, suite: str, debs: Sequence[Deb], *, component: str | None = None
    ) -> tuple[Outcome, list[tuple[Deb, str]]]:
        """Like :meth:`judge_debs`, and refused is what reprepro refuses whatever the suite has."""
        known = self.list_checksums()
        faulty = [(deb, reason) for deb in debs for reason in find_deb_fault(deb, known, component=component)[:1]]
        plan, refused = self.judge_debs(suite, _without(debs, faulty))
        return plan, [*faulty, *refused]

    def include_each(
        self, suite: str, debs: Sequence[Deb], *, component: str | None = None, timeout: float = 600.0
    ) -> list[tuple[Deb, str]]:
        """Include those of ``debs`` that can be; the others, each with the reason.

        reprepro refuses all of a call for one file: on failure the halves are tried.
        """
        refused = self.judge_each(suite, debs, component=component)[1]

        def include(part: Sequence[Deb]) -> object:
            return self.include(suite, part, component=component)

        return refused + self._include_halves(_without(debs, refused), include, len(refused), timeout=timeout)

    def _include_halves(
        self, wanted: list[Item], include: Callable[[Sequence[Item]], object], refused: int, *, timeout: float
    ) -> list[tuple[Item, str]]:
        """Include what can be, where ``refused`` were refused before; the others, each with the reason."""
        faulty: list[tuple[Item, str]] = []
        parts = [wanted]
        included = 0
        while parts:
            part = parts.pop()
            try:
                include(part)
                included += len(part)
            except SlipwayError as error:
                self.recover(timeout=timeout)
                if len(part) > 1:
                    parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                    continue
                faulty.append((part[0], error.came_back))
                if not included and (not parts or refused + len(faulty) > MOST_REFUSED):
                    raise  # it is not the files
        return faulty

    def list_checksums(self) -> dict[str, str]:
        """The SHA-256 of every file that reprepro knows, by its path."""
        done = self.run_reprepro("_listchecksums", attempt="list the files of")
        return dict(_CHECKSUM.findall(done.stdout))

    def list_known(self, debs: Iterable[Deb], *, component: str) -> dict[str, str]:
        """:meth:`list_checksums` where a package has the name of another file; mostly none has, and nothing is asked.

        A file that is in the pool alone, of somebody who was killed, is none that reprepro knows.
        """
        there = ((self.public / deb.pool_path(component), deb.sha256) for deb in debs)
        differ = (path.is_file() and hash_file(path) != digest for path, digest in there)
        return self.list_checksums() if any(differ) else {}

    def plan_remove(self, suite: str, wanted: Iterable[Mapping[str, str | None]]) -> Outcome:
        """What :meth:`remove` would do."""
        before = self.list_packages(suite)
        exact = {(row["name"], row.get("version"), row.get("architecture")) for row in wanted}

        def goes(package: Package) -> bool:
            versions, indexes = (package.version, None), (package.index, None)
            return any((package.name, version, index) in exact for version in versions for index in indexes)

        return compare_states(before, [package for package in before if not goes(package)])

    def remove(self, suite: str, wanted: Iterable[Mapping[str, str | None]]) -> Outcome:
        """Remove exactly these packages: each row has a ``name``, and may have a ``version`` and an ``architecture``.

        A package of which another version is there stays, one that is not there is no failure.
        """
        plan = self.plan_remove(suite, wanted)
        if plan.changed:
            with self.begin_change(suite):
                self.remove_places(suite, {(change["package"], change["architecture"]) for change in plan.removed})
                self.confirm(suite, plan)
        return plan

    def remove_places(self, suite: str, places: Collection[tuple[str, str]]) -> None:
        """Have reprepro remove packages, each from the index of an architecture, inside of :meth:`begin_change`."""
        for index in self.find_suite(suite).architectures:
            for batch in _split_batches(sorted(name for name, where in places if where == index)):
                self.run_reprepro(
                    *("--architecture", index, "-T", "deb", "--export=silent-never", "remove", suite),
                    *batch,
                    attempt="remove packages from",
                )

    def plan_copy(self, suite: str, source: str, names: Sequence[str] | None) -> Outcome:
        """What :meth:`copy` would do; a package that is missing, or older than what is there, is a finding."""
        indexes = self.find_suite(suite).architectures
        before = self.list_packages(suite)
        present = {(package.name, package.index): package for package in before}
        offered = [package for package in self.list_packages(source) if package.index in indexes]
        chosen = offered if names is None else [package for package in offered if package.name in set(names)]
        missing = sorted(set(names or ()) - {package.name for package in offered})
        findings = [f"{source} has no {name}" for name in missing]
        for package in chosen:
            there = present.get((package.name, package.index))
            if there is not None and compare_versions(package.version, there.version) < 0:
                findings.append(
                    f"{package.name} for {package.index}: {suite} has {there.version}, {source} only {package.version}"
                )
        _refuse_findings("copy packages to", suite, self.base, findings)
        after = {**present, **{(package.name, package.index): package for package in chosen}}
        return compare_states(before, after.values())

    def copy(self, suite: str, source: str, names: Sequence[str] | None = None) -> Outcome:
        """Copy packages of the suite ``source`` to ``suite``: those of these names, or all."""
        plan = self.plan_copy(suite, source, names)
        if plan.changed:
            with self.begin_change(suite):
                for index in self.find_suite(suite).architectures:
                    changes = [*plan.added, *plan.updated]
                    chosen = [change["package"] for change in changes if change["architecture"] == index]
                    for batch in _split_batches(chosen):
                        self.run_reprepro(
                            *("--architecture", index, "-T", "deb", "--export=silent-never", "copy", suite, source),
                            *batch,
                            attempt="copy packages to",
                        )
                self.confirm(suite, plan)
        return plan

    def snapshot(self, suite: str, name: str, *, write: bool = True) -> bool:
        """Keep the suite as ``dists/<suite>/snapshots/<name>``; return whether that is new."""
        self.find_suite(suite)
        if not SNAPSHOT.match(name):
            raise SlipwayError(
                "name a snapshot of", suite, f"{name!r} is not a name", do_next="Use letters, digits and .+_~- only."
            )
        if (self.public / "dists" / suite / "snapshots" / name / "Release").exists():
            return False
        if write:
            with self.begin_change(suite):
                self.run_reprepro("gensnapshot", suite, name, attempt="make a snapshot of", sign=True)
        return True

    def export(self, *suites: str, anew: bool = False) -> None:
        """Write the indexes of these suites, of all without a name, and look at what clients will read.

        With ``anew`` nothing is kept of what clients read of them now.
        """
        self.run_reprepro("export", *suites, attempt="export", sign=True)
        served = read_publication(self.base)
        if served is not None:
            again = (suites or self.suites) if anew else ()
            publish_export(self.public, served.directory, signer=served.find_signer(self.gnupghome), anew=again)
            return
        findings = [
            fault for suite in suites or self.suites for fault in find_export_faults(self.base, suite, self.gnupghome)
        ]
        _refuse_findings("confirm the indexes of", ", ".join(suites or self.suites), self.base, findings)

    @property
    def public(self) -> Path:
        """The directory with reprepro's ``dists`` and ``pool``."""
        return read_public(self.base)

    @contextlib.contextmanager
    def begin_change(self, suite: str) -> Iterator[None]:
        """Mark a change as begun and save the database; export the suite when it is done.

        reprepro's database has no transactions: killed while it writes, it may leave a file that it cannot open again.
        """
        mark = self.base / UNFINISHED
        write_atomic(mark, f"{suite}\n".encode())
        self._save()
        yield
        shutil.rmtree(self.base / SPARE, ignore_errors=True)
        os.replace(self.base / SAVED, self.base / SPARE)
        self.export(suite)
        mark.unlink()

    def _save(self) -> None:
        """Save a copy of the database in one step; what the spare one has of it is not written again."""
        saved, spare = self.base / SAVED, self.base / SPARE
        make_directory(spare)
        files = {path.name: path for path in self.database.glob("*") if path.name != "lockfile"}
        for path in spare.iterdir():
            if path.name not in files:
                path.unlink()
        for name, path in sorted(files.items()):
            _copy_changes(path, spare / name)
        sync_directory(spare)
        os.replace(spare, saved)
        sync_directory(self.base)

    def recover(self, *, timeout: float) -> bool:
        """After a killed user: put back the database it was changing, and export what it may not have exported.

        A reprepro that survived its killed parent, or that was started by hand, is waited for.
        """
        lockfile, mark, saved = self.database / "lockfile", self.base / UNFINISHED, self.base / SAVED
        if not lockfile.exists() and not mark.exists():
            return False
        wait_for(
            lambda: _find_users(self.database),
            lambda users: not users,
            bool,
            attempt="use the archive",
            on=f"{self.base}, whose database these processes have open",
            timeout=timeout,
            do_next="Somebody runs reprepro by hand: wait for its end and run again.",
        )
        write_atomic(mark, b"recovering\n")
        if saved.is_dir():
            shutil.rmtree(self.database, ignore_errors=True)
            os.replace(saved, self.database)
        lockfile.unlink(missing_ok=True)
        for path in [path for pattern in REMADE for path in self.database.glob(pattern)]:
            path.unlink()
        self.run_reprepro("rereference", attempt="recover")
        self.run_reprepro("deleteunreferenced", attempt="recover")
        self.export()
        mark.unlink()
        sync_directory(self.base)
        return True

    def run_reprepro(self, *words: str, attempt: str, sign: bool = False) -> Completed:
        """Run reprepro; with ``sign`` the archive's keys are at hand."""
        with contextlib.ExitStack() as stack:
            env = None
            if sign and self.gnupghome is not None:
                env = stack.enter_context(provide_environment(self.gnupghome))
            stack.enter_context(_set_umask(0o022))
            return run(
                ["reprepro", "--basedir", str(self.base), "--dbdir", str(self.database), *words],
                attempt=attempt,
                on=f"the archive {self.base}",
                env=env,
                timeout=3600,
            )

    def confirm(self, suite: str, plan: Outcome) -> list[Package]:
        """Compare a suite with what was planned; what it holds."""
        found = self.list_packages(suite)
        now = {(package.name, package.index): package.sha256 for package in found}
        wanted = {(package.name, package.index): package.sha256 for package in plan.after}
        findings = [
            f"{name} for {index} {'is missing' if (name, index) not in now else 'should not be there'}"
            if (name, index) not in now or (name, index) not in wanted
            else f"{name} for {index} is another file"
            for name, index in sorted(now.keys() | wanted.keys())
            if now.get((name, index)) != wanted.get((name, index))
        ]
        _refuse_findings("confirm the change of", suite, self.base, findings)
        return found


def _copy_changes(source: Path, target: Path) -> None:
    """Let a file be a copy of another; only pieces in which they differ are written."""
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    with open(source, "rb") as wanted, open(descriptor, "r+b") as sink:
        place, changed = 0, os.fstat(descriptor).st_size != os.fstat(wanted.fileno()).st_size
        while piece := wanted.read(PIECE):
            if os.pread(descriptor, len(piece), place) != piece:
                sink.seek(place)
                sink.write(piece)
                changed = True
            place += len(piece)
        if changed:
            sink.truncate(place)
            os.fsync(descriptor)


@contextlib.contextmanager
def _set_umask(umask: int) -> Iterator[None]:
    """For a program that leaves the modes of its files to it."""
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def is_export_due(base: Path, suite: str, *, gnupghome: Path | None = None) -> bool:
    """Whether an index of the suite is missing, older than ``conf/distributions``, or not what clients can use."""
    if _is_export_old(base, suite):
        return True
    served = read_publication(base)
    if served is None:
        return bool(find_export_faults(base, suite, gnupghome))
    return is_publication_due(read_public(base), served.directory, suite, signer=served.find_signer(gnupghome))


def find_export_faults(base: Path, suite: str, gnupghome: Path | None) -> list[str]:
    """What clients would stumble over in what reprepro exported of the suite."""
    known = read_suites(base)[suite]
    fingerprint = known.sign_with if FINGERPRINT.match(known.sign_with) else None
    expected = Expected(
        codename=suite,
        architectures=known.architectures,
        components=known.components,
        signer=Signer(gnupghome, fingerprint) if known.sign_with and gnupghome is not None else None,
        files=SIGNED if known.sign_with else [RELEASE],
    )
    return [f"dists/{suite}: {fault}" for fault in find_faults(read_public(base) / "dists" / suite, expected)]


def _is_export_old(base: Path, suite: str) -> bool:
    settings = base / "conf" / "distributions"
    if not settings.exists():
        return True
    known = read_suites(base).get(suite)
    if known is None:
        return True
    top = read_public(base) / "dists" / suite
    indexes = [
        top / component / f"binary-{architecture}"
        for component in known.components
        for architecture in known.architectures
    ]
    sources = [top / component / "source" for component in known.components if known.sources]
    there = [any(path.glob("Packages*")) for path in indexes] + [any(path.glob("Sources*")) for path in sources]
    if not (top / RELEASE).exists() or not all(there):
        return True
    return (top / RELEASE).stat().st_mtime < settings.stat().st_mtime


@contextlib.contextmanager
def open_archive(
    base: str | os.PathLike[str],
    *,
    gnupghome: str | os.PathLike[str] | None = None,
    write: bool = True,
    timeout: float = 600.0,
) -> Iterator[Archive]:
    """Hold the archive in ``base``, waiting at most ``timeout`` seconds for others; ``gnupghome`` has its keys.

    Without ``write`` nothing on disk changes: a copy of the database is read, and nobody is waited for.
    """
    home = None if gnupghome is None else Path(gnupghome)
    place = Path(base)
    read_suites(place)
    if not write:
        with make_scratch("slipway-reprepro-") as temporary:
            copied = temporary / "db"
            whole = next((path for path in (place / SAVED, place / "db") if path.is_dir()), None)
            if whole is not None:
                shutil.copytree(whole, copied, ignore=shutil.ignore_patterns("lockfile", "__db.*"))
            yield Archive(place, database=copied, gnupghome=home)
        return
    with hold_flock(place / LOCK, attempt="use the archive", on=str(place), timeout=timeout):
        archive = Archive(place, database=place / "db", gnupghome=home)
        remove_temporaries(place)
        served = read_publication(place)
        if served is not None:
            adopt_served(archive.public, served.directory)
        archive.recover(timeout=timeout)
        yield archive


def read_suites(base: Path) -> dict[str, Suite]:
    """The suites that ``conf/distributions`` defines, by codename."""
    path = base / "conf" / "distributions"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SlipwayError(
            "use the archive",
            str(base),
            f"{path} cannot be read: {error.strerror}",
            do_next="Make the archive with the role slipway.release.apt_archive, or correct the path.",
        ) from error
    found = {}
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        fields = dict(_FIELD.findall("\n".join(lines)))
        if "Codename" in fields:
            architectures = tuple(name for name in fields.get("Architectures", "").split() if name != "source")
            components = tuple(fields.get("Components", "main").split())
            codename, key = fields["Codename"].strip(), fields.get("SignWith", "").strip()
            sources = "source" in fields.get("Architectures", "").split()
            found[codename] = Suite(codename, architectures, components, key, sources=sources)
    return found


_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", re.MULTILINE)


def read_public(base: Path) -> Path:
    """The directory that reprepro writes to: ``outdir`` of conf/options, or the base itself."""
    return _read_directory(base, "options", "outdir") or base


def read_publication(base: Path) -> Publication | None:
    """Where what is exported is published, if it is."""
    directory, key = _read_directory(base, "served", "directory"), _read_word(base, "served", "key")
    return None if directory is None else Publication(directory, normalise_fingerprint(key))


def _read_directory(base: Path, file: str, word: str) -> Path | None:
    value = _read_word(base, file, word)
    return Path(os.path.normpath(value.replace("+b/", f"{base}/", 1))) if value else None


def _read_word(base: Path, file: str, word: str) -> str:
    path = base / "conf" / file
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = (line.strip().partition(" ") for line in lines)
    return next((value.strip() for name, _space, value in found if name == word and value.strip()), "")


def describe_source(source: IncludedSource) -> Package:
    """A source package among the packages of a suite."""
    path = f"{source.directory}/{source.dsc}"
    content = digest_content(source.version, source.digests)
    return Package(source.name, source.version, SOURCE, SOURCE, path, source.digests.get(source.dsc, ""), content)


def _without(items: Sequence[Item], refused: Iterable[tuple[Item, str]]) -> list[Item]:
    out = {item.path for item, _reason in refused}
    return [item for item in items if item.path not in out]


def find_deb_fault(deb: Deb, known: Mapping[str, str], *, component: str | None) -> list[str]:
    """Why reprepro would refuse a deb, whatever the suite has."""
    fields = Control(deb.control)
    findings = [f"it has no field {name}" for name in ("Section", "Priority") if fields.get(name) is None]
    path = deb.pool_path(component or "")
    if component is not None and known.get(path, deb.sha256) != deb.sha256:
        findings.append(f"{path} is there with other content")
    return findings


def find_deb_conflict(deb: Deb, there: Package) -> list[str]:
    """Why a deb cannot take the place of a package; empty if it can, or is that package."""
    if there.sha256 == deb.sha256:
        return []
    order = compare_versions(deb.version, there.version)
    if order > 0:
        return []
    if order == 0:
        return [f"{deb.name} {deb.version} for {there.index} is there with other content"]
    return [f"{deb.name} {deb.version} is older than {there.version}, which {there.index} has"]


def _refuse_findings(attempted: str, suite: str, base: Path, findings: Sequence[str]) -> None:
    refuse(
        attempted,
        f"{suite} of {base}",
        findings,
        several="packages conflict",
        do_next="Correct this and run again; the indexes are as they were.",
    )


def _split_batches(words: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(words), BATCH):
        yield words[start : start + BATCH]


def _find_users(database: Path) -> list[str]:
    """The processes that have a file of the database open, as far as we may see."""
    inside = f"{database.resolve()}/"
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                links = [os.readlink(descriptor) for descriptor in (process / "fd").iterdir()]
                if any(link.startswith(inside) for link in links):
                    found.append(process.name)
    return found
