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
from ..forks import spread
from ..locks import flocked
from ..progress import Progress
from . import control as debcontrol
from . import file as debfile
from . import lock
from . import version as debversion
from .control import Control
from .file import Deb, Digests, Hasher
from .lock import Member, ReleaseSet
from .version import Rule

#: How long another run may hold the destination, in seconds.
LOCK_SECONDS = 600.0

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
            if not debcontrol.FIELD_NAME.fullmatch(name):
                fault = "that is no name for a field"
            elif name.lower() in debcontrol.RESERVED_FIELDS:
                fault = "that field has a meaning of its own"
            elif not value.strip() or not value.isprintable():
                fault = f"its value {value!r} is not one line of text"
            if fault:
                raise SlipwayError("set", f"the field '{name}'", fault, do_next="Choose another field or value.")
        for member in self.locked:
            for version in (member.version, member.stamped):
                if fault := debversion.fault_of(version):
                    came_back = f"the version '{version}' {fault}"
                    raise SlipwayError("lock to", member.package, came_back, do_next="Correct its versions.")


@dataclass(frozen=True)
class Stamped:
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


def stamp(
    paths: Sequence[str | os.PathLike[str]],
    destination: str | os.PathLike[str],
    *,
    order: Order,
    check: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[Stamped]:
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
    plans = _plans(sources, order=order, workers=workers)
    tell = _teller(progress)
    if check:
        return _made(plans, target, None, order=order, workers=workers, on_result=tell)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    with (
        flocked(target, attempt="stamp into", on=str(target), timeout=LOCK_SECONDS),
        _empty(target / ".stamp") as scratch,
        _Syncer() as syncer,
    ):

        def keep(result: Stamped) -> None:
            tell(result)
            if result.changed:
                syncer.sync(scratch / Path(result.path).name)

        results = _made(plans, target, scratch, order=order, workers=workers, on_result=keep)
        syncer.wait()
        _place(scratch, [Path(result.path) for result in results if result.changed])
    return results


def _place(scratch: Path, paths: Sequence[Path]) -> None:
    """Give new files their names; the old ones are there until then."""
    blocked = next((path for path in paths if path.is_dir()), None)
    if blocked is not None:
        raise _unwritable(blocked, IsADirectoryError("there is a directory"))
    for path in paths:
        os.replace(scratch / path.name, path)
    files.sync_directory(scratch.parent)


class _Syncer:
    """Sees to it that files are on the disk, while others are still being written."""

    def __enter__(self) -> _Syncer:
        self._pool = ThreadPoolExecutor(max_workers=4)
        self._waiting: list[tuple[Path, Future[None]]] = []
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def sync(self, path: Path) -> None:
        """Begin with one file."""
        self._waiting.append((path, self._pool.submit(_sync, path)))

    def wait(self) -> None:
        """Return when all are on the disk."""
        for path, begun in self._waiting:
            try:
                begun.result()
            except OSError as error:
                raise _unwritable(path, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> SlipwayError:
    came_back = error.strerror or str(error)
    return SlipwayError("write", str(path), came_back, do_next="Nothing was changed; see to it and run again.")


def _teller(progress: Progress | None) -> Callable[[Stamped], None]:
    """Says what has been stamped, twice a second at most."""
    said = 0.0

    def tell(result: Stamped) -> None:
        nonlocal said
        if progress is None:
            return
        if time.monotonic() - said < 0.5 and progress.done + 1 < progress.total:
            progress.done += 1
            return
        said = time.monotonic()
        progress.step(f"{result.package} {result.stamped} {result.architecture}")

    return tell


def debs_at(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
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
def _empty(directory: Path) -> Iterator[Path]:
    """A directory that is empty now, whatever an earlier run has left, and gone afterwards."""
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.mkdir()
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _plans(sources: Sequence[str], *, order: Order, workers: int) -> list[_Plan]:
    def plan(number: int) -> _Plan | SlipwayError:
        try:
            return _plan(sources[number], order)
        except SlipwayError as error:
            return error

    # Forks cost more than a look at a few debs.
    made = spread(len(sources), plan, workers=workers if len(sources) > 16 else 1, attempt="read the debs")
    plans = [one for one in made if isinstance(one, _Plan)]
    debfile.refuse_faulty([one for one in made if isinstance(one, SlipwayError)] + _double(plans), total=len(sources))
    return plans


def _plan(source: str, order: Order) -> _Plan:
    deb = debfile.read(source, drop_signatures=order.drop_signatures)
    try:
        member = lock.describe(Control(debcontrol.decode(deb.control)), order.rule)
    except ValueError as fault:
        raise debfile.refusal(source, str(fault)) from None
    suffix = os.path.splitext(source)[1]
    extension = suffix if suffix in _EXTENSIONS else ".deb"
    version = debversion.parse(member.stamped)
    number = str(version).removeprefix(version.prefix)
    return _Plan(deb, member, f"{member.package}_{number}_{member.architecture}{extension}")


def _double(plans: Sequence[_Plan]) -> list[SlipwayError]:
    """Debs that are the same package for the same architecture."""
    first: dict[tuple[str, str], str] = {}
    faults = []
    for plan in plans:
        other = first.setdefault((plan.member.package, plan.member.architecture), plan.deb.path)
        if other is not plan.deb.path:
            what = f"{plan.member.package} for {plan.member.architecture}"
            faults.append(debfile.refusal(plan.deb.path, f"it is {what}, and so is {other}"))
    return faults


def _made(
    plans: Sequence[_Plan],
    target: Path,
    scratch: Path | None,
    *,
    order: Order,
    workers: int,
    on_result: Callable[[Stamped], None],
) -> list[Stamped]:
    release = ReleaseSet([*(plan.member for plan in plans), *order.locked])
    # The largest first, so that all processes end at about the same time.
    turns = sorted(range(len(plans)), key=lambda number: -plans[number].deb.size)

    def make(turn: int) -> Stamped | SlipwayError:
        plan = plans[turns[turn]]
        try:
            return _make(plan, target / plan.name, scratch, release=release, order=order)
        except SlipwayError as error:
            return error
        except OSError as error:
            return _unwritable(target / plan.name, error)

    def take(made: Stamped | SlipwayError) -> None:
        if isinstance(made, Stamped):
            on_result(made)

    made = spread(len(turns), make, workers=workers, attempt="stamp the debs", on_result=take)
    debfile.refuse_faulty([one for one in made if isinstance(one, SlipwayError)], total=len(plans))
    placed = dict(zip(turns, made, strict=True))
    return [one for number in range(len(plans)) if isinstance(one := placed[number], Stamped)]


def _make(plan: _Plan, path: Path, scratch: Path | None, *, release: ReleaseSet, order: Order) -> Stamped:
    deb = plan.deb
    before = debcontrol.decode(deb.control)
    try:
        after = lock.stamp(Control(before), plan.member, release=release, rule=order.rule, fields=order.fields)
    except ValueError as fault:
        raise debfile.refusal(deb.path, str(fault)) from None
    control = debcontrol.encode(after.text)
    digests = _compared(deb, control, path)
    changed = digests is None
    if digests is None:
        digests = _written(deb, control, None if scratch is None else scratch / path.name)
    return Stamped(
        package=plan.member.package,
        architecture=plan.member.architecture,
        version=plan.member.version,
        stamped=plan.member.stamped,
        source=deb.path,
        path=str(path),
        digests=digests,
        changed=changed,
        before=debcontrol.printable(before),
        after=debcontrol.printable(after.text),
        unsatisfied=tuple(after.unsatisfied),
        dropped=deb.dropped,
    )


def _compared(deb: Deb, control: bytes, path: Path) -> Digests | None:
    """The digests of the file at ``path`` if it has the very bytes that stamping would give it."""
    if not path.is_file():
        return None
    with open(path, "rb", buffering=0) as stream:
        hasher = Hasher()
        for piece in debfile.rewritten(deb, control):
            there = bytearray(len(piece))
            count = stream.readinto(there)
            expected: object = piece
            if count != len(piece) or there != expected:  # a bytearray compares with any buffer at full speed
                return None
            hasher.update(piece)
        return None if stream.read(1) else hasher.digests()


def _written(deb: Deb, control: bytes, path: Path | None) -> Digests:
    """Write the stamped deb to ``path``, or only see what it would be."""
    hasher = Hasher()
    if path is None:
        for piece in debfile.rewritten(deb, control):
            hasher.update(piece)
        return hasher.digests()
    with open(path, "xb", buffering=0) as stream:
        for piece in debfile.rewritten(deb, control):
            hasher.update(piece)
            left = memoryview(piece)
            while left:
                left = left[stream.write(left) :]
    return hasher.digests()
