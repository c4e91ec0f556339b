# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages of a download server for people: one for each release, and one that lists the releases.

A release's directory holds its files and nothing else, so its page ``<label>.html`` is beside it. The pages are made
from what is public, and from nothing of the run that makes them: the same files give the same bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import SlipwayError
from ..files import link_atomic, sync_directory, write_atomic
from ..locks import flocked
from ..release.artifact import SHA256, name_fault
from ..release.names import check_project, version_key, version_of
from .directory import LOCK_WAIT
from .links import CURRENT
from .package import MANIFEST, SIGNATURE, SUMS

TOP = "index.html"
CURRENT_PAGE = f"{CURRENT}.html"
#: How a page of ours is known; nothing else is replaced or removed.
MARK = '<meta name="generator" content="Slipway release_index">'
SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[^/\n]+)\Z")
SIDECAR = ".sha256"
KINDS = {
    MANIFEST: "what the release is made of",
    SUMS: "digests of the files",
    SIGNATURE: f"OpenPGP signature of {SUMS}",
}

STYLE = (
    "body{max-width:75rem;margin:auto;padding:1rem;font-family:sans-serif;line-height:1.4}"
    "table{border-collapse:collapse}caption{text-align:left;font-weight:bold;padding:.5rem 0}"
    "th,td{text-align:left;padding:.3rem 1rem .3rem 0;border-bottom:1px solid;vertical-align:top}"
    "td.size{text-align:right;white-space:nowrap}code{overflow-wrap:anywhere}"
)


@dataclass(frozen=True)
class Site:
    """A project's public directory, and what its pages say beside what is there.

    ``notes_url`` is the address of a release's notes with ``{version}`` and ``{label}`` in it.
    """

    public: Path
    project: str
    title: str = ""
    notes_url: str = ""

    @property
    def heading(self) -> str:
        """The title of the list of releases."""
        return self.title or f"{self.project} releases"

    def notes(self, release: Release) -> str | None:
        """Where the notes of a release are."""
        filled = self.notes_url.replace("{version}", quote(release.version)).replace("{label}", quote(release.label))
        return filled or None


@dataclass(frozen=True)
class File:
    """A public file; the digest is what SHA256SUMS says, None for a companion that is not in it."""

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
class Renewal:
    """What was written, and what was removed because its release is gone; before and after by name."""

    before: dict[str, str | None] = field(default_factory=dict)
    after: dict[str, str | None] = field(default_factory=dict)


def renew(site: Site, *, coming: str | None = None, check: bool = False) -> Renewal:
    """Have the pages say what is public now; each is replaced in one step, the list after what it leads to.

    ``coming`` is the label of a release that may not be public yet when ``check`` only says what would be written.
    """
    _check(site)
    try:
        if check:
            return _renew(site, coming, check=True)
        with flocked(site.public, attempt="index", on=str(site.public), timeout=LOCK_WAIT):
            return _renew(site, None, check=False)
    except OSError as error:
        raise SlipwayError("index", str(site.public), str(error), do_next="Mend it and run again.") from error


def releases(site: Site) -> list[Release]:
    """The releases of the project that are public, newest first."""
    found = []
    for path in site.public.iterdir() if site.public.is_dir() else ():
        version = version_of(path.name, site.project)
        if version is not None and path.is_dir() and not path.is_symlink():
            found.append(Release(path.name, version, _files(path), _manifest(path)))
    return sorted(found, key=lambda release: version_key(release.version), reverse=True)


def current_of(site: Site) -> str | None:
    """The label that the link ``current`` names."""
    link = site.public / CURRENT
    return link.readlink().name if link.is_symlink() else None


def release_page(site: Site, release: Release, current: str | None) -> str:
    """The page of one release. Its addresses are relative to the public directory."""
    facts = [
        (name.capitalize(), release.manifest[name])
        for name in ("project", "version", "commit", "branch", "tag")
        if isinstance(release.manifest.get(name), str)
    ]
    notes = site.notes(release)
    names = {file.name for file in release.files}
    body = [
        f'<nav aria-label="Releases"><a href="{TOP}">All releases</a></nav>',
        "<main>",
        f"<h1>{escape(release.label)}</h1>",
        f"<p>{_standing(release, current)}</p>",
        *([f'<p><a href="{escape(notes)}">Release notes</a></p>'] if notes else []),
        *(
            ["<dl>", *(f"<dt>{key}</dt><dd><code>{escape(value)}</code></dd>" for key, value in facts), "</dl>"]
            if facts
            else []
        ),
        "<table>",
        f"<caption>Files of {escape(release.label)}</caption>",
        '<thead><tr><th scope="col">File</th><th scope="col">Size in bytes</th>'
        '<th scope="col">SHA-256</th></tr></thead>',
        "<tbody>",
        *(_row(release, file, names) for file in release.files if not _is_sidecar(file.name, names)),
        "</tbody>",
        "</table>",
        *_verification(release, names),
        "</main>",
    ]
    return _page(release.label, body)


def top_page(site: Site, listed: list[Release], current: str | None) -> str:
    """The list of releases."""
    rows = []
    for release in listed:
        notes = site.notes(release)
        said = "<strong>current</strong>" if release.label == current else ""
        link = f'<a href="{escape(notes)}">Notes of {escape(release.version)}</a>' if notes else ""
        size = sum(file.size for file in release.files)
        rows.append(
            f'<tr><th scope="row"><a href="{quote(release.label)}.html">{escape(release.label)}</a></th><td>{said}</td>'
            f'<td class="size">{len(release.files)}</td><td class="size">{size:,}</td><td>{link}</td></tr>'
        )
    body = [
        "<main>",
        f"<h1>{escape(site.heading)}</h1>",
        *([] if rows else ["<p>Nothing is released yet.</p>"]),
        *(
            [
                "<table>",
                "<caption>Releases, newest first</caption>",
                '<thead><tr><th scope="col">Release</th><th scope="col">Standing</th><th scope="col">Files</th>'
                '<th scope="col">Size in bytes</th><th scope="col">Notes</th></tr></thead>',
                "<tbody>",
                *rows,
                "</tbody>",
                "</table>",
            ]
            if rows
            else []
        ),
        "</main>",
    ]
    return _page(site.heading, body)


def _check(site: Site) -> None:
    check_project(site.project)
    faults = []
    if not site.public.is_absolute():
        faults.append(f"{site.public} is not an absolute path")
    if site.notes_url and urlsplit(site.notes_url).scheme not in {"http", "https"}:
        faults.append(f"{site.notes_url!r} is no address beginning with http or https")
    if faults:
        raise SlipwayError(
            "index", str(site.public), "settings are not usable", do_next="Correct them.", findings=faults
        )


def _renew(site: Site, coming: str | None, *, check: bool) -> Renewal:
    listed, current = releases(site), current_of(site)
    wanted: dict[str, str] = {f"{release.label}.html": release_page(site, release, current) for release in listed}
    wanted[TOP] = top_page(site, listed, current)
    done, stale = Renewal(), _stale(site, wanted)
    before = {name: _ours(site.public / name) for name in [*wanted, *stale]}
    for name, text in wanted.items():
        if before[name] != text:
            done.before[name], done.after[name] = before[name], text
            if not check:
                write_atomic(site.public / name, text.encode())
    _point(site, current, wanted, done, check=check)
    for name in stale:
        done.before[name], done.after[name] = before[name], None
        if not check:
            (site.public / name).unlink()
    if stale and not check:
        sync_directory(site.public)
    if coming is not None and (name := f"{coming}.html") not in wanted:
        done.before[name], done.after[name] = None, "the page of what is to be published\n"
    return done


def _point(site: Site, current: str | None, wanted: Mapping[str, str], done: Renewal, *, check: bool) -> None:
    """``current.html`` leads to the page of the current release."""
    target, path = f"{current}.html", site.public / CURRENT_PAGE
    now = str(path.readlink()) if path.is_symlink() else None
    if target not in wanted or now == target:
        return
    if now is None and path.exists():
        raise _not_ours(path)
    done.before[CURRENT_PAGE] = None if now is None else f"-> {now}\n"
    done.after[CURRENT_PAGE] = f"-> {target}\n"
    if not check:
        link_atomic(path, target)


def _stale(site: Site, wanted: Mapping[str, str]) -> list[str]:
    """Pages of ours whose release is gone."""
    if not site.public.is_dir():
        return []
    return sorted(
        path.name
        for path in site.public.glob(f"{site.project}-*.html")
        if path.name not in wanted and not path.is_symlink() and path.is_file() and _is_ours(path)
    )


def _ours(path: Path) -> str | None:
    """The text of a page that is there; something else under its name is a failure, because it is not ours."""
    if not path.exists() and not path.is_symlink():
        return None
    if path.is_symlink() or not path.is_file() or not _is_ours(path):
        raise _not_ours(path)
    return path.read_text(encoding="utf-8", errors="replace")


def _is_ours(path: Path) -> bool:
    return MARK in path.read_text(encoding="utf-8", errors="replace")


def _not_ours(path: Path) -> SlipwayError:
    return SlipwayError("write the page", str(path), "something else is there", do_next="Move it away and run again.")


def _files(directory: Path) -> list[File]:
    sums = _sums(directory / SUMS)
    with os.scandir(directory) as entries:
        files = [
            File(entry.name, entry.stat(follow_symlinks=False).st_size, sums.get(entry.name))
            for entry in entries
            if entry.is_file(follow_symlinks=False) and name_fault(entry.name) is None
        ]
    return sorted(files, key=lambda file: (file.name in KINDS, file.name))


def _sums(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = {parts["name"]: parts["sha256"] for line in lines if (parts := SUM.match(line))}
    return {name: digest for name, digest in found.items() if SHA256.match(digest)}


def _manifest(directory: Path) -> dict[str, Any]:
    """What the manifest says; a release without a readable one has a page that says less."""
    try:
        said = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_sidecar(name: str, names: set[str]) -> bool:
    return name.endswith(SIDECAR) and name.removesuffix(SIDECAR) in names


def _standing(release: Release, current: str | None) -> str:
    if release.label == current:
        return "This is the current release."
    if current is None:
        return "There is no current release."
    return f'The current release is <a href="{quote(current)}.html">{escape(current)}</a>.'


def _row(release: Release, file: File, names: set[str]) -> str:
    kind = f"<br>{escape(KINDS[file.name])}" if file.name in KINDS else ""
    digest = f"<code>{file.sha256}</code>" if file.sha256 else ""
    if (sidecar := file.name + SIDECAR) in names:
        digest += f" {_link(release, sidecar, f'{file.name}{SIDECAR}')}"
    return (
        f'<tr><th scope="row">{_link(release, file.name, file.name)}{kind}</th>'
        f'<td class="size">{file.size:,}</td><td>{digest}</td></tr>'
    )


def _link(release: Release, name: str, text: str) -> str:
    return f'<a href="{quote(release.label)}/{quote(name)}">{escape(text)}</a>'


def _verification(release: Release, names: set[str]) -> list[str]:
    commands = []
    if {SUMS, SIGNATURE} <= names:
        commands.append(f"gpg --verify {SIGNATURE} {SUMS}")
    if SUMS in names:
        commands.append(f"sha256sum --check --ignore-missing {SUMS}")
    if not commands:
        return []
    return [f"<h2>Verify {escape(release.label)}</h2>", f"<pre><code>{escape(chr(10).join(commands))}</code></pre>"]


def _page(title: str, body: list[str]) -> str:
    head = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        MARK,
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
    ]
    return "\n".join([*head, *body, "</body>", "</html>", ""])
