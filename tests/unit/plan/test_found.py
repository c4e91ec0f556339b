"""What is selected of a directory that others write."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.plan.found import (
    Selection,
    Wanted,
    open_directory,
    select_files,
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What mkosi leaves."""
    made = tmp_path / "mkosi.output"
    made.mkdir()
    for name in ("image_1.0.raw", "image_1.0.efi", "image_1.0.manifest", ".mkosi-lock"):
        (made / name).write_bytes(b"x")
    (made / "image.raw").symlink_to("image_1.0.raw")
    (made / "image.cache").mkdir()
    (made / "image.cache/usr.raw").write_bytes(b"x")
    return made


def select(directory: Path, *patterns: str, exclude: tuple[str, ...] = ()) -> Selection:
    return select_files(directory, [Wanted(pattern) for pattern in patterns], exclude)


def paths(selection: Selection) -> list[str]:
    return [found.path for found in selection.files]


def test_files_are_selected_and_what_stays_behind_is_told(output: Path) -> None:
    found = select(output, "*", exclude=("*.manifest",))
    assert paths(found) == ["image_1.0.efi", "image_1.0.raw"]
    assert (found.absent, found.faults) == ([], [])
    assert sorted(found.left_out) == [
        ".mkosi-lock (hidden)",
        "image.cache (a directory)",
        "image.raw (a link to image_1.0.raw)",
    ]


def test_the_first_pattern_counts_and_directories_are_named(output: Path) -> None:
    wanted = [Wanted("image_*.raw", architecture="x86_64"), Wanted("*/*"), Wanted("image_*")]
    found = select_files(output, wanted)
    assert {each.path: each.wanted.path for each in found.files} == {
        "image.cache/usr.raw": "*/*",
        "image_1.0.efi": "image_*",
        "image_1.0.manifest": "image_*",
        "image_1.0.raw": "image_*.raw",
    }
    assert found.left_out == []


def test_a_pattern_without_a_file_is_told_with_what_is_there(output: Path, tmp_path: Path) -> None:
    (absent,) = select(output, "*.iso").absent
    assert absent.startswith("'*.iso' matches no file there, which has '.mkosi-lock', 'image.cache', 'image.raw'")
    assert absent.endswith(" and 1 more")
    (tmp_path / "empty").mkdir()
    assert select(tmp_path / "empty", "*").absent == ["'*' matches no file there, which is empty"]
    assert select(output, "*.raw", exclude=("*",)).absent == ["all that '*.raw' matches is excluded"]


def test_links_are_never_followed(output: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    for name, target in {
        "out.raw": "../secret",
        "root.raw": "/etc/passwd",
        "gone.raw": "nowhere",
        "loop.raw": "loop.raw",
        "inner.raw": "image.cache/usr.raw",
    }.items():
        (output / name).symlink_to(target)
    found = select(output, "*.raw")
    assert paths(found) == ["image_1.0.raw"]
    assert sorted(found.faults) == [
        "'gone.raw' is a link to 'nowhere', which is no file there",
        "'inner.raw' is a link to 'image.cache/usr.raw': name that file in place of the link",
        "'loop.raw' is a link to 'loop.raw', which is no file there",
        "'out.raw' is a link that leads out of it: bring the file itself",
        "'root.raw' is a link that leads out of it: bring the file itself",
    ]
    # One that is asked for by its name is not passed over.
    assert select(output, "image.raw").faults == [
        "'image.raw' is a link to 'image_1.0.raw': name that file in place of the link"
    ]
    (output / "linked").symlink_to(tmp_path)
    assert select(output, "linked/*").absent[0].startswith("'linked/*' matches no file there")


def test_what_is_no_file_is_refused_and_nothing_waits_for_it(output: Path) -> None:
    os.mkfifo(output / "pipe.raw")
    (output / "empty.raw").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(output)  # the path of a socket is short
        listener.bind("socket.raw")
        found = select(output, "*.raw", "image.cache", "*")
    assert sorted(found.faults) == [
        "'empty.raw' is empty",
        "'image.cache' is a directory and not a regular file; files in it are 'image.cache/*'",
        "'pipe.raw' is a FIFO and not a regular file",
        "'socket.raw' is a socket and not a regular file",
    ]


def test_hidden_files_are_selected_only_by_a_point(output: Path) -> None:
    assert paths(select(output, ".*")) == [".mkosi-lock"]
    assert select(output, ".*").left_out == []
    assert select(output, "image_*").left_out == []


def test_names_that_are_no_text_are_told_without_acting(output: Path) -> None:
    (output / os.fsdecode(b"a\n\x1b[2J\xff.raw")).symlink_to("nowhere")
    (fault,) = select(output, "a*").faults
    assert "\\n\\x1b[2J\\udcff" in fault
    assert "\x1b" not in fault


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "not an absolute"),
        ("out", "not an absolute"),
        ("/nowhere/x", "not there"),
        ("/dev/null", "not a directory"),
    ],
)
def test_a_directory_that_is_none_is_refused(path: str, why: str) -> None:
    with pytest.raises(SlipwayError, match=f"{why}.*release_files_directory"):
        open_directory(path, label="acme-1.0")


def test_a_link_to_the_directory_is_followed_once(output: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(output)
    assert open_directory(str(tmp_path / "latest"), label="acme-1.0") == output
