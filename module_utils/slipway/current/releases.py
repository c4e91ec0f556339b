# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases that are on record here, as far as it matters what readers may take of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..files import read_regular
from ..plan.filenames import find_facts
from ..publish.package import MANIFEST
from ..release.compression import METHODS, find_suffix
from ..release.names import Names, make_names, version_key
from ..release.records import Record, load_record
from ..views.subject import ViewFile

#: Records that only a release has that was current once; before there was a stage for that, the tag came next.
CURRENT = ("current", "tag", "notes", "announcement")
READ = ("publication", "withdrawal", "statement", *CURRENT)


@dataclass(frozen=True)
class Known:
    """A published release: its files with their types and products, and whether it was current, and is withdrawn."""

    version: str
    label: str
    sums: str
    files: tuple[ViewFile, ...]
    products: Mapping[str, str]
    was_current: bool
    withdrawn: bool


def list_known(releases: Path, project: str) -> dict[str, Known]:
    """Those of this project that were published, by label."""
    found = {}
    for directory in sorted(releases.glob("*/records")):
        path = directory / "publication.json"
        if path.is_file():
            records = {name: load_record(file) for name in READ if (file := directory / f"{name}.json").is_file()}
            publication = records["publication"]
            if publication["project"] == project:
                known = _read_release(project, records, directory)
                found[known.label] = known
    return found


def list_withdrawn(releases: Path) -> dict[str, bool]:
    """Of each version that is on record here, whether it is withdrawn."""
    found = {}
    for directory in sorted(releases.glob("*/records")):
        path = directory / "withdrawal.json"
        found[directory.parent.name] = path.is_file() and bool(load_record(path)["outputs"].get("withdrawn"))
    return found


def _read_release(project: str, records: Mapping[str, Record], directory: Path) -> Known:
    publication = records["publication"]
    version = str(publication["version"])
    names = make_names(project, version)
    label = names.label
    facts_of = {**_read_deployed(directory), **_read_manifest(directory.parent / "artifacts", publication)}
    files, products = [], {}
    for entry in publication["outputs"]["files"]:
        facts = facts_of.get(str(entry["name"]), {})
        path = f"{label}/{entry['name']}"
        files.append(ViewFile(path, int(entry["size"]), str(entry["sha256"]), _find_type(entry, facts, names)))
        products[path] = str(facts.get("product") or project)
    withdrawal = records.get("withdrawal")
    return Known(
        version,
        label,
        str(publication["inputs"]["sums"]),
        tuple(files),
        products,
        any(name in records for name in CURRENT),
        bool(withdrawal and withdrawal["outputs"].get("withdrawn")),
    )


def _find_type(entry: Mapping[str, Any], facts: Mapping[str, Any], names: Names) -> str:
    """The type of a file by what was made, else by its name."""
    return str(facts.get("type") or find_facts(str(entry["name"]), names).type)


def _read_deployed(directory: Path) -> dict[str, dict[str, Any]]:
    """What is known of each deployed file, under every name that it may be published under."""
    found = {}
    for path in sorted(directory.glob("deploy-*.json")):
        outputs = load_record(path)["outputs"]
        for suffix in ("", *map(find_suffix, METHODS)):
            found[f"{outputs.get('name')}{suffix}"] = outputs
    return found


def _read_manifest(artifacts: Path, publication: Record) -> dict[str, dict[str, Any]]:
    """What the manifest says of each file, where it is here still as it was published."""
    digests = {entry["name"]: entry["sha256"] for entry in publication["outputs"]["files"]}
    try:
        data = read_regular(artifacts / MANIFEST)
        if hashlib.sha256(data).hexdigest() != digests.get(MANIFEST):
            return {}
        return {str(entry["name"]): dict(entry) for entry in json.loads(data)["files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}  # the records say less


def select_files(
    known: Mapping[str, Known], pointers: Mapping[str, str], project: str, *, also: str = "", without: str = ""
) -> list[ViewFile]:
    """The files that readers may take: of releases that were current, up to the one that is now, of each product.

    Those of the current one are found under their fixed names as well. ``also`` becomes current now, ``without`` is
    withdrawn now.
    """
    whole = pointers.get("")
    selected = []
    for release in sorted(known.values(), key=lambda each: version_key(each.version)):
        if release.withdrawn or release.label == without or not (release.was_current or release.label == also):
            continue
        for file in release.files:
            pointer = pointers.get(release.products[file.path], whole)
            if pointer is None or version_key(release.version) > version_key(pointer.removeprefix(f"{project}-")):
                continue
            prefix = f"{release.label}-"
            is_current = pointer == release.label and file.name.startswith(prefix)
            name = f"{project}-current-{file.name.removeprefix(prefix)}" if is_current else ""
            selected.append(replace(file, current=name))
    return selected
