# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is public of a project: its releases, read from their own files, and nothing of the run that reads them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import refuse
from ..escape import escape_line
from ..files import open_regular, read_regular
from ..release.artifact import find_name_fault
from ..release.names import check_project, extract_version, version_key
from ..release.tombstone import (
    REMOVED,
    Tombstone,
    find_tombstone,
    format_moment,
    list_tombstones,
    name_tombstone,
    name_tombstone_signature,
    parse_moment,
)
from .directory import SUMS, parse_sums
from .links import CURRENT
from .package import MANIFEST, SIGNATURE
from .packets import MOST_BYTES, KeyWords, SignatureWords, read_keys, read_signature

#: Which release is current, signed and dated.
LATEST = "latest.json"
#: The mirrors that serve what is current, signed.
MIRRORS = "mirrors.json"
#: The public keys of all releases, beside them.
KEY = "release-key.asc"
#: What stays in an address as it is.
SAFE = "%/:?#[]@!$&'()*+,;=~"
#: The last line of a page: digests of what it was rendered from, and of the page before this line.
SEAL = re.compile(r"<!-- (?P<source>[0-9a-f]{64}) (?P<text>[0-9a-f]{64}) -->\n\Z")
SIDECAR = ".sha256"
#: Listed after the files themselves.
LAST = (MANIFEST, SIGNATURE, SUMS)
FACTS = ("project", "version", "commit", "branch", "tag")
#: What the manifest says of a file, and pages show.
FILE_FACTS = ("system", "architecture", "type", "product")
SOURCE_SUFFIX = re.compile(r"\.(?:bst|morph)\Z")
UNITS = ((1e9, 2, "GB"), (1e6, 1, "MB"), (1e3, 0, "kB"), (0, 0, "B"))


@dataclass(frozen=True)
class Site:
    """A project's public directory, and what its pages say beside what is there.

    ``notes_url`` is the address of a release's notes with ``{version}`` and ``{label}`` in it, ``support`` the day
    until which a version is supported, ``notes`` are notes in Markdown, by label, that are to be public now.
    """

    public: Path
    project: str
    title: str = ""
    notes_url: str = ""
    support: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse settings that cannot be used."""
        check_project(self.project)
        faults = []
        if not self.public.is_absolute():
            faults.append(f"{self.public} is not an absolute path")
        if self.notes_url and urlsplit(self.notes_url).scheme not in {"http", "https"}:
            faults.append(f"{self.notes_url!r} is not an address beginning with http or https")
        faults += [
            f"{day!r}, until which {version} is supported, is not a day such as 2028-05-31"
            for version, day in self.support.items()
            if not _is_day(day)
        ]
        refuse("index", str(self.public), faults, summary="settings are not usable", do_next="Correct them.")

    def find_notes_url(self, release: Release) -> str | None:
        """Where the notes of a release are."""
        filled = self.notes_url.replace("{version}", quote(release.version)).replace("{label}", quote(release.label))
        return filled or None

    def read_notes(self, release: Release) -> str | None:
        """The notes of a release in Markdown, as they are public, or are to be."""
        if release.label in self.notes:
            return self.notes[release.label]
        path = self.public / name_notes(release.label)
        return _read_text(path) if path.is_file() and not path.is_symlink() else None


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
    signature: SignatureWords
    tombstone: Tombstone | None = None


def name_page(label: str) -> str:
    """The page of a release."""
    return f"{label}.html"


def name_notes(label: str) -> str:
    """The notes of a release in Markdown."""
    return f"{label}.md"


def name_inputs(label: str) -> str:
    """What a release was made from and with."""
    return f"{label}.inputs.json"


def describe_site(site: Site) -> dict[str, Any]:
    """What pages, feed and list show, as plain values; the releases newest first, and the label of the current one."""
    releases, keys = list_releases(site), read_keys(read_key_file(site.public))
    current = find_current(site)
    current = current if current in {release.label for release in releases} else None
    return {
        "project": site.project,
        "title": escape_line(site.title) or f"{site.project} releases",
        "current": current,
        "latest": (site.public / LATEST).is_file(),
        "mirrors": _list_mirrors(site),
        "keys": [_describe_key(key) for key in keys],
        **_describe_all([_describe_release(site, release, keys, current) for release in releases]),
    }


def _describe_all(releases: list[dict[str, Any]]) -> dict[str, Any]:
    """The releases, and the last one of each product."""
    last: dict[str, dict[str, Any]] = {}
    for release in releases:
        for product in [] if release.get("withdrawn") else release["products"]:
            facts = {name: release[name] for name in ("version", "label", "page", "time", "date")}
            last.setdefault(product["name"], {**product, **facts})
    return {"releases": releases, "products": [last[name] for name in sorted(last)]}


def seal_page(text: str, source: str) -> str:
    """A page with a last line that says what it was rendered from, so that it is not rendered again."""
    return f"{text}<!-- {source} {_digest(text)} -->\n"


def read_source(page: str) -> str | None:
    """What a page was rendered from, if it is as it was rendered."""
    sealed = SEAL.search(page)
    return sealed["source"] if sealed and _digest(page[: sealed.start()]) == sealed["text"] else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def list_releases(site: Site) -> list[Release]:
    """The releases of the project that are public, newest first."""
    found = []
    for path in site.public.iterdir() if site.public.is_dir() else ():
        version = extract_version(path.name, site.project)
        if version is not None and path.is_dir() and not path.is_symlink():
            tombstone = find_tombstone(site.public, path.name)
            if tombstone is None or tombstone.files != REMOVED:
                signature = read_signature(_read_text(path / SIGNATURE) or "")
                manifest = _read_manifest(path)
                found.append(Release(path.name, version, _list_files(path), manifest, signature, tombstone))
    there = {release.label for release in found}
    found += [_recall(each) for each in list_tombstones(site.public, site.project) if each.label not in there]
    return sorted(found, key=lambda release: version_key(release.version), reverse=True)


def _recall(tombstone: Tombstone) -> Release:
    """What is known still of a release whose files are gone."""
    made = None if tombstone.released is None else parse_moment(tombstone.released)
    facts = {name: value for name in FACTS if (value := getattr(tombstone, name, None)) is not None}
    signature = SignatureWords(made, tombstone.signed_by)
    return Release(tombstone.label, tombstone.version, [], facts, signature, tombstone)


def read_key_file(public: Path) -> str:
    """The public keys beside the releases; empty if there are none."""
    return _read_text(public / KEY) or ""


def _list_mirrors(site: Site) -> list[dict[str, str]]:
    """The mirrors that serve it, by the list of them; those that a browser cannot open are none for people."""
    try:
        said = json.loads(base64.b64decode(json.loads(_read_text(site.public / MIRRORS) or "{}")["payload"]))
        urls = [each["url"] for each in said["mirrors"]] if said["project"] == site.project else []
        found = [url for url in urls if urlsplit(url).scheme in {"http", "https"} and escape_line(url) == url]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return [
        {"url": quote(url, safe=SAFE), "name": urlsplit(url).netloc + urlsplit(url).path.rstrip("/")} for url in found
    ]


def find_current(site: Site) -> str | None:
    """The label of the release that the link ``current`` leads to."""
    link = site.public / CURRENT
    return link.resolve().name if link.is_symlink() else None


def format_size(size: int) -> str:
    """A number of bytes for people, in thousands."""
    least, digits, unit = next(unit for unit in UNITS if size >= unit[0])
    return f"{size / least if least else size:,.{digits}f} {unit}"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _list_files(directory: Path) -> list[File]:
    sums = parse_sums(_read_text(directory / SUMS) or "")
    with os.scandir(directory) as entries:
        files = [
            File(entry.name, entry.stat(follow_symlinks=False).st_size, sums.get(entry.name))
            for entry in entries
            if entry.is_file(follow_symlinks=False) and find_name_fault(entry.name) is None
        ]
    return sorted(files, key=lambda file: (file.name in LAST, file.name))


def _read_text(path: Path) -> str | None:
    """The text of a small file, if there is one; what is longer than any of ours is cut off."""
    try:
        with open(open_regular(path, os.O_RDONLY), "rb") as stream:
            return stream.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _read_manifest(directory: Path) -> dict[str, Any]:
    """What the manifest says; a release without a readable one has a page that says less."""
    try:
        found = json.loads(read_regular(directory / MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _describe_key(key: KeyWords) -> dict[str, Any]:
    return {
        "fingerprint": key.fingerprint,
        "grouped": _group(key.fingerprint),
        "names": [escape_line(each) for each in key.user_ids],
    }


def _group(fingerprint: str) -> str:
    """A fingerprint as GnuPG writes it for people to compare."""
    parts = [fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4)]
    return " ".join(parts)


def _describe_release(site: Site, release: Release, keys: list[KeyWords], current: str | None) -> dict[str, Any]:
    names, made = {file.name for file in release.files}, release.signature.made
    size = sum(file.size for file in release.files)
    facts = _read_file_facts(site, release)
    files = [
        _describe_file(release, file, names, facts.get(file.name, {}))
        for file in release.files
        if not (file.name.endswith(SIDECAR) and file.name.removesuffix(SIDECAR) in names)
    ]
    return {
        "label": release.label,
        "version": release.version,
        "page": name_page(release.label),
        "source": read_source(_read_text(site.public / name_page(release.label)) or ""),
        "current": release.label == current,
        "time": format_moment(made) if made is not None else None,
        "date": format_moment(made)[:10] if made is not None else None,
        "withdrawn": _describe_tombstone(release.tombstone),
        **_describe_products(site, release),
        "notes_url": site.find_notes_url(release),
        "notes": site.read_notes(release),
        "inputs": quote(inputs) if (site.public / (inputs := name_inputs(release.label))).is_file() else None,
        "key": _find_key(release.signature, keys),
        "count": len(release.files),
        "size": size,
        "size_text": format_size(size),
        "facts": [
            {"name": name, "value": escape_line(release.manifest[name])}
            for name in FACTS
            if isinstance(release.manifest.get(name), str)
        ],
        "files": files,
        **_describe_systems(files),
        "signed": {SUMS, SIGNATURE} <= names,
        "summed": SUMS in names,
    }


def _describe_tombstone(tombstone: Tombstone | None) -> dict[str, Any] | None:
    if tombstone is None:
        return None
    return {
        "time": tombstone.withdrawn,
        "date": tombstone.withdrawn[:10],
        "by": escape_line(tombstone.by),
        "reason": escape_line(tombstone.reason),
        "files": tombstone.files,
        "url": quote(name_tombstone(tombstone.label)),
        "signature_url": quote(name_tombstone_signature(tombstone.label)),
    }


def _describe_products(site: Site, release: Release) -> dict[str, Any]:
    """The products that a release is of, and until when each of them and all of it is supported."""
    said = release.manifest.get("products")
    entries = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    products = [
        {
            "name": escape_line(entry["name"]),
            "title": escape_line(entry.get("title") or entry["name"]),
            "supported_until": _find_support_end(site, release, entry.get("supported")),
        }
        for entry in entries
        if isinstance(entry.get("name"), str)
    ]
    if not products:
        end = _find_support_end(site, release, None)
        products = [{"name": site.project, "title": site.project, "supported_until": end}]
    ends = [end for product in products if (end := product["supported_until"]) is not None]
    return {"products": products, "supported_until": max(ends) if len(ends) == len(products) else None}


def _find_support_end(site: Site, release: Release, supported: object) -> str | None:
    """The last day of a product, by the site, else by the manifest: a day, or how many days after the release."""
    if release.tombstone is not None:
        return None
    if release.version in site.support:
        return site.support[release.version]
    said = supported if isinstance(supported, dict) else {}
    until, days = said.get("until"), said.get("days")
    if isinstance(until, str) and _is_day(until):
        return until
    if not isinstance(days, int) or release.signature.made is None:
        return None
    with contextlib.suppress(OverflowError):
        return (date.fromisoformat(format_moment(release.signature.made)[:10]) + timedelta(days=days)).isoformat()
    return None


def _find_key(signature: SignatureWords, keys: list[KeyWords]) -> dict[str, Any] | None:
    """The key that a release names as its signer, as a public one that has the subkey says it, or as it is named."""
    if signature.key is None:
        return None
    whole = next((key for key in keys if signature.key in (key.fingerprint, *key.subkeys)), KeyWords(signature.key))
    return _describe_key(whole)


def _read_file_facts(site: Site, release: Release) -> dict[str, dict[str, str]]:
    """What the manifest says of each file: its system, architecture, type, and product if it is not the project."""
    listed = release.manifest.get("files")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {
        entry["name"]: {"product": site.project}
        | {name: escape_line(entry[name]) for name in FILE_FACTS if isinstance(entry.get(name), str) and entry[name]}
        for entry in entries
        if isinstance(entry.get("name"), str)
    }


def _describe_file(release: Release, file: File, names: set[str], facts: Mapping[str, str]) -> dict[str, Any]:
    sidecar = file.name + SIDECAR
    return {
        "name": file.name,
        "url": _make_url(release, file.name),
        "size": file.size,
        "size_text": format_size(file.size),
        "sha256": file.sha256,
        "sidecar": {"name": sidecar, "url": _make_url(release, sidecar)} if sidecar in names else None,
        **{name: facts.get(name) for name in FILE_FACTS},
    }


def _describe_systems(files: list[dict[str, Any]]) -> dict[str, Any]:
    """The files by system and architecture: the columns, and a row for each system that is called the same in all."""
    known = [file for file in files if file["system"] and file["architecture"]]
    architectures = sorted({file["architecture"] for file in known})
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for file in known:
        name = _name_system(file["system"], file["architecture"])
        rows.setdefault(name, {}).setdefault(file["architecture"], []).append(file)
    return {
        "architectures": architectures,
        "systems": [
            {"name": name, "cells": [rows[name].get(architecture, []) for architecture in architectures]}
            for name in sorted(rows)
        ],
    }


def _name_system(system: str, architecture: str) -> str:
    """What a system is called whatever it is built for: its file without directory, suffix and architecture."""
    name = SOURCE_SUFFIX.sub("", system.rpartition("/")[2])
    return name.removesuffix(f"-{architecture}") or name


def _make_url(release: Release, name: str) -> str:
    return quote(f"{release.label}/{name}")
