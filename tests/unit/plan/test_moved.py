"""What a fix on the release branch outdated is set aside, and an interrupted run does it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.moved import set_aside
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STAGES = ("branch", "deploy-tiny", "package")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    for stage in STAGES:
        record = {"stage": stage, "project": "acme", "version": "1.0", "inputs": {}, "outputs": {"commit": COMMIT}}
        keep_record(tmp_path / "records", record)
    for name in ("images/acme-1.0-tiny.img", "artifacts/SHA256SUMS", "logs/build.log"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("of the commit before")
    return tmp_path


def list_files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_records_are_kept_aside_files_go_and_logs_stay(release: Path) -> None:
    moved = set_aside(release, commit=COMMIT, stages=STAGES)
    aside = "replaced/0123456789ab"
    kept = [f"{aside}/{stage}.json" for stage in STAGES]
    assert list_files(release) == ["logs/build.log", "records/branch.json", *kept]
    assert moved[str(release / "images")] == ""
    assert moved[str(release / "records/package.json")] == str(release / aside / "package.json")
    assert json.loads((release / aside / "package.json").read_text())["outputs"] == {"commit": COMMIT}


def test_a_run_that_was_interrupted_after_it_is_completed_by_the_next(release: Path) -> None:
    set_aside(release, commit=COMMIT, stages=STAGES)
    (release / "images").mkdir()
    (release / "images/half").write_text("x")
    set_aside(release, commit=COMMIT, stages=["branch"])
    assert "images/half" not in list_files(release)
    assert "replaced/0123456789ab/package.json" in list_files(release)


def test_in_check_mode_nothing_moves(release: Path) -> None:
    before = list_files(release)
    assert len(set_aside(release, commit=COMMIT, stages=STAGES, write=False)) == 5
    assert list_files(release) == before


def test_a_record_that_was_edited_is_refused(release: Path) -> None:
    path = release / "records/package.json"
    path.write_text(path.read_text().replace("1.0", "1.1"))
    with pytest.raises(SlipwayError, match="it was edited after it was written"):
        set_aside(release, commit=COMMIT, stages=STAGES)
