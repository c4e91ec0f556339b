# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a Trove: the list of its repositories, by which grokmirror finds changes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..git.tree import read_refs
from ..http import Service
from ..process import run

NAME = "manifest.js.gz"
#: The mark of a repository that anybody may read, as git's own servers know it.
EXPORTED = "git-daemon-export-ok"
#: No manifest is longer, unpacked.
LARGEST = 256 << 20
TIMEOUT = 1800.0


def list_repositories(toplevel: Path) -> list[str]:
    """The paths of the bare repositories below ``toplevel``, without ``.git``, sorted."""
    found = []
    for parent, directories, _unused in os.walk(toplevel):
        here = [name for name in directories if name.endswith(".git") and not name.startswith(".")]
        found += [str((Path(parent) / name).relative_to(toplevel)).removesuffix(".git") for name in here]
        directories[:] = [name for name in directories if name not in here and not name.startswith(".")]
    return sorted(found)


def compute_fingerprint(refs: Mapping[str, str]) -> str | None:
    """What grokmirror calls the fingerprint of a repository with these refs; ``None`` if there are none."""
    text = "".join(f"{refs[name]} {name}\n" for name in sorted(refs))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() if text else None


def fetch_manifest(site: str, *, timeout: float = 60.0) -> dict[str, str]:
    """The paths (without ``.git``) and fingerprints in the manifest of the Trove at ``site``, an HTTP address."""
    attempt, service = "fetch the manifest of the Trove at", Service(site)
    answer = service.ask("GET", f"/{NAME}", attempt=attempt, timeout=timeout)
    if answer.status != 200:
        raise service.answer_error(attempt, answer)
    return parse_manifest(answer.body, site)


def read_manifest(toplevel: Path) -> dict[str, str]:
    """The same of a Trove on this machine; without a manifest there is nothing in it."""
    path = toplevel / NAME
    return parse_manifest(path.read_bytes(), str(path)) if path.exists() else {}


def parse_manifest(packed: bytes, where: str) -> dict[str, str]:
    """The paths and fingerprints of a manifest's bytes; a path that leads elsewhere is refused."""
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            text = stream.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it is longer than {LARGEST >> 20} MiB")
        entries = json.loads(text)
        if not isinstance(entries, dict):
            raise TypeError("it is not an object")
        return {_parse_path(name): str(entry["fingerprint"]) for name, entry in entries.items()}
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise SlipwayError(
            "read the manifest", where, str(error), do_next="Write it again with grok-manifest on that Trove."
        ) from error


def find_stale(toplevel: Path) -> list[str]:
    """The exported paths whose entry in the manifest of the Trove at ``toplevel`` is missing or outdated."""
    listed = read_manifest(toplevel)
    real = {path: compute_fingerprint(read_refs(toplevel / f"{path}.git")) for path in list_exported(toplevel)}
    present = {path: value for path, value in real.items() if value is not None}
    return sorted(path for path in {*listed, *present} if listed.get(path) != present.get(path))


def list_exported(toplevel: Path) -> list[str]:
    """The repositories below ``toplevel`` that anybody may read."""
    return [path for path in list_repositories(toplevel) if (toplevel / f"{path}.git" / EXPORTED).exists()]


def update_manifest(toplevel: Path, paths: Sequence[str], *, programs: Path | None = None) -> None:
    """Update the manifest for ``paths``; those that are no longer exported are removed from it."""
    there = set(list_exported(toplevel))
    gone = [path for path in paths if path not in there]
    kept = [path for path in paths if path in there]
    for option, some in (("--remove", gone), ("--check-export-ok", kept)):
        if some:
            _run_grok_manifest(toplevel, [option, *(str(toplevel / f"{path}.git") for path in some)], programs=programs)
    still = find_stale(toplevel)
    if still:
        raise SlipwayError(
            "write the manifest of",
            str(toplevel),
            f"its entries of {', '.join(still)} are still outdated",
            do_next="Check whether somebody is pushing there, and run again.",
        )


def find_program(name: str, programs: Path | None = None) -> str:
    """The path of a program in ``programs``, or of one installed with this Python, or its bare name."""
    beside = (programs or Path(sys.executable).parent) / name
    return str(beside) if beside.exists() or programs is not None else name


def _run_grok_manifest(toplevel: Path, words: Sequence[str], *, programs: Path | None) -> None:
    run(
        [find_program("grok-manifest", programs), "-m", str(toplevel / NAME), "-t", str(toplevel), *words],
        attempt="write the manifest of",
        on=str(toplevel),
        timeout=TIMEOUT,
        do_next="Check whether the repositories are whole (`git fsck`), and run again.",
    )


def _parse_path(name: Any) -> str:
    parts = name.removeprefix("/").split("/")
    if not name.endswith(".git") or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        raise ValueError(f"{name!r} is not a path of a repository")
    return str(name).removeprefix("/").removesuffix(".git")
