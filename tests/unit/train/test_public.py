"""What is the last release of a product is read from what everybody reads."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from ansible_collections.slipway.release.plugins.module_utils.slipway.errors import SlipwayError
from ansible_collections.slipway.release.plugins.module_utils.slipway.policy.due import Last
from ansible_collections.slipway.release.plugins.module_utils.slipway.train.public import (
    Public,
    read_manifest,
    read_public,
)

LISTING = {
    "project": "acme",
    "products": [{"name": "acme", "version": "1.1", "label": "acme-1.1", "date": "2026-11-29T23:08:02Z"}],
    "releases": [{"version": "1.2", "withdrawn": {"reason": "x"}}, {"version": "1.1", "withdrawn": None}],
}


def read(public: Path) -> Public:
    return read_public(f"file://{public}", project="acme")


def test_the_list_says_the_last_release_of_each_product_and_all_versions(tmp_path: Path) -> None:
    (tmp_path / "releases.json").write_text(json.dumps(LISTING))
    found = read(tmp_path)
    assert found.last == {"acme": Last("1.1", datetime.date(2026, 11, 29))}
    assert (found.versions, found.withdrawn) == ({"1.1", "1.2"}, {"1.2"})
    (tmp_path / "acme-1.1").mkdir()
    (tmp_path / "acme-1.1/manifest.json").write_text('{"commit": "c"}')
    assert read_manifest(found, "acme") == {"commit": "c"}
    assert read_manifest(found, "other") == {}


def test_where_nothing_is_public_nothing_is_released(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere").last == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is no mapping"),
        ("{}", "it is none of ours: KeyError 'project'"),
        (json.dumps({**LISTING, "project": "other"}), "it is of the project other, and not of acme"),
        (json.dumps({**LISTING, "products": [{**LISTING["products"][0], "date": "soon"}]}), "it is none of ours"),
    ],
)
def test_another_file_of_that_name_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "releases.json").write_text(text)
    with pytest.raises(SlipwayError, match=says) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"Could not find out what is public from file://{tmp_path}/releases.json")


def test_releases_without_a_list_are_no_reason_to_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(SlipwayError, match="there are releases, but no such list; see release_current_index"):
        read(tmp_path)


def test_a_server_that_does_not_answer_is_no_reason_either() -> None:
    with pytest.raises(SlipwayError, match="Could not find out what is public from http://127.0.0.1:9"):
        read_public("http://127.0.0.1:9", project="acme", timeout=5)
