# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is stated of a release of debs: the indexes of its snapshot, and what they were made of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..escape import redacted
from ..files import read_regular
from .moments import format_moment
from .statement import PREDICATE_TYPE, STATEMENT_TYPE, Descriptor, Site

FROM_DEBS = "urn:slipway:build:debs:1"
#: A line of ``Checksums-Sha256`` in a .buildinfo.
CHECKSUM = re.compile(r"^ ([0-9a-f]{64}) +[0-9]+ +\S+$", re.MULTILINE)
MOST_BUILDINFO = 4 << 20


@dataclass(frozen=True)
class DebRelease:
    """A published release of debs: what its ``release.json`` has, the digests of the files of its snapshot by their
    paths, and what it was made of: debs before they were stamped, how these were built, and where their sources are.
    """

    label: str
    kept: Mapping[str, Any]
    files: Mapping[str, str]
    debs: Sequence[Descriptor] = ()
    buildinfo: Sequence[Descriptor] = ()
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


def make_deb_statement(released: DebRelease, site: Site) -> dict[str, Any]:
    """One statement of all files of the snapshot, since they become public at one moment."""
    kept = released.kept
    packages = [
        {
            "name": row["path"],
            "digest": {"sha256": row["sha256"]},
            "annotations": {"package": name, "version": row["version"], "index": index},
        }
        for index, rows in sorted(kept["packages"].items())
        for name, row in sorted(rows.items())
    ]
    moment = format_moment(kept["published"])
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(released.files.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": FROM_DEBS,
                "externalParameters": {
                    **{name: kept[name] for name in ("distribution", "release")},
                    "label": released.label,
                },
                "internalParameters": {
                    "inputs": kept.get("inputs") or {},
                    "provenance": kept.get("provenance") or {},
                    **({"host": dict(site.host)} if site.host else {}),
                },
                "resolvedDependencies": [*_describe_sources(released.sources), *released.buildinfo, *released.debs],
            },
            "runDetails": {
                "builder": {"id": site.builder, "version": dict(released.tools)},
                "metadata": {
                    "invocationId": f"urn:slipway:debs:{released.label}",
                    "finishedOn": moment,
                },
                "byproducts": packages,
            },
        },
    }


def _describe_sources(sources: Mapping[str, Mapping[str, str]]) -> list[Descriptor]:
    found = []
    for name, said in sorted(sources.items()):
        kept = {key: str(said[key]) for key in ("kind", "tag") if said.get(key)}
        url = redacted(str(said.get("repository") or ""))
        place = {"uri": f"{said.get('kind') or 'git'}+{url}"} if "://" in url else {}
        commit = str(said.get("commit") or "")
        digest = {"digest": {"gitCommit": commit}} if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit) else {}
        found.append({"name": name, **place, **digest, **({"annotations": kept} if kept else {})})
    return found


def describe_files(paths: Iterable[Path]) -> list[Descriptor]:
    """Files by their names and digests, each once."""
    found = {path.name: path for path in paths}
    return [{"name": name, "digest": {"sha256": _hash(path)}} for name, path in sorted(found.items())]


def find_buildinfo(places: Iterable[Path], debs: Iterable[Descriptor]) -> list[Descriptor]:
    """What was recorded of the builds of these very debs, in the files below ``places``: chroot, tools, sources."""
    wanted = {str(each["digest"]["sha256"]) for each in debs}
    matching = []
    for path in (path for place in places for path in sorted(place.glob("**/*.buildinfo"))):
        try:
            if path.stat().st_size <= MOST_BUILDINFO:
                text = read_regular(path).decode("utf-8", "replace")
                matching += [path] if wanted.intersection(CHECKSUM.findall(text)) else []
        except OSError:
            continue  # one that went away, or that is no file
    return describe_files(matching)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_snapshot(snapshot: Path, indexes: Iterable[str]) -> dict[str, str]:
    """The digests of a snapshot's indexes and of the signed files over them, by their paths in it."""
    found = {}
    for below in indexes:
        suite = snapshot / "dists" / below.split("/")[1]
        for path in (snapshot / below / "Packages", suite / "Release", suite / "InRelease", suite / "Release.gpg"):
            if path.is_file():
                found[str(path.relative_to(snapshot))] = _hash(path)
    return found
