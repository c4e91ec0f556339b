"""Files of text: written once, left as they are, looked at unwritten, and taken back where they are refused."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.modules.text_files import act

FILES = {"one": "1\n", "below/two": "2\n"}
UNCHANGED = {"changed": False, "written": [], "diff": []}


def have(directory: Path | None, files: dict[str, str], *, write: bool = True, **options: Any) -> dict[str, Any]:
    """Call the module as Ansible does; a file's own mode is behind its name."""
    given = [{"path": name, "content": text, "mode": None} for name, text in files.items()]
    defaults = {"mode": "0644", "owner": None, "group": None, "validate": []}
    return act({"files": given, "directory": directory and str(directory), **defaults, **options}, write=write)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_files_are_written_once_and_only_the_changed_one_again(tmp_path: Path) -> None:
    top = tmp_path / "there"
    assert have(top, FILES, mode="0640")["written"] == [f"{top}/one", f"{top}/below/two"]
    assert ((top / "below/two").read_text(), mode(top / "below/two")) == ("2\n", 0o640)
    assert have(top, FILES, mode="0640") == UNCHANGED
    again = have(top, {**FILES, "one": "other\n"}, mode="0640")
    assert (again["changed"], again["written"]) == (True, [f"{top}/one"])
    assert [(one["before"], one["after"]) for one in again["diff"]] == [("1\n", "other\n")]


def test_one_file_has_an_absolute_path_and_needs_no_directory(tmp_path: Path) -> None:
    file = tmp_path / "a/file"
    assert have(None, {str(file): "text\n"})["written"] == [str(file)]
    assert have(None, {str(file): "text\n"}) == UNCHANGED


def test_directories_can_be_entered_by_everybody_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        have(tmp_path / "a/b", FILES)
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/below", "a/b/one")] == [0o755, 0o755, 0o755, 0o644]


def test_a_look_writes_nothing(tmp_path: Path) -> None:
    assert len(have(tmp_path / "there", FILES, write=False, validate=["false"], owner="nobody-yet")["written"]) == 2
    assert not (tmp_path / "there").exists()


def test_another_mode_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert have(tmp_path, {"file": "text\n"})["changed"]
    assert have(tmp_path, {"file": "text\n"}, mode="0755")["changed"]
    assert mode(file) == 0o755


def test_a_file_may_have_a_mode_of_its_own(tmp_path: Path) -> None:
    files = [
        {"path": "program", "content": "", "mode": "0755"},
        {"path": "file", "content": "", "mode": None},
    ]
    given = {"files": files, "directory": str(tmp_path), "mode": "0640", "owner": None, "group": None, "validate": []}
    act(given, write=True)
    assert (mode(tmp_path / "program"), mode(tmp_path / "file")) == (0o755, 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: only root can give files away")
def test_files_belong_to_whom_they_are_given(tmp_path: Path) -> None:
    assert have(tmp_path, {"file": "text\n"}, owner="root", group="root")["changed"]
    assert have(tmp_path, {"file": "text\n"}, owner="nobody", group="nogroup")["changed"]
    assert have(tmp_path, {"file": "text\n"}, owner="nobody", group="nogroup") == UNCHANGED
    assert have(tmp_path, {"file": "text\n"}) == UNCHANGED
    assert (tmp_path / "file").stat().st_uid == pwd.getpwnam("nobody").pw_uid


def test_an_unknown_owner_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"file: .*name not found: .*nobody-yet"):
        have(tmp_path, {"file": "text\n"}, owner="nobody-yet")


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../up", "", "a//b", "."])
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlipwayError, match="not file names below"):
        have(tmp_path / "there", {"good": "text\n", name: "text\n"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "./file", "/a/../b", "//a", "/"])
def test_without_a_directory_a_path_is_absolute_and_plain(name: str) -> None:
    with pytest.raises(SlipwayError, match="not file names with an absolute path"):
        have(None, {name: "text\n"})


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way\n")
    with pytest.raises(SlipwayError) as caught:
        have(tmp_path / "file", {"below": "text\n"})
    assert str(caught.value).startswith(f"Could not write {tmp_path}/file/below: ")


def test_what_is_refused_is_taken_back_with_the_words_that_refused_it(tmp_path: Path) -> None:
    have(tmp_path, {"one": "good\n"}, mode="0600")
    judge = ["sh", "-c", f"if grep -q bad {tmp_path}/*; then echo 'line 1: bad' >&2; exit 1; fi"]
    with pytest.raises(SlipwayError) as caught:
        have(tmp_path, {"one": "bad\n", "two": "also bad\n"}, validate=judge)
    assert str(caught.value) == (
        f"Could not use {tmp_path}/one and {tmp_path}/two: sh ended with status 1: line 1: bad. "
        "What was there before is back. Correct the text, and run again."
    )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one": "good\n"}
    assert mode(tmp_path / "one") == 0o600
    assert have(tmp_path, {"one": "good\n", "two": "good\n"}, validate=judge)["changed"]


def test_files_that_are_as_they_should_be_are_judged_too(tmp_path: Path) -> None:
    have(tmp_path, FILES)
    with pytest.raises(SlipwayError, match="Could not use the files as they are: false ended with status 1"):
        have(tmp_path, FILES, validate=["false"])
    assert have(tmp_path, FILES) == UNCHANGED
