# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Small debs, made without starting a program, the same bytes for the same words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.deb.file import build_deb


def make_deb(
    directory: Path,
    name: str,
    version: str,
    architecture: str = "all",
    *,
    fields: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Write ``<name>_<version>_<architecture>.deb``, without the epoch, with further control ``fields``."""
    control = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "A Maintainer <maintainer@example.org>",
        "Section": "misc",
        "Priority": "optional",
        **(fields or {}),
        "Description": f"{name} for tests",
    }
    text = "".join(f"{key}: {value}\n" for key, value in control.items())
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}_{version.partition(':')[2] or version}_{architecture}.deb"
    path.write_bytes(build_deb(text, files or {}, mtime=1_600_000_000))
    return path
