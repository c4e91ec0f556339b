# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give a set of debs one release: new versions, locked to each other, on all cores, all or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..errors import SlipwayError
from ..locks import hold_flock
from ..progress import Progress
from . import lock
from .control import (
    FIELD_NAME,
    RESERVED_FIELDS,
    Control,
    decode_control,
    encode_control,
    make_printable,
    read_control_file,
)
from .file import Deb, Digests, Hasher, inspect_deb, refuse_faulty_debs, rewrite_deb, unusable_deb
from .forks import spread_work
from .lock import Member, ReleaseSet
from .version import Rule, find_version_fault, parse_version

#: How long another run may hold the destination, in seconds.
LOCK_SECONDS = 600.0

#: The name of a file has room for the marks of a temporary one within 255 bytes.
MAX_FILE_NAME = 240

_EXTENSIONS = (".deb", ".udeb", ".ddeb")


@dataclass(frozen=True)
class Order:
    """What a set of debs shall become.

    ``fields`` are set in every control file, such as the marker of a distribution. ``locked`` are members of the
    set that are not among the debs. ``drop_signatures`` admits debs that are signed inside.
    """

    rule: Rule
    fields: Mapping[str, str]
    locked: tuple[Member, ...] = ()
    drop_signatures: bool = False

    def check(self) -> None:
        """Raise :class:`SlipwayError` for an order that no deb can be stamped with."""
        self.rule.check()
        for name, value in self.fields.items():
            fault = None
            if not FIELD_NAME.fullmatch(name):
                fault = "that is not a name for a field"
            elif name.lower() in RESERVED_FIELDS:
                fault = "that field has a meaning of its own"
            elif not value.strip() or not value.isprintable():
                fault = f"its value {value!r} is not one line of text"
            if fault:
                raise SlipwayError("set", f"the field '{name}'", fault, do_next="Choose another field or value.")
        for member in self.locked:
            for version in (member.version, member.stamped):
                if fault := find_version_fault(version):
                    came_back = f"the version '{version}' {fault}"
                    raise SlipwayError("lock to", member.package, came_back, do_next="Correct its versions.")


def describe_locked(words: Mapping[str, str], rule: Rule) -> Member:
    """A member of the set that is stamped already; ``provides`` is what its control file said before."""
    rule.check()
    try:
        provides = lock.read_provides(Control(f"Provides: {words.get('provides') or ''}\n"), rule)
    except ValueError as fault:
        raise SlipwayError("lock to", words["package"], str(fault), do_next="Correct what it provides.") from None
    return Member(words["package"], words["architecture"], words["version"], words["stamped"], provides)


@dataclass(frozen=True)
class StampedDeb:
    """A deb and what has become of it.

    ``source`` is the deb's path, ``path`` that of the new one, ``changed`` whether the file at ``path`` was (in
    check mode: would be) written. ``before`` and ``after`` are the control files. ``unsatisfied`` are relations
    (field, relation) to members of the set in versions that the set does not have; they stay unsatisfied.
    ``dropped`` are the signatures inside that were left out.
    """

    package: str
    architecture: str
    version: str
    stamped: str
    source: str
    path: str
    digests: Digests
    changed: bool
    before: str
    after: str
    unsatisfied: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    deb: Deb
    member: Member
    name: str


def stamp_debs(
    paths: Sequence[str | os.PathLike[str]],
    destination: str | os.PathLike[str],
    *,
    order: Order,
    check: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[StampedDeb]:
    """Stamp the debs at ``paths`` as one set into the directory ``destination``; the results have their order.

    A new file is called ``<package>_<version without epoch>_<architecture>.deb``; one that is there already with
    the very bytes stays as it is. With ``check`` nothing is written and the results are the same. If one deb
    cannot be stamped, none is, and :class:`SlipwayError` has a sentence about each that cannot.
    """
    order.check()
    sources = [os.fspath(path) for path in paths]
    target = Path(destination)
    if any(Path(source).resolve().parent == target.resolve() for source in sources):
        raise SlipwayError("stamp into", str(target), "debs to stamp are there", do_next="Choose another directory.")
    workers = jobs or len(os.sched_getaffinity(0))
    plans = _plan_debs(sources, order=order, workers=workers)
    report_result = _make_reporter(progress)
    if check:
        return _stamp_plans(plans, target, None, order=order, workers=workers, on_result=report_result)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(target, error) from error
    with (
        hold_flock(target, attempt="stamp into", on=str(target), timeout=LOCK_SECONDS),
        _make_scratch(target / ".stamp") as scratch,
        _Syncer() as syncer,
    ):

        def keep(result: StampedDeb) -> None:
            report_result(result)
            if result.changed:
                syncer.sync(scratch / Path(result.path).name)

        results = _stamp_plans(plans, target, scratch, order=order, workers=workers, on_result=keep)
        syncer.wait()
        _put_in_place(scratch, [Path(result.path) for result in results if result.changed])
    return results


def _put_in_place(scratch: Path, paths: Sequence[Path]) -> None:
    """Rename the new files over the old ones."""
    blocked = next((path for path in paths if path.is_dir()), None)
    if blocked is not None:
        raise _write_error(blocked, IsADirectoryError("there is a directory"))
    for path in paths:
        os.replace(scratch / path.name, path)
    files.sync_directory(scratch.parent)


class _Syncer:
    """Syncs files to disk while others are still being written."""

    def __enter__(self) -> _Syncer:
        self._pool = ThreadPoolExecutor(max_workers=4)
        self._waiting: list[tuple[Path, Future[None]]] = []
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def sync(self, path: Path) -> None:
        """Begin to sync one file."""
        self._waiting.append((path, self._pool.submit(files.sync_file, path)))

    def wait(self) -> None:
        """Return when all are on the disk."""
        for path, begun in self._waiting:
            try:
                begun.result()
            except OSError as error:
                raise _write_error(path, error) from error


def _write_error(path: Path, error: OSError) -> SlipwayError:
    came_back = error.strerror or str(error)
    return SlipwayError("write", str(path), came_back, do_next="Nothing was changed; fix this and run again.")


def _make_reporter(progress: Progress | None) -> Callable[[StampedDeb], None]:
    """A callback that reports stamped debs, at most twice a second."""
    reported = 0.0

    def report_result(result: StampedDeb) -> None:
        nonlocal reported
        if progress is None:
            return
        if time.monotonic() - reported < 0.5 and progress.done + 1 < progress.total:
            progress.done += 1
            return
        reported = time.monotonic()
        progress.step(f"{result.package} {result.stamped} {result.architecture}")

    return report_result


def find_debs(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """The debs that ``paths`` name, a directory standing for those in it, by name."""
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            found += sorted(entry.path for entry in os.scandir(path) if entry.name.endswith(_EXTENSIONS))
        else:
            found.append(os.fspath(path))
    if not found:
        where = ", ".join(os.fspath(path) for path in paths) or "an empty list"
        raise SlipwayError("find debs at", where, "there are none", do_next="Correct the path.")
    return found


@contextlib.contextmanager
def _make_scratch(directory: Path) -> Iterator[Path]:
    """Create an empty directory, without leftovers of an earlier run; it is removed afterwards."""
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.mkdir()
    except OSError as error:
        raise _write_error(directory, error) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _plan_debs(sources: Sequence[str], *, order: Order, workers: int) -> list[_Plan]:
    def plan(number: int) -> _Plan | SlipwayError:
        try:
            return _plan_deb(sources[number], order)
        except SlipwayError as error:
            return error

    # For a few debs, forks cost more than reading them.
    made = spread_work(len(sources), plan, workers=workers if len(sources) > 16 else 1, attempt="read the debs")
    plans = [one for one in made if isinstance(one, _Plan)]
    refuse_faulty_debs(
        [one for one in made if isinstance(one, SlipwayError)] + _find_doubles(plans), total=len(sources)
    )
    return plans


def _plan_deb(source: str, order: Order) -> _Plan:
    deb = inspect_deb(source, drop_signatures=order.drop_signatures)
    try:
        member = lock.describe_member(read_control_file(deb.control), order.rule)
    except ValueError as fault:
        raise unusable_deb(source, str(fault)) from None
    suffix = os.path.splitext(source)[1]
    extension = suffix if suffix in _EXTENSIONS else ".deb"
    version = parse_version(member.stamped)
    number = str(version).removeprefix(version.prefix)
    name = f"{member.package}_{number}_{member.architecture}{extension}"
    if len(name) > MAX_FILE_NAME:
        raise unusable_deb(source, f"the name of its file would be {len(name)} bytes long, of {MAX_FILE_NAME} at most")
    return _Plan(deb, member, name)


def _find_doubles(plans: Sequence[_Plan]) -> list[SlipwayError]:
    """Debs that are the same package for the same architecture."""
    first: dict[tuple[str, str], str] = {}
    faults = []
    for plan in plans:
        other = first.setdefault((plan.member.package, plan.member.architecture), plan.deb.path)
        if other is not plan.deb.path:
            what = f"{plan.member.package} for {plan.member.architecture}"
            faults.append(unusable_deb(plan.deb.path, f"it is {what}, and so is {other}"))
    return faults


def _stamp_plans(
    plans: Sequence[_Plan],
    target: Path,
    scratch: Path | None,
    *,
    order: Order,
    workers: int,
    on_result: Callable[[StampedDeb], None],
) -> list[StampedDeb]:
    release = ReleaseSet([*(plan.member for plan in plans), *order.locked])
    # The largest first, so that all processes end at about the same time.
    turns = sorted(range(len(plans)), key=lambda number: -plans[number].deb.size)

    def make(turn: int) -> StampedDeb | SlipwayError:
        plan = plans[turns[turn]]
        try:
            return _stamp_deb(plan, target / plan.name, scratch, release=release, order=order)
        except SlipwayError as error:
            return error
        except OSError as error:
            return _write_error(target / plan.name, error)

    def take(made: StampedDeb | SlipwayError) -> None:
        if isinstance(made, StampedDeb):
            on_result(made)

    made = spread_work(len(turns), make, workers=workers, attempt="stamp the debs", on_result=take)
    refuse_faulty_debs([one for one in made if isinstance(one, SlipwayError)], total=len(plans))
    placed = dict(zip(turns, made, strict=True))
    return [one for number in range(len(plans)) if isinstance(one := placed[number], StampedDeb)]


def _stamp_deb(plan: _Plan, path: Path, scratch: Path | None, *, release: ReleaseSet, order: Order) -> StampedDeb:
    deb = plan.deb
    before = decode_control(deb.control)
    try:
        after = lock.stamp_control(Control(before), plan.member, release=release, rule=order.rule, fields=order.fields)
    except ValueError as fault:
        raise unusable_deb(deb.path, str(fault)) from None
    control = encode_control(after.text)
    digests = _compare_existing(deb, control, path)
    changed = digests is None
    if digests is None:
        digests = _write_deb(deb, control, None if scratch is None else scratch / path.name)
    return StampedDeb(
        package=plan.member.package,
        architecture=plan.member.architecture,
        version=plan.member.version,
        stamped=plan.member.stamped,
        source=deb.path,
        path=str(path),
        digests=digests,
        changed=changed,
        before=make_printable(before),
        after=make_printable(after.text),
        unsatisfied=tuple(after.unsatisfied),
        dropped=deb.dropped,
    )


def _compare_existing(deb: Deb, control: bytes, path: Path) -> Digests | None:
    """The digests of the file at ``path`` if it has the very bytes that stamping would give it."""
    if not path.is_file():
        return None
    with open(path, "rb", buffering=0) as stream:
        hasher = Hasher()
        for piece in rewrite_deb(deb, control):
            there = bytearray(len(piece))
            count = stream.readinto(there)
            expected: object = piece
            if count != len(piece) or there != expected:  # a bytearray compares with any buffer at full speed
                return None
            hasher.update(piece)
        return None if stream.read(1) else hasher.digests()


def _write_deb(deb: Deb, control: bytes, path: Path | None) -> Digests:
    """Write the stamped deb to ``path``; without one only compute its digests."""
    hasher = Hasher()
    if path is None:
        for piece in rewrite_deb(deb, control):
            hasher.update(piece)
        return hasher.digests()
    with open(path, "xb", buffering=0) as stream:
        for piece in rewrite_deb(deb, control):
            hasher.update(piece)
            left = memoryview(piece)
            while left:
                left = left[stream.write(left) :]
    return hasher.digests()
