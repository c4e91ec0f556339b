# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a writer of files gets: one system, its settings, and where programs are."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
SIZE = re.compile(r"(\d{1,15})([KMGT]?)\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Job:
    """One file to make. ``tree`` is the canonical tar of the system, ``work`` an empty directory to use.

    ``name`` is the deployment's, ``label`` the release's; both serve to derive what must be unique.
    """

    name: str
    label: str
    architecture: str
    settings: Mapping[str, str]
    epoch: int
    tree: Path
    work: Path

    def make_uuid(self, purpose: str) -> str:
        """A UUID that is this deployment's own in every run."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"slipway:{self.label}:{self.name}:{purpose}"))


def read_size(text: str) -> int | None:
    """The bytes that a setting such as ``2G`` says; ``None`` if it says none."""
    match = SIZE.match(text)
    return None if match is None else int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


def program_path() -> str:
    """Where programs are, with the directories of e2fsprogs, which ordinary users lack."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
