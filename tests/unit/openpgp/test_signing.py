# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keyring import export_public_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import (
    find_secret_key,
    find_signing_key,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.signing import sign_detached
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import verify_signature

ANNE = "Anne Release <anne@example.org>"


def test_a_signature_is_verified_by_gpg_itself_with_the_exported_key(
    home: Path, signed: tuple[Path, Path, str], tmp_path: Path
) -> None:
    data, signature, fingerprint = signed
    exported = tmp_path / "key.asc"
    exported.write_bytes(export_public_key(home, fingerprint))
    keyring = tmp_path / "key.gpg"
    subprocess.run(["gpg", "--dearmor", "--output", keyring, exported], check=True, capture_output=True)
    subprocess.run(["gpgv", "--keyring", keyring, signature, data], check=True, capture_output=True)
    assert export_public_key(home, fingerprint) == exported.read_bytes()


def test_a_signature_with_the_same_date_has_the_same_bytes(home: Path, signed: tuple[Path, Path, str]) -> None:
    data, signature, fingerprint = signed
    before = signature.read_bytes()
    found = verify_signature(home, data=data, signature=signature)
    assert found is not None
    sign_detached(home, fingerprint, data=data, signature=signature, at=found.made)
    assert signature.read_bytes() == before
    sign_detached(home, fingerprint, data=data, signature=signature, at=found.made + 5)
    assert signature.read_bytes() != before


def test_a_gpg_conf_changes_no_byte(home: Path, signed: tuple[Path, Path, str]) -> None:
    data, signature, fingerprint = signed
    before = signature.read_bytes()
    found = verify_signature(home, data=data, signature=signature)
    assert found is not None
    (home / "gpg.conf").write_text("comment by hand\ndigest-algo SHA224\ntextmode\nverbose\n")
    sign_detached(home, fingerprint, data=data, signature=signature, at=found.made)
    assert signature.read_bytes() == before


def test_looking_changes_nothing_in_the_home(home: Path, signed: tuple[Path, Path, str]) -> None:
    def state() -> dict[str, tuple[int, int]]:
        found = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in (home, *home.iterdir())}
        return {name: said for name, said in found.items() if not name.startswith("S.")}

    data, signature, fingerprint = signed
    before = state()
    find_signing_key(home, fingerprint)
    verify_signature(home, data=data, signature=signature)
    export_public_key(home, fingerprint)
    find_secret_key(home, ANNE)
    assert state() == before
