# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import (
    LinkChange,
    LinksUpdate,
    Release,
    update_links,
)
from publishing import put, run_module, tree

SHARED = ["SHA256SUMS", "SHA256SUMS.asc", "manifest.json"]


def released(public: Path, version: str, locations: tuple[str, ...] = ("a.tar", "b.img")) -> Release:
    """Publish a release with these deployments."""
    label = f"baserock-{version}"
    deployed = [f"{label}-{location}.gz" for location in locations]
    names = [*deployed, *(f"{name}.sha256" for name in deployed), *SHARED]
    put(public / label, {name: f"{version} {name}".encode() for name in names})
    return Release(public, "baserock", label, names)


def links(public: Path) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in public.iterdir() if path.is_symlink()}


def test_the_first_release_becomes_current(tmp_path: Path) -> None:
    done = update_links(released(tmp_path, "26.47"))
    assert links(tmp_path) == {
        "current": "baserock-26.47",
        "baserock-current-a.tar.gz": "baserock-26.47/baserock-26.47-a.tar.gz",
        "baserock-current-b.img.gz": "baserock-26.47/baserock-26.47-b.img.gz",
        "SHA256SUMS": "current/SHA256SUMS",
        "SHA256SUMS.asc": "current/SHA256SUMS.asc",
        "manifest.json": "current/manifest.json",
    }
    assert {move.name for move in done.moves} == links(tmp_path).keys()
    assert all((tmp_path / name).is_file() for name in links(tmp_path) if name != "current")


def test_again_nothing_moves(tmp_path: Path) -> None:
    release = released(tmp_path, "26.47")
    update_links(release)
    before = {path.name: path.lstat().st_ino for path in tmp_path.iterdir()}
    assert update_links(release).moves == []
    assert {path.name: path.lstat().st_ino for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("old", "new"), [("26.9", "26.10"), ("26.47", "26.47.1"), ("26.47rc1", "26.47"), ("9.1", "10.0")]
)
def test_a_newer_version_takes_over_and_an_older_one_never_does(tmp_path: Path, old: str, new: str) -> None:
    older, newer = released(tmp_path, old), released(tmp_path, new)
    update_links(older)
    moves = update_links(newer).moves
    assert LinkChange("current", f"baserock-{old}", f"baserock-{new}") in moves
    assert "SHA256SUMS" not in {move.name for move in moves}
    assert (tmp_path / "SHA256SUMS").read_text() == f"{new} SHA256SUMS"
    before = links(tmp_path)
    assert update_links(older) == LinksUpdate([], newer=f"baserock-{new}")
    assert links(tmp_path) == before
    assert update_links(older, allow_downgrade=True).moves
    assert links(tmp_path)["current"] == f"baserock-{old}"


def test_a_deployment_that_is_gone_loses_its_current_link(tmp_path: Path) -> None:
    update_links(released(tmp_path, "26.47", ("a.tar", "b.img")))
    (tmp_path / "baserock-current-notes").symlink_to("elsewhere/notes")
    (tmp_path / "baserock-current-plain").write_text("a file of somebody")
    done = update_links(released(tmp_path, "26.48", ("a.tar", "c.img")))
    gone = LinkChange("baserock-current-b.img.gz", "baserock-26.47/baserock-26.47-b.img.gz", None)
    assert gone in done.moves
    assert set(links(tmp_path)) == {
        *("current", "baserock-current-a.tar.gz", "baserock-current-c.img.gz", "baserock-current-notes"),
        *SHARED,
    }
    assert (tmp_path / "baserock-current-plain").exists()


def test_nothing_points_to_what_is_not_there(tmp_path: Path) -> None:
    update_links(released(tmp_path, "26.47"))
    release = released(tmp_path, "26.48")
    (tmp_path / "baserock-26.48/baserock-26.48-a.tar.gz").unlink()
    before = tree(tmp_path)
    with pytest.raises(SlipwayError, match="baserock-26.48/baserock-26.48-a.tar.gz is not there"):
        update_links(release)
    assert tree(tmp_path) == before


def test_check_mode_says_what_would_move(tmp_path: Path) -> None:
    update_links(released(tmp_path, "26.47"))
    before = tree(tmp_path)
    names = [name.replace("26.47", "26.48") for name in released(tmp_path, "26.47").files]
    would = update_links(Release(tmp_path, "baserock", "baserock-26.48", names), check=True)
    assert LinkChange("current", "baserock-26.47", "baserock-26.48") in would.moves
    assert tree(tmp_path) == before
    nowhere = Release(tmp_path / "nowhere", "baserock", "baserock-26.48", names)
    assert LinkChange("current", None, "baserock-26.48") in update_links(nowhere, check=True).moves
    assert not (tmp_path / "nowhere").exists()


def test_a_name_that_is_no_link_is_never_replaced(tmp_path: Path) -> None:
    release = released(tmp_path, "26.47")
    (tmp_path / "current").mkdir()
    before = tree(tmp_path)
    with pytest.raises(SlipwayError, match="current: it is not a link. Move it away"):
        update_links(release)
    assert tree(tmp_path) == before


def test_a_directory_of_another_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("genivi-1.0")
    with pytest.raises(SlipwayError, match="names genivi-1.0, which is not a release of baserock"):
        update_links(released(tmp_path, "26.47"))


@pytest.mark.parametrize(("version", "name"), [("../..", "x"), ("26", "x"), ("26.47", "../x"), ("26.47", "a/b")])
def test_hostile_names_are_refused(tmp_path: Path, version: str, name: str) -> None:
    with pytest.raises(SlipwayError, match="Could not point to"):
        update_links(Release(tmp_path, "baserock", f"baserock-{version}", [name]))


def test_a_reader_always_finds_a_whole_release_behind_every_link(tmp_path: Path) -> None:
    releases = [released(tmp_path, f"26.{number}") for number in range(20)]
    update_links(releases[0])
    ended, faults, seen = threading.Event(), [], set()

    def read() -> None:
        while not ended.is_set():
            for name in ("current/SHA256SUMS", "SHA256SUMS", "manifest.json", "baserock-current-a.tar.gz"):
                try:
                    seen.add((tmp_path / name).read_text().split()[0])
                except OSError as error:
                    faults.append(str(error))

    def wait_until_read(number: int) -> None:
        limit = time.monotonic() + 60
        while len(seen) < number and not faults and time.monotonic() < limit:
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_until_read(1)
        for release in releases[1:]:
            update_links(release)
        wait_until_read(2)
    finally:
        ended.set()
        reader.join()
    assert faults == []
    assert len(seen) > 1


def test_the_module_moves_links_once_and_shows_the_moves(tmp_path: Path) -> None:
    def arguments(release: Release) -> dict[str, Any]:
        return {
            "public": str(tmp_path),
            "project": "baserock",
            "label": release.label,
            "files": list(release.files),
        }

    first, second = released(tmp_path, "26.47"), released(tmp_path, "26.48")
    assert run_module("current_links", arguments(first))["changed"]
    assert not run_module("current_links", arguments(first))["changed"]
    would = run_module("current_links", arguments(second), check=True)
    assert would["changed"]
    assert links(tmp_path)["current"] == "baserock-26.47"
    moved = run_module("current_links", arguments(second))
    assert moved["moves"] == would["moves"]
    assert "current -> baserock-26.47\n" in moved["diff"]["before"]
    assert "current -> baserock-26.48\n" in moved["diff"]["after"]
    kept = run_module("current_links", arguments(first))
    assert (kept["changed"], kept["current"]) == (False, "baserock-26.48")
    assert "stays current" in kept["msg"]
    assert run_module("current_links", {**arguments(first), "allow_downgrade": True})["current"] == "baserock-26.47"
