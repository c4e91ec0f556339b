# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The links of a public directory that name the current release.

All of them lead through one link, ``.current``, to a directory of links for that release, so that one rename
takes them all to another release, in the same moment:

    current -> .current/release        .current -> .current-1a2b3c4d
    SHA256SUMS -> current/SHA256SUMS   .current-1a2b3c4d/release -> ../baserock-26.47

A release may be of some of the project's products. Then the links of the others stay at the last release that has
them, which they are known by: the manifest there says of which product each file is.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..errors import SlipwayError, name_refusals, refuse
from ..files import link_atomic, make_directory, read_regular, remove_leftover, sync_directory
from ..release.artifact import check_name, find_name_fault
from ..release.names import extract_version, version_key
from ..release.tombstone import find_tombstone, refuse_withdrawn
from .directory import lock_directory

CURRENT = "current"
#: The one link that is renamed, what it names, and the current release in there.
SWITCH = ".current"
GENERATION = ".current-"
INSIDE = "release"
#: Found in the current release under these fixed names; they change with ``current``, in the same moment.
SHARED = ("SHA256SUMS", "SHA256SUMS.asc", "manifest.json")

#: Seconds that a reader may take from one link to the next.
ON_THE_WAY = 10.0


@dataclass(frozen=True)
class LinkChange:
    """One link: what it named before and what it names now; None means that it is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class LinksUpdate:
    """What happened: the links that moved; and the label that stays current because it is newer, if so.

    ``moved_in`` is whether links that led to their release one by one were put behind the one that is renamed.
    """

    moves: list[LinkChange]
    newer: str | None = None
    moved_in: bool = False


@dataclass(frozen=True)
class Release:
    """A published release that is to become current; ``files`` are its names in ``public/<label>/``.

    ``left_out`` are the products that are none of this release, and whose links stay.
    """

    public: Path
    project: str
    label: str
    files: Sequence[str]
    left_out: Collection[str] = ()

    @property
    def version(self) -> str:
        """The version in its label; empty if that is not a label of the project."""
        return extract_version(self.label, self.project) or ""

    def links(self) -> dict[str, str]:
        """Every link that names this release and what it leads to, in an order in which none ever dangles."""
        return {
            **{name: f"{self.label}/{file}" for file, name in self.deployed().items()},
            CURRENT: self.label,
            **{name: f"{CURRENT}/{name}" for name in SHARED if name in self.files},
        }

    def deployed(self) -> dict[str, str]:
        """The current links of its files, by the files' names."""
        prefix = f"{self.label}-"
        deployed = [name for name in self.files if name.startswith(prefix) and not name.endswith(".sha256")]
        return {name: f"{self.project}-{CURRENT}-{name[len(prefix) :]}" for name in deployed}


def read_products(public: Path, project: str, label: str) -> dict[str, str]:
    """The product of each file of a public release, as its manifest says; the project's own one if it says none."""
    try:
        listed = json.loads(read_regular(public / label / "manifest.json"))["files"]
        return {entry["name"]: str(entry.get("product") or project) for entry in listed}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # it is none of ours, or not there: all of it is of the project itself


def find_pointers(public: Path, project: str, moves: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The release that the links of each product lead to, by product; under an empty name that of ``current``.

    A project without products is its own only one. ``moves`` are targets that links are to get, None for those that go.
    """
    release = Release(public, project, f"{project}-0", ())
    targets = {name: _read_target(public, name) for name in (CURRENT, *_find_own_links(release))} | dict(moves or {})
    found: dict[str, str] = {}
    if (current := targets.pop(CURRENT, None)) is not None:
        found[""] = current
    for target in (targets[name] for name in sorted(targets) if name not in SHARED):
        label, _slash, file = (target or "").partition("/")
        version = extract_version(label, project)
        if version is None:
            continue
        product = read_products(public, project, label).get(file, project)
        if product not in found or version_key(version) > version_key(extract_version(found[product], project) or "0"):
            found[product] = label
    return found


def _read_systems(public: Path, project: str, label: str) -> dict[str, set[tuple[str, str]]]:
    """The systems of each product of a public release, as far as its manifest says them."""
    found: dict[str, set[tuple[str, str]]] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        for entry in json.loads(read_regular(public / label / "manifest.json"))["files"]:
            if entry.get("system"):
                system = str(entry["system"]), str(entry.get("architecture"))
                found.setdefault(str(entry.get("product") or project), set()).add(system)
    return found


def _find_dissolved(public: Path, project: str, label: str, *, newer: str) -> set[str]:
    """Those products of a release whose systems are all in a newer one, under whatever product."""
    taken = {system for systems in _read_systems(public, project, newer).values() for system in systems}
    return {product for product, systems in _read_systems(public, project, label).items() if systems <= taken}


def update_links(release: Release, *, allow_downgrade: bool = False, check: bool = False) -> LinksUpdate:
    """Update the links to name this release, unless they name a newer one, or one of products that it leaves out.

    All move in one step, to what exists before. A link of a deployment that this release does not have would name
    an old release for ever, and is removed before. ``check`` only says what would move.
    """
    _check_release(release)
    if not check:  # in check mode it is withdrawn still if it is to be brought back
        refuse_withdrawn(release.public, release.label, attempt="point to")
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
    view = _View(release)
    staying = set() if allow_downgrade else view.find_newer_products()
    newer = None if allow_downgrade else view.find_newer_release()
    wanted = {name: target for name, target in release.links().items() if view.product_of.get(name) not in staying}
    if newer is not None:
        wanted = {name: target for name, target in wanted.items() if name in view.product_of}
    if not wanted:
        return LinksUpdate([], newer=newer)
    if not check:
        _require_targets(release)
    now = {**view.links, CURRENT: view.current, **{name: _read_target(release.public, name) for name in wanted}}
    stale = [name for name in view.links if name not in wanted and view.is_gone(name, staying)]
    moves = [LinkChange(name, now[name], target) for name, target in wanted.items() if now[name] != target]
    moves += [LinkChange(name, now[name], None) for name in stale]
    single = _find_single_links(release, now)
    if not check:
        for leftover in release.public.glob(".*.tmp"):
            remove_leftover(leftover)
        if single:
            _move_in(release, now, single)
        if moves:
            kept = {name: target for name, target in view.links.items() if target and name not in stale}
            current = {CURRENT: newer} if newer is not None else {}
            _move_links(release, {**kept, **current, **wanted}, stale)
    return LinksUpdate(moves, newer=newer, moved_in=bool(single))


@dataclass
class _View:
    """What the links lead to now, and of which product each of them is, now and in the release."""

    release: Release
    links: dict[str, str | None] = field(init=False)
    product_of: dict[str, str] = field(init=False)
    current: str | None = field(init=False)

    def __post_init__(self) -> None:
        release = self.release
        self.links = {name: _read_target(release.public, name) for name in _find_own_links(release)}
        self.current = _read_target(release.public, CURRENT)
        self._products = cache(lambda label: read_products(release.public, release.project, label))
        mine = self._products(release.label)
        self.product_of = {name: mine.get(file, release.project) for file, name in release.deployed().items()}

    def find_newer_release(self) -> str | None:
        """The current release, if it is newer."""
        return self.current if self.current is not None and _is_newer(self.release, self.current) else None

    def find_newer_products(self) -> set[str]:
        """Those products of which a newer release is current, or all of whose systems it has as another product."""
        newer = {self._find_product(target) for target in self.links.values() if target and self._is_newer(target)}
        if (label := self.find_newer_release()) is not None:
            newer |= set(self._products(label).values()) or {self.release.project}
            newer |= _find_dissolved(self.release.public, self.release.project, self.release.label, newer=label)
        return newer

    def is_gone(self, name: str, staying: Collection[str]) -> bool:
        """Whether nothing of its name is in the newest release of its product, or of a product that is no more."""
        product = self._find_product(self.links[name] or "")
        if product in staying or product in self.release.left_out:
            return False
        return not self.release.left_out or product in self.product_of.values()

    def _find_product(self, target: str) -> str:
        label, _slash, file = target.partition("/")
        return self._products(label).get(file, self.release.project)

    def _is_newer(self, target: str) -> bool:
        version = extract_version(target.partition("/")[0], self.release.project)
        return version is not None and version_key(version) > version_key(self.release.version)


def withdraw_links(public: Path, project: str, label: str, *, check: bool = False) -> LinksUpdate:
    """Take the links that name a withdrawn release back to the newest one before it that is not withdrawn.

    Each product goes back to the last release that has it. What no such release has loses its link; without any
    release all links go, so that none dangles. Links that name another release stay. ``check`` only says what would
    move.
    """
    release = Release(public, project, label, ())
    _check_release(release)
    lock = lock_directory(public, attempt="take the links back from", on=label, check=check)
    with name_refusals("take the links back from", label), lock:
        return _withdraw_links(release, check=check)


def _withdraw_links(release: Release, *, check: bool) -> LinksUpdate:
    names = [*_find_own_links(release), *SHARED, CURRENT]
    now = {name: target for name in names if (target := _read_target(release.public, name)) is not None}
    left = {name for name, target in now.items() if target.partition("/")[0] == release.label}
    if not left:
        return LinksUpdate([])
    others = _list_standing(release)
    expected = _lead_products(others)
    wanted = {name: target for name, target in now.items() if name not in left and name not in SHARED}
    wanted |= {name: expected[name] for name in left & expected.keys()}
    if CURRENT in left and others:
        latest = others[0].links()
        wanted |= {name: target for name, target in latest.items() if name not in wanted and name not in SHARED}
    if CURRENT in wanted:
        wanted |= {name: f"{CURRENT}/{name}" for name in SHARED if (release.public / wanted[CURRENT] / name).is_file()}
    stale = [name for name in now if name not in wanted]
    moves = [LinkChange(name, now.get(name), target) for name, target in wanted.items() if now.get(name) != target]
    moves += [LinkChange(name, now[name], None) for name in stale]
    if not check:
        _move_links(release, wanted, stale)
    return LinksUpdate(moves)


def _list_standing(release: Release) -> list[Release]:
    """The releases before this one that are not withdrawn, the newest first; if there are none, those after it."""
    found = []
    for path in release.public.iterdir():
        version = extract_version(path.name, release.project)
        if version is None or path.name == release.label or path.is_symlink() or not path.is_dir():
            continue
        if find_tombstone(release.public, path.name) is None:
            files = sorted(each.name for each in path.iterdir() if find_name_fault(each.name) is None)
            found.append(Release(release.public, release.project, path.name, files))
    found.sort(key=lambda other: version_key(other.version), reverse=True)
    before = [other for other in found if version_key(other.version) < version_key(release.version)]
    return before or found


def _lead_products(releases: Sequence[Release]) -> dict[str, str]:
    """Where links go that lead to the last release of each product; the releases are given newest first."""
    links: dict[str, str] = {}
    seen: set[str] = set()
    for release in releases:
        known = read_products(release.public, release.project, release.label)
        products = {file: known.get(file, release.project) for file in release.deployed()}
        targets = {
            name: f"{release.label}/{file}" for file, name in release.deployed().items() if products[file] not in seen
        }
        links |= {name: target for name, target in targets.items() if name not in links}
        seen |= set(products.values())
    return links


def _move_in(release: Release, now: Mapping[str, str | None], single: Sequence[str]) -> None:
    """Put links that lead to their release one by one behind the switch; what they lead to stays the same."""
    ours = {name: target for name, target in now.items() if target and target.startswith(f"{release.project}-")}
    _switch(release, _make_generation(release, ours))
    for name in single:
        link_atomic(release.public / name, _lead_through(name))


def _move_links(release: Release, targets: Mapping[str, str], stale: Collection[str]) -> None:
    """Have all links lead to these targets by one rename; before it nothing is new, after it nothing is old."""
    _remove_generations(release)
    generation = _make_generation(release, targets)
    for name in stale:
        (release.public / name).unlink()
    _switch(release, generation)
    for name, target in targets.items():
        through = target if name in SHARED else _lead_through(name)
        if not (release.public / name).is_symlink() or os.readlink(release.public / name) != through:
            link_atomic(release.public / name, through)
    sync_directory(release.public)


def _lead_through(name: str) -> str:
    return f"{SWITCH}/{INSIDE if name == CURRENT else name}"


def _make_generation(release: Release, targets: Mapping[str, str]) -> str:
    """A directory of links to these targets, which nothing leads to yet."""
    generation = release.public / f"{GENERATION}{secrets.token_hex(4)}"
    make_directory(generation)
    for name, target in targets.items():
        if name not in SHARED:
            (release.public / generation.name / _lead_through(name).partition("/")[2]).symlink_to(f"../{target}")
    sync_directory(generation)
    return generation.name


def _switch(release: Release, generation: str) -> None:
    if (before := _read_link(release.public / SWITCH)) is not None:
        with contextlib.suppress(FileNotFoundError):
            os.utime(release.public / before)  # it is left now, by readers too within a while
    link_atomic(release.public / SWITCH, generation)


def _remove_generations(release: Release) -> None:
    """Remove those that no reader can be in: of killed runs, and those that were left a while ago."""
    kept = _read_link(release.public / SWITCH)
    for path in release.public.glob(f"{GENERATION}*"):
        old = time.time() - path.lstat().st_mtime > ON_THE_WAY
        if path.name != kept and old and path.is_dir() and not path.is_symlink():
            remove_leftover(path)


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


def _read_link(path: Path) -> str | None:
    """What a link names; a name that is not a link is a failure, because it is not ours to replace."""
    if path.is_symlink():
        return os.readlink(path).rstrip("/")
    if path.exists():
        raise SlipwayError("replace the link", str(path), "it is not a link", do_next="Move it away and run again.")
    return None


def _read_target(public: Path, name: str) -> str | None:
    """What a link leads to, itself or behind the switch."""
    target = _read_link(public / name)
    if target is None or target != _lead_through(name):
        return target
    behind = public / target
    return os.readlink(behind).removeprefix("../") if behind.is_symlink() else None


def _find_single_links(release: Release, names: Mapping[str, str | None]) -> list[str]:
    """Those of these links that lead to a release of the project, and not through the switch."""
    found = []
    for name, target in names.items():
        ours = target is not None and target.startswith(f"{release.project}-")
        if ours and name not in SHARED and _read_link(release.public / name) == target:
            found.append(name)
    return found


def _find_own_links(release: Release) -> list[str]:
    """Links of this project's deployments, whatever release they name."""
    if not release.public.is_dir():
        return []
    prefix = f"{release.project}-{CURRENT}-"
    links = [path for path in release.public.iterdir() if path.name.startswith(prefix) and path.is_symlink()]
    ours = (f"{release.project}-", f"{SWITCH}/")
    return sorted(
        path.name for path in links if os.readlink(path).startswith(ours) and os.readlink(path).count("/") == 1
    )
