# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release of some products moves their links, and leaves those of the others at their last release."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.publish.links import Release, update_links
from publishing import put

#: The locations of each product, and the project's own.
PRODUCTS = {"base": "acme", "devel": "devel", "tools": "devel"}


def publish(
    public: Path, version: str, *locations: str, left_out: tuple[str, ...] = (), systems: bool = False
) -> Release:
    """A release with these files, whose manifest says of which product each of them is."""
    label = f"acme-{version}"
    files = [f"{label}-{location}.gz" for location in locations]
    entries = [
        {"name": name}
        | ({"product": PRODUCTS[each]} if PRODUCTS[each] != "acme" else {})
        | ({"system": f"{each}.bst", "architecture": "x86_64"} if systems else {})
        for each, name in zip(locations, files, strict=True)
    ]
    put(public / label, {"manifest.json": json.dumps({"files": entries}).encode(), **dict.fromkeys(files, b"x")})
    return Release(public, "acme", label, [*files, "manifest.json"], left_out)


def read(public: Path) -> dict[str, str]:
    """The version that each link leads to, by what it is for."""
    links = [path for path in public.iterdir() if path.is_symlink() and not path.name.startswith(".")]
    assert all(path.exists() for path in links), "a link dangles"
    leads = {path.name: os.path.relpath(path.resolve(), public.resolve()).split("/")[0] for path in links}
    return {
        name.removeprefix("acme-current-").removesuffix(".gz"): label.removeprefix("acme-")
        for name, label in leads.items()
    }


def test_products_that_are_left_out_keep_their_links(tmp_path: Path) -> None:
    update_links(publish(tmp_path, "1.0", "base", "devel", "tools"))
    update_links(publish(tmp_path, "1.1", "base", left_out=("devel",)))
    now = {"base": "1.1", "devel": "1.0", "tools": "1.0", "current": "1.1"}
    assert read(tmp_path) == {**now, "manifest.json": "1.1"}


def test_a_file_that_its_product_has_no_more_loses_its_link_with_that_product(tmp_path: Path) -> None:
    update_links(publish(tmp_path, "1.0", "base", "devel", "tools"))
    update_links(publish(tmp_path, "1.1", "base", left_out=("devel",)))
    update_links(publish(tmp_path, "1.2", "devel", left_out=("acme",)))
    now = {"base": "1.1", "devel": "1.2", "current": "1.2"}
    assert read(tmp_path) == {**now, "manifest.json": "1.2"}


def test_a_product_that_the_policy_has_no_more_goes_with_a_release_of_all(tmp_path: Path) -> None:
    update_links(publish(tmp_path, "1.0", "base", "devel"))
    update_links(publish(tmp_path, "1.1", "base"))
    assert read(tmp_path) == {"base": "1.1", "current": "1.1", "manifest.json": "1.1"}


def test_a_late_release_moves_the_links_of_products_that_have_no_newer_one(tmp_path: Path) -> None:
    update_links(publish(tmp_path, "1.0", "base", "devel"))
    update_links(publish(tmp_path, "1.2", "base", left_out=("devel",)))
    late = publish(tmp_path, "1.1", "base", "devel", "tools")
    done = update_links(late)
    assert done.newer == "acme-1.2"
    assert {move.name for move in done.moves} == {"acme-current-devel.gz", "acme-current-tools.gz"}
    now = {"base": "1.2", "devel": "1.1", "tools": "1.1", "current": "1.2"}
    assert read(tmp_path) == {**now, "manifest.json": "1.2"}
    assert update_links(late).moves == []


def test_a_product_whose_systems_went_to_another_one_comes_back_with_no_older_release(tmp_path: Path) -> None:
    older = publish(tmp_path, "1.0", "base", "devel", systems=True)
    update_links(older)
    newer = publish(tmp_path, "1.1", "base", systems=True)
    manifest = tmp_path / "acme-1.1/manifest.json"
    files = json.loads(manifest.read_text())["files"]
    manifest.write_text(json.dumps({"files": [*files, {**files[0], "system": "devel.bst"}]}))
    update_links(newer)
    assert update_links(older).moves == []
    assert read(tmp_path) == {"base": "1.1", "current": "1.1", "manifest.json": "1.1"}


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": [3]}', '{"files": [{}]}'])
def test_files_of_a_release_without_a_readable_manifest_are_of_the_project(tmp_path: Path, text: str) -> None:
    release = publish(tmp_path, "1.0", "base", "devel")
    (tmp_path / "acme-1.0/manifest.json").write_text(text)
    update_links(release)
    update_links(publish(tmp_path, "1.1", "base", left_out=("devel",)))
    assert read(tmp_path) == {"base": "1.1", "current": "1.1", "manifest.json": "1.1"}
