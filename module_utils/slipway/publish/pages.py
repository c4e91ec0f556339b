# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages of a download server for people: one for each release, and one that lists the releases.

A release's directory holds its files and nothing else, so its page ``<label>.html`` is beside it. What the pages show
is what is public, and nothing of the run that makes them: the same files give the same bytes. Templates say how.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import SlipwayError, name_refusals, refuse
from ..escape import escape_line
from ..files import link_atomic, sync_directory, write_atomic
from ..release.artifact import find_name_fault
from ..release.names import check_project, extract_version, version_key
from .directory import lock_directory
from .links import CURRENT
from .package import MANIFEST, SIGNATURE, SUMS

TOP = "index.html"
CURRENT_PAGE = f"{CURRENT}.html"
#: How a page of ours is known; nothing else is replaced or removed.
MARK = '<meta name="generator" content="Slipway release_index">'
SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[^/\n]+)\Z")
SIDECAR = ".sha256"
#: Listed after the files themselves.
LAST = (MANIFEST, SIGNATURE, SUMS)
FACTS = ("project", "version", "commit", "branch", "tag")


@dataclass(frozen=True)
class Site:
    """A project's public directory, and what its pages say beside what is there.

    ``notes_url`` is the address of a release's notes with ``{version}`` and ``{label}`` in it.
    """

    public: Path
    project: str
    notes_url: str = ""

    def notes(self, release: Release) -> str | None:
        """Where the notes of a release are."""
        filled = self.notes_url.replace("{version}", quote(release.version)).replace("{label}", quote(release.label))
        return filled or None


@dataclass(frozen=True)
class File:
    """A public file; the digest is what SHA256SUMS says, None for a sidecar that is not in it."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Release:
    """A release as readers see it."""

    label: str
    version: str
    files: list[File]
    manifest: Mapping[str, Any]


@dataclass
class PagesUpdate:
    """What was written, and what was removed because its release is gone; before and after by name."""

    before: dict[str, str | None] = field(default_factory=dict)
    after: dict[str, str | None] = field(default_factory=dict)


def describe_site(site: Site) -> dict[str, Any]:
    """What the pages show, as plain values: the releases, newest first, and the label of the current one."""
    _check_site(site)
    with name_refusals("index", str(site.public)):
        described = [_describe_release(site, release) for release in list_releases(site)]
        return {"releases": described, "current": find_current(site)}


def update_pages(
    site: Site, pages: Mapping[str, str], *, coming: str | None = None, check: bool = False
) -> PagesUpdate:
    """Write ``pages``, by their names, for what is public now; each is replaced in one step, the list last.

    ``coming`` is the label of a release that may not be public yet when ``check`` only says what would be written.
    """
    _check_site(site)
    _check_pages(site, pages)
    with name_refusals("index", str(site.public)), lock_directory(site.public, attempt="index", check=check):
        return _update_pages(site, pages, coming if check else None, check=check)


def list_releases(site: Site) -> list[Release]:
    """The releases of the project that are public, newest first."""
    found = []
    for path in site.public.iterdir() if site.public.is_dir() else ():
        version = extract_version(path.name, site.project)
        if version is not None and path.is_dir() and not path.is_symlink():
            found.append(Release(path.name, version, _list_files(path), _read_manifest(path)))
    return sorted(found, key=lambda release: version_key(release.version), reverse=True)


def find_current(site: Site) -> str | None:
    """The label of the release that the link ``current`` leads to."""
    link = site.public / CURRENT
    return link.resolve().name if link.is_symlink() else None


def _check_site(site: Site) -> None:
    check_project(site.project)
    faults = []
    if not site.public.is_absolute():
        faults.append(f"{site.public} is not an absolute path")
    if site.notes_url and urlsplit(site.notes_url).scheme not in {"http", "https"}:
        faults.append(f"{site.notes_url!r} is not an address beginning with http or https")
    refuse("index", str(site.public), faults, summary="settings are not usable", do_next="Correct them.")


def _check_pages(site: Site, pages: Mapping[str, str]) -> None:
    """Refuse pages that are not those of what is public, or that would not be known again as ours."""
    due = {TOP, *(f"{release.label}.html" for release in list_releases(site))}
    faults = [f"{name} is due and not given" for name in sorted(due - pages.keys())]
    faults += [f"{name} is the page of no public release" for name in sorted(pages.keys() - due)]
    faults += [f"{name} lacks {MARK}" for name, text in sorted(pages.items()) if MARK not in text]
    refuse(
        "index",
        str(site.public),
        faults,
        summary="the pages are not usable",
        do_next="Keep that line in the template; if something was published meanwhile, run again.",
    )


def _update_pages(site: Site, pages: Mapping[str, str], coming: str | None, *, check: bool) -> PagesUpdate:
    current, listed = find_current(site), [name for name in pages if name != TOP]
    wanted = {name: pages[name] for name in (*listed, TOP)}
    done, stale = PagesUpdate(), _find_stale(site, wanted)
    before = {name: _read_ours(site.public / name) for name in [*wanted, *stale]}
    for name, text in wanted.items():
        if before[name] != text:
            done.before[name], done.after[name] = before[name], text
            if not check:
                write_atomic(site.public / name, text.encode())
    _point_current(site, current, wanted, done, check=check)
    for name in stale:
        done.before[name], done.after[name] = before[name], None
        if not check:
            (site.public / name).unlink()
    if stale and not check:
        sync_directory(site.public)
    if coming is not None and (name := f"{coming}.html") not in wanted:
        done.before[name], done.after[name] = None, "the page of what is to be published\n"
    return done


def _point_current(
    site: Site, current: str | None, wanted: Mapping[str, str], done: PagesUpdate, *, check: bool
) -> None:
    """``current.html`` leads to the page of the current release."""
    target, path = f"{current}.html", site.public / CURRENT_PAGE
    now = str(path.readlink()) if path.is_symlink() else None
    if target not in wanted or now == target:
        return
    if now is None and path.exists():
        raise _not_ours_error(path)
    done.before[CURRENT_PAGE] = None if now is None else f"-> {now}\n"
    done.after[CURRENT_PAGE] = f"-> {target}\n"
    if not check:
        link_atomic(path, target)


def _find_stale(site: Site, wanted: Mapping[str, str]) -> list[str]:
    """Pages of ours whose release is gone."""
    if not site.public.is_dir():
        return []
    return sorted(
        path.name
        for path in site.public.glob(f"{site.project}-*.html")
        if path.name not in wanted and not path.is_symlink() and path.is_file() and _is_ours(path)
    )


def _read_ours(path: Path) -> str | None:
    """The text of a page that is there; something else under its name is a failure, because it is not ours."""
    if not path.exists() and not path.is_symlink():
        return None
    if path.is_symlink() or not path.is_file() or not _is_ours(path):
        raise _not_ours_error(path)
    return path.read_text(encoding="utf-8", errors="replace")


def _is_ours(path: Path) -> bool:
    return MARK in path.read_text(encoding="utf-8", errors="replace")


def _not_ours_error(path: Path) -> SlipwayError:
    return SlipwayError("write the page", str(path), "something else is there", do_next="Move it away and run again.")


def _list_files(directory: Path) -> list[File]:
    sums = _read_checksums(directory / SUMS)
    with os.scandir(directory) as entries:
        files = [
            File(entry.name, entry.stat(follow_symlinks=False).st_size, sums.get(entry.name))
            for entry in entries
            if entry.is_file(follow_symlinks=False) and find_name_fault(entry.name) is None
        ]
    return sorted(files, key=lambda file: (file.name in LAST, file.name))


def _read_checksums(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {parts["name"]: parts["sha256"] for line in lines if (parts := SUM.match(line))}


def _read_manifest(directory: Path) -> dict[str, Any]:
    """What the manifest says; a release without a readable one has a page that says less."""
    try:
        found = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _describe_release(site: Site, release: Release) -> dict[str, Any]:
    names = {file.name for file in release.files}
    return {
        "label": release.label,
        "version": release.version,
        "notes": site.notes(release),
        "count": len(release.files),
        "size": sum(file.size for file in release.files),
        "facts": [
            {"name": name.capitalize(), "value": escape_line(release.manifest[name])}
            for name in FACTS
            if isinstance(release.manifest.get(name), str)
        ],
        "files": [
            {
                "name": file.name,
                "url": _make_url(release, file.name),
                "size": file.size,
                "sha256": file.sha256,
                "sidecar": {"name": sidecar, "url": _make_url(release, sidecar)} if sidecar in names else None,
            }
            for file in release.files
            if not (file.name.endswith(SIDECAR) and file.name.removesuffix(SIDECAR) in names)
            for sidecar in [file.name + SIDECAR]
        ],
        "commands": [
            *([f"gpg --verify {SIGNATURE} {SUMS}"] if {SUMS, SIGNATURE} <= names else []),
            *([f"sha256sum --check --ignore-missing {SUMS}"] if SUMS in names else []),
        ],
    }


def _make_url(release: Release, name: str) -> str:
    return f"{quote(release.label)}/{quote(name)}"
