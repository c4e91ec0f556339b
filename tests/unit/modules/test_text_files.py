"""Files of text: written once, left as they are, and looked at without being written."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.host.textfile import TextFile
from ansible_collections.slipway.release.plugins.modules.text_files import act

FILES = {"one": "1\n", "below/two": "2\n"}


def test_files_are_written_once_and_only_the_changed_one_again(tmp_path: Path) -> None:
    assert act(tmp_path / "there", FILES, 0o640, dry=False)["written"] == ["below/two", "one"]
    two = tmp_path / "there/below/two"
    assert (two.read_text(), two.stat().st_mode & 0o7777) == ("2\n", 0o640)
    assert act(tmp_path / "there", FILES, 0o640, dry=False) == {"changed": False, "written": [], "diff": []}
    again = act(tmp_path / "there", {**FILES, "one": "other\n"}, 0o640, dry=False)
    assert (again["changed"], again["written"]) == (True, ["one"])
    assert [(one["before"], one["after"]) for one in again["diff"]] == [("1\n", "other\n")]


def test_a_look_writes_nothing(tmp_path: Path) -> None:
    assert act(tmp_path / "there", FILES, 0o644, dry=True)["written"] == ["below/two", "one"]
    assert not (tmp_path / "there").exists()


def test_another_mode_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert TextFile(file, "text\n").have()["changed"]
    assert not TextFile(file, "text\n").have()["changed"]
    assert TextFile(file, "text\n", 0o755).have()["changed"]
    assert file.stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../up", "", "a//b", "."])
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlipwayError, match="no names of files below"):
        act(tmp_path / "there", {"good": "text\n", name: "text\n"}, 0o644, dry=False)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way\n")
    with pytest.raises(SlipwayError) as caught:
        act(tmp_path / "file", {"below": "text\n"}, 0o644, dry=False)
    assert str(caught.value).startswith(f"Could not write {tmp_path}/file/below: ")
