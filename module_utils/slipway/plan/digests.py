# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bytes of files that something else made: sizes and digests, which do not change once they are on record."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import refuse
from ..files import CHUNK, open_below
from ..progress import Progress
from ..release.artifact import Artifact, read_artifacts

NEVER = "What is on record never changes: put it back, or release what is there now under another version."
ANEW = "Bring the file again, or find out which digest is right, and run again."
WAIT = "Run again when that has ended."
READABLE = "Make it readable for this user, and run again."


def hash_deployments(
    directory: Path,
    deployments: Sequence[Mapping[str, Any]],
    *,
    label: str,
    previous: Sequence[Mapping[str, Any]] = (),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """The name, size and digest of each deployment's file; bytes other than those of ``previous`` are a failure.

    A file without a path is gone, and is as it was recorded.
    """
    recorded = {file.name: file for file in read_artifacts(previous, attempt="read the deploy records")}
    reporter = progress or Progress(None)
    present = [deployment for deployment in deployments if deployment["path"]]
    reporter.total, reporter.total_bytes = len(present), sum(deployment["size"] for deployment in present)
    faults: dict[str, str] = {}

    def hash_one(deployment: Mapping[str, Any]) -> Artifact:
        if not deployment["path"]:
            return recorded[deployment["file"]]
        try:
            found = _hash_file(directory, deployment["file"], deployment["path"])
            fault = _find_fault(deployment, found, recorded.get(deployment["file"]))
        except OSError as error:
            found = Artifact(deployment["file"], None, None)
            fault = f"{deployment['path']!r} could not be read: {error.strerror or error}", READABLE
        if fault is not None:
            faults[fault[0]] = fault[1]
        reporter.step(f"hashed {found.name}", size=found.size)
        return found

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        files = list(pool.map(hash_one, deployments))
    refuse(
        f"take the files of {label} from",
        str(directory),
        sorted(faults),
        summary="" if len(faults) == 1 else f"{len(faults)} of {len(deployments)} files are not as they should be",
        do_next=" ".join(sorted({*faults.values()})),
    )
    return [
        {"deployment": deployment["name"], **file.as_dict()}
        for deployment, file in zip(deployments, files, strict=True)
    ]


def _find_fault(deployment: Mapping[str, Any], found: Artifact, recorded: Artifact | None) -> tuple[str, str] | None:
    """What is wrong with a file that was read, and what to do about it."""
    path, expected = deployment["path"], deployment.get("expected")
    if found.sha256 is None:
        return f"{path!r} changed while it was read, so something still writes it", WAIT
    if expected not in {None, found.sha256}:
        return f"{path!r} has sha256 {found.sha256} instead of {expected}, which came with it", ANEW
    fault = recorded.describe_difference(found.size or 0, found.sha256) if recorded else None
    if fault is None:
        return None
    return (fault if path == found.name else f"{fault}; its file is {path!r}"), NEVER


def _hash_file(directory: Path, name: str, path: str) -> Artifact:
    """The file's size and digest; None for both if it was not the same from the beginning to the end."""
    with open(open_below(directory, path), "rb", buffering=0) as stream:
        before, digest, size = os.fstat(stream.fileno()), hashlib.sha256(), 0
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
        return Artifact(name, None, None)
    return Artifact(name, size, digest.hexdigest())
