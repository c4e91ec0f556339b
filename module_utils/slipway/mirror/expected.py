# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a server has now, which its mirrors are to serve."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..errors import SlipwayError
from ..files import read_regular
from ..publish.directory import SUMS, parse_sums
from ..release.artifact import Artifact, check_name
from .trace import LATEST, MOST_BYTES, find_current
from .tree import read_file

LISTING = "mirrors.json"


def read_expected(public: Path, label: str) -> dict[str, Any]:
    """The release, its files, and the signed texts beside it; without a label, the current release."""
    found = label or find_current(public)[0] or ""
    texts = {name: read_file(public, name, size=MOST_BYTES) or b"" for name in (LATEST, LISTING)}
    return {
        "label": found,
        "files": [file.as_dict() for file in list_release(public, found)] if found else [],
        "latest": texts[LATEST].decode("utf-8", "replace"),
        "listing": texts[LISTING].decode("utf-8", "replace"),
    }


def list_release(public: Path, label: str) -> list[Artifact]:
    """The files of a public release by its SHA256SUMS, and that itself."""
    directory = public / check_name(label, attempt="read the release")
    try:
        data = read_regular(directory / SUMS)
        listed = sorted(parse_sums(data.decode("utf-8", "replace")).items())
        files = [Artifact(name, (directory / name).stat().st_size, digest) for name, digest in listed]
    except OSError as error:
        raise SlipwayError(
            "read the release", str(directory), str(error), do_next="Verify it (playbooks/verify.yml)."
        ) from error
    return [Artifact(SUMS, len(data), hashlib.sha256(data).hexdigest()), *files]
