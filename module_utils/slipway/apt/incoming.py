# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was uploaded, taken into an archive: one file that cannot be taken holds up no other.

An upload is first moved to where its uploader has no way to, then copied: who still has the old file open, or has
another name of it, cannot change what is read, hashed and published. A file that is refused is kept aside.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError
from ..files import replace_file, sync_directory
from .generations import remove_temporaries
from .index import Deb, inspect_debs
from .reprepro import Archive, Outcome, compare_states

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


def plan_uploads(
    archive: Archive, suite: str, places: Places, *, component: str | None = None
) -> tuple[Outcome, list[str]]:
    """What taking in the uploads would do, as far as can be told without moving them, and a sentence about each that
    would be refused.
    """
    mine = [place for place in (places.whole, places.moved) if place.is_dir()]
    paths = [path for place in (*mine, places.uploaded) for path in _list_debs(place)]
    faults = {path: fault for path in paths for fault in _find_fault(path)}
    debs, broken = _sort_out([path for path in paths if path not in faults])
    plan, refused = archive.judge_each(suite, debs, component=component)
    reasons = {**faults, **broken, **{deb.path: reason for deb, reason in refused}}
    return plan, [f"{STRANGE.sub('_', path.name)}: {reason}" for path, reason in reasons.items()]


def take_uploads(
    archive: Archive, suite: str, places: Places, *, component: str | None = None, timeout: float = 600.0
) -> tuple[Outcome, list[str]]:
    """Include what was uploaded; what became of the suite, and a sentence about each file that was refused."""
    archive.find_suite(suite)
    findings = [*_move_uploads(places), *_copy_uploads(places)]
    before = archive.list_packages(suite)
    debs, broken = _sort_out(_list_debs(places.whole))
    try:
        refused = archive.include_each(suite, debs, component=component, timeout=timeout)
    except SlipwayError as error:
        error.findings += findings
        raise
    reasons = {**broken, **{deb.path: reason for deb, reason in refused}}
    findings += [places.refuse(path, reason) for path, reason in reasons.items()]
    for deb in debs:
        deb.path.unlink(missing_ok=True)
    return compare_states(before, archive.list_packages(suite)), findings


def _list_debs(directory: Path) -> list[Path]:
    """Hidden names are of what is being written."""
    names = sorted(os.listdir(directory))
    return [directory / name for name in names if name.endswith(".deb") and not name.startswith(".")]


def _sort_out(paths: Sequence[Path]) -> tuple[list[Deb], dict[Path, str]]:
    found = dict(zip(paths, inspect_debs(paths), strict=True))
    debs = [deb for deb in found.values() if isinstance(deb, Deb)]
    return debs, {path: fault.came_back for path, fault in found.items() if isinstance(fault, SlipwayError)}


def _move_uploads(places: Places) -> list[str]:
    """Move everything out of the uploader's reach; a sentence about each file that cannot be moved."""
    findings = []
    for place in (places.moved, places.whole):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_temporaries(place)
    for path in _list_debs(places.uploaded):
        try:
            os.replace(path, places.moved / path.name)
        except OSError as error:
            findings.append(f"{STRANGE.sub('_', path.name)}: it cannot be moved from {path.parent} ({error.strerror})")
    return findings


def _copy_uploads(places: Places) -> list[str]:
    """Copy what was moved to files of our own; what is no plain file with one name is refused."""
    findings = []
    for path in _list_debs(places.moved):
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
