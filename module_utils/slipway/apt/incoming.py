# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was uploaded, taken into an archive: one file that cannot be taken holds up no other.

An upload is first moved to where its uploader has no way to, then copied: who still has the old file open, or has
another name of it, cannot change what is read, hashed and published. A file that is refused is kept aside.

A source package is several files, of which its .dsc names the others. It is moved when all of them are there, and until
then it waits; what no .dsc names stays where it is.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..deb.dsc import MAX_DSC, parse_dsc
from ..errors import SlipwayError
from ..files import open_regular, replace_file, sync_directory
from .generations import remove_temporaries
from .index import Deb, inspect_debs
from .reprepro import Archive, Item, Outcome, compare_states
from .uploads import SourceUpload, read_upload

DEB, DSC = ".deb", ".dsc"

#: What is no part of a name of a package's file, and may be meant for a terminal.
STRANGE = re.compile(r"[^A-Za-z0-9.+_~%:-]")


@dataclass(frozen=True)
class Places:
    """Where uploads for a suite are: as they came, moved away, copied whole, and refused."""

    uploaded: Path
    moved: Path
    whole: Path
    refused: Path

    def refuse(self, path: Path, reason: str) -> str:
        """Keep a file aside; a sentence about it."""
        name = STRANGE.sub("_", path.name)
        self.refused.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.replace(path, self.refused / name)
        except OSError as error:
            return f"{name}: {reason}; it stays in {path.parent} ({error.strerror})"
        return f"{name}: {reason}; it is kept in {self.refused}"


def locate_uploads(base: Path, suite: str, uploaded: Path) -> Places:
    """The places of an archive; all but the first are the archive's own."""
    mine = base / "incoming" / suite
    return Places(uploaded, mine / "moved", mine / "whole", mine / "refused")


@dataclass(frozen=True)
class _Group:
    """A .dsc and the files that it names; of those that are ``missing`` nothing is there yet."""

    dsc: Path
    names: tuple[str, ...]
    missing: tuple[str, ...]

    def describe(self) -> str:
        """Why it is not taken."""
        names = ", ".join(self.missing)
        return f"{STRANGE.sub('_', self.dsc.name)}: it waits for {names}, which it names"


def plan_uploads(
    archive: Archive, suite: str, places: Places, *, component: str | None = None, keyring: Path | None = None
) -> tuple[Outcome, list[str]]:
    """What taking in the uploads would do, as far as can be told without moving them, and a sentence about each that
    would be refused.
    """
    where = [*(place for place in (places.whole, places.moved) if place.is_dir()), places.uploaded]
    waiting = [group for group in _read_groups(places.uploaded, where) if group.missing]
    paths = [path for place in where for path in _list_files(place, DEB)]
    faults = {path: fault for path in paths for fault in _find_fault(path)}
    debs, broken = _sort_out([path for path in paths if path not in faults])
    dscs = [path for place in where for path in _list_files(place, DSC)]
    sources, unsound = _read_sources(
        [path for path in dscs if path not in {one.dsc for one in waiting}], where, keyring
    )
    plan, refused = archive.judge_each(suite, debs, component=component)
    more, unfit = archive.judge_sources(suite, sources, component=component)
    reasons = {**faults, **broken, **unsound, **_by_path(refused), **_by_path(unfit)}
    outcome = compare_states([*plan.before, *more.before], [*plan.after, *more.after])
    outcome.waiting = [group.describe() for group in waiting]
    return outcome, [f"{STRANGE.sub('_', path.name)}: {reason}" for path, reason in reasons.items()]


def take_uploads(
    archive: Archive,
    suite: str,
    places: Places,
    *,
    component: str | None = None,
    keyring: Path | None = None,
    timeout: float = 600.0,
) -> tuple[Outcome, list[str]]:
    """Include what was uploaded; what became of the suite, and a sentence about each file that was refused.

    With a ``keyring`` a source package must be signed by one of the keys in that file.
    """
    archive.find_suite(suite)
    findings, waiting = _move_uploads(places)
    findings += _copy_uploads(places)
    before = archive.list_all(suite)
    debs, broken = _sort_out(_list_files(places.whole, DEB))
    sources, unsound = _read_sources(_list_files(places.whole, DSC), [places.whole], keyring)
    try:
        refused = archive.include_each(suite, debs, component=component, timeout=timeout)
        unfit = archive.include_each_source(suite, sources, component=component, timeout=timeout)
    except SlipwayError as error:
        error.findings += findings
        raise
    reasons = {**broken, **unsound, **_by_path(refused), **_by_path(unfit)}
    findings += [places.refuse(path, reason) for path, reason in reasons.items()]
    for deb in debs:
        deb.path.unlink(missing_ok=True)
    included = [one for one in sources if one.path not in reasons]
    _clear_sources(places, included, keep={name for group in waiting for name in group.names})
    outcome = compare_states(before, archive.list_all(suite))
    outcome.waiting = [group.describe() for group in waiting]
    return outcome, findings


def _list_files(directory: Path, suffix: str = "") -> list[Path]:
    """Hidden names are of what is being written."""
    names = sorted(os.listdir(directory))
    return [directory / name for name in names if name.endswith(suffix) and not name.startswith(".")]


def _read_groups(directory: Path, where: Sequence[Path]) -> list[_Group]:
    """The source packages in a directory, whose other files may be in one of ``where``."""
    dscs = _list_files(directory, DSC)
    named = {path: _read_names(path) for path in dscs}
    known = {name for names in named.values() for name in names or ()}
    groups = []
    for path, names in named.items():
        mine = _guess_names(path, known) if names is None else names
        groups.append(_Group(path, mine, tuple(name for name in mine if not _locate(name, where))))
    return groups


def _read_names(path: Path) -> tuple[str, ...] | None:
    """The files that a .dsc names; None if it cannot be read, and is going to be refused."""
    try:
        with open(open_regular(path), "rb") as stream:
            return tuple(file.name for file in parse_dsc(stream.read(MAX_DSC + 1)).files)
    except (OSError, ValueError):
        return None


def _guess_names(path: Path, known: Collection[str]) -> tuple[str, ...]:
    """What lies beside a .dsc and seems to be of it: it goes with it, since its uploader can replace nothing."""
    stem = f"{path.name.partition('_')[0]}_"
    names = [each.name for each in _list_files(path.parent) if each.suffix not in (DEB, DSC)]
    return tuple(name for name in names if name.startswith(stem) and name not in known and not STRANGE.search(name))


def _locate(name: str, where: Sequence[Path]) -> list[Path]:
    return [place / name for place in where if os.path.lexists(place / name)]


def _by_path(refused: Sequence[tuple[Item, str]]) -> dict[Path, str]:
    return {one.path: reason for one, reason in refused}


def _read_sources(
    paths: Sequence[Path], where: Sequence[Path], keyring: Path | None
) -> tuple[list[SourceUpload], dict[Path, str]]:
    """The source packages that are whole and allowed, and why the others are not."""
    found, reasons = [], {}
    for path in paths:
        try:
            if faults := _find_fault(path):
                raise ValueError(faults[0])
            upload = read_upload(path, *where, keyring=keyring)
            # One that went meanwhile is named where it should be.
            parts = [
                next((place / file.name for place in where if (place / file.name).exists()), where[0] / file.name)
                for file in upload.dsc.files
            ]
            if faults := [f"{part.name}: {fault}" for part in parts for fault in _find_fault(part)]:
                raise ValueError(faults[0])
            found.append(upload)
        except (OSError, ValueError) as fault:
            reasons[path] = (fault.strerror or str(fault)) if isinstance(fault, OSError) else str(fault)
    return found, reasons


def _clear_sources(places: Places, included: Sequence[SourceUpload], *, keep: Collection[str]) -> None:
    """Remove the files of what was included, keep aside what belongs to nothing, and leave what is waited for."""
    done = {name for upload in included for name in upload.digests}
    for path in _list_files(places.whole):
        if path.name in keep:
            continue
        if path.name in done:
            path.unlink()
        else:
            places.refuse(path, "")


def _sort_out(paths: Sequence[Path]) -> tuple[list[Deb], dict[Path, str]]:
    found = dict(zip(paths, inspect_debs(paths), strict=True))
    debs = [deb for deb in found.values() if isinstance(deb, Deb)]
    return debs, {path: fault.came_back for path, fault in found.items() if isinstance(fault, SlipwayError)}


def _move_uploads(places: Places) -> tuple[list[str], list[_Group]]:
    """Move everything that is whole out of the uploader's reach; a sentence about each file that cannot be moved, and
    what waits.
    """
    for place in (places.moved, places.whole):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_temporaries(place)
    findings = [fault for path in _list_files(places.uploaded, DEB) for fault in _move_upload(path, places)]
    groups = _read_groups(places.uploaded, (places.uploaded, places.moved, places.whole))
    for group in groups:
        # The .dsc is last: after a kill it is found where it was, and its files where they are by then.
        parts = [places.uploaded / name for name in group.names if os.path.lexists(places.uploaded / name)]
        if not group.missing:
            findings += [fault for path in (*parts, group.dsc) for fault in _move_upload(path, places)]
    return findings, [group for group in groups if group.missing]


def _move_upload(path: Path, places: Places) -> list[str]:
    try:
        os.replace(path, places.moved / path.name)
    except OSError as error:
        return [f"{STRANGE.sub('_', path.name)}: it cannot be moved from {path.parent} ({error.strerror})"]
    return []


def _copy_uploads(places: Places) -> list[str]:
    """Copy what was moved to files of our own; what is no plain file with one name is refused."""
    findings = []
    for path in _list_files(places.moved):
        reasons = _find_fault(path)
        if not reasons:
            reasons = _copy_upload(path, places.whole / path.name)
        if reasons:
            findings.append(places.refuse(path, reasons[0]))
        else:
            path.unlink()
    sync_directory(places.whole)
    return findings


def _copy_upload(path: Path, target: Path) -> list[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return [f"it cannot be read ({error.strerror})"]
    with open(descriptor, "rb") as source:
        reasons = _find_wrong_kind(os.fstat(descriptor))
        if not reasons:
            with replace_file(target, mode=0o644) as sink:
                shutil.copyfileobj(source, sink)
    return reasons


def _find_fault(path: Path) -> list[str]:
    if STRANGE.search(path.name):
        return ["its name has characters that names of packages do not have"]
    return _find_wrong_kind(path.lstat())


def _find_wrong_kind(found: os.stat_result) -> list[str]:
    if not stat.S_ISREG(found.st_mode):
        return ["it is not a plain file"]
    return ["it has more than one name (hard links)"] if found.st_nlink > 1 else []
