# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The view for systemd-sysupdate, by the rules of its documentation, and by sha256sum."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.directory import write_view
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.subject import ViewFile
from ansible_collections.slipway.release.plugins.module_utils.slipway.views.sysupdate import format_sums, make_view

END = 1_800_000_000


def put(public: Path, version: str) -> ViewFile:
    path = public / f"x-{version}/x-{version}-a.img.gz"
    path.parent.mkdir(parents=True)
    path.write_text(version)
    return ViewFile(f"x-{version}/{path.name}", len(version), hashlib.sha256(version.encode()).hexdigest(), "rawdisk")


def test_the_list_says_until_when_it_is_good_and_all_of_it_is_there(tmp_path: Path) -> None:
    files = [put(tmp_path, version) for version in ("26.47", "26.46")]
    sums = format_sums(files, believe_until=END)
    lines = sums.decode().splitlines()
    assert f"{hashlib.sha256(b'').hexdigest()}  BEST-BEFORE-2027-01-15" in lines
    assert [line[66:] for line in lines] == ["BEST-BEFORE-2027-01-15", "x-26.46-a.img.gz", "x-26.47-a.img.gz"]
    view = make_view(sums, b"\x88signature", files)
    assert write_view(tmp_path, "updates", view)
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "updates", check=True)
    assert done.returncode == 0
    assert os.readlink(tmp_path / "updates/x-26.47-a.img.gz") == "../x-26.47/x-26.47-a.img.gz"
    before = os.readlink(tmp_path / "updates")
    assert write_view(tmp_path, "updates", make_view(format_sums(files[:1], believe_until=END), b"\x88", files[:1]))
    assert (tmp_path / before / "SHA256SUMS").read_bytes() == sums, "a reader is in the middle of it"
    assert sorted(path.name for path in (tmp_path / "updates").iterdir()) == [
        "BEST-BEFORE-2027-01-15",
        "SHA256SUMS",
        "SHA256SUMS.gpg",
        "x-26.47-a.img.gz",
    ]


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, "26.47")
    with pytest.raises(SlipwayError, match=r"x-26\.47-a\.img\.gz would be listed twice"):
        format_sums([file, file], believe_until=END)
