"""Bills of a release of debs: complete beside the snapshot, signed, and the same for ever."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.bill.archive import DebRelease, publish_bills
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.keys import make_key
from ansible_collections.slipway.release.plugins.module_utils.slipway.openpgp.verifying import verify_signature

from .conftest import PACKAGES


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    make_key(home, "Archive <archive@example.org>")
    return home


def release(top: Path) -> DebRelease:
    for architecture in ("amd64", "i386"):
        text = PACKAGES.replace("amd64", architecture).encode() + b"XB-Odd: J\xf6rg\n"
        (top / f"Packages-{architecture}").write_bytes(text)
    indexes = {f"bookworm/{name}": top / f"Packages-{name}" for name in ("amd64", "i386")}
    return DebRelease("cturtle-r1", "r1", 1700000000, indexes)


def publish(top: Path, home: Path, **more: bool) -> tuple[dict[str, str], bool]:
    return publish_bills(top / "snapshot/bills", release(top), gnupghome=home, python=sys.executable, **more)


def test_bills_appear_whole_are_signed_and_are_verified_from_then_on(tmp_path: Path, home: Path) -> None:
    names, made = publish(tmp_path, home, write=False)
    assert (made, (tmp_path / "snapshot").exists()) == (True, False)
    files, made = publish(tmp_path, home)
    bills = tmp_path / "snapshot/bills"
    assert (made, files.keys()) == (True, names.keys())
    assert {path.name for path in bills.iterdir()} == {*names, "SHA256SUMS", "SHA256SUMS.asc"}
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=bills, check=True)
    assert verify_signature(home, data=bills / "SHA256SUMS", signature=bills / "SHA256SUMS.asc")
    said = json.loads((bills / "bookworm-i386.spdx.json").read_bytes())
    assert [each["name"] for each in said["packages"] if "arch=i386" in json.dumps(each)] == ["ros-cturtle-roscpp"]
    assert [path.name for path in bills.parent.iterdir()] == ["bills"]
    assert publish(tmp_path, home) == (files, False)

    again = tmp_path / "again"
    again.mkdir()
    assert publish(again, home)[0] == files

    (bills / "bookworm-amd64.cdx.json").write_text("{}")
    with pytest.raises(SlipwayError, match=r"bookworm-amd64.cdx.json: [0-9a-f]{64}, and SHA256SUMS says [0-9a-f]{64}"):
        publish(tmp_path, home)
    (bills / "bookworm-amd64.cdx.json").unlink()
    with pytest.raises(SlipwayError, match=r"bookworm-amd64.cdx.json: no such file"):
        publish(tmp_path, home)


def test_a_failure_leaves_nothing_beside_the_snapshot(tmp_path: Path, home: Path) -> None:
    released = release(tmp_path)
    (tmp_path / "Packages-i386").write_text("Package: bad\nVersion: no version!\nArchitecture: i386\n")
    with pytest.raises(SlipwayError, match="Could not make the bill of materials of cturtle-r1-bookworm-i386"):
        publish_bills(tmp_path / "s/bills", released, gnupghome=home, python=sys.executable)
    assert list((tmp_path / "s").iterdir()) == []
    shutil.rmtree(tmp_path / "s")
