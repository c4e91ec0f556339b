"""One file of a branch is edited by others at the same time, and nothing of theirs is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.files import (
    BranchUpdate,
    edit_file,
    ensure_files,
    read_file,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.git.remote import Person

TEAM = Person("Team", "team@example.org", 1_700_000_000)


def git(*words: str, cwd: Path) -> str:
    environment = {**os.environ, **TEAM.environment()}
    done = subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository with a program of two lines that end as on Windows, after a byte order mark."""
    work, bare = tmp_path / "work", tmp_path / "bare.git"
    git("init", "-q", "-b", "main", str(work), cwd=tmp_path)
    (work / "below").mkdir()
    (work / "below/file").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 1\r\n")
    (work / "below/file").chmod(0o755)
    (work / "latin").write_bytes(b"\xe9\n")
    git("add", ".", cwd=work)
    git("commit", "-q", "-m", "Begin", cwd=work)
    git("clone", "-q", "--bare", str(work), str(bare), cwd=tmp_path)
    return bare


def edit(bare: Path, change: Callable[[str], str], **options: object) -> BranchUpdate:
    words: dict[str, object] = {"edit": change, "message": "Edit\n", "person": TEAM, **options}
    return edit_file(str(bare), "main", "below/file", **words)  # type: ignore[arg-type]  # the options are the tests' own


def shown(bare: Path) -> bytes:
    return subprocess.run(
        ["git", "cat-file", "blob", "main:below/file"], cwd=bare, check=True, capture_output=True
    ).stdout


def test_an_edit_is_one_commit_and_keeps_every_other_byte_and_the_mode(bare: Path) -> None:
    made = edit(bare, lambda text: text.replace("a: 1", "a: 2"))
    assert made.head == git("rev-parse", "main", cwd=bare)
    assert made.changed == {"below/file": ("\ufeffa: 1\r\nb: 1\r\n", "\ufeffa: 2\r\nb: 1\r\n")}
    assert shown(bare) == b"\xef\xbb\xbfa: 2\r\nb: 1\r\n"
    assert git("ls-tree", "main", "below/file", cwd=bare).startswith("100755 ")
    assert git("rev-list", "--count", "main", cwd=bare) == "2"
    assert git("log", "-1", "--format=%an %ae %at %s", "main", cwd=bare) == "Team team@example.org 1700000000 Edit"
    assert git("ls-tree", "-r", "--name-only", "main", cwd=bare).split() == ["below/file", "latin"]


def test_an_edit_that_changes_nothing_and_one_in_check_mode_leave_the_branch(bare: Path) -> None:
    head = git("rev-parse", "main", cwd=bare)
    assert edit(bare, lambda text: text) == BranchUpdate(head, {})
    assert edit(bare, str.upper, write=False).changed["below/file"][1] == "\ufeffA: 1\r\nB: 1\r\n"
    assert git("rev-parse", "main", cwd=bare) == head


def push_meanwhile(bare: Path, before: str, after: str) -> None:
    """Somebody else's edit."""
    edit(bare, lambda text: text.replace(before, after))


def test_what_was_pushed_meanwhile_is_read_and_edited(bare: Path) -> None:
    seen = []

    def change(text: str) -> str:
        seen.append(text)
        if len(seen) < 3:
            push_meanwhile(bare, f"b: {len(seen)}", f"b: {len(seen) + 1}")
        return text.replace("a: 1", "a: 2")

    made = edit(bare, change)
    assert shown(bare) == b"\xef\xbb\xbfa: 2\r\nb: 3\r\n"
    assert made.changed["below/file"][0] == seen[2] == "\ufeffa: 1\r\nb: 3\r\n"
    assert git("rev-list", "--count", "main", cwd=bare) == "4"


def test_an_edit_can_refuse_what_it_sees_then(bare: Path) -> None:
    seen = []

    def change(text: str) -> str:
        seen.append(text)
        if len(seen) == 2:
            raise SlipwayError("edit", "it", "somebody else did", do_next="Look.")
        push_meanwhile(bare, "a: 1", "a: 9")
        return text.replace("a: 1", "a: 2")

    with pytest.raises(SlipwayError, match="somebody else did"):
        edit(bare, change)
    assert shown(bare) == b"\xef\xbb\xbfa: 9\r\nb: 1\r\n"


def test_attempts_end(bare: Path) -> None:
    seen = []

    def change(text: str) -> str:
        seen.append(text)
        push_meanwhile(bare, f"b: {len(seen)}", f"b: {len(seen) + 1}")
        return text.replace("a: 1", "a: 2")

    with pytest.raises(SlipwayError, match="Could not push refs/heads/main to .*If somebody pushed there meanwhile"):
        edit(bare, change, attempts=3)
    assert len(seen) == 3
    assert shown(bare) == b"\xef\xbb\xbfa: 1\r\nb: 4\r\n"


def test_a_push_that_is_refused_for_another_reason_is_not_tried_again(bare: Path) -> None:
    (bare / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (bare / "hooks/pre-receive").chmod(0o755)
    seen = []
    with pytest.raises(SlipwayError, match="pre-receive hook declined"):
        edit(bare, lambda text: seen.append(text) or f"{text}c: 1\n")  # type: ignore[func-returns-value]  # a list's
    assert len(seen) == 1


def test_a_server_that_goes_away_is_told_as_what_the_push_found(bare: Path) -> None:
    def change(text: str) -> str:
        bare.rename(bare.with_name("elsewhere"))
        return f"{text}c: 1\n"

    with pytest.raises(
        SlipwayError, match="Could not push refs/heads/main to .*the server does not say whether it took"
    ):
        edit(bare, change)


def test_editors_at_the_same_time_all_succeed(bare: Path) -> None:
    def add_line(number: int) -> BranchUpdate:
        return edit(bare, lambda text: f"{text}line {number}\n", attempts=20)

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert all(made.changed for made in pool.map(add_line, range(4)))
    assert sorted(shown(bare).decode().splitlines()[2:]) == [f"line {number}" for number in range(4)]


@pytest.mark.parametrize(
    ("branch", "path", "found"),
    [
        ("nowhere", "below/file", "there is no branch nowhere"),
        ("*", "below/file", r"there is no branch \*"),
        ("main", "below/other", "it is not there in [0-9a-f]{40}"),
        ("main", "latin", "can't decode byte 0xe9"),
        ("main", "../x", "it is not a path inside a repository"),
        ("main", ".git/config", "it is not a path inside a repository"),
        ("main", "/etc/passwd", "it is not a path inside a repository"),
        ("main", "below", "git ended|fatal|bad file"),
    ],
)
def test_what_is_not_there_cannot_be_read(bare: Path, branch: str, path: str, found: str) -> None:
    with pytest.raises(SlipwayError, match=found):
        read_file(str(bare), branch, path)


def test_a_file_is_read_at_a_commit(bare: Path) -> None:
    assert read_file(str(bare), "main", "below/file") == (
        git("rev-parse", "main", cwd=bare),
        "\ufeffa: 1\r\nb: 1\r\n",
    )


def test_a_program_that_is_written_anew_stays_one_and_a_new_file_is_none(bare: Path) -> None:
    ensure_files(str(bare), "main", files={"below/file": "x\n", "new": "y\n"}, message="All\n", person=TEAM)
    modes = [line.split()[0] for line in git("ls-tree", "-r", "main", cwd=bare).splitlines()]
    assert modes == ["100755", "100644", "100644"]
