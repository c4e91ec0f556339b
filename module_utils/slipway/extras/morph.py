# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system of Morph's is made of: by the metadata that Morph leaves in it, and by its definitions."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SlipwayError, refuse
from ..git.remote import COMMIT
from ..plan.cluster import sanitise_path
from ..plan.definitions import Definitions
from ..yamltext import NotPlainError, read, to_plain
from .manifest import KINDS, Component

#: Where metadata is in a system, and in one that was deployed and has its first state beside it.
PLACE = re.compile(r"(?:\./)?(?P<directory>(?:factory/)?baserock)/(?P<name>[^/]+)\.meta\Z")
FACTORY = "factory/baserock"
LARGEST = 64 << 20
#: What is read of it. What Morph writes about a deployment has none of it, and is about no part of a system.
FIELDS = ("artifact-name", "kind", "repo", "sha1", "cache-key", "original_ref")
OF_DEPLOYMENTS = ("configuration", "system-artifact-name")
BOOTSTRAP = "bootstrap"


def read_metadata(archive: Path, *, system: str) -> list[Component]:
    """The parts of a system by the metadata in an archive of its tree."""
    attempt, found, faults = "read the metadata of", dict[str, dict[str, Any]](), []
    try:
        with tarfile.open(archive, "r:*") as tar:
            for info in tar:
                place = PLACE.match(info.name)
                if place is None or not info.isreg():
                    continue
                stream = tar.extractfile(info)
                data = b"" if stream is None or info.size > LARGEST else stream.read()
                found.setdefault(place["directory"], {})[info.name] = data
    except (OSError, EOFError, tarfile.TarError) as error:
        do_next = "Build the system again, or bring its whole archive."
        raise SlipwayError(
            attempt, f"{system} in {archive}", f"it is no whole tar archive: {error}", do_next=do_next
        ) from error
    components = []
    for name, data in sorted(found.get(FACTORY, found.get("baserock", {})).items()):
        component, fault = _read_meta(name, data)
        components += [] if component is None else [component]
        faults += [] if fault is None else [fault]
    if not components and not faults:
        faults = ["there is no baserock/*.meta, which Morph leaves in each system"]
    refuse(
        attempt,
        f"{system} in {archive.name}",
        faults[:20],
        summary=f"{len(faults)} files are not as Morph writes them" if len(faults) > 1 else "",
        do_next="Take the archive of a system that Morph built, or build it again.",
    )
    return components


def _read_meta(name: str, data: bytes) -> tuple[Component | None, str | None]:
    try:
        meta = json.loads(data.decode("utf-8", "replace"))
    except ValueError as error:
        return None, f"{name} is not JSON ({error})"
    if not isinstance(meta, dict):
        return None, f"{name} is not a mapping"
    if any(key in meta for key in OF_DEPLOYMENTS):
        return None, None
    missing = [
        key for key in FIELDS if not isinstance(meta.get(key), str) or not meta[key].isprintable() or not meta[key]
    ]
    if missing:
        return None, f"{name} says no {', '.join(missing)}"
    if meta["kind"] not in KINDS:
        return None, f"{name} is about a {meta['kind']}, not a {', '.join(KINDS)}"
    chunk, alias = meta.get("source-name"), meta.get("repo-alias")
    return (
        Component(
            kind=meta["kind"],
            name=meta["artifact-name"],
            chunk=chunk if isinstance(chunk, str) and chunk else meta["artifact-name"],
            repo=meta["repo"],
            ref=meta["original_ref"],
            commit=meta["sha1"],
            key=meta["cache-key"],
            alias=alias if isinstance(alias, str) else "",
        ),
        None,
    )


def list_chunks(definitions: Definitions, system: str) -> list[Component]:
    """The chunks of a system in the order of its strata, but for those that only help to build the others."""
    where = f"{system} of {definitions.name}"
    listed = _read_morphologies(definitions, [system], "system")[system]
    strata = [
        sanitise_path(str(each.get("morph") or each.get("name"))) for each in _list_entries(listed, "strata", system)
    ]
    chunks: dict[str, Component] = {}
    faults = []
    for file, stratum in _read_morphologies(definitions, strata, "stratum").items():
        for entry in _list_entries(stratum, "chunks", file):
            lacking = [key for key in ("name", "repo", "ref") if not isinstance(entry.get(key), str) or not entry[key]]
            name = entry.get("name") or "without a name"
            if entry.get("build-mode") == BOOTSTRAP:
                continue
            if lacking:
                faults.append(f"{file}: the chunk {name} has no {' and no '.join(lacking)}")
                continue
            repo, ref = str(entry["repo"]), str(entry["ref"])
            commit = ref if COMMIT.match(ref) else ""
            # A chunk of two strata is the same one, and a name that two chunks have is told once, as the first.
            chunks.setdefault(str(name), Component("chunk", str(name), str(name), repo, ref, commit))
    refuse("list the chunks of", where, faults, several="faults", do_next="Correct the definitions and run again.")
    return list(chunks.values())


def _read_morphologies(definitions: Definitions, paths: Sequence[str], kind: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    faults = []
    for path, data in definitions.read(paths).items():
        try:
            value = to_plain(read(data)[0]) if data is not None else None
        except NotPlainError as error:
            faults.append(f"{path}: {error}")
            continue
        if data is None:
            faults.append(f"{path}: there is no such file")
        elif not isinstance(value, dict) or value.get("kind") != kind:
            faults.append(f"{path}: it is not a {kind}")
        else:
            found[path] = value
    refuse("read the definitions of", definitions.name, faults, do_next="Correct the definitions and run again.")
    return found


def _list_entries(morphology: Mapping[str, Any], key: str, file: str) -> list[Mapping[str, Any]]:
    listed = morphology.get(key) or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise SlipwayError("read", file, f"its {key} are not a list of mappings", do_next="Correct it and run again.")
    return listed
