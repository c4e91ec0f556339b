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
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish import links as publish_links
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
    """What each link that readers use leads to, below the public directory."""
    visible = [path for path in public.iterdir() if path.is_symlink() and not path.name.startswith(".")]
    return {path.name: os.path.relpath(path.resolve(), public.resolve()) for path in visible}


def test_the_first_release_becomes_current(tmp_path: Path) -> None:
    done = update_links(released(tmp_path, "26.47"))
    assert links(tmp_path) == {
        "current": "baserock-26.47",
        "baserock-current-a.tar.gz": "baserock-26.47/baserock-26.47-a.tar.gz",
        "baserock-current-b.img.gz": "baserock-26.47/baserock-26.47-b.img.gz",
        "SHA256SUMS": "baserock-26.47/SHA256SUMS",
        "SHA256SUMS.asc": "baserock-26.47/SHA256SUMS.asc",
        "manifest.json": "baserock-26.47/manifest.json",
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


def link_one_by_one(release: Release) -> None:
    """The layout of before there was one link for all: each link names its release itself."""
    for name, target in release.links().items():
        (release.public / name).symlink_to(target)


def test_what_readers_may_be_in_stays_for_a_while_however_long_it_was_current(tmp_path: Path) -> None:
    def generations() -> set[Path]:
        return {path for path in tmp_path.glob(".current-*") if path.is_dir()}

    def age() -> None:
        long_ago = time.time() - 3600
        for path in generations():
            os.utime(path, (long_ago, long_ago))

    update_links(released(tmp_path, "26.1"))
    (first,) = generations()
    age()
    for version in ("26.2", "26.3"):
        update_links(released(tmp_path, version))
        assert first in generations()
    age()
    update_links(released(tmp_path, "26.4"))
    assert first not in generations()
    assert len(generations()) == 2


def update_and_die(release: Release, step: int) -> bool:
    """Update the links in a process that is gone before its ``step``-th change; whether it got that far."""
    changes = {name: getattr(os, name) for name in ("mkdir", "symlink", "unlink", "replace", "rmdir")}
    left = step

    def count(name: str) -> Any:
        def change(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return changes[name](*arguments, **named)

        return change

    child = os.fork()
    if child == 0:
        for name in changes:
            setattr(os, name, count(name))
        try:
            update_links(release)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("layout", [link_one_by_one, update_links])
def test_a_kill_between_any_two_changes_leaves_all_links_on_one_release(
    tmp_path: Path, layout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_links, "ON_THE_WAY", 0.0)  # nobody reads here
    step, killed = 0, True
    while killed:
        step += 1
        public = tmp_path / str(step)
        old = released(public, "26.47", ("a.tar", "b.img"))
        layout(old)
        new = released(public, "26.48", ("a.tar", "c.img"))
        killed = update_and_die(new, step)
        assert all((public / name).exists() for name in links(public)), step
        assert len({target.partition("/")[0] for target in links(public).values()}) == 1, (step, links(public))
        update_links(new)
        assert links(public) == {
            "current": "baserock-26.48",
            **{
                f"baserock-current-{name}.gz": f"baserock-26.48/baserock-26.48-{name}.gz" for name in ("a.tar", "c.img")
            },
            **{name: f"baserock-26.48/{name}" for name in SHARED},
        }
        hidden = [path.name for path in public.glob(".*")]
        assert len(hidden) <= 3, (step, hidden)
        assert [name for name in hidden if name.endswith(".tmp")] == []
    assert step > 5


def test_links_of_an_older_layout_are_put_behind_the_one_link_once(tmp_path: Path) -> None:
    release = released(tmp_path, "26.47")
    link_one_by_one(release)
    before = links(tmp_path)
    done = update_links(release)
    assert (done.moves, done.moved_in) == ([], True)
    assert links(tmp_path) == before
    assert (tmp_path / "current").readlink() == Path(".current/release")
    assert update_links(release) == LinksUpdate([])


def test_no_look_ever_finds_links_to_two_releases(tmp_path: Path) -> None:
    releases = [released(tmp_path, f"26.{number}") for number in range(30)]
    link_one_by_one(releases[0])
    child = os.fork()
    if child == 0:
        try:
            for release in releases[1:]:
                update_links(release)
        finally:
            os._exit(0)
    looks = 0
    names = ("baserock-current-a.tar.gz", "SHA256SUMS", "current/manifest.json", "baserock-current-b.img.gz")
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        # The first name again at the end: if it says the same, nothing moved while the others were read.
        said = [(tmp_path / name).read_text().split()[0] for name in (*names, names[0])]
        looks += said[0] == said[-1]
        assert said[0] != said[-1] or len(set(said)) == 1, said
    assert looks > 10
    assert links(tmp_path)["current"] == "baserock-26.29"


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
