"""Releases in a directory with a name such as nobody here gives to directories."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .conftest import Site, tiny_site

NAME = "it's 100%41 &b; #1 [x] (y) <z>|*?,=+@~!ë"


def test_a_release_works_where_paths_hold_what_shells_and_addresses_take_for_more(
    tmp_path: Path, tiny_definitions: Path
) -> None:
    (tmp_path / NAME).mkdir()
    site = tiny_site(tmp_path / NAME, tmp_path / NAME / "cache", tiny_definitions)
    site.provision()
    site.released()
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=site.public / "current/", check=True)
    assert site.released().changed == []


def test_debs_are_stamped_there_too(tmp_path: Path, cache: Path) -> None:
    (tmp_path / NAME).mkdir()
    site = Site(tmp_path / NAME, cache)
    for playbook in ("examples/stacks/shadow.yml", "playbooks/stamp.yml"):
        ran = site.play(playbook, debs_targets={"cturtle": ["bookworm"]})
        assert ran.status == 0, ran.text
    assert list((site.state / "apt/public/fixed/dists/bookworm/main").glob("binary-*/Packages"))
