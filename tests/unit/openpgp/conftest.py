# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A home with one key, and what it signed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import find_signing_key, make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached

ANNE = "Anne Release <anne@example.org>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys") / "gnupg"
    make_key(directory, ANNE, expires="1y")
    return directory


@pytest.fixture
def signed(home: Path, tmp_path: Path) -> tuple[Path, Path, str]:
    data, signature = tmp_path / "SHA256SUMS", tmp_path / "SHA256SUMS.asc"
    data.write_text("abc  x\n")
    fingerprint = find_signing_key(home).fingerprint
    sign_detached(home, fingerprint, data=data, signature=signature)
    return data, signature, fingerprint
