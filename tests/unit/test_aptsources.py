from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.aptsources import package_lists
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError


@pytest.fixture
def mirror(tmp_path: Path) -> str:
    directory = tmp_path / "mirror/dists/bookworm/main/binary-amd64"
    directory.mkdir(parents=True)
    (directory / "Packages.gz").write_bytes(gzip.compress(b"Package: libc6\nVersion: 2.36\nArchitecture: amd64\n"))
    return f"deb [trusted=yes] copy:{tmp_path}/mirror bookworm main"


def test_lists_are_fetched_and_named_by_architecture(mirror: str, tmp_path: Path) -> None:
    found = package_lists([mirror], ["amd64"], directory=tmp_path / "lists")
    assert [path.read_text().splitlines()[0] for path in found["amd64"]] == ["Package: libc6"]


def test_an_architecture_without_a_list_is_a_failure(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="i386"):
        package_lists([mirror], ["amd64", "i386"], directory=tmp_path / "lists")


def test_a_mirror_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    source = "deb [trusted=yes] http://127.0.0.1:9/none bookworm main"
    with pytest.raises(SlipwayError, match="Could not fetch the package lists of 1 sources for amd64"):
        package_lists([source], ["amd64"], directory=tmp_path / "lists")
