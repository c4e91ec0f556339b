"""The release before is started from what it published, becomes the new one, and keeps what was written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.checks import Check
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.judge import FIRST
from ansible_collections.slipway.release.plugins.module_utils.slipway.gates.previous import History
from bootables import UPGRADE, find_kernel, make_disk, make_sector
from conftest import CACHE
from unit.gates.test_judge import GOOD, Release

UPGRADES = {"upgrade": {"run": "upgrade /dev/vdb", "firmware": ["bios"], "memory": "128M", "limit": 100}}


def test_a_system_becomes_the_new_release_and_keeps_its_files_or_is_told_not_to(tmp_path: Path):
    kernel = find_kernel(CACHE / "kernel")
    before, now = Release(tmp_path, "1.0"), Release(tmp_path, "1.1", **UPGRADES)
    for release, upgrade in ((before, UPGRADE), (now, "true")):
        work = tmp_path / f"work-{release.version}"
        work.mkdir()
        release.add("disk", make_disk(kernel, work, version=release.version, upgrade=upgrade).read_bytes())
    before.publish()
    (result,) = now.judge().results
    assert result["result"] == "passed"
    assert [each["version"] for each in result["facts"]["report"]] == ["1.0", "1.1"]
    assert "upgrade /dev/vdb" in Path(result["log"]).read_text()
    # The same, from a release that does nothing when it is told to upgrade.
    now.publish()
    last = Release(tmp_path, "1.2", **UPGRADES)
    last.add("disk", gzip.decompress((tmp_path / "download/public/acme-1.1/acme-1.1-disk.gz").read_bytes()))
    assert "after the upgrade, it reports the version 1.1, and not 1.2" in last.fail()


def test_what_no_release_before_had_passes_and_says_so(tmp_path: Path):
    release = Release(tmp_path, **UPGRADES)
    release.add("disk", make_sector(GOOD))
    (result,) = release.judge().results
    assert (result["result"], result["facts"]["said"]) == ("passed", FIRST)


@pytest.mark.parametrize(
    ("kind", "boot", "said"),
    [
        ("tar", "", "is of the type tar, which is not started by itself"),
        ("rawdisk", "", "does not boot"),
        ("rawdisk", "efi", "does not boot by bios"),
    ],
)
def test_an_upgrade_from_what_cannot_start_passes_and_says_so(tmp_path: Path, kind: str, boot: str, said: str):
    before, now = Release(tmp_path, "1.0"), Release(tmp_path, "1.1", **UPGRADES)
    before.add("disk", make_sector(GOOD), type=kind, BOOT=boot)
    now.add("disk", make_sector(GOOD), BOOT="bios")
    before.publish()
    (result,) = now.judge().results
    assert (result["result"], result["facts"]["said"]) == ("passed", f"that of acme-1.0 {said}")


def test_a_release_before_that_reports_another_version_is_told(tmp_path: Path):
    before, now = Release(tmp_path, "1.0"), Release(tmp_path, "1.1", **UPGRADES)
    before.add("disk", make_sector(GOOD))
    now.add("disk", make_sector(GOOD))
    before.publish()
    assert "before the upgrade it reports the version 1.1, and not 1.0" in now.fail()


def test_a_published_file_that_was_changed_is_not_used(tmp_path: Path):
    before, now = Release(tmp_path, "1.0"), Release(tmp_path, "1.1", **UPGRADES)
    before.add("disk", make_sector(GOOD.replace("1.1", "1.0")))
    now.add("disk", make_sector(GOOD))
    before.publish()
    (tmp_path / "download/public/acme-1.0/acme-1.0-disk.gz").write_bytes(b"x")
    assert "Could not unpack " in now.fail()


def test_the_release_before_is_the_newest_that_has_the_file_and_is_not_withdrawn(tmp_path: Path):
    public = tmp_path / "download/public"
    for version in ("1.0", "1.1", "1.2", "1.3rc1", "2.0"):
        release = Release(tmp_path, version)
        release.add("disk" if version != "1.2" else "other", b"")
        release.publish()

    def find(version: str) -> str | None:
        history = History(tmp_path / "releases", project="acme", version=version, public=[public])
        found = history.find("disk")
        return None if found is None else found.version

    assert [find(version) for version in ("1.0", "1.1", "1.3", "1.3rc2")] == [None, "1.0", "1.1", "1.3rc1"]
    (public / "acme-1.1.withdrawn.json").write_text(json.dumps({}))
    assert find("1.3") == "1.0"


@pytest.mark.parametrize("gate", ["boot", "upgrade"])
def test_checks_have_logs_of_their_own(gate: str):
    check = Check(gate, "disk", "tiny", "x86_64", "acme", None, {}, way="efi")
    assert check.log_name == f"gate-{gate}-disk-efi.log"
