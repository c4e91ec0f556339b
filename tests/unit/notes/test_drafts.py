# Copyright: The Slipway developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drafts in real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.drafts import Wanted, read_drafts
from ansible_collections.slipway.release.plugins.module_utils.slipway.notes.outline import fill_notes, outline_notes

TEAM = Person("Team", "team@example.org", 1_700_000_000)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    return work


def commit(work: Path, files: dict[str, bytes]) -> str:
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(text)
    environment = {**os.environ, **TEAM.environment()}
    subprocess.run(["git", "add", "-A", "."], cwd=work, check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=work, env=environment, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=work, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_drafts_are_read_at_a_branch_a_tag_or_a_commit(work: Path) -> None:
    first = commit(
        work, {"d/1/thanks.md": b"\n\nTo all.\x1b[2J\n", "d/1/x.mdwn": b"x", "d/1/p/thanks.md": b"P", "d/10/y.md": b""}
    )
    subprocess.run(["git", "tag", "t"], cwd=work, check=True)
    commit(work, {"d/1/thanks.md": b"Later.\n", "d/1/notes.txt": b"", "d/1/.hidden.md": b""})
    wanted = {"main": Wanted("d/1"), "p": Wanted("d/1/p"), "q": Wanted("d/1/q")}
    for ref in ("t", first):
        drafts = read_drafts(str(work), ref, wanted)
        assert drafts.commit == first
        assert drafts.texts == {"main": {"thanks": "To all.\ufffd[2J\n", "x": "x\n"}, "p": {"thanks": "P\n"}, "q": {}}
    assert read_drafts(str(work), "main", wanted).texts["main"]["thanks"] == "Later.\n"
    nowhere = read_drafts(str(work), "nowhere", wanted)
    assert (nowhere.commit, nowhere.findings) == (None, [])


def test_what_cannot_be_used_is_named_and_what_is_required_and_empty_is_missing(work: Path) -> None:
    commit(
        work,
        {
            "d/latin.md": b"\xe9",
            "d/long.md": b"x" * (257 << 10),
            "d/a;b.md": b"x",
            "d/two.md": b"x",
            "d/two.mdwn": b"x",
            "d/known-issues.md": b" \n",
        },
    )
    (work / "d/link.md").symlink_to("/etc/passwd")
    commit(work, {})
    drafts = read_drafts(str(work), "main", {"acme": Wanted("d", ["known-issues", "two"])})
    said = "\n".join(drafts.findings)
    for fault in (
        "d/latin.md in " + f"{work} at main cannot be used: byte 0 is not UTF-8",
        "d/long.md in " + f"{work} at main cannot be used: it is larger than 256 KiB",
        "d/a;b.md in " + f"{work} at main cannot be used: its name may hold",
        "d/two.mdwn in " + f"{work} at main cannot be used: another draft has this name",
        "d/link.md in " + f"{work} at main cannot be used: it is a link",
        f"there is no draft d/known-issues.md in {work} at main, which the notes of acme need",
    ):
        assert fault in said
    assert len(drafts.findings) == 6
    with pytest.raises(SlipwayError, match="is no directory inside of it"):
        read_drafts(str(work), "main", {"acme": Wanted("../d")})


def test_an_empty_draft_says_nothing_and_a_draft_may_have_a_heading_of_its_own() -> None:
    plan = {"project": "a", "version": "1", "label": "a-1", "deployments": [], "systems": [], "skipped": []}
    settings = {"title": "A 1", "path": "a.mdwn", "repository": "", "branch": "main", "url": "", "drafts": "d"}
    (outline,) = outline_notes(plan, settings)
    written = {"introduction": "\n", "thanks": "\n", "upgrade": "# From 0 #\n\nWait.\n", "ports-open": "## X\nnone\n"}
    (notes,) = fill_notes([outline], plan, {}, changes={}, drafts={"a": written})
    assert notes["introduction"] == ""
    assert notes["sections"] == {"upgrade": {"title": "From 0", "text": "Wait."}}
    assert notes["more"] == [{"title": "X", "text": "none"}]
