"""The format of definitions, and who understands it."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.cycle.format import (
    Format,
    find_format_fault,
    read_format,
)
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError

EIGHT = Format("morph", "8", "VERSION")


def test_the_file_says_it() -> None:
    assert read_format({"VERSION": b"version: 8\n", "project.conf": None}, on="x") == EIGHT
    assert read_format({"VERSION": None, "project.conf": None}, on="x") is None
    conf = b"name: x\nmin-version: 2.4\n"
    assert read_format({"VERSION": b"version: 8\n", "project.conf": conf}, on="x") == Format(
        "buildstream", "2.4", "project.conf"
    )
    assert read_format({"project.conf": b"name: x\n"}, on="x") is None


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"VERSION": b"version: eight\n"}, "its version is 'eight', not a whole number as in `version: 8`"),
        ({"VERSION": b"versoin: 8\n"}, "there is no version in it"),
        ({"VERSION": b"8\n"}, "it is no mapping"),
        ({"VERSION": b"[\n"}, "VERSION of x"),
        ({"project.conf": b"min-version: two\n"}, "min-version is 'two', not such as 2.4"),
    ],
)
def test_a_file_that_says_nothing_of_use_is_refused(files: dict[str, bytes], fault: str) -> None:
    with pytest.raises(SlipwayError) as refused:
        read_format(files, on="x")
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("release", "version", "fault"),
    [
        # What Baserock's own notes say of these releases.
        ("15.19", "3", None),
        ("15.25", "3", None),
        ("15.25", "5", None),
        ("15.25", "6", "it understands 0, 1, 2, 3, 4, 5 only"),
        ("16.13", "8", None),
        ("26.47", "8", None),
        ("26.47", "6", "it understands 7, 8 only"),
        ("14.29", "8", None),  # the table says nothing of it
        ("trunk", "8", None),
    ],
)
def test_the_table_knows_which_morph_understands_what(release: str, version: str, fault: str | None) -> None:
    assert find_format_fault(Format("morph", version, "VERSION"), release) == fault


def test_a_project_with_other_numbers_has_a_table_of_its_own() -> None:
    table = [{"from": "1.2", "versions": [9]}]
    assert find_format_fault(EIGHT, "1.3", table=table) == "it understands 9 only"
    assert find_format_fault(EIGHT, "1.1", table=table) is None


@pytest.mark.parametrize(
    ("least", "release", "fault"),
    [
        ("2.4", "2.8.1", None),
        ("2.4", "2.4", None),
        ("2.10", "2.8.1", "it is older than 2.10"),
        ("2.4", "3.0", "it is another major version than 2.4"),
        ("2.4", "", None),
    ],
)
def test_buildstream_is_a_minimum_within_a_major_version(least: str, release: str, fault: str | None) -> None:
    assert find_format_fault(Format("buildstream", least, "project.conf"), release) == fault
