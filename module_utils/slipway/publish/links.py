# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The links of a public directory that name the current release."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..files import link_atomic, sync_directory
from ..release.artifact import check_name, find_name_fault
from ..release.names import extract_version, version_key
from .directory import lock_directory

CURRENT = "current"
#: Found in the current release under these fixed names; they change with ``current``, in the same moment.
SHARED = ("SHA256SUMS", "SHA256SUMS.asc", "manifest.json")


@dataclass(frozen=True)
class LinkChange:
    """One link: what it named before and what it names now; None means that it is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class LinksUpdate:
    """What happened: the links that moved; and the label that stays current because it is newer, if so."""

    moves: list[LinkChange]
    newer: str | None = None


@dataclass(frozen=True)
class Release:
    """A published release that is to become current; ``files`` are its names in ``public/<label>/``."""

    public: Path
    project: str
    label: str
    files: Sequence[str]

    @property
    def version(self) -> str:
        """The version in its label; empty if that is not a label of the project."""
        return extract_version(self.label, self.project) or ""

    def links(self) -> dict[str, str]:
        """Every link that names this release and its target, in an order in which none ever dangles."""
        prefix = f"{self.label}-"
        deployed = [name for name in self.files if name.startswith(prefix) and not name.endswith(".sha256")]
        return {
            **{f"{self.project}-{CURRENT}-{name[len(prefix) :]}": f"{self.label}/{name}" for name in deployed},
            CURRENT: self.label,
            **{name: f"{CURRENT}/{name}" for name in SHARED if name in self.files},
        }


def update_links(release: Release, *, allow_downgrade: bool = False, check: bool = False) -> LinksUpdate:
    """Update the links to name this release, unless they name a newer one.

    Each link is replaced in one step, and its target exists before. A link of a deployment that this release
    does not have would name an old release for ever, and is removed. ``check`` only says what would move.
    """
    _check_release(release)
    lock = lock_directory(release.public, attempt="point to", on=release.label, check=check)
    with name_refusals("point to", release.label), lock:
        return _update_links(release, allow_downgrade=allow_downgrade, check=check)


def _check_release(release: Release) -> None:
    check_name(release.label, attempt="point to the release")
    if not release.version:
        raise SlipwayError(
            "point to", release.label, f"it is not a release of {release.project}", do_next="Correct it and run again."
        )
    faults = [fault for name in release.files if (fault := find_name_fault(name)) is not None]
    refuse("point to", release.label, faults, summary="names are not usable", do_next="Correct them.")


def _update_links(release: Release, *, allow_downgrade: bool, check: bool) -> LinksUpdate:
    wanted = release.links()
    now = {name: _read_target(release.public / name) for name in wanted}
    current = now[CURRENT]
    if current is not None and not allow_downgrade and _is_newer(release, current):
        return LinksUpdate([], newer=current)
    if not check:
        _require_targets(release)
    stale = [name for name in _find_own_links(release) if name not in wanted]
    moves = [LinkChange(name, now[name], target) for name, target in wanted.items() if now[name] != target]
    moves += [LinkChange(name, _read_target(release.public / name), None) for name in stale]
    for move in [] if check else moves:
        if move.after is None:
            (release.public / move.name).unlink()
        else:
            link_atomic(release.public / move.name, move.after)
    if moves and not check:
        sync_directory(release.public)
    return LinksUpdate(moves)


def _require_targets(release: Release) -> None:
    absent = [name for name in release.files if not (release.public / release.label / name).is_file()]
    if absent or not release.files:
        raise SlipwayError(
            "point to",
            release.label,
            f"it is not completely published in {release.public}",
            do_next="Publish it first.",
            findings=[f"{release.label}/{name} is not there" for name in absent],
        )


def _is_newer(release: Release, label: str) -> bool:
    """Whether the current label is a newer version of the same project."""
    version = extract_version(label, release.project)
    if version is None:
        raise SlipwayError(
            "point to",
            release.label,
            f"{release.public / CURRENT} names {label}, which is not a release of {release.project}",
            do_next="Give every project a public directory of its own, or remove the link.",
        )
    return version_key(version) > version_key(release.version)


def _read_target(path: Path) -> str | None:
    """What a link names; a name that is not a link is a failure, because it is not ours to replace."""
    if path.is_symlink():
        return os.readlink(path).rstrip("/")
    if path.exists():
        raise SlipwayError("replace the link", str(path), "it is not a link", do_next="Move it away and run again.")
    return None


def _find_own_links(release: Release) -> list[str]:
    """Links of this project's deployments, whatever release they name."""
    if not release.public.is_dir():
        return []
    prefix = f"{release.project}-{CURRENT}-"
    return sorted(
        path.name
        for path in release.public.iterdir()
        if path.name.startswith(prefix)
        and path.is_symlink()
        and os.readlink(path).startswith(f"{release.project}-")
        and os.readlink(path).count("/") == 1
    )
