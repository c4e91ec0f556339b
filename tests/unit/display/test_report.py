"""The page of a release: complete by itself, made of records and logs alone, and of no importance to the release."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.display.report import format_report, write_report
from ansible_collections.slipway.release.plugins.module_utils.slipway.progress import Progress
from ansible_collections.slipway.release.plugins.module_utils.slipway.release.records import keep_record, load_records

EVIL = '<script>alert("x")</script>'


def keep(release: Path, stage: str, begun: str = "10:00:00", ended: str = "10:01:00", **parts: Any) -> None:
    content = {"stage": stage, "project": "baserock", "version": release.name, "inputs": {}, "outputs": {}, **parts}
    keep_record(release / "records", {**content, "started": f"2026-11-23T{begun}Z", "ended": f"2026-11-23T{ended}Z"})


def publish(release: Path, size: int) -> None:
    files = [{"name": f"baserock-{release.name}-x.tar.gz", "size": size, "sha256": "a" * 64}]
    keep(release, "publication", "10:03:00", "10:03:30", outputs={"files": files, "sidecars": []})


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release that is public, after another one."""
    before, now = tmp_path / "26.46", tmp_path / "26.47"
    keep(before, "preflight", "08:00:00", "08:00:01")
    files = [{"name": "baserock-26.46-x.tar.gz", "size": 900_000, "sha256": "b" * 64}]
    keep(before, "publication", "08:03:00", "08:04:00", outputs={"files": files, "sidecars": []})
    systems = [
        {"name": "x", "file": "x.bst", "architecture": "x86_64"},
        {"name": "y", "file": EVIL, "architecture": EVIL},
    ]
    skipped = [{"architecture": "armv7lhf", "deployments": [], "reason": "no host builds for it"}]
    inputs = {"definitions": "baserock/definitions", "commit": "c" * 40, "cluster": "clusters/release.morph"}
    keep(now, "preflight", inputs=inputs, outputs={"systems": systems, "skipped": skipped, "masons": []})
    keep(now, "build-x", "10:01:00", "10:03:00", inputs={"architecture": "x86_64"}, outputs={"artifact": "x/y/key"})
    publish(now, 1_000_000)
    log = Progress(now / "logs/upload-download-1.log", total=1)
    log.total_bytes = 1_000_000
    log.step(f"{EVIL} is there", size=1_000_000)
    return now


def test_it_says_what_was_made_and_how_long_that_took_and_what_is_left(release: Path) -> None:
    assert write_report(release)
    page = (release / "report.html").read_text()
    for words in (
        "Public; not done: branch, promote, deploy, package, current, tag, notes, announce.",
        "26.46 took",
        ">2:00</td>",
        'change" class="number">+100 kB</td>',
        "not built",
        "no host builds for it",
        '<a href="logs/upload-download-1.log">',
        ">download-1</td>",
        ">1 of 1 file</td>",
        ">1.0 MB</td>",
        "a" * 64,
        "c" * 40,
    ):
        assert words in page, words


def test_files_that_something_else_made_lack_no_stage_of_definitions(tmp_path: Path) -> None:
    release = tmp_path / "26.47"
    keep(release, "preflight", inputs={"made_from": "files"}, outputs={"systems": [], "skipped": []})
    keep(release, "notes", outputs={"page": "baserock-26.47.html"})
    publish(release, 1_000_000)
    assert write_report(release)
    page = (release / "report.html").read_text()
    assert "Public; not done: deploy, package, current, announce." in page
    assert "<dt>notes</dt><dd><code>baserock-26.47.html</code></dd>" in page


def test_it_is_one_correct_file_and_runs_nothing(release: Path, tmp_path: Path) -> None:
    write_report(release)
    page = (release / "report.html").read_text()
    assert "<script" not in page
    assert "://" not in page
    done = subprocess.run(["tidy", "-qe", release / "report.html"], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_same_records_give_the_same_page_also_after_the_next_release(release: Path) -> None:
    assert write_report(release)
    following = release.with_name("26.48")
    keep(following, "preflight", "11:00:00", "11:00:01")
    keep(following, "publication", "11:00:00", "11:00:01", outputs={"files": []})
    assert not write_report(release)


def test_what_is_in_its_way_does_not_keep_a_release_from_going_on(release: Path) -> None:
    (release / "report.html").mkdir()
    assert not write_report(release)


def test_records_of_packages_have_no_such_page(tmp_path: Path) -> None:
    keep(tmp_path / "ros-1.2", "stamp")
    assert not write_report(tmp_path / "ros-1.2")
    assert not (tmp_path / "ros-1.2/report.html").exists()


def test_a_release_that_was_resumed_much_later_has_no_bars_of_a_day(release: Path) -> None:
    records = load_records(release / "records")
    assert "<div style" in format_report(records)
    late = {"tag": {**records["preflight"], "started": "2026-11-25T10:00:00Z", "ended": "2026-11-25T10:00:01Z"}}
    assert "<div style" not in format_report({**records, **late})


def test_it_says_who_attested_the_release_and_how_many_had_to(release: Path) -> None:
    signers = {"ada": "A" * 40, EVIL: "B" * 40, "eve": "E" * 40}
    keep(release, "attestation", outputs={"agreed": ["ada", EVIL], "threshold": 2, "signers": signers})
    keep(release, "reproduction", outputs={"by": "bob"})
    assert write_report(release)
    page = (release / "report.html").read_text()
    assert "ada, &lt;script&gt;" in page
    assert "(2 of " in page
    assert "made again by" in page
    assert EVIL not in page
