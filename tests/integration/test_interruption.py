"""Runs that are killed, and runs that meet."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from integration.conftest import ROOT, Site

LABEL = "baserock-26.47"
KILLS = 10


def start(site: Site, log: Path, *words: str) -> subprocess.Popen[bytes]:
    with open(log, "wb") as sink:
        return subprocess.Popen(
            site.command("release.yml", "-e", "version=26.47", *words),
            cwd=ROOT, env={**os.environ, **site.environment}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            start_new_session=True,
        )  # fmt: skip


def until_it_has_the_lock(run: subprocess.Popen[bytes], site: Site) -> None:
    deadline = time.monotonic() + 120
    while not (site.state / "release.lock").exists():
        assert run.poll() is None, "it ended before it had the lock"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def readers_see_a_whole_release_or_none(site: Site) -> None:
    for link in site.public.glob("*"):
        assert link.exists(), f"{link} dangles"
    if (site.public / LABEL).exists():
        subprocess.run(
            ["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=site.public / LABEL, check=True, capture_output=True
        )


def test_a_release_killed_again_and_again_ends_as_if_it_never_was(site: Site, tmp_path: Path, released: Site):
    sums = (released.public / LABEL / "SHA256SUMS").read_text()
    duration = float((released.base / "seconds").read_text())
    seed = int(os.environ.get("SLIPWAY_TEST_SEED") or time.time())
    chosen = random.Random(seed)  # noqa: S311  # moments, no secrets
    print(f"SLIPWAY_TEST_SEED={seed}")
    killed = 0
    for number in range(KILLS):
        process = start(site, tmp_path / f"killed-{number}.log")
        try:
            # One moment in each part of a release, the early ones first: what is done already shortens the later runs.
            process.wait(timeout=(number + chosen.uniform(0.1, 0.9)) / KILLS * duration)
        except subprocess.TimeoutExpired:
            killed += 1
            # Half of the time with everything it started, as when the machine dies; else alone, as an
            # out-of-memory killer does it, so that what it started goes on for a while.
            if chosen.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
        readers_see_a_whole_release_or_none(site)
    assert killed >= 1
    site.released()
    assert (site.public / LABEL / "SHA256SUMS").read_text() == sums
    assert list(site.private.rglob("*")) == []
    left = [path for path in (site.state / "releases").rglob("*") if path.name.endswith((".tmp", ".part"))]
    assert left == []
    assert len(list((site.state / "mail/new").iterdir())) == 1
    assert site.released().changed == []


def test_of_two_releases_at_once_the_second_is_refused_by_name_or_waits_when_it_may(site: Site, tmp_path: Path):
    first = start(site, tmp_path / "first.log")
    try:
        until_it_has_the_lock(first, site)
        second = site.release("26.48")
        assert second.status != 0
        assert "Could not release baserock-26.48: another release is running (baserock-26.47" in second.message
        assert f"process {first.pid}" in second.message
        assert not site.release_directory("26.48").exists()
        second = site.release("26.48", release_lock_wait=300)
    finally:
        assert first.wait(timeout=300) == 0, (tmp_path / "first.log").read_text()
    assert second.status == 0, second.text
    assert "waiting for baserock-26.47" in second.text
    assert (site.public / "current").resolve().name == "baserock-26.48"
