# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages in real repositories that name the release before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes import moves
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.moves import Moved, fill_rules, move_pages

TEAM = Person("Team", "team@example.org", 1_700_000_000)
NAMES = {"previous": "1.2", "previous_label": "acme-1.2", "version": "1.3", "label": "acme-1.3", "project": "acme"}
PAGES = {
    "index.mdwn": b"acme-1.2 acme-1.2.1 acme-1.25 acme-11.2 acme-1.2rc1 xacme-1.2 (acme-1.2-disk.img)\r\nacme-1.2.\n",
    "guides/deep/er.mdwn": b"\xe9 acme-1.2\n",
    "guides/a b\n.mdwn": b"acme-1.2\n",
    "howto.html": b"version 1.2\nversion 1.20\n",
    "binary.mdwn": b"acme-1.2\0\n",
    "old/history.mdwn": b"acme-1.2\n",
}


def git(*words: str, cwd: Path) -> str:
    environment = {**os.environ, **TEAM.environment()}
    return subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def wiki(tmp_path: Path) -> Path:
    work, bare = tmp_path / "work", tmp_path / "wiki.git"
    git("init", "-q", "-b", "main", str(work), cwd=tmp_path)
    for name, text in PAGES.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(text)
    (work / "link.mdwn").symlink_to("acme-1.2")
    git("add", "-A", ".", cwd=work)
    git("commit", "-q", "-m", "Begin", cwd=work)
    git("clone", "-q", "--bare", str(work), str(bare), cwd=tmp_path)
    git("remote", "add", "origin", str(bare), cwd=work)
    return bare


def move(wiki: Path, *, write: bool = True, attempts: int = 5, **changes: Any) -> Moved:
    rule: dict[str, Any] = {
        "repository": str(wiki),
        "paths": ["*.mdwn", "guides/**"],
        "replace": [{"from": "{previous_label}", "to": "{label}"}],
        **changes,
    }
    rules = fill_rules([rule], NAMES, skip=["old/**"], products={"demo": "1.25", "new": None})
    (moved,) = move_pages(rules, message="Move\n", person=TEAM, attempts=attempts, write=write)
    return moved


def shown(wiki: Path, name: str) -> bytes:
    return subprocess.run(["git", "show", f"main:{name}"], cwd=wiki, check=True, capture_output=True).stdout


def test_a_name_is_moved_as_a_whole_by_one_commit_and_every_other_byte_stays(wiki: Path) -> None:
    would = move(wiki, write=False)
    assert git("rev-list", "--count", "main", cwd=wiki) == "1\n"
    moved = move(wiki)
    assert moved.changed == would.changed
    assert sorted(moved.changed) == ["guides/a b\n.mdwn", "guides/deep/er.mdwn", "index.mdwn"]
    assert shown(wiki, "index.mdwn") == (
        b"acme-1.3 acme-1.2.1 acme-1.25 acme-11.2 acme-1.2rc1 xacme-1.2 (acme-1.3-disk.img)\r\nacme-1.3.\n"
    )
    assert shown(wiki, "guides/deep/er.mdwn") == b"\xe9 acme-1.3\n"
    assert git("rev-list", "--count", "main", cwd=wiki) == "2\n"
    assert git("show", "--format=", "--name-only", "main", "--", "old", "binary.mdwn", "link.mdwn", cwd=wiki) == ""
    again = move(wiki)
    assert (again.changed, again.head) == ({}, moved.head)


def test_what_no_rule_moves_is_found(wiki: Path) -> None:
    moved = move(wiki)
    assert moved.findings == [
        {"path": "howto.html", "line": 1, "text": "version 1.2"},
        {"path": "index.mdwn", "line": 1, "text": moved.changed["index.mdwn"][1].splitlines()[0]},
    ]
    assert move(wiki, review=["*.html"]).total == 1
    assert move(wiki, **{"except": ["*.html", "index*"]}).findings == []


def test_a_pattern_for_which_there_is_no_page_is_told(wiki: Path) -> None:
    assert move(wiki, paths=["index.mdwn", "gone/{version}.mdwn", "guide/**", "**/er.*"]).idle == [
        "gone/1.3.mdwn",
        "guide/**",
    ]


def test_a_rule_of_a_product_moves_from_its_own_release_before_and_only_if_it_takes_part(wiki: Path) -> None:
    moved = move(wiki, product="demo")
    assert list(moved.changed) == ["index.mdwn"]
    assert b"acme-1.2 acme-1.2.1 acme-1.3 " in shown(wiki, "index.mdwn")
    assert moved.findings == []
    for product in ("other", "new"):
        rule = {"repository": str(wiki), "paths": ["**"], "replace": [], "product": product}
        assert fill_rules([rule], NAMES, skip=[], products={"demo": "1.25", "new": None}) == []


def test_what_others_push_meanwhile_is_moved_as_well_and_nothing_is_lost(
    wiki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, raced = wiki.parent / "work", []
    edit = moves._Pages.edit

    def race(self: Any, *words: Any) -> Any:
        found = edit(self, *words)
        if len(raced) < 2:
            raced.append(words[1])
            (work / f"new{len(raced)}.mdwn").write_text("by others: acme-1.2\n")
            git("add", "-A", ".", cwd=work)
            git("commit", "-q", "-m", "Other", cwd=work)
            git("push", "-q", "origin", "main", cwd=work)
        return found

    monkeypatch.setattr(moves._Pages, "edit", race)
    with pytest.raises(SlipwayError, match="If somebody pushed there meanwhile"):
        move(wiki, attempts=1)
    assert shown(wiki, "index.mdwn") == PAGES["index.mdwn"]
    moved = move(wiki)
    assert {"new1.mdwn", "new2.mdwn", "index.mdwn"} <= moved.changed.keys()
    assert shown(wiki, "new2.mdwn") == b"by others: acme-1.3\n"
    assert git("rev-list", "--count", "main", cwd=wiki) == "4\n"


def test_a_rule_that_cannot_be_used_is_one_sentence(wiki: Path) -> None:
    with pytest.raises(SlipwayError, match="what it makes holds what it replaces, so that it would never end"):
        move(wiki, replace=[{"from": "{previous}", "to": "{version}, after {previous}"}])
    with pytest.raises(SlipwayError, match="there is no such branch"):
        move(wiki, branch="nowhere")
