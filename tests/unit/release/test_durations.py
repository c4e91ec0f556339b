"""How long stages took, by the records of releases."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.slipway.release.plugins.module_utils.slipway.release.durations import (
    find_last_durations,
    measure_stages,
    name_stage,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record


def keep(releases: Path, version: str, *, at: int, stages: dict[str, tuple[str, str]]) -> None:
    directory = releases / version / "records"
    for stage, (started, ended) in stages.items():
        content = {"stage": stage, "project": "baserock", "version": version, "inputs": {}, "outputs": {}}
        keep_record(directory, {**content, "started": f"2026-11-23T{started}Z", "ended": f"2026-11-23T{ended}Z"})
    os.utime(directory, (at, at))


BUILT = {"build-x86_64": ("10:00:00", "10:02:00"), "build-x86_32": ("10:00:00", "10:03:00")}
PUBLIC = {"publication": ("10:03:00", "10:03:05")}


def test_the_release_that_was_published_last_says_how_long_its_stages_took(tmp_path: Path) -> None:
    keep(tmp_path, "26.45", at=1000, stages=PUBLIC)
    keep(tmp_path, "26.46", at=2000, stages=BUILT | PUBLIC)
    keep(tmp_path, "26.47", at=3000, stages=PUBLIC)
    keep(tmp_path, "26.48", at=4000, stages=BUILT)
    assert find_last_durations(tmp_path, version="26.47") == {
        "version": "26.46",
        "seconds": {"build": 180.0, "publish": 5.0},
    }


def test_records_that_cannot_be_trusted_tell_nothing(tmp_path: Path) -> None:
    keep(tmp_path, "26.46", at=2000, stages=PUBLIC)
    (tmp_path / "26.46/records/publication.json").write_text("{}")
    assert find_last_durations(tmp_path, version="26.47") == {}
    assert find_last_durations(tmp_path / "none", version="26.47") == {}
    assert measure_stages({"tag": {"started": None, "ended": "x"}}) == {}


def test_records_are_named_after_their_stages() -> None:
    names = ["preflight", "promotion", "build-a-b", "deploy-x", "publication", "announcement"]
    assert [name_stage(name) for name in names] == ["preflight", "promote", "build", "deploy", "publish", "announce"]
